//! Writing to a descriptor that may take its time, without ever being stuck in it: keys and signals are heard
//! while a terminal or the next program of a pipeline is slow.

use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use session_terminal::Traces;

/// What a pipe is sure to take when poll(2) says that it takes something (PIPE_BUF).
const SURE: usize = 4096;

/// One descriptor and what it has not taken yet.
#[derive(Debug)]
pub(crate) struct Outlet {
    fd: OwnedFd,
    kind: Kind,
    pending: Vec<u8>,
    written: usize,
    /// What has been written, for a terminal that is to be given back.
    traces: Option<Traces>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// An open file of our own that never blocks.
    NonBlocking,
    /// A file: it blocks for no longer than the disk.
    File,
    /// Shared with other processes, so its flags are not ours to change: asked before each write.
    Shared,
}

impl Outlet {
    /// Standard output or error.
    pub(crate) fn new(stream: impl AsFd) -> io::Result<Self> {
        let stream = stream.as_fd();
        let regular =
            |stat: rustix::fs::Stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        let (fd, kind) = if stream.is_terminal() {
            // A second open file on the same terminal: O_NONBLOCK there leaves the shell's alone. A terminal
            // of another user (`su`) cannot be opened again.
            let flags = OFlags::WRONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&stream));
            match rustix::fs::open(path, flags, Mode::empty()) {
                Ok(fd) => (fd, Kind::NonBlocking),
                Err(_) => (stream.try_clone_to_owned()?, Kind::Shared),
            }
        } else if rustix::fs::fstat(stream).is_ok_and(regular) {
            (stream.try_clone_to_owned()?, Kind::File)
        } else {
            (stream.try_clone_to_owned()?, Kind::Shared)
        };
        Ok(Self {
            fd,
            kind,
            pending: Vec::new(),
            written: 0,
            traces: None,
        })
    }

    /// A terminal that is to be given back.
    pub(crate) fn borrowed(terminal: impl AsFd) -> io::Result<Self> {
        let mut outlet = Self::new(terminal)?;
        outlet.traces = Some(Traces::default());
        Ok(outlet)
    }

    /// What has been written to it.
    pub(crate) fn traces(&self) -> Option<&Traces> {
        self.traces.as_ref()
    }

    /// These bytes have been written, here or elsewhere.
    pub(crate) fn watch(&mut self, bytes: &[u8]) {
        if let Some(traces) = &mut self.traces {
            traces.watch(bytes);
        }
    }

    /// Bytes that are still to be written.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len() - self.written
    }

    /// Writes what is taken now and keeps the rest.
    pub(crate) fn offer(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.flush()?;
        let mut written = 0;
        while self.pending.is_empty() && written < bytes.len() {
            match self.write(&bytes[written..])? {
                0 => break,
                some => {
                    self.watch(&bytes[written..written + some]);
                    written += some;
                }
            }
        }
        // What was written makes room first: a terminal that is never quite done must not cost ever more memory.
        self.pending.drain(..self.written);
        self.written = 0;
        self.pending.extend_from_slice(&bytes[written..]);
        Ok(())
    }

    /// Writes what is taken now of what was kept.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while self.written < self.pending.len() {
            match self.write(&self.pending[self.written..])? {
                0 => return Ok(()),
                some => {
                    let pending = std::mem::take(&mut self.pending);
                    self.watch(&pending[self.written..self.written + some]);
                    self.pending = pending;
                    self.written += some;
                }
            }
        }
        self.clear();
        Ok(())
    }

    /// Writes everything, for at most `patience`.
    pub(crate) fn drain(&mut self, patience: Duration) -> io::Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            self.flush()?;
            let left = deadline.saturating_duration_since(Instant::now());
            if self.pending() == 0 || left.is_zero() {
                return Ok(());
            }
            let timeout = Timespec::try_from(left).ok();
            match rustix::event::poll(&mut [self.poll_fd()], timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Forgets what was kept.
    pub(crate) fn clear(&mut self) {
        self.pending.clear();
        self.written = 0;
    }

    /// The terminal, if it can be written to from elsewhere, too: what is written here is in order all the same, for
    /// nothing is kept while somebody else writes.
    pub(crate) fn terminal(&self) -> Option<BorrowedFd<'_>> {
        (self.kind == Kind::NonBlocking).then_some(self.fd.as_fd())
    }

    /// To wait for room.
    pub(crate) fn poll_fd(&self) -> PollFd<'_> {
        PollFd::from_borrowed_fd(self.as_fd(), PollFlags::OUT)
    }

    /// How much was taken; 0 if nothing is now.
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let most = match self.kind {
            Kind::NonBlocking | Kind::File => bytes.len(),
            Kind::Shared if self.has_room()? => bytes.len().min(SURE),
            Kind::Shared => return Ok(0),
        };
        match rustix::io::retry_on_intr(|| rustix::io::write(&self.fd, &bytes[..most])) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => Ok(written),
            Err(Errno::AGAIN) => Ok(0),
            Err(errno) => Err(errno.into()),
        }
    }

    fn has_room(&self) -> io::Result<bool> {
        let now = Timespec::default();
        match rustix::event::poll(&mut [self.poll_fd()], Some(&now)) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl AsFd for Outlet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// For poll(2): `fd` if it is `wanted`. Merely asking for nothing would not do, for a descriptor that hung up says
/// so again and again; `calm`, such as a signalfd, never does.
pub(crate) fn poll_if<'fd>(
    wanted: bool,
    fd: BorrowedFd<'fd>,
    flags: PollFlags,
    calm: &'fd impl AsFd,
) -> PollFd<'fd> {
    if wanted {
        PollFd::from_borrowed_fd(fd, flags)
    } else {
        PollFd::new(calm, PollFlags::empty())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_full_pipe_blocks_nobody_and_loses_nothing() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut outlet = Outlet::new(&writer).unwrap();
        drop(writer);
        let sent: Vec<u8> = (0..300_000u32).map(|number| number as u8).collect();
        for piece in sent.chunks(70_000) {
            outlet.offer(piece).unwrap();
        }
        assert!(outlet.pending() > 0);
        let mut got = Vec::new();
        while got.len() < sent.len() {
            let mut buffer = [0; 50_000];
            let read = reader.read(&mut buffer).unwrap();
            got.extend_from_slice(&buffer[..read]);
            outlet.flush().unwrap();
        }
        assert_eq!((outlet.pending(), got == sent), (0, true));
        drop(reader);
        let error = outlet.offer(b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_terminal_is_written_through_an_open_file_of_our_own() {
        let (master, slave) = session_sys::pty::open(24, 80).unwrap();
        let mut outlet = Outlet::new(&slave).unwrap();
        assert_eq!(outlet.kind, Kind::NonBlocking);
        let flags = rustix::fs::fcntl_getfl(&slave).unwrap();
        assert!(!flags.contains(OFlags::NONBLOCK));
        outlet.offer(b"shown").unwrap();
        let mut buffer = [0; 16];
        let read = rustix::io::read(&master, &mut buffer).unwrap();
        assert_eq!(&buffer[..read], b"shown");
    }
}
