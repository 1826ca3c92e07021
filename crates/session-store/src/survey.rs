//! What `doctor` looks for and repairs: claims, leftovers and records that are not as they should be.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::path::PathBuf;

use rustix::io::Errno;
use session_protocol::Timestamp;

use crate::claim::Claim;
use crate::files::{self, Unfit};
use crate::owned::remove_rest;
use crate::session::Held;
use crate::{Error, Id, Name, Result, Root};

/// A session that was set aside because its record was damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// The id it had.
    pub id: Id,
    /// When it was set aside.
    pub at: Timestamp,
    /// Where it is now, complete.
    pub path: PathBuf,
}

/// What can be wrong with a holder that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A signal stopped it: it answers nobody.
    Stopped,
    /// Its record was removed.
    NoRecord,
    /// Its socket was removed: nobody reaches it.
    NoSocket,
    /// `live` was removed, and its lock with it: a second holder could be started.
    NoLock,
}

/// Something that is not as it should be.
#[derive(Debug)]
pub enum Finding {
    /// A name that no session stands behind; repaired by removing it.
    StaleClaim {
        /// The name.
        name: String,
        /// Where it points.
        target: String,
    },
    /// A session whose name is not claimed, or is another's; repaired by claiming it or a numbered one.
    Unclaimed {
        /// The session.
        id: Id,
        /// The name in its record.
        name: Name,
    },
    /// A session with a holder, called as another is, to whom the name leads; only a new name helps.
    Duplicate {
        /// The session.
        id: Id,
        /// The name in its record.
        name: Name,
        /// Whose name it is.
        other: Id,
    },
    /// What an interrupted `create` or `rm` left; repaired by removing it.
    Leftover {
        /// Its directory's name.
        id: Id,
    },
    /// A damaged record; repaired by setting it aside, unless a holder runs, which knows it and will write it anew.
    Damaged {
        /// The session.
        id: Id,
        /// What is wrong with it.
        error: Error,
        /// Whether its holder runs.
        held: bool,
    },
    /// Something is wrong with a holder that runs; left alone.
    Holder {
        /// Its session's name, or id where the record does not tell.
        name: String,
        /// Its number.
        pid: i32,
        /// What is wrong.
        trouble: Trouble,
    },
    /// A session that was set aside before; left alone.
    SetAside(Damaged),
    /// Of a later version or another user's, or not what it should be; left alone.
    Untouchable {
        /// What it is.
        error: Error,
    },
}

impl Root {
    /// Everything that is not as it should be. What a verb has locked is being worked on and therefore not reported.
    pub fn survey(&self) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let names = files::entries(self.names())
            .map_err(|errno| Error::io("read", self.path().join("names"), errno))?;
        for (name, _) in names {
            match self.behind(&name) {
                Ok(Claim::Stale(target)) => findings.push(Finding::StaleClaim { name, target }),
                Ok(Claim::Strange) => {
                    let error = Error::refused(
                        self.path().join("names").join(name),
                        "it is not a symbolic link",
                    );
                    findings.push(Finding::Untouchable { error });
                }
                Ok(Claim::Free | Claim::Taken(_)) => {}
                Err(error) => findings.push(Finding::Untouchable { error }),
            }
        }
        let holders = self.holders()?;
        for (id, _) in self.ids()? {
            let examined = self.examine(id, holders.get(&id).copied(), &mut findings);
            if let Err(error) = examined {
                findings.push(Finding::Untouchable { error });
            }
        }
        findings.extend(self.damaged()?.into_iter().map(Finding::SetAside));
        Ok(findings)
    }

    fn examine(&self, id: Id, holder: Option<i32>, findings: &mut Vec<Finding>) -> Result<()> {
        let Some(session) = self.directory(&id)? else {
            return Ok(());
        };
        let locked = match session.held()? {
            Held::ByVerb => return Ok(()),
            held => held == Held::ByHolder,
        };
        // Without its lock it may have exited since it was seen.
        let held = locked || holder.is_some() && self.holders()?.contains_key(&id);
        let record = session.record_file();
        let mut troubles = Vec::new();
        let mut called = id.to_string();
        match record {
            Ok(Some(record)) => {
                let name = record.name;
                called = name.to_string();
                match self.behind(name.as_str())? {
                    Claim::Taken(other) if other == id => {}
                    Claim::Taken(other) if held => {
                        findings.push(Finding::Duplicate { id, name, other });
                    }
                    // Reported as what it is.
                    Claim::Strange if held => {}
                    _ => findings.push(Finding::Unclaimed { id, name }),
                }
            }
            Ok(None) if held => troubles.push(Trouble::NoRecord),
            Ok(None) => findings.push(Finding::Leftover { id }),
            Err(error @ Error::Damaged { .. }) => {
                findings.push(Finding::Damaged { id, error, held });
            }
            Err(error) => return Err(error),
        }
        let Some(pid) = holder.filter(|_| held) else {
            return Ok(());
        };
        if !locked {
            troubles.push(Trouble::NoLock);
        }
        // One that is just starting has not said yet that it is the holder.
        let listens = session.read_live()?.is_some_and(|live| live.holder == pid);
        if listens && !session.has_socket() {
            troubles.push(Trouble::NoSocket);
        }
        if session_sys::process::is_stopped(pid) {
            troubles.push(Trouble::Stopped);
        }
        findings.extend(troubles.into_iter().map(|trouble| Finding::Holder {
            name: called.clone(),
            pid,
            trouble,
        }));
        Ok(())
    }

    /// Repairs what can be repaired without losing anything; says what was done, `None` if nothing.
    pub fn repair(&self, finding: &Finding) -> Result<Option<String>> {
        match finding {
            Finding::StaleClaim { name, target } => {
                self.drop_stale(name, target)?;
                Ok(Some(format!("the name '{name}' is free again")))
            }
            Finding::Unclaimed { id, name } => self.reclaim(id, name),
            Finding::Leftover { id } => self.remove_leftover(id),
            Finding::Damaged { id, .. } => Ok(self
                .set_aside(id)?
                .map(|path| format!("set aside as {}", path.display()))),
            Finding::Duplicate { .. }
            | Finding::Holder { .. }
            | Finding::SetAside(_)
            | Finding::Untouchable { .. } => Ok(None),
        }
    }

    fn reclaim(&self, id: &Id, name: &Name) -> Result<Option<String>> {
        let Some(session) = self.directory(id)? else {
            return Ok(None);
        };
        let owned = session.try_own()?;
        if self.claim(name, id)? {
            // Who owns it instead of us may have given it another.
            let record = session.record_file()?;
            if record.is_none_or(|record| record.name != *name) {
                self.unclaim(name, id)?;
                return Ok(None);
            }
            self.sync()?;
            return Ok(Some(format!("the name '{name}' belongs to {id} again")));
        }
        let Some(mut owned) = owned else {
            return Ok(None);
        };
        for n in 2..=u32::MAX {
            match owned.rename(name.numbered(n)) {
                Ok(()) => {
                    return Ok(Some(format!(
                        "{id} is called '{}' now",
                        owned.record().name
                    )));
                }
                Err(Error::Exists(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn remove_leftover(&self, id: &Id) -> Result<Option<String>> {
        let Some(session) = self.directory(id)? else {
            return Ok(None);
        };
        let Some(_lock) = session.try_lock()? else {
            return Ok(None);
        };
        // Whoever had the lock before may have finished what it was doing; a holder may have lost it with the file.
        if session.record_file()?.is_some() || self.holders()?.contains_key(id) {
            return Ok(None);
        }
        match remove_rest(&session) {
            Ok(()) | Err(Errno::NOENT) => Ok(Some(format!("removed what was left of {id}"))),
            Err(errno) => Err(Error::io("remove", self.session_path(id), errno)),
        }
    }

    /// Moves a session whose record is damaged out of the way, whole; its name is free then. `None` if someone
    /// has the right to write it, who can still make it whole, or if its record is not damaged.
    pub fn set_aside(&self, id: &Id) -> Result<Option<PathBuf>> {
        let Some(session) = self.directory(id)? else {
            return Ok(None);
        };
        let Some(_lock) = session.try_lock()? else {
            return Ok(None);
        };
        if session.held()? == Held::ByHolder
            || !matches!(session.record_file(), Err(Error::Damaged { .. }))
            || self.holders()?.contains_key(id)
        {
            return Ok(None);
        }
        let place = self.path().join("damaged");
        let failed = |errno: Errno| Error::io("set aside", self.session_path(id), errno);
        let damaged = match files::make_private(self.root_fd(), "damaged") {
            Ok(damaged) => damaged,
            Err(Errno::EXIST) => files::open_private(self.root_fd(), "damaged")
                .map_err(|unfit| crate::root::refuse(&place, unfit))?,
            Err(errno) => return Err(failed(errno)),
        };
        let name = format!("{id}-{}", Timestamp::now().millis());
        rustix::fs::renameat(self.sessions(), id.to_string(), damaged.as_fd(), &name)
            .map_err(failed)?;
        rustix::fs::fsync(&damaged).map_err(failed)?;
        let claims = files::entries(self.names())
            .map_err(|errno| Error::io("read", self.path().join("names"), errno))?;
        for (claim, _) in claims {
            if self.target(&claim).ok().flatten() == Some(id.to_string()) {
                self.drop_stale(&claim, &id.to_string())?;
            }
        }
        self.sync()?;
        Ok(Some(place.join(name)))
    }

    /// Sessions that were set aside.
    pub fn damaged(&self) -> Result<Vec<Damaged>> {
        let place = self.path().join("damaged");
        let damaged = match files::open_private(self.root_fd(), "damaged") {
            Ok(damaged) => damaged,
            Err(Unfit::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Vec::new());
            }
            Err(unfit) => return Err(crate::root::refuse(&place, unfit)),
        };
        let entries =
            files::entries(damaged.as_fd()).map_err(|errno| Error::io("read", &place, errno))?;
        let mut found: Vec<Damaged> = entries
            .into_iter()
            .filter_map(|(name, _)| {
                let (id, millis) = name.split_once('-')?;
                let at = Timestamp::from_millis(millis.parse().ok()?);
                Some(Damaged {
                    id: id.parse().ok()?,
                    at,
                    path: place.join(&name),
                })
            })
            .collect();
        found.sort_by_key(|one| (one.at, one.id));
        Ok(found)
    }

    /// Every holder below this root that can be seen, by its session: one whose `live` was removed has lost its
    /// lock, but not its life. A copy of a root has the same ids, but their holders are not at home in it.
    fn holders(&self) -> Result<HashMap<Id, i32>> {
        let failed = |error| Error::io("read", "/proc", error);
        let found = session_sys::process::called(&["session", "__hold"]).map_err(failed)?;
        let root = std::fs::canonicalize(self.path()).map_err(failed)?;
        // A holder lets nobody but root look; then what it said itself has to do.
        let said = |id: &Id, pid| -> Option<bool> {
            let live = self.directory(id).ok()??.read_live().ok()??;
            Some(live.holder == pid)
        };
        let holder = |(pid, id): (i32, String)| {
            let id = id.parse().ok()?;
            let ours = session_sys::process::has_open_below(pid, &root);
            let ours = ours.or_else(|| said(&id, pid)).unwrap_or(false);
            ours.then_some((id, pid))
        };
        Ok(found.into_iter().filter_map(holder).collect())
    }
}

#[cfg(test)]
#[path = "survey_tests.rs"]
mod tests;
