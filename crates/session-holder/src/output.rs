//! One output stream of a process: ring in memory, log on disk, one offset for both.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use session_protocol::{Channel, StreamId, Timestamp};
use session_store::log::{LogReader, LogWriter, Mark, ReadAt};

use crate::ring::Ring;
use crate::screen::Tracked;

/// Most bytes taken from a stream before others get their turn.
pub(crate) const BATCH: usize = 64 << 10;

/// A first read of fewer bytes is handed on at once.
const SHORT: usize = 512;

/// An output stream. It outlives the process behind it: the next main process writes on at the same offset.
pub(crate) struct Output {
    pub(crate) stream: StreamId,
    pub(crate) ring: Ring,
    log: LogWriter,
    /// Opened by the first client that is further behind than the ring reaches.
    reader: Option<LogReader>,
    /// Of a terminal.
    pub(crate) screen: Option<Tracked>,
    /// When the last byte came.
    last: Instant,
    /// What the process that was started last says begins here.
    pub(crate) begun: u64,
    /// The process ended: clients are sent what lies before this offset and then the end of the stream.
    pub(crate) ended: Option<u64>,
}

/// Where the bytes at an offset are.
pub(crate) enum Piece<'a> {
    /// In memory.
    Ring([&'a [u8]; 2]),
    /// Read back from the log, so many of them.
    Log(usize),
    /// Nowhere: the stream goes on at this offset.
    Gap(u64),
    /// Not there yet.
    End,
}

/// How a read of the source went.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// There may be more at once.
    More,
    /// Nothing more for now.
    Drained,
    /// Nothing more ever.
    Closed,
}

impl Output {
    /// A stream that goes on where its log ends, with a ring that has nothing yet or is adopted.
    pub(crate) fn new(stream: StreamId, log: LogWriter, ring: Ring) -> Self {
        Self {
            stream,
            ring,
            begun: log.end(),
            screen: (stream.channel() == Channel::Pty).then(|| Tracked::new(log.end())),
            log,
            reader: None,
            last: Instant::now(),
            ended: None,
        }
    }

    /// What the keeper has of it.
    pub(crate) fn parked(&self) -> (Channel, &Ring) {
        (self.stream.channel(), &self.ring)
    }

    /// Offset behind the last byte.
    pub(crate) fn head(&self) -> u64 {
        self.ring.head()
    }

    /// Offset behind the last byte that the log has, or has counted as lost.
    pub(crate) fn logged(&self) -> u64 {
        self.log.end()
    }

    /// Offset that clients are served up to.
    pub(crate) fn served(&self) -> u64 {
        self.ended.unwrap_or(self.head())
    }

    /// Another cap for the log.
    pub(crate) fn set_limit(&mut self, limit: u64) {
        self.log.set_limit(limit);
    }

    /// What comes next is another run's.
    pub(crate) fn begin_run(&mut self) {
        self.log.begin_run();
        self.ended = None;
        self.begun = self.head();
        if let Some(screen) = &mut self.screen {
            screen.begin_run(self.begun);
        }
    }

    /// Offset of the oldest byte that the log keeps.
    pub(crate) fn log_start(&self) -> u64 {
        self.log.start()
    }

    /// Where the next segment of the log behind `offset` begins.
    pub(crate) fn log_next_start(&self, offset: u64) -> Option<u64> {
        self.log.next_start(offset)
    }

    /// Keeps with the log what the screen was.
    pub(crate) fn mark(&mut self, mark: &Mark) {
        self.log.mark(mark);
    }

    /// Bytes that the disk did not take, in all.
    pub(crate) fn lost(&self) -> u64 {
        self.log.lost()
    }

    /// Offset of the oldest byte that can still be had.
    pub(crate) fn start(&self) -> u64 {
        self.log.start().min(self.ring.start())
    }

    /// When the last byte came.
    pub(crate) fn last(&self) -> Instant {
        self.last
    }

    /// Reads until the source is empty, at most one batch.
    pub(crate) fn pull(&mut self, source: BorrowedFd<'_>) -> io::Result<Source> {
        let limit = self.head() + BATCH as u64;
        self.last = Instant::now();
        loop {
            let room = limit - self.head();
            if room == 0 {
                return Ok(Source::More);
            }
            match self.ring.read_from(source, room as usize) {
                Ok(0) => return Ok(Source::Closed),
                // An echo: it goes on its way before more is looked for.
                Ok(read) if read < SHORT && room == BATCH as u64 => return Ok(Source::More),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Source::Drained);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A PTY whose other side is gone says EIO (pty(7)).
                Err(error)
                    if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) =>
                {
                    return Ok(Source::Closed);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Bytes that the log does not have yet.
    pub(crate) fn unjournaled(&self) -> usize {
        (self.head() - self.log.end()) as usize
    }

    /// Writes to the log what it does not have yet. What the disk does not take is counted as lost, not retried
    /// for ever: a full disk never stops the process.
    pub(crate) fn journal(&mut self) {
        self.append(self.unjournaled());
    }

    /// As [`Output::journal`], but only what makes whole pieces of the log's file: for output that goes on.
    pub(crate) fn journal_pieces(&mut self) {
        self.append(self.log.whole(self.unjournaled()));
    }

    fn append(&mut self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let parts = self.ring.slices(self.log.end(), bytes);
        // What fails is counted by the log, and its offsets are skipped: nothing is left to do here.
        let _ = self.log.append(&parts, Timestamp::now());
    }

    /// The disk did not take so many bytes.
    #[cfg(test)]
    pub(crate) fn lose(&mut self, bytes: u64) {
        self.log.skip(bytes);
    }

    /// The bytes at `offset`, at most `max`; those that left the ring are read into `buffer`.
    pub(crate) fn piece<'a>(
        &'a mut self,
        directory: BorrowedFd<'_>,
        process: &str,
        offset: u64,
        max: usize,
        buffer: &mut Vec<u8>,
    ) -> Piece<'a> {
        if offset >= self.head() {
            return Piece::End;
        }
        if offset >= self.ring.start() {
            return Piece::Ring(self.ring.slices(offset, max));
        }
        if self.reader.is_none() {
            self.reader = LogReader::open(directory, process, self.stream.channel())
                .ok()
                .flatten();
        }
        let in_ring = self.ring.start();
        let Some(reader) = self.reader.as_mut() else {
            return Piece::Gap(in_ring);
        };
        buffer.resize(max.min((in_ring - offset) as usize), 0);
        match reader.read_at(offset, buffer) {
            Ok(ReadAt::Bytes(len)) => Piece::Log(len),
            Ok(ReadAt::Gap { next }) => Piece::Gap(next.min(in_ring)),
            Ok(ReadAt::End) | Err(_) => Piece::Gap(in_ring),
        }
    }

    /// The stream is quiet: memory goes back. The log has the bytes, or has counted them as lost.
    /// Half a question that is to be answered stays.
    pub(crate) fn rest(&mut self, asked: bool) {
        let kept = self.log.end() == self.head() && self.log.tells_its_end();
        if kept && !(asked && self.is_asking()) {
            self.ring.release();
        }
        self.reader = None;
    }
}

/// Makes a descriptor non-blocking: ours alone, never one that a process shares.
pub(crate) fn nonblocking(fd: impl AsFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(&fd)?;
    Ok(rustix::fs::fcntl_setfl(
        &fd,
        flags | rustix::fs::OFlags::NONBLOCK,
    )?)
}
