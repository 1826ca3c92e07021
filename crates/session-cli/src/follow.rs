//! The output of a session's main process, from an offset on: what is kept comes from the log, which needs no
//! holder; what is new comes from the holder. A holder that goes away is looked for again, and nothing is lost
//! or doubled in between, since every byte has an offset.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags};
use session_client::{Connection, Error, Incoming};
use session_protocol::{
    Attach, Attached, Call, Channel, Code, From, Notice, ProcessId, Read, ReadResult, Size, Status,
    StreamId,
};
use session_store::{LogReader, Session};

use crate::failure::Failure;
use crate::lifecycle;
use crate::merge::Merge;

/// Bytes on their way to this client, a stream.
const WINDOW: u64 = 256 << 10;
/// Consumed bytes are told in portions of this.
const PORTION: u64 = 64 << 10;

/// A part of the output.
#[derive(Debug, PartialEq)]
pub(crate) enum Part<'a> {
    /// Bytes, the first of them at `offset`.
    Bytes {
        channel: Channel,
        offset: u64,
        bytes: &'a [u8],
    },
    /// So many bytes from `offset` on are gone.
    Gap {
        channel: Channel,
        offset: u64,
        lost: u64,
    },
}

/// What [`Follow::live`] came to.
#[derive(Debug)]
pub(crate) enum Live {
    /// There was output, or could have been.
    More,
    /// What [`Follow::attend`] was given came first.
    Quiet,
    /// The main process ended for good, or does not run.
    Ended,
}

/// A reader of all output streams of the main process.
pub(crate) struct Follow<'a> {
    session: &'a Session,
    pub(crate) merge: Merge,
    pub(crate) tracks: Vec<Track>,
    connection: Option<Connection>,
    /// The holder said that the process ended.
    told: bool,
    /// What ends a wait for output, and that the size is to be known.
    attended: Option<BorrowedFd<'a>>,
    size: Option<Size>,
}

/// One stream.
pub(crate) struct Track {
    pub(crate) channel: Channel,
    pub(crate) next: u64,
    credited: u64,
    pub(crate) reader: Option<LogReader>,
}

impl<'a> Follow<'a> {
    /// From where `from` says in each stream that is kept; a new one from its start.
    pub(crate) fn new(
        session: &'a Session,
        merge: Merge,
        mut from: impl FnMut(&mut LogReader) -> io::Result<u64>,
    ) -> Result<Self, Failure> {
        let mut tracks = Vec::new();
        for channel in [Channel::Pty, Channel::Out, Channel::Err] {
            if let Some(mut reader) = session.log("main", channel)? {
                let next = from(&mut reader)?;
                tracks.push(Track {
                    channel,
                    next,
                    credited: 0,
                    reader: Some(reader),
                });
            }
        }
        Ok(Self {
            session,
            merge,
            tracks,
            connection: None,
            told: false,
            attended: None,
            size: None,
        })
    }

    /// From now on waiting ends when `over` hangs up, and [`Follow::size`] is kept up to date.
    pub(crate) fn attend(&mut self, over: BorrowedFd<'a>) {
        self.attended = Some(over);
    }

    /// The terminal's size behind what was given out last, as far as it is known.
    pub(crate) fn size(&self) -> Option<Size> {
        self.size
    }

    /// Why no more follows, where nobody said so: it did not run, or its holder was killed.
    pub(crate) fn untold(&self) -> Result<Option<String>, Failure> {
        if self.told {
            return Ok(None);
        }
        let status = self.session.status()?;
        match status.unwatched {
            true => Err(lifecycle::unwatched(&status)),
            false => Ok(Some(status.sentence())),
        }
    }

    /// When the byte at `offset` came, if that is known, and the offset of the next one whose time may be another.
    pub(crate) fn moment(
        &mut self,
        channel: Channel,
        offset: u64,
    ) -> (Option<session_protocol::Timestamp>, u64) {
        let track = self.tracks.iter_mut().find(|it| it.channel == channel);
        let reader = track.and_then(|track| track.reader.as_mut());
        let moment = reader.and_then(|reader| reader.time_of(offset).ok());
        moment.unwrap_or((None, u64::MAX))
    }

    /// When the byte at `offset` came.
    pub(crate) fn time_of(
        &mut self,
        channel: Channel,
        offset: u64,
    ) -> Option<session_protocol::Timestamp> {
        let track = self.tracks.iter_mut().find(|it| it.channel == channel)?;
        track.reader.as_mut()?.time_of(offset).ok()?.0
    }

    /// Waits for new output and gives it out. To be called again until it says that the output has ended.
    pub(crate) fn live<E>(
        &mut self,
        each: &mut impl FnMut(&mut Self, Part<'_>) -> Result<(), E>,
    ) -> Result<Live, Failure>
    where
        Failure: std::convert::From<E>,
    {
        let Some(mut connection) = self.connection.take() else {
            return self.join(each);
        };
        match self.listen(&mut connection, each) {
            Ok(live) => {
                self.connection = Some(connection);
                Ok(live)
            }
            Err(Stop::Lost) => Ok(Live::More),
            Err(Stop::Failed(failure)) => Err(failure),
        }
    }

    fn listen<E>(
        &mut self,
        connection: &mut Connection,
        each: &mut impl FnMut(&mut Self, Part<'_>) -> Result<(), E>,
    ) -> Result<Live, Stop>
    where
        Failure: std::convert::From<E>,
    {
        let mut any = false;
        loop {
            let credit = match connection.poll()? {
                None if any => return Ok(Live::More),
                None => {
                    if !self.ready(connection)? {
                        return Ok(Live::Quiet);
                    }
                    connection.receive()?;
                    continue;
                }
                Some(Incoming::Notice(Notice::Changed(status))) => {
                    self.size = status.size.or(self.size);
                    None
                }
                Some(Incoming::Data {
                    stream,
                    offset,
                    bytes,
                    ..
                }) => {
                    self.came(stream, offset, bytes, each)?;
                    self.track(stream.channel())
                        .credit()
                        .map(|offset| (stream, offset))
                }
                Some(Incoming::Reset { stream, offset, .. }) => {
                    self.skip(stream.channel(), offset, each)?;
                    None
                }
                Some(Incoming::Notice(Notice::Ended(_))) => {
                    self.told = true;
                    return Ok(Live::Ended);
                }
                // Started anew with other streams: those are to be joined.
                Some(Incoming::Notice(Notice::Detached {
                    process: ProcessId::MAIN,
                })) => return Err(Stop::Lost),
                Some(_) => None,
            };
            any = true;
            if let Some((stream, offset)) = credit {
                connection.credit(stream, offset)?;
            }
        }
    }

    /// Whether there is something to receive before it is all over.
    fn ready(&self, connection: &mut Connection) -> Result<bool, Stop> {
        let Some(over) = self.attended else {
            return Ok(connection.ready(None)?);
        };
        // What is still to be sent goes out before the wait.
        while !connection.ready(Some(Instant::now()))? {
            let mut fds = [
                PollFd::from_borrowed_fd(connection.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(over, PollFlags::IN),
            ];
            match rustix::event::poll(&mut fds, None) {
                Ok(_) if !fds[1].revents().is_empty() => return Ok(false),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(Failure::from(io::Error::from(errno)).into()),
            }
        }
        Ok(true)
    }

    /// Bytes came: those that were given out already are left out.
    fn came<E>(
        &mut self,
        stream: StreamId,
        offset: u64,
        bytes: &[u8],
        each: &mut impl FnMut(&mut Self, Part<'_>) -> Result<(), E>,
    ) -> Result<(), Failure>
    where
        Failure: std::convert::From<E>,
    {
        let channel = stream.channel();
        self.skip(channel, offset, each)?;
        let track = self.track(channel);
        let known = track.next.saturating_sub(offset).min(bytes.len() as u64);
        // At most the length of a frame.
        let bytes = &bytes[known as usize..];
        let offset = offset + known;
        track.next = track.next.max(offset + bytes.len() as u64);
        if bytes.is_empty() {
            return Ok(());
        }
        Ok(each(
            self,
            Part::Bytes {
                channel,
                offset,
                bytes,
            },
        )?)
    }

    /// The stream goes on at `offset`.
    fn skip<E>(
        &mut self,
        channel: Channel,
        offset: u64,
        each: &mut impl FnMut(&mut Self, Part<'_>) -> Result<(), E>,
    ) -> Result<(), Failure>
    where
        Failure: std::convert::From<E>,
    {
        let track = self.track(channel);
        if offset <= track.next {
            return Ok(());
        }
        let from = std::mem::replace(&mut track.next, offset);
        Ok(each(
            self,
            Part::Gap {
                channel,
                offset: from,
                lost: offset - from,
            },
        )?)
    }

    /// Attaches to the holder and gives out what came up to then.
    fn join<E>(
        &mut self,
        each: &mut impl FnMut(&mut Self, Part<'_>) -> Result<(), E>,
    ) -> Result<Live, Failure>
    where
        Failure: std::convert::From<E>,
    {
        let Some(mut connection) = session_client::connect(self.session)? else {
            self.reopen()?;
            self.kept(each)?;
            return Ok(Live::Ended);
        };
        match self.attach(&mut connection, each) {
            Ok(()) => {
                self.connection = Some(connection);
                Ok(Live::More)
            }
            Err(Stop::Lost) => Ok(Live::More),
            Err(Stop::Failed(failure)) if failure.code() == Some(Code::NotRunning) => {
                self.reopen()?;
                self.kept(each)?;
                Ok(Live::Ended)
            }
            Err(Stop::Failed(failure)) => Err(failure),
        }
    }

    fn attach<E>(
        &mut self,
        connection: &mut Connection,
        each: &mut impl FnMut(&mut Self, Part<'_>) -> Result<(), E>,
    ) -> Result<(), Stop>
    where
        Failure: std::convert::From<E>,
    {
        // From now on new bytes are sent, …
        let attached: Attached = connection.call(Call::Attach(Attach {
            process: ProcessId::MAIN,
            from: From::Live,
            window: WINDOW,
            interactive: false,
            read_only: true,
            size: None,
            detach_others: false,
            exclusive: false,
            environment: None,
            resume: Vec::new(),
            lossless: false,
        }))?;
        for stream in &attached.streams {
            self.track(stream.stream.channel()).credited = stream.from;
        }
        if self.attended.is_some() {
            let status: Status = connection.call(Call::Subscribe {})?;
            self.size = status.size.or(self.size);
        }
        // … so those before can be read: from the log, …
        self.reopen()?;
        self.kept(each)?;
        // … and what was not logged yet, from the holder.
        for stream in &attached.streams {
            let channel = stream.stream.channel();
            while self.track(channel).next < stream.from {
                let next = self.track(channel).next;
                let read: ReadResult = connection.call(Call::Read(Read {
                    process: ProcessId::MAIN,
                    channel: Some(channel),
                    from: next,
                    max: u32::try_from(stream.from - next).ok(),
                }))?;
                if read.data.0.is_empty() {
                    break;
                }
                self.came(stream.stream, read.offset, &read.data.0, each)?;
            }
        }
        Ok(())
    }

    /// Streams that exist only now.
    fn reopen(&mut self) -> Result<(), Failure> {
        for channel in [Channel::Pty, Channel::Out, Channel::Err] {
            let known = self.tracks.iter().find(|it| it.channel == channel);
            if known.is_none_or(|track| track.reader.is_none())
                && let Some(reader) = self.session.log("main", channel)?
            {
                self.track(channel).reader = Some(reader);
            }
        }
        Ok(())
    }

    fn track(&mut self, channel: Channel) -> &mut Track {
        let index = self.tracks.iter().position(|it| it.channel == channel);
        let index = index.unwrap_or_else(|| {
            self.tracks.push(Track {
                channel,
                next: 0,
                credited: 0,
                reader: None,
            });
            self.tracks.len() - 1
        });
        &mut self.tracks[index]
    }
}

impl Track {
    /// Up to where everything is consumed, if it is time to say so.
    fn credit(&mut self) -> Option<u64> {
        if self.next < self.credited + PORTION {
            return None;
        }
        self.credited = self.next;
        Some(self.next)
    }
}

/// Why a connection is of no further use.
enum Stop {
    /// The holder is gone; there may be another.
    Lost,
    Failed(Failure),
}

impl std::convert::From<Error> for Stop {
    fn from(error: Error) -> Self {
        match error {
            Error::Closed => Self::Lost,
            error => Self::Failed(error.into()),
        }
    }
}

impl std::convert::From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}
