//! One session's directory, to be read by anyone of its user; the right to write it is [`Owned`].

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;
use session_protocol::{Channel, Desired, Exit, Scope, State, Status};
use session_sys::identity::Identity;

use crate::live::{self, BLOCK};
use crate::record::Unreadable;
use crate::{Error, Id, LastState, Live, LogReader, Owned, Record, Result, Root, files};

/// Byte of `live` that is locked by whoever may write the session: its holder, or a verb without one.
pub(crate) const OWNER: u64 = 0;
/// Byte of `live` that is locked while a holder lives.
pub(crate) const HOLDER: u64 = 1;
/// Above what any argument vector and environment can make of a record.
const RECORD_LIMIT: u64 = 64 << 20;

/// A session that is there. Clones share the descriptor.
#[derive(Clone, Debug)]
pub struct Session {
    pub(crate) root: Root,
    id: Id,
    directory: Arc<OwnedFd>,
}

/// Who has the right to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    No,
    ByVerb,
    ByHolder,
}

impl Session {
    pub(crate) fn of(root: Root, id: Id, directory: OwnedFd) -> Self {
        Self {
            root,
            id,
            directory: Arc::new(directory),
        }
    }

    /// The session whose directory this is.
    pub fn around(directory: OwnedFd) -> Result<Self> {
        let root = Root::around(directory.as_fd())?;
        let path = files::path_of(directory.as_fd());
        let id = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.parse().ok());
        let id = id.ok_or_else(|| Error::refused(&path, "it is not a session's directory"))?;
        Ok(Self::of(root, id, directory))
    }

    /// Its id.
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// Its directory, checked.
    pub fn directory_fd(&self) -> BorrowedFd<'_> {
        (*self.directory).as_fd()
    }

    /// Where its directory is.
    pub fn path(&self) -> PathBuf {
        self.root.session_path(&self.id)
    }

    /// The root it lies in.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Takes the right to write it; `None` while a holder or another verb has it.
    pub fn try_own(&self) -> Result<Option<Owned>> {
        let Some(lock) = self.try_lock()? else {
            return Ok(None);
        };
        let record = self.read_record()?;
        Ok(Some(Owned::of(self.clone(), lock, record)))
    }

    /// The owner lock alone, for what has no record.
    pub(crate) fn try_lock(&self) -> Result<Option<OwnedFd>> {
        let failed = |error: std::io::Error| Error::io("lock", self.path().join("live"), error);
        loop {
            let opened = match files::open(self.directory_fd(), "live", OFlags::RDWR) {
                Err(Errno::NOENT) => files::create(self.directory_fd(), "live", OFlags::RDWR),
                opened => opened,
            };
            let lock = match opened {
                Ok(lock) => lock,
                // The directory itself is gone.
                Err(Errno::NOENT) => return Err(Error::not_found(&self.id.to_string())),
                Err(errno) => return Err(failed(errno.into())),
            };
            if !session_sys::lock::try_lock(lock.as_fd(), OWNER).map_err(failed)? {
                return Ok(None);
            }
            // A file that was removed meanwhile locks nothing.
            if rustix::fs::fstat(&lock)
                .map_err(|errno| failed(errno.into()))?
                .st_nlink
                > 0
            {
                return Ok(Some(lock));
            }
        }
    }

    /// Its record: whole, of this version and of this machine.
    pub fn read_record(&self) -> Result<Record> {
        let record = self
            .record_file()?
            .ok_or_else(|| Error::not_found(&self.id.to_string()))?;
        if record.machine != self.root.machine()? {
            return Err(Error::Foreign {
                name: record.name.to_string(),
                machine: record.machine,
            });
        }
        Ok(record)
    }

    /// The record of whichever machine; `None` if there is none.
    pub(crate) fn record_file(&self) -> Result<Option<Record>> {
        let path = || self.path().join("record");
        let damaged = |why: String| Error::Damaged { path: path(), why };
        let bytes = match files::read(self.directory_fd(), "record", RECORD_LIMIT) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                return Err(damaged(error.to_string()));
            }
            // What open(2) says of a symbolic link and of a socket.
            Err(error)
                if matches!(
                    Errno::from_io_error(&error),
                    Some(Errno::LOOP | Errno::NXIO)
                ) =>
            {
                return Err(damaged("it is not a regular file".to_owned()));
            }
            Err(error) => return Err(Error::io("read", path(), error)),
        };
        match Record::decode(&bytes) {
            Ok(record) if record.id == self.id => Ok(Some(record)),
            Ok(record) => Err(damaged(format!("it is that of {}", record.id))),
            Err(Unreadable::Damaged(why)) => Err(damaged(why)),
            Err(Unreadable::Newer(version)) => Err(Error::Newer {
                path: path(),
                version,
            }),
        }
    }

    fn open_live(&self) -> Result<Option<OwnedFd>> {
        match files::open(self.directory_fd(), "live", OFlags::RDONLY) {
            Ok(live) => Ok(Some(live)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(Error::io("open", self.path().join("live"), errno)),
        }
    }

    /// What its holder wrote last, whether that holder still lives or not; `None` if there was none.
    pub fn read_live(&self) -> Result<Option<Live>> {
        let Some(live) = self.open_live()? else {
            return Ok(None);
        };
        read_block(live.as_fd()).map_err(|errno| Error::io("read", self.path().join("live"), errno))
    }

    /// Whether a holder lives, without any effect on it.
    pub fn holder_lives(&self) -> Result<bool> {
        Ok(self.held()? == Held::ByHolder)
    }

    /// Whether there is something where its holder listens.
    pub(crate) fn has_socket(&self) -> bool {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::statat(self.directory_fd(), "socket", flags).is_ok()
    }

    pub(crate) fn held(&self) -> Result<Held> {
        let Some(live) = self.open_live()? else {
            return Ok(Held::No);
        };
        let failed = |error| Error::io("test the lock of", self.path().join("live"), error);
        if session_sys::lock::is_locked(live.as_fd(), HOLDER).map_err(failed)? {
            return Ok(Held::ByHolder);
        }
        let owned = session_sys::lock::is_locked(live.as_fd(), OWNER).map_err(failed)?;
        Ok(if owned { Held::ByVerb } else { Held::No })
    }

    /// What is: from the holder's block while it lives, else from the record.
    pub fn status(&self) -> Result<Status> {
        let live = self.read_live()?;
        if let Some(live) = live
            .as_ref()
            .filter(|_| self.holder_lives().unwrap_or(false))
        {
            return Ok(self.show(live));
        }
        let record = self.read_record()?;
        Ok(self.derive(&record, live.as_ref()))
    }

    /// The status of a living holder, whole.
    pub(crate) fn show(&self, live: &Live) -> Status {
        let mut status = live.status_at(session_sys::process::boottime_ms());
        if live.truncated
            && let Ok(Some(record)) = self.record_file()
        {
            live::fill(&mut status, &record.spec.command, &record.spec.directory);
        }
        status
    }

    /// The status without a holder. What nobody saw end has ended in a way that is unknown.
    pub(crate) fn derive(&self, record: &Record, live: Option<&Live>) -> Status {
        let last = &record.last;
        // The holder starts and restarts without a durable write each: a start that the record does not know.
        let later = live.map(|live| &live.status).filter(|status| {
            matches!(
                status.state,
                State::Running | State::Suspended | State::Backoff
            ) && status.started_at.is_some()
                && status.started_at > last.started_at
        });
        let started_at = later.map_or(last.started_at, |status| status.started_at);
        let unseen = Exit {
            code: None,
            signal: None,
            at: started_at.unwrap_or(record.created_at),
        };
        let was_up = later.is_some() || last.state == LastState::Up;
        // A killed holder may leave its main process behind, known by its identity.
        let survivor = if was_up { self.survivor() } else { None };
        let mut notes = last.notes.clone();
        if survivor.is_some() {
            let name = &record.name;
            notes.push(format!("its holder is gone and nobody watches it; `session restart {name}` ends it and starts it anew"));
        }
        let (state, exit) = match (last.state, record.desired) {
            _ if survivor.is_some() => (State::Running, last.exit),
            (_, Desired::Up) if was_up => (State::Exited, Some(unseen)),
            (LastState::NotStarted, _) if later.is_none() => (State::Suspended, None),
            (LastState::Exited, _) => (State::Exited, last.exit),
            (LastState::Failed, _) => (State::Failed, last.exit),
            (LastState::Stopped | LastState::Up | LastState::NotStarted, _) => {
                (State::Stopped, last.exit)
            }
        };
        Status {
            name: record.name.to_string(),
            id: record.id.to_string(),
            scope: Scope::User,
            state,
            desired: record.desired,
            pid: survivor,
            command: record.spec.command.clone(),
            directory: record.spec.directory.clone(),
            created_at: record.created_at,
            started_at,
            restarts: later.map_or(last.restarts, |status| status.restarts),
            exit,
            clients: 0,
            uptime_ms: None,
            retry_ms: None,
            changed: Vec::new(),
            unenforced: Vec::new(),
            unwatched: survivor.is_some(),
            notes,
            size: None,
        }
    }

    /// The pid of the recorded main process, if that very process still lives.
    fn survivor(&self) -> Option<i32> {
        let identity = self.read_identity().ok().flatten()?;
        let alive = identity.open().ok().flatten().is_some();
        alive.then_some(identity.pid)
    }

    /// The main process that was recorded last, which may be long gone.
    pub fn read_identity(&self) -> Result<Option<Identity>> {
        let bytes = files::read(self.directory_fd(), "main", 4096);
        let bytes = bytes.map_err(|error| Error::io("read", self.path().join("main"), error))?;
        Ok(bytes.and_then(|bytes| Identity::decode(&bytes)))
    }

    /// What a process (`main`, `p3`) wrote to one of its streams; `None` if nothing was kept.
    pub fn log(&self, process: &str, channel: Channel) -> Result<Option<LogReader>> {
        LogReader::open(self.directory_fd(), process, channel)
    }

    /// Removes an empty or just made directory after a failure; what cannot be removed is left to `doctor`.
    pub(crate) fn sweep(&self) {
        let _ = files::clear(self.directory_fd(), None, 0);
        let _ = rustix::fs::unlinkat(
            self.root.sessions(),
            self.id.to_string(),
            AtFlags::REMOVEDIR,
        );
    }
}

/// Reads the block; what is torn is read again, for the writer needs no lock to write it.
pub(crate) fn read_block(live: BorrowedFd<'_>) -> rustix::io::Result<Option<Live>> {
    let mut block = [0; BLOCK];
    for _ in 0..5 {
        let len = rustix::io::pread(live, &mut block, 0)?;
        if len == 0 {
            return Ok(None);
        }
        if let Some(live) = Live::decode(&block[..len]) {
            return Ok(Some(live));
        }
    }
    Ok(None)
}
