//! One connection to a holder: calls, input, and whatever comes in.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use serde::de::DeserializeOwned;
use serde_json::Value;
use session_protocol::{
    Call, Decoder, Event, FrameType, HEADER_LEN, Header, PREFACE, ProcessId, ProtocolError,
    Request, Response, StreamId, encode_control,
};
use session_store::Session;

use crate::Error;
use crate::incoming::{Incoming, Kept};

/// One read takes a whole batch of the holder's.
const READ: usize = (64 << 10) + HEADER_LEN;
/// A holder that lives says its preface at once; one that is stopped never does.
const GREETING: Duration = Duration::from_secs(5);

/// A blocking connection. Poll it through [`AsFd`], then [`Connection::receive`], then
/// [`Connection::poll`] until it has nothing more.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    decoder: Decoder,
    greeted: bool,
    /// When a holder that has not said its preface counts as unreachable, and which pid to name.
    greet_by: Option<(Instant, i32)>,
    next_id: u64,
    /// What came while a call waited for its answer.
    queued: VecDeque<Kept>,
    /// The bytes that [`Connection::poll`] lent out of the queue last.
    popped: Vec<u8>,
    /// What is to be written, the preface first; empty but for its memory between calls.
    unsent: Vec<u8>,
}

impl Connection {
    /// Connects to a session's holder.
    ///
    /// # Errors
    /// [`Error::Io`] with `ConnectionRefused` or `NotFound` if there is none; [`Error::ForeignPeer`].
    pub fn open(session: &Session) -> Result<Self, Error> {
        let stream = session_sys::socket::connect(session.directory_fd(), "socket")
            .map_err(Error::io("connect to the session's holder"))?;
        let peer = session_sys::socket::peer_uid(&stream)
            .map_err(Error::io("identify the session's holder"))?;
        if peer != session_sys::process::effective_uid() {
            return Err(Error::ForeignPeer(peer));
        }
        let pid = session_sys::socket::peer_pid(&stream).unwrap_or(0);
        let mut connection = Self::over(stream);
        connection.greet_by = Some((Instant::now() + GREETING, pid));
        Ok(connection)
    }

    /// Speaks over a stream whose other end is trusted, such as a socket pair.
    pub fn over(stream: UnixStream) -> Self {
        Self {
            stream,
            decoder: Decoder::default(),
            greeted: false,
            greet_by: None,
            next_id: 0,
            queued: VecDeque::new(),
            popped: Vec::new(),
            unsent: PREFACE.to_vec(),
        }
    }

    /// Asks and waits for the answer, however long it takes. What else comes meanwhile is kept for
    /// [`Connection::poll`].
    ///
    /// # Errors
    /// [`Error::Refused`] with the holder's own error; [`Error::Closed`] if it went away.
    pub fn call<T: DeserializeOwned>(&mut self, call: Call) -> Result<T, Error> {
        self.call_until(call, None)
    }

    /// As [`Connection::call`], with [`Error::Late`] if there is no answer by `deadline`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    pub fn call_until<T: DeserializeOwned>(
        &mut self,
        call: Call,
        deadline: Option<Instant>,
    ) -> Result<T, Error> {
        let sent = self.send(call)?;
        self.answer(sent, deadline)
    }

    /// Waits for the answer to what was asked by [`Connection::send`].
    ///
    /// # Errors
    /// As [`Connection::call_until`].
    pub fn answer<T: DeserializeOwned>(
        &mut self,
        sent: u64,
        deadline: Option<Instant>,
    ) -> Result<T, Error> {
        let mut waiting = VecDeque::new();
        let answer = loop {
            match self.wait_for(sent, &mut waiting, deadline) {
                Ok(None) => {}
                Ok(Some(response)) => break Ok(response),
                Err(error) => break Err(error),
            }
        };
        waiting.append(&mut self.queued);
        self.queued = waiting;
        Ok(serde_json::from_value(answer?.outcome?)?)
    }

    /// Takes what is there; if that is nothing, waits for more.
    fn wait_for(
        &mut self,
        id: u64,
        waiting: &mut VecDeque<Kept>,
        deadline: Option<Instant>,
    ) -> Result<Option<Response>, Error> {
        match self.poll()?.map(Incoming::keep) {
            Some(Kept::Plain(Incoming::Response(response))) if response.id == id => {
                Ok(Some(response))
            }
            Some(other) => {
                waiting.push_back(other);
                Ok(None)
            }
            None if self.ready(deadline)? => self.receive().map(|()| None),
            None => Err(Error::Late),
        }
    }

    /// Asks without waiting; the answer comes as [`Incoming::Response`] with the id returned here, or by
    /// [`Connection::answer`].
    ///
    /// # Errors
    /// [`Error::Closed`] if the holder is gone.
    pub fn send(&mut self, call: Call) -> Result<u64, Error> {
        self.next_id += 1;
        self.request(Some(self.next_id.into()), call)?;
        Ok(self.next_id)
    }

    /// Tells the holder, which does not answer: it is carried out also if the caller is gone by then.
    ///
    /// # Errors
    /// [`Error::Closed`] if the holder is gone.
    pub fn notify(&mut self, call: Call) -> Result<(), Error> {
        self.request(None, call)
    }

    /// Lends the terminal that the output of `process` is shown on: the holder may write a little to it before it sends
    /// the same as [`Incoming::Data`] with `shown`, whenever [`Connection::credit`] has told that everything before is
    /// shown. It is the caller's alone again once [`Call::Leave`] is answered. The answer comes as [`Incoming::Response`] with
    /// the id returned here; refused, everything comes as ever.
    ///
    /// # Errors
    /// [`Error::Closed`] if the holder is gone; [`Error::Io`].
    pub fn lend(&mut self, process: ProcessId, terminal: BorrowedFd<'_>) -> Result<u64, Error> {
        self.flush()?;
        self.next_id += 1;
        let (id, call) = (Some(self.next_id.into()), Call::Lend { process });
        let message = encode_control(&Request { id, call }.to_json());
        let sent = session_sys::socket::send_with(&self.stream, &message, terminal)
            .map_err(Error::io("lend the terminal to the session's holder"))?;
        self.unsent.extend_from_slice(&message[sent..]);
        self.flush()?;
        Ok(self.next_id)
    }

    fn request(&mut self, id: Option<Value>, call: Call) -> Result<(), Error> {
        let request = Request { id, call };
        self.unsent
            .extend_from_slice(&encode_control(&request.to_json()));
        self.flush()
    }

    /// Sends input, at most [`session_protocol::MAX_DATA`] bytes; `offset` is the position of the first.
    ///
    /// # Errors
    /// [`Error::Closed`] if the holder is gone.
    pub fn send_data(&mut self, stream: StreamId, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        for (index, piece) in bytes.chunks(session_protocol::MAX_DATA).enumerate() {
            let offset = offset + (index * session_protocol::MAX_DATA) as u64;
            // A piece is at most MAX_DATA long, which fits.
            let header = Header::data(stream, offset, piece.len() as u32);
            self.unsent.extend_from_slice(&header.encode());
            self.unsent.extend_from_slice(piece);
        }
        self.flush()
    }

    /// Tells that everything of `stream` below `offset` is consumed.
    ///
    /// # Errors
    /// [`Error::Closed`] if the holder is gone.
    pub fn credit(&mut self, stream: StreamId, offset: u64) -> Result<(), Error> {
        self.unsent
            .extend_from_slice(&Header::credit(stream, offset).encode());
        self.flush()
    }

    /// What came next (a pong that it asks for goes out with the next call of this), or `None` if [`Connection::receive`] must bring more first.
    ///
    /// # Errors
    /// The holder speaks something else.
    pub fn poll(&mut self) -> Result<Option<Incoming<'_>>, Error> {
        self.flush()?;
        match self.queued.pop_front() {
            Some(Kept::Plain(incoming)) => return Ok(Some(incoming)),
            Some(Kept::Data {
                stream,
                offset,
                bytes,
                fin,
                shown,
            }) => {
                self.popped = bytes;
                return Ok(Some(Incoming::Data {
                    stream,
                    offset,
                    bytes: &self.popped,
                    fin,
                    shown,
                }));
            }
            None => {}
        }
        if !self.greeted {
            match self.decoder.poll()? {
                None => return Ok(None),
                Some(Event::Preface) => self.greeted = true,
                Some(_) => return Err(ProtocolError::NotSession.into()),
            }
        }
        match self.decoder.poll()? {
            None => Ok(None),
            Some(Event::Ping(body)) => {
                let header = Header {
                    len: body.len() as u32, // a ping's body is at most 4 KiB
                    kind: FrameType::Pong,
                    flags: 0,
                    stream: StreamId(0),
                    offset: 0,
                };
                self.unsent.extend_from_slice(&header.encode());
                self.unsent.extend_from_slice(&body);
                Ok(Some(Incoming::Other))
            }
            Some(Event::Goaway(body)) => {
                let reason = body.get("reason").and_then(Value::as_str);
                Err(Error::GaveUp(reason.unwrap_or("unknown").to_owned()))
            }
            Some(event) => Ok(Some(Incoming::of(event))),
        }
    }

    /// Waits until there is something to [`Connection::receive`]; false if there is not by `deadline`.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if the holder has not even said its preface within five seconds.
    pub fn ready(&mut self, deadline: Option<Instant>) -> Result<bool, Error> {
        self.flush()?;
        let greeting = self.greet_by.filter(|_| !self.greeted);
        let until = match (greeting, deadline) {
            (Some((by, _)), Some(deadline)) => Some(deadline.min(by)),
            (Some((by, _)), None) => Some(by),
            (None, deadline) => deadline,
        };
        if wait(self.stream.as_fd(), until)? {
            return Ok(true);
        }
        match greeting {
            Some((by, pid)) if Instant::now() >= by => Err(Error::Unreachable { pid }),
            _ => Ok(false),
        }
    }

    /// Reads what has come; blocks if that is nothing.
    ///
    /// # Errors
    /// [`Error::Closed`] at the end.
    pub fn receive(&mut self) -> Result<(), Error> {
        self.flush()?;
        let read = loop {
            match self.stream.read(self.decoder.space(READ)) {
                Ok(read) => break read,
                Err(error) => {
                    self.decoder.filled(READ, 0);
                    if error.kind() != ErrorKind::Interrupted {
                        return Err(Error::io("read from the session's holder")(error));
                    }
                }
            }
        };
        self.decoder.filled(READ, read);
        if read == 0 {
            return Err(Error::Closed);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        let written = self.stream.write_all(&self.unsent);
        self.unsent.clear();
        match written.map_err(Error::io("write to the session's holder")) {
            // It may have said why before it went: what it wrote is still to be read.
            Err(Error::Closed) if wait(self.stream.as_fd(), Some(Instant::now()))? => Ok(()),
            written => written,
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Waits until `fd` is readable or hung up; false if it is not by `until`.
pub(crate) fn wait(fd: BorrowedFd<'_>, until: Option<Instant>) -> Result<bool, Error> {
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
        match rustix::event::poll(&mut fds, timeout.as_ref()) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(Error::io("wait for the session's holder")(errno.into())),
        }
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
