//! Names as claims: `names/NAME` is a symbolic link to an id, and symlink(2) lets only one make it.
//!
//! A claim is stale when nothing stands behind it: no session, or one that is called otherwise, and nobody
//! who holds the session's lock and so may be about to make it true. Claims are removed only under the flock
//! of `lock` and after a second look, so that nobody removes the claim that another has just made.

use std::os::fd::OwnedFd;

use rustix::fs::AtFlags;
use rustix::io::Errno;

use crate::session::Held;
use crate::{Error, Id, Name, Result, Root, files};

/// What stands behind a name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    Free,
    /// Belongs to this session, or will in a moment.
    Taken(Id),
    /// Something else than a link lies there.
    Strange,
    Stale(String),
}

impl Root {
    /// Takes `name` for `id`; `false` if another session has it.
    pub(crate) fn claim(&self, name: &Name, id: &Id) -> Result<bool> {
        let failed = |errno: Errno| {
            Error::io(
                "claim the name",
                self.path().join("names").join(name.as_str()),
                errno,
            )
        };
        loop {
            match rustix::fs::symlinkat(id.to_string(), self.names(), name.as_str()) {
                Ok(()) => return Ok(true),
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(failed(errno)),
            }
            match self.behind(name.as_str())? {
                Claim::Taken(holder) if holder == *id => {
                    // A rename that was cut short made it. Under the lock nobody is just removing it as stale.
                    let _lock = self.lock()?;
                    if self.target(name.as_str())? == Some(id.to_string()) {
                        return Ok(true);
                    }
                }
                Claim::Taken(_) | Claim::Strange => return Ok(false),
                Claim::Free => {}
                Claim::Stale(target) => self.drop_stale(name.as_str(), &target)?,
            }
        }
    }

    /// Gives `name` up if it is `id`'s.
    pub(crate) fn unclaim(&self, name: &Name, id: &Id) -> Result<()> {
        let _lock = self.lock()?;
        if self.target(name.as_str())? == Some(id.to_string()) {
            self.unlink_claim(name.as_str())?;
        }
        Ok(())
    }

    /// Removes a claim that was found stale if it still is.
    pub(crate) fn drop_stale(&self, name: &str, target: &str) -> Result<()> {
        let _lock = self.lock()?;
        if self.behind(name)? == Claim::Stale(target.to_owned()) {
            self.unlink_claim(name)?;
        }
        Ok(())
    }

    /// The id that `name` is claimed for, unless the claim is stale.
    pub(crate) fn behind(&self, name: &str) -> Result<Claim> {
        let target = match self.target(name) {
            Ok(Some(target)) => target,
            Ok(None) => return Ok(Claim::Free),
            Err(Error::Refused { .. }) => return Ok(Claim::Strange),
            Err(error) => return Err(error),
        };
        let Ok(id) = target.parse::<Id>() else {
            return Ok(Claim::Stale(target));
        };
        let session = match self.directory(&id) {
            Ok(Some(session)) => session,
            Ok(None) => return Ok(Claim::Stale(target)),
            // Not ours to judge: a link or another user's directory.
            Err(Error::Refused { .. }) => return Ok(Claim::Taken(id)),
            Err(error) => return Err(error),
        };
        // The lock first: whoever held it before may have written the record by the time it is read.
        if session.held()? != Held::No {
            return Ok(Claim::Taken(id));
        }
        match session.record_file() {
            Ok(Some(record)) if record.name.as_str() == name => Ok(Claim::Taken(id)),
            Ok(Some(_) | None) | Err(Error::Damaged { .. }) => Ok(Claim::Stale(target)),
            Err(Error::Newer { .. }) => Ok(Claim::Taken(id)),
            Err(error) => Err(error),
        }
    }

    /// Where the link of `name` points.
    pub(crate) fn target(&self, name: &str) -> Result<Option<String>> {
        let path = || self.path().join("names").join(name);
        match rustix::fs::readlinkat(self.names(), name, Vec::with_capacity(32)) {
            Ok(target) => Ok(Some(target.to_string_lossy().into_owned())),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::INVAL) => Err(Error::refused(path(), "it is not a symbolic link")),
            Err(errno) => Err(Error::io("read", path(), errno)),
        }
    }

    /// The scope lock, held until dropped.
    fn lock(&self) -> Result<OwnedFd> {
        let path = || self.path().join("lock");
        match files::lock(self.root_fd(), "lock") {
            Ok(Some(lock)) => Ok(lock),
            Ok(None) => Err(Error::refused(path(), "another command keeps it locked")),
            Err(errno) => Err(Error::io("lock", path(), errno)),
        }
    }

    fn unlink_claim(&self, name: &str) -> Result<()> {
        match rustix::fs::unlinkat(self.names(), name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::io(
                "remove",
                self.path().join("names").join(name),
                errno,
            )),
        }
    }
}

#[cfg(test)]
#[path = "claim_tests.rs"]
mod tests;
