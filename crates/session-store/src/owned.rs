//! The right to write a session: an open `live` whose byte 0 is locked. One process has it, and can hand it on.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;
use session_protocol::Status;
use session_sys::identity::Identity;

use crate::session::{HOLDER, OWNER};
use crate::{Error, Live, Name, Record, Result, Session, files};

/// A session that nobody else writes while this lives.
#[derive(Debug)]
pub struct Owned {
    session: Session,
    lock: OwnedFd,
    record: Record,
}

impl Owned {
    pub(crate) fn of(session: Session, lock: OwnedFd, record: Record) -> Self {
        Self {
            session,
            lock,
            record,
        }
    }

    /// What a holder is started with: the session's directory and the open `live` with its lock.
    pub fn from_inherited(directory: OwnedFd, lock: OwnedFd) -> Result<Self> {
        let session = Session::around(directory)?;
        let path = session.path();
        let failed = |errno: Errno| Error::io("open", path.join("live"), errno);
        let inherited = rustix::fs::fstat(&lock).map_err(failed)?;
        let present = rustix::fs::statat(session.directory_fd(), "live", AtFlags::SYMLINK_NOFOLLOW)
            .map_err(failed)?;
        if (inherited.st_dev, inherited.st_ino) != (present.st_dev, present.st_ino) {
            return Err(Error::refused(
                path,
                "its lock is not the one that was handed over",
            ));
        }
        let record = session.read_record()?;
        // Locking what this open file has locked already succeeds.
        let locked = session_sys::lock::try_lock(lock.as_fd(), OWNER);
        if !locked.map_err(|error| Error::io("lock", path.join("live"), error))? {
            return Err(Error::Busy(record.name.to_string()));
        }
        Ok(Self {
            session,
            lock,
            record,
        })
    }

    /// The session itself.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The open `live`, to hand the right to a holder.
    pub fn lock_fd(&self) -> BorrowedFd<'_> {
        self.lock.as_fd()
    }

    /// From now until this process and all who inherit [`Owned::lock_fd`] are gone, a holder lives.
    pub fn announce_holder(&self) -> Result<()> {
        let locked = session_sys::lock::try_lock(self.lock.as_fd(), HOLDER);
        match locked.map_err(|error| Error::io("lock", self.session.path().join("live"), error))? {
            true => Ok(()),
            false => Err(Error::Busy(self.record.name.to_string())),
        }
    }

    /// The record as it is on disk.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The status as it would be without a holder.
    pub fn status(&self) -> Status {
        let live = self.session.read_live().ok().flatten();
        self.session.derive(&self.record, live.as_ref())
    }

    /// Replaces the record, durably; on failure the old one stays. Its name changes by [`Owned::rename`] only.
    pub fn write_record(&mut self, record: Record) -> Result<()> {
        if record.id != self.record.id || record.name != self.record.name {
            return Err(Error::refused(
                self.session.path(),
                "a record keeps its id, and its name unless renamed",
            ));
        }
        let written = self.write_record_file(&record, true);
        match &written {
            Ok(()) => self.record = record,
            // Replaced, but perhaps not durably: what counts is what the next reader will see.
            Err(_) => {
                self.record = self
                    .session
                    .record_file()
                    .ok()
                    .flatten()
                    .unwrap_or_else(|| self.record.clone())
            }
        }
        written
    }

    pub(crate) fn write_record_file(&self, record: &Record, durable: bool) -> Result<()> {
        let directory = self.session.directory_fd();
        let failed =
            |act, error: std::io::Error| Error::io(act, self.session.path().join("record"), error);
        let bytes = record
            .encode()
            .map_err(|error| failed("write", error.into()))?;
        let written = (|| {
            let file = files::create(directory, "record.new", OFlags::WRONLY | OFlags::TRUNC)?;
            files::write_all(file.as_fd(), &bytes)?;
            if durable {
                rustix::fs::fsync(&file)?;
            }
            rustix::fs::renameat(directory, "record.new", directory, "record")?;
            Ok(())
        })();
        if let Err(error) = written {
            // The space it took is better free; the record itself was not touched.
            let _ = rustix::fs::unlinkat(directory, "record.new", AtFlags::empty());
            return Err(failed("write", error));
        }
        if durable {
            rustix::fs::fsync(directory).map_err(|errno| failed("sync", errno.into()))?;
        }
        Ok(())
    }

    /// Makes a new session survive a loss of power: its record, its directory and its name.
    pub fn make_durable(&self) -> Result<()> {
        let directory = self.session.directory_fd();
        let failed = |errno: Errno| Error::io("sync", self.session.path().join("record"), errno);
        let record = files::open(directory, "record", OFlags::RDONLY).map_err(failed)?;
        rustix::fs::fsync(&record).map_err(failed)?;
        rustix::fs::fsync(directory).map_err(failed)?;
        self.session.root.sync()
    }

    /// Rewrites what `ls` shows, in place and in one call.
    pub fn write_live(&mut self, live: &Live) -> Result<()> {
        let failed =
            |error: std::io::Error| Error::io("write", self.session.path().join("live"), error);
        let block = live.encode().map_err(|error| failed(error.into()))?;
        overwrite(self.lock.as_fd(), &block).map_err(failed)
    }

    /// Records which process is the main one, before it may run the command.
    pub fn write_identity(&self, identity: &Identity) -> Result<()> {
        let failed =
            |error: std::io::Error| Error::io("write", self.session.path().join("main"), error);
        let file = files::create(self.session.directory_fd(), "main", OFlags::WRONLY);
        // Always the same number of bytes: once it is there, a full disk cannot keep it from being rewritten.
        overwrite(
            file.map_err(|errno| failed(errno.into()))?.as_fd(),
            &identity.encode(),
        )
        .map_err(failed)
    }

    /// The main process that was recorded last, which may be long gone.
    pub fn read_identity(&self) -> Result<Option<Identity>> {
        self.session.read_identity()
    }

    /// Nothing of the recorded main process is left, nor of its tree.
    pub fn forget_identity(&self) -> Result<()> {
        match rustix::fs::unlinkat(self.session.directory_fd(), "main", AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::io("delete", self.session.path().join("main"), errno)),
        }
    }

    /// Gives it another name: the new one is claimed, the record says so durably, the old one is given up.
    pub fn rename(&mut self, new: Name) -> Result<()> {
        if new == self.record.name {
            return Ok(());
        }
        let (root, id) = (&self.session.root, self.session.id());
        if !root.claim(&new, id)? {
            return Err(Error::Exists(new));
        }
        let record = Record {
            name: new.clone(),
            ..self.record.clone()
        };
        // The new claim must be durable before the record relies on it.
        let written = root
            .sync()
            .and_then(|()| self.write_record_file(&record, true));
        if let Err(error) = written {
            // The record may be the new one already, without being durable: the claim goes only if it is not.
            match self.session.record_file() {
                Ok(Some(present)) if present.name == new => self.record = present,
                _ => root.unclaim(&new, id).unwrap_or_default(),
            }
            return Err(error);
        }
        let old = std::mem::replace(&mut self.record, record).name;
        // It is renamed. An old claim that cannot be given up is stale, which whoever wants the name will find.
        let _ = root.unclaim(&old, id);
        root.sync()
    }

    /// Removes the session and everything of it. With the record gone there is no session; what a crash leaves
    /// behind is listed by nobody and its name is free.
    pub fn remove(self) -> Result<()> {
        let (root, directory) = (&self.session.root, self.session.directory_fd());
        let failed = |errno: Errno| Error::io("remove", self.session.path(), errno);
        match rustix::fs::unlinkat(directory, "record", AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(failed(errno)),
        }
        // As in `rename`: a claim that stays is stale.
        let _ = root.unclaim(&self.record.name, self.session.id());
        match remove_rest(&self.session) {
            // Its holder was faster.
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(failed(errno)),
        }
        root.sync()
    }
}

/// Removes a directory whose record is gone. `live` goes last: until then the lock keeps others out.
pub(crate) fn remove_rest(session: &Session) -> rustix::io::Result<()> {
    files::clear(session.directory_fd(), Some("live"), 32)?;
    let id = session.id().to_string();
    let mut tries = 0..100;
    loop {
        files::clear(session.directory_fd(), None, 0)?;
        match rustix::fs::unlinkat(session.root.sessions(), &id, AtFlags::REMOVEDIR) {
            // A verb that waited for the lock made another `live`, in which it finds no session.
            Err(Errno::NOTEMPTY) if tries.next().is_some() => {}
            removed => return removed,
        }
    }
}

/// One pwrite(2) at the start.
fn overwrite(file: BorrowedFd<'_>, bytes: &[u8]) -> std::io::Result<()> {
    loop {
        match rustix::io::pwrite(file, bytes, 0) {
            Ok(written) if written == bytes.len() => return Ok(()),
            Ok(_) => return Err(Errno::NOSPC.into()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

#[cfg(test)]
#[path = "owned_tests.rs"]
pub(crate) mod tests;
