//! What `doctor` looks for and repairs: claims, leftovers and records that are not as they should be.

use std::os::fd::AsFd;
use std::path::PathBuf;

use rustix::fs::AtFlags;
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
        for (id, _) in self.ids()? {
            match self.examine(id) {
                Ok(finding) => findings.extend(finding),
                Err(error) => findings.push(Finding::Untouchable { error }),
            }
        }
        findings.extend(self.damaged()?.into_iter().map(Finding::SetAside));
        Ok(findings)
    }

    fn examine(&self, id: Id) -> Result<Option<Finding>> {
        let Some(session) = self.directory(&id)? else {
            return Ok(None);
        };
        let held = match session.held()? {
            Held::ByVerb => return Ok(None),
            held => held == Held::ByHolder,
        };
        match session.record_file() {
            Ok(Some(record)) => {
                let name = record.name;
                Ok(match self.behind(name.as_str())? {
                    Claim::Taken(other) if other == id => None,
                    Claim::Taken(other) if held => Some(Finding::Duplicate { id, name, other }),
                    // Reported as what it is.
                    Claim::Strange if held => None,
                    _ => Some(Finding::Unclaimed { id, name }),
                })
            }
            Ok(None) if held => Ok(None),
            Ok(None) => Ok(Some(Finding::Leftover { id })),
            Err(error @ Error::Damaged { .. }) => Ok(Some(Finding::Damaged { id, error, held })),
            Err(error) => Err(error),
        }
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
            Finding::Duplicate { .. } | Finding::SetAside(_) | Finding::Untouchable { .. } => {
                Ok(None)
            }
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
        // Whoever had the lock before may have finished what it was doing.
        if session.record_file()?.is_some() {
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

    /// Removes a session that was set aside, for good.
    pub fn discard_damaged(&self, damaged: &Damaged) -> Result<()> {
        let failed = |errno: Errno| Error::io("remove", &damaged.path, errno);
        let place = self.path().join("damaged");
        let fd = files::open_private(self.root_fd(), "damaged")
            .map_err(|unfit| crate::root::refuse(&place, unfit))?;
        let name = damaged.path.file_name().unwrap_or_default();
        let inner = files::open_private(fd.as_fd(), name)
            .map_err(|unfit| crate::root::refuse(&damaged.path, unfit))?;
        files::clear(inner.as_fd(), None, 32).map_err(failed)?;
        rustix::fs::unlinkat(&fd, name, AtFlags::REMOVEDIR).map_err(failed)
    }
}

#[cfg(test)]
#[path = "survey_tests.rs"]
mod tests;
