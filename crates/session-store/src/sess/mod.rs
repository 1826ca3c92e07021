//! `~/.sess`: what the minimal language `sess` and the scripts around it find in files (docs/adr/0021-sess.md).
//!
//! | file | tells |
//! | --- | --- |
//! | `session-N.sock` | where the holder of session N listens |
//! | `session-N.meta` | its number, when it was created, its PID, its command |
//! | `.current_session` | which client is attached to which session |
//! | `.lock` | the last number that was given; locked for an instant by whoever changes it or the one above |
//!
//! Session itself believes none of it: sessions are those of [`crate::Root`], whatever lies here.

mod client;
mod numbers;
mod shown;
mod sweep;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, OFlags};
use rustix::io::Errno;

use crate::files::{self, Unfit};
use crate::root::{home, make_parents, plain, refuse};
use crate::{Error, Record, Result};

pub use client::Client;
pub use numbers::numbered;

/// The opened and checked directory.
#[derive(Debug)]
pub struct Sess {
    path: PathBuf,
    directory: OwnedFd,
}

impl Sess {
    /// Where it is.
    pub fn locate() -> Result<PathBuf> {
        Ok(home()?.join(".sess"))
    }

    /// Opens the directory at `path`, which is made with mode 0700 if it is missing.
    pub fn open(path: &Path) -> Result<Self> {
        if let Some(sess) = Self::open_existing(path)? {
            return Ok(sess);
        }
        make_parents(&plain(path))?;
        let opened = Self::open_existing(path)?;
        opened.ok_or_else(|| Error::io("open", path, Errno::NOENT))
    }

    /// Opens the directory at `path` if there is one.
    pub fn open_existing(path: &Path) -> Result<Option<Self>> {
        let path = plain(path);
        match files::open_private(CWD, &path) {
            Ok(directory) => Ok(Some(Self { path, directory })),
            Err(Unfit::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(unfit) => Err(refuse(&path, unfit)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a session was made with `sess`, so that files here tell of it.
    pub fn tells_of(&self, record: &Record) -> bool {
        let directory = record.spec.sess.as_ref();
        directory.is_some_and(|directory| Path::new(directory.as_os_str()) == self.path)
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Keeps others from changing the files that clients share, until it is dropped. What earlier versions of `sess` left
    /// as their lock is none: whatever is no file of ours makes way.
    fn lock(&self) -> Result<OwnedFd> {
        let there = rustix::fs::statat(self.fd(), LOCK, AtFlags::SYMLINK_NOFOLLOW);
        if there.is_ok_and(|there| {
            FileType::from_raw_mode(there.st_mode) != FileType::RegularFile
                || there.st_mode & 0o600 != 0o600
        }) {
            self.discard(LOCK)?;
        }
        let locked = files::lock(self.fd(), LOCK);
        let path = || self.path.join(LOCK);
        match locked {
            Ok(Some(lock)) => Ok(lock),
            Ok(None) => Err(Error::refused(path(), "another command keeps it locked")),
            Err(errno) => Err(Error::io("lock", path(), errno)),
        }
    }

    /// Replaces a file whole. Not durably: what is here is made anew from what is.
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let new = format!("{name}.tmp");
        let written = (|| {
            let file = files::create(self.fd(), &new, OFlags::WRONLY | OFlags::TRUNC)?;
            files::write_all(file.as_fd(), bytes)?;
            rustix::fs::renameat(self.fd(), &new, self.fd(), name)?;
            Ok(())
        })();
        written.map_err(|error: std::io::Error| {
            let _ = rustix::fs::unlinkat(self.fd(), &new, AtFlags::empty());
            Error::io("write", self.path.join(name), error)
        })
    }

    /// Removes whatever has this name, but no directory with something in it.
    fn discard(&self, name: &str) -> Result<()> {
        let removed = match rustix::fs::unlinkat(self.fd(), name, AtFlags::empty()) {
            Err(Errno::ISDIR | Errno::PERM) => {
                rustix::fs::unlinkat(self.fd(), name, AtFlags::REMOVEDIR)
            }
            removed => removed,
        };
        match removed {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::io("remove", self.path.join(name), errno)),
        }
    }
}

const LOCK: &str = ".lock";

#[cfg(test)]
mod tests;
