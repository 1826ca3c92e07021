//! A process group: the unit of a shell's job.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt;

use crate::key::Key;
use crate::lock::Lock;
use crate::{Pid, Process, Session};

/// A set of processes of one session, such as the pipeline that a shell runs as a job.
///
/// It is made by [`Process::create_group`] or [`Process::create_session`] and lives while a process is in it. One
/// that somebody holds when its last process leaves is empty and no longer listed; a process of its session can
/// enter it again.
pub struct ProcessGroup {
    pgid: Pid,
    session: Arc<Session>,
    /// Not empty exactly while the session lists the group: what changes that holds the session's lock too.
    members: Lock<Members>,
}

pub(crate) type Members = BTreeMap<Key, Weak<Process>>;

impl ProcessGroup {
    pub(crate) fn new(pgid: Pid, session: &Arc<Session>) -> Arc<Self> {
        Arc::new(Self {
            pgid,
            session: session.clone(),
            members: Lock::new(Members::new()),
        })
    }

    /// Its number: that of the process that created it.
    pub fn pgid(&self) -> Pid {
        self.pgid
    }

    /// The session it belongs to, always the same.
    pub fn session(&self) -> Arc<Session> {
        self.session.clone()
    }

    /// The processes in it, by number; zombies too, until they are freed.
    pub fn processes(&self) -> Vec<Arc<Process>> {
        let members = self.members.lock();
        members.values().filter_map(Weak::upgrade).collect()
    }

    /// Takes in a process that is in no group. `false` if this group was left by all, and another object is the
    /// group of its number by now.
    pub(crate) fn join(self: &Arc<Self>, process: &Arc<Process>) -> bool {
        let member = Arc::downgrade(process);
        {
            let mut members = self.members.lock();
            if !members.is_empty() {
                members.insert(process.key(), member);
                return true;
            }
        }
        let mut groups = self.session.groups.lock();
        let is_listed = groups.list(self);
        if is_listed {
            self.members.lock().insert(process.key(), member);
        }
        is_listed
    }

    /// Lets a process go, which names another group or none from now on.
    pub(crate) fn leave(&self, key: Key) {
        {
            let mut members = self.members.lock();
            if members.len() > 1 {
                members.remove(&key);
                return;
            }
        }
        self.session.groups.lock().dismiss(self, key);
    }

    pub(crate) fn session_ref(&self) -> &Arc<Session> {
        &self.session
    }

    pub(crate) fn members(&self) -> &Lock<Members> {
        &self.members
    }
}

impl fmt::Debug for ProcessGroup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pgid, session, .. } = self;
        write!(formatter, "ProcessGroup({pgid}, session={})", session.sid())
    }
}
