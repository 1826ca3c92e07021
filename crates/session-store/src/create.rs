//! Making a session, with as few system calls as can be: the command's first instruction waits for it.

use std::os::fd::AsFd;

use rustix::fs::OFlags;
use rustix::io::Errno;
use session_protocol::{Desired, Timestamp};

use crate::{Error, Id, Last, LastState, Name, Owned, Record, Result, Root, Session, Spec, files};

/// The name a new session is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// This one or none.
    Exact(Name),
    /// This one or the first free of those with a number behind it: `bash`, `bash2`, `bash3`, …
    Derived(Name),
}

impl Root {
    /// Makes a session and takes the right to write it. Not yet durable: see [`Owned::make_durable`]; if
    /// something goes wrong later, [`Owned::remove`] takes it back. It is desired up unless
    /// `spec.start_suspended`.
    pub fn create(&self, wanted: Wanted, spec: Spec) -> Result<Owned> {
        self.create_as(Id::random(), wanted, spec)
    }

    /// The same, with an id that is known before.
    pub fn create_as(&self, id: Id, wanted: Wanted, spec: Spec) -> Result<Owned> {
        let machine = self.machine()?.to_owned();
        let (session, lock) = self.make_directory(id)?;
        let named = match self.claim_wanted(wanted, session.id()) {
            Ok(name) => name,
            Err(error) => {
                session.sweep();
                return Err(error);
            }
        };
        // What is to be started at once is on record as started: its holder need not write before it starts.
        let (desired, state) = if spec.start_suspended {
            (Desired::Down, LastState::NotStarted)
        } else {
            (Desired::Up, LastState::Up)
        };
        let created_at = Timestamp::now();
        let (id, kept) = (*session.id(), Default::default());
        let last = Last {
            state,
            ..Last::default()
        };
        let record = Record {
            id,
            name: named,
            machine,
            created_at,
            desired,
            spec,
            last,
            kept,
        };
        let owned = Owned::of(session, lock, record);
        match owned.write_record_file(owned.record(), false) {
            Ok(()) => Ok(owned),
            Err(error) => {
                // What failed matters more than what is left; leftovers are found and removed by `doctor`.
                let _ = owned.remove();
                Err(error)
            }
        }
    }

    /// A new directory with a locked `live` in it.
    fn make_directory(&self, id: Id) -> Result<(Session, std::os::fd::OwnedFd)> {
        let failed = |errno: Errno| Error::io("create", self.session_path(&id), errno);
        loop {
            let directory =
                files::make_private(self.sessions(), &id.to_string()).map_err(failed)?;
            let session = Session::of(self.clone(), id, directory);
            let live =
                match files::create(session.directory_fd(), "live", OFlags::RDWR | OFlags::EXCL) {
                    Ok(live) => live,
                    // A repair took the still empty directory for a leftover.
                    Err(Errno::EXIST | Errno::NOENT) => continue,
                    Err(errno) => {
                        session.sweep();
                        return Err(failed(errno));
                    }
                };
            let locked = session_sys::lock::try_lock(live.as_fd(), crate::session::OWNER);
            if locked
                .map_err(|error| Error::io("lock", self.session_path(&id).join("live"), error))?
                && rustix::fs::fstat(&live).map_err(failed)?.st_nlink > 0
            {
                return Ok((session, live));
            }
        }
    }

    fn claim_wanted(&self, wanted: Wanted, id: &Id) -> Result<Name> {
        match wanted {
            Wanted::Exact(name) => {
                if self.claim(&name, id)? {
                    Ok(name)
                } else {
                    Err(Error::Exists(name))
                }
            }
            Wanted::Derived(base) => {
                let numbered = (2..=u32::MAX).map(|n| base.numbered(n));
                for name in std::iter::once(base.clone()).chain(numbered) {
                    // A name such as `al` numbered is never reserved, but `base` itself may end in a digit: fine.
                    if self.claim(&name, id)? {
                        return Ok(name);
                    }
                }
                Err(Error::Exists(base))
            }
        }
    }
}
