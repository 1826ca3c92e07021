//! Finding sessions: all of them for `ls`, with four system calls for each that lives, or one by name or id.

use std::os::fd::AsFd;

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use session_protocol::{ByteString, Desired, Status};

use crate::session::{HOLDER, Held, read_block};
use crate::{Error, Id, LastState, Result, Root, Session, files};

/// One line of `ls`.
#[derive(Debug)]
pub struct Listed {
    /// Its id.
    pub id: Id,
    /// Its name; its id where the record does not tell.
    pub name: String,
    /// Whether a holder lives.
    pub holder: bool,
    /// Whether it belongs to another machine.
    pub foreign: bool,
    /// What is, or why that is not known: damaged, newer or refused.
    pub status: Result<Status>,
}

impl Root {
    /// The sessions that are to be up, of which a main process was recorded since this boot, and that nobody holds: their
    /// holders were killed.
    pub fn orphans(&self) -> Result<Vec<Session>> {
        let boot = session_sys::identity::boot_id()
            .map_err(|error| Error::io("read", "/proc/sys/kernel/random/boot_id", error))?;
        let is_orphan = |session: &Session| -> Result<bool> {
            let begun = session.read_identity()?;
            if begun.is_none_or(|identity| identity.boot_id != boot) || session.held()? != Held::No
            {
                return Ok(false);
            }
            let record = session.read_record()?;
            Ok(record.desired == Desired::Up && record.last.state == LastState::Up)
        };
        let mut orphans = Vec::new();
        for (id, _) in self.ids()? {
            // One that cannot be read is for `doctor`.
            if let Ok(Some(session)) = self.directory(&id)
                && is_orphan(&session).unwrap_or(false)
            {
                orphans.push(session);
            }
        }
        Ok(orphans)
    }

    /// Every session, sorted by name. What is just being made or removed is not yet or no longer one.
    pub fn list(&self) -> Result<Vec<Listed>> {
        let machine = self.machine()?.to_owned();
        let mut listed = Vec::new();
        for (id, file_type) in self.ids()? {
            let found = match file_type {
                FileType::Directory => self.look(id, &machine),
                // Not every file system tells.
                FileType::Unknown => self.directory(&id).and_then(|found| match found {
                    Some(_) => self.look(id, &machine),
                    None => Ok(None),
                }),
                _ => Err(Error::refused(
                    self.session_path(&id),
                    "it is not a directory",
                )),
            };
            let failed = |error| Listed {
                id,
                name: id.to_string(),
                holder: false,
                foreign: false,
                status: Err(error),
            };
            listed.extend(found.unwrap_or_else(|error| Some(failed(error))));
        }
        if listed.iter().any(|one| one.status.is_err()) {
            self.name_the_unreadable(&mut listed)?;
        }
        listed.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        Ok(listed)
    }

    fn look(&self, id: Id, machine: &str) -> Result<Option<Listed>> {
        let failed = |errno: Errno| Error::io("open", self.session_path(&id).join("live"), errno);
        let mut last = None;
        // The directory entry was a directory, so nothing but the last component can be a link.
        match files::open(self.sessions(), &format!("{id}/live"), OFlags::RDONLY) {
            Ok(live) => {
                last = read_block(live.as_fd()).map_err(failed)?;
                let holder = session_sys::lock::is_locked(live.as_fd(), HOLDER);
                let holder = holder.map_err(|error| {
                    Error::io(
                        "test the lock of",
                        self.session_path(&id).join("live"),
                        error,
                    )
                })?;
                match &last {
                    Some(live) if holder && !live.truncated => {
                        let status = live.status_at(session_sys::process::boottime_ms());
                        return Ok(Some(Listed {
                            id,
                            name: status.name.clone(),
                            holder,
                            foreign: false,
                            status: Ok(status),
                        }));
                    }
                    _ => {}
                }
            }
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(failed(errno)),
        }
        let Some(session) = self.directory(&id)? else {
            return Ok(None);
        };
        let holder = session.holder_lives()?;
        if let Some(live) = last.as_ref().filter(|_| holder) {
            let status = session.show(live);
            return Ok(Some(Listed {
                id,
                name: status.name.clone(),
                holder,
                foreign: false,
                status: Ok(status),
            }));
        }
        let Some(record) = session.record_file()? else {
            return Ok(None);
        };
        let status = session.derive(&record, last.as_ref());
        let foreign = record.machine != machine;
        Ok(Some(Listed {
            id,
            name: record.name.to_string(),
            holder,
            foreign,
            status: Ok(status),
        }))
    }

    /// Records that cannot be read have a name nevertheless: that of their claim.
    fn name_the_unreadable(&self, listed: &mut [Listed]) -> Result<()> {
        for (name, _) in files::entries(self.names())
            .map_err(|errno| Error::io("read", self.path().join("names"), errno))?
        {
            let target = self.target(&name).ok().flatten();
            if name.parse::<crate::Name>().is_err() {
                continue;
            }
            for one in listed.iter_mut().filter(|one| one.status.is_err()) {
                if target.as_deref() == Some(one.id.to_string().as_str()) {
                    one.name.clone_from(&name);
                }
            }
        }
        Ok(())
    }

    /// Everything in `sessions/` that is called like a session.
    pub(crate) fn ids(&self) -> Result<Vec<(Id, FileType)>> {
        let entries = files::entries(self.sessions());
        let entries =
            entries.map_err(|errno| Error::io("read", self.path().join("sessions"), errno))?;
        Ok(entries
            .into_iter()
            .filter_map(|(name, kind)| Some((name.parse().ok()?, kind)))
            .collect())
    }

    /// The session with this name, or with this id, or the only one whose id begins so.
    /// One whose record is damaged is set aside, which the error tells.
    pub fn find(&self, given: &str) -> Result<Session> {
        if let Ok(name) = given.parse()
            && let Some(session) = self.named(&name)?
        {
            return Ok(session);
        }
        if let Ok(id) = given.parse::<Id>() {
            return self.session(&id);
        }
        let digits = given
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !digits || !(1..16).contains(&given.len()) {
            return Err(Error::not_found(given));
        }
        let mut found = Vec::new();
        for (id, _) in self.ids()? {
            let there = || {
                rustix::fs::accessat(
                    self.sessions(),
                    format!("{id}/record"),
                    rustix::fs::Access::EXISTS,
                    rustix::fs::AtFlags::empty(),
                )
            };
            if id.to_string().starts_with(given) && there().is_ok() {
                found.push(id);
            }
        }
        found.sort();
        match found.as_slice() {
            [] => Err(Error::not_found(given)),
            [id] => self.session(id),
            ids => Err(Error::Ambiguous {
                given: ByteString::from(given).escaped(),
                ids: ids.iter().map(Id::to_string).collect(),
            }),
        }
    }

    /// The session called `name`. One whose record is damaged is set aside, which the error tells.
    pub fn named(&self, name: &crate::Name) -> Result<Option<Session>> {
        let target = self.target(name.as_str())?;
        let Some(id) = target.and_then(|target| target.parse::<Id>().ok()) else {
            return Ok(None);
        };
        match self.directory(&id)? {
            Some(session) if self.is_called(&session, name.as_str())? => Ok(Some(session)),
            _ => Ok(None),
        }
    }

    /// Whether a claim holds. A living holder knows its record; without one it is read.
    fn is_called(&self, session: &Session, name: &str) -> Result<bool> {
        if session.held()? == Held::ByHolder
            && session
                .read_live()?
                .is_some_and(|live| live.status.name == name)
        {
            return Ok(true);
        }
        match self.readable(session) {
            Ok(record) => Ok(record.name.as_str() == name),
            Err(Error::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The session with this id. One whose record is damaged is set aside, which the error tells.
    pub fn session(&self, id: &Id) -> Result<Session> {
        let session = self
            .directory(id)?
            .ok_or_else(|| Error::not_found(&id.to_string()))?;
        if session.held()? != Held::ByHolder {
            self.readable(&session)?;
        }
        Ok(session)
    }

    fn readable(&self, session: &Session) -> Result<crate::Record> {
        match session.read_record() {
            Err(Error::Damaged { path, why }) => match self.set_aside(session.id())? {
                Some(moved) => Err(Error::Damaged {
                    path: moved.join("record"),
                    why: format!("{why}; it was set aside"),
                }),
                None => Err(Error::Damaged { path, why }),
            },
            read => read,
        }
    }
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
