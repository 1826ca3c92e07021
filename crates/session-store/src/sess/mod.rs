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
use crate::{Error, Id, Record, Result};

pub use client::Client;
pub use numbers::numbered;

/// The opened and checked directory.
#[derive(Debug)]
pub struct Sess {
    path: PathBuf,
    directory: OwnedFd,
}

impl Sess {
    /// Where it is: by one name, however the home directory is reached.
    pub fn locate() -> Result<PathBuf> {
        let home = home()?;
        Ok(home.canonicalize().unwrap_or(home).join(".sess"))
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
        let failed = |errno| Error::io("lock", self.path.join(LOCK), errno);
        let there = rustix::fs::statat(self.fd(), LOCK, AtFlags::SYMLINK_NOFOLLOW);
        match there.map(|there| {
            (
                FileType::from_raw_mode(there.st_mode),
                there.st_mode & 0o600,
            )
        }) {
            Ok((FileType::RegularFile, 0o600)) | Err(_) => {}
            Ok((FileType::RegularFile, _)) => {
                let flags = AtFlags::empty();
                rustix::fs::chmodat(self.fd(), LOCK, files::FILE_MODE, flags).map_err(failed)?;
            }
            Ok(_) => self.make_way(LOCK)?,
        }
        match files::lock(self.fd(), LOCK) {
            Ok(Some(lock)) => Ok(lock),
            Ok(None) => {
                let why = "another command keeps it locked";
                Err(Error::refused(self.path.join(LOCK), why))
            }
            Err(errno) => Err(failed(errno)),
        }
    }

    /// Replaces a file whole. Not durably: what is here is made anew from what is. Others may do the same at the same time.
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let new = format!("{name}.{}.tmp", std::process::id());
        let write = || {
            let file = files::create(self.fd(), &new, OFlags::WRONLY | OFlags::TRUNC)?;
            files::write_all(file.as_fd(), bytes)?;
            rustix::fs::renameat(self.fd(), &new, self.fd(), name)?;
            Ok(())
        };
        let mut written: std::io::Result<()> = write();
        if written.is_err() {
            // Something may lie in the way.
            self.make_way(name)?;
            written = write();
        }
        written.map_err(|error| {
            let _ = rustix::fs::unlinkat(self.fd(), &new, AtFlags::empty());
            Error::io("write", self.path.join(name), error)
        })
    }

    /// Removes what has this name; a directory with something in it was not made by `sess` and is put aside.
    fn make_way(&self, name: &str) -> Result<()> {
        let removed = match self.remove(name) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => {
                let aside = format!("{name}.{}", Id::random());
                rustix::fs::renameat(self.fd(), name, self.fd(), aside)
            }
            removed => removed,
        };
        removed.map_err(|errno| Error::io("remove", self.path.join(name), errno))
    }

    /// Removes what has this name, but no directory with something in it.
    fn remove(&self, name: &str) -> rustix::io::Result<()> {
        let removed = match rustix::fs::unlinkat(self.fd(), name, AtFlags::empty()) {
            Err(Errno::ISDIR | Errno::PERM) => {
                rustix::fs::unlinkat(self.fd(), name, AtFlags::REMOVEDIR)
            }
            removed => removed,
        };
        match removed {
            Err(Errno::NOENT) => Ok(()),
            removed => removed,
        }
    }
}

const LOCK: &str = ".lock";

#[cfg(test)]
mod tests;
