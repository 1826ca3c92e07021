//! A session: the process groups of one login, and the terminal that they share.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::fmt;

use crate::key::Key;
use crate::lock::Lock;
use crate::{Pid, Process, ProcessGroup};

/// A set of process groups, made by [`Process::create_session`] (setsid(2)).
///
/// It lives while it has a group.
pub struct Session {
    sid: Pid,
    pub(crate) groups: Lock<Groups>,
    terminal: Lock<Option<Arc<dyn Any + Send + Sync>>>,
}

/// The groups that have a process, by number.
#[derive(Default)]
pub(crate) struct Groups(BTreeMap<Pid, Weak<ProcessGroup>>);

impl Session {
    /// A session and its first group, both named after the process that founds them and is their first member.
    pub(crate) fn found(founder: &Arc<Process>) -> Arc<ProcessGroup> {
        let session = Self::new(founder.pid());
        let group = ProcessGroup::new(founder.pid(), &session);
        group.join(founder);
        group
    }

    pub(crate) fn new(sid: Pid) -> Arc<Self> {
        Arc::new(Self {
            sid,
            groups: Lock::new(Groups::default()),
            terminal: Lock::new(None),
        })
    }

    /// Its number: that of the process that created it.
    pub fn sid(&self) -> Pid {
        self.sid
    }

    /// Its process groups, by number: those that have a process.
    pub fn process_groups(&self) -> Vec<Arc<ProcessGroup>> {
        let groups = self.groups.lock();
        groups.0.values().filter_map(Weak::upgrade).collect()
    }

    /// Gives it the controlling terminal that `terminal` returns, unless it has one: `false` then, and `terminal` is
    /// not called.
    ///
    /// `terminal` runs under a lock: it must not ask for this session's terminal.
    ///
    /// ```
    /// # use session_hierarchy::Process;
    /// # use std::sync::Arc;
    /// # use std::any::Any;
    /// let session = Process::new_root(1).build().group().session();
    /// let mine: Arc<dyn Any + Send + Sync> = Arc::new("tty1");
    /// assert!(session.set_terminal_with(|| mine.clone()));
    /// assert!(!session.set_terminal_with(|| unreachable!()));
    ///
    /// let other: Arc<dyn Any + Send + Sync> = Arc::new("tty1");
    /// assert!(!session.unset_terminal(&other));
    /// assert!(session.unset_terminal(&mine));
    /// ```
    pub fn set_terminal_with(&self, terminal: impl FnOnce() -> Arc<dyn Any + Send + Sync>) -> bool {
        let mut held = self.terminal.lock();
        let is_free = held.is_none();
        if is_free {
            *held = Some(terminal());
        }
        is_free
    }

    /// Takes the controlling terminal away if it is this very one.
    pub fn unset_terminal(&self, terminal: &Arc<dyn Any + Send + Sync>) -> bool {
        let mut held = self.terminal.lock();
        let taken =
            held.take_if(|held| core::ptr::addr_eq(Arc::as_ptr(held), Arc::as_ptr(terminal)));
        drop(held); // before what was in it
        taken.is_some()
    }

    /// The controlling terminal.
    pub fn terminal(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.terminal.lock().clone()
    }

    /// Moves a process of this session between two of its groups, in one step. `false` if the second one was left
    /// by all, and another object is the group of its number by now.
    pub(crate) fn transfer(
        &self,
        process: &Arc<Process>,
        from: &ProcessGroup,
        to: &Arc<ProcessGroup>,
    ) -> bool {
        self.groups.lock().transfer(process, from, to)
    }

    /// Moves a process of this session into the group of its own number, which is made if there is none.
    pub(crate) fn transfer_to_own(
        self: &Arc<Self>,
        process: &Arc<Process>,
        from: &ProcessGroup,
    ) -> Arc<ProcessGroup> {
        let mut groups = self.groups.lock();
        let listed = groups.0.get(&process.pid()).and_then(Weak::upgrade);
        let own = listed.unwrap_or_else(|| ProcessGroup::new(process.pid(), self));
        groups.transfer(process, from, &own);
        own
    }

    /// Lets a process go that founds a session of its own. `false` if there is a group of its number here, which
    /// would then be in two sessions.
    pub(crate) fn dismiss_founder(&self, process: &Process, from: &ProcessGroup) -> bool {
        let mut groups = self.groups.lock();
        let is_free = !groups.0.contains_key(&process.pid());
        if is_free {
            groups.dismiss(from, process.key());
        }
        is_free
    }
}

impl Groups {
    /// Lists a group; `false` if another object is listed under its number.
    pub(crate) fn list(&mut self, group: &Arc<ProcessGroup>) -> bool {
        let listed = self
            .0
            .entry(group.pgid())
            .or_insert_with(|| Arc::downgrade(group));
        core::ptr::eq(listed.as_ptr(), Arc::as_ptr(group))
    }

    /// Removes a process from a group, and the group if that was the last one.
    pub(crate) fn dismiss(&mut self, group: &ProcessGroup, key: Key) {
        let mut members = group.members().lock();
        let was_last = members.remove(&key).is_some() && members.is_empty();
        if was_last {
            self.0.remove(&group.pgid());
        }
    }

    fn transfer(
        &mut self,
        process: &Arc<Process>,
        from: &ProcessGroup,
        to: &Arc<ProcessGroup>,
    ) -> bool {
        if !self.list(to) {
            return false;
        }
        let key = process.key();
        let mut entered = to.members().lock();
        let mut left = from.members().lock();
        entered.insert(key, Arc::downgrade(process));
        left.remove(&key);
        if left.is_empty() {
            self.0.remove(&from.pgid());
        }
        true
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Session({})", self.sid)
    }
}
