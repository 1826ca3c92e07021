//! A FIFO by which a program inside a session tells that it runs, or is told to go on.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};

use crate::process::readable;

/// Both ends at once, so that neither side ever waits in open(2). Removed when dropped.
#[derive(Debug)]
pub(crate) struct Fifo {
    path: PathBuf,
    fd: OwnedFd,
}

impl Fifo {
    /// Makes and opens one.
    pub(crate) fn make(path: PathBuf) -> io::Result<Self> {
        make(&path)?;
        Self::open(path)
    }

    /// Opens one that exists.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::open(&path, flags, Mode::empty())?;
        Ok(Self { path, fd })
    }

    /// For the command line of the other side.
    pub(crate) fn path(&self) -> &OsStr {
        self.path.as_os_str()
    }

    /// Lets a reader go on.
    pub(crate) fn send(&self) -> io::Result<()> {
        rustix::io::write(&self.fd, b"x\n")?;
        Ok(())
    }

    /// What has been written, once something has; short writes are whole (pipe(7)).
    pub(crate) fn receive(&self, limit: Duration) -> io::Result<String> {
        if !readable(&self.fd, Some(Instant::now() + limit))? {
            let message = format!("nothing came from the session's program within {limit:?}");
            return Err(io::Error::new(io::ErrorKind::TimedOut, message));
        }
        let mut bytes = [0; 4096];
        let count = rustix::io::read(&self.fd, &mut bytes[..])?;
        Ok(String::from_utf8_lossy(&bytes[..count]).into_owned())
    }

    /// A pid that was written by `echo $$`.
    pub(crate) fn receive_pid(&self, limit: Duration) -> io::Result<i32> {
        let text = self.receive(limit)?;
        text.trim().parse().map_err(io::Error::other)
    }
}

/// Makes one without opening it.
pub(crate) fn make(path: &Path) -> io::Result<()> {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
    Ok(())
}

impl AsFd for Fifo {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
