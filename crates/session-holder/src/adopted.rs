//! Processes that are the session's and not our children: those that a killed holder started, and what came of them. Their
//! end is told by pidfds and by the cgroup, and what they are is found in more places than below us.

use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventFlags};
use session_protocol::{Exit, ProcessId, Signal, Timestamp};
use session_sys::adopted::{End, end_of};

use crate::holder::Holder;
use crate::token::Token;

/// A process that has ended and that nobody reaps has ended in a way that is unknown after this time.
const UNREAPED: Duration = Duration::from_secs(3);

impl Holder {
    /// Looks after everything that was adopted, and whether anything is left.
    pub(crate) fn look_after_all(&mut self) {
        for id in self.processes.keys().copied().collect::<Vec<_>>() {
            self.look_after(id);
        }
        self.reap();
    }

    /// The session's cgroup has become empty, or has not.
    pub(crate) fn group_changed(&mut self) {
        if let Some(events) = &self.group_events {
            // That is told until it was read through this descriptor; and for ever of one that was removed.
            if rustix::io::pread(events, &mut [0; 64], 0).is_err() {
                self.watch_group();
            }
        }
        self.look_after_all();
    }

    /// Hears of the session's cgroup when it is empty, where nothing else tells: of what was adopted.
    pub(crate) fn watch_group(&mut self) {
        if let Some(events) = self.group_events.take() {
            let _ = epoll::delete(&self.epoll, &events);
        }
        if self.adopted
            && let Some(group) = &self.group
            && let Ok(events) = group.events()
        {
            let watched = self.watch(&events, Token::Group, EventFlags::PRI);
            self.group_events = watched.is_ok().then(|| events.into());
        }
    }

    pub(crate) fn runs(&self, id: ProcessId) -> bool {
        self.processes
            .get(&id)
            .is_some_and(|process| process.run.is_some())
    }

    /// Whether an adopted process has ended, and how.
    pub(crate) fn look_after(&mut self, id: ProcessId) {
        let Some(run) = self
            .processes
            .get_mut(&id)
            .and_then(|process| process.run.as_mut())
        else {
            return;
        };
        if run.is_child {
            return;
        }
        let pid = run.pid;
        let ending = match end_of(&run.pidfd, pid) {
            End::Alive => return,
            End::Unreaped => {
                let now = Instant::now();
                let due = *run.unreaped.get_or_insert(now) + UNREAPED;
                if due > now {
                    let timer = &mut self.timers.unreaped;
                    *timer = Some(timer.map_or(due, |other| other.min(due)));
                    return;
                }
                None
            }
            End::Known(ending) => Some(ending),
            End::Unknown => None,
        };
        let exit = Exit {
            code: ending.and_then(|ending| ending.code),
            signal: ending
                .and_then(|ending| ending.signal)
                .and_then(Signal::new),
            at: Timestamp::now(),
        };
        self.child_ended(pid, exit);
    }

    /// Whether, without a child left, anything of the session still runs that was adopted.
    pub(crate) fn has_adopted(&self) -> bool {
        if !self.adopted {
            return false;
        }
        // Also one that has ended, until what it said last is read and how it ended is known.
        if self.processes.values().any(|process| process.run.is_some()) {
            return true;
        }
        match &self.group {
            Some(group) => group.is_populated().unwrap_or(false),
            None => !self.strays().is_empty(),
        }
    }

    /// Processes of the session that are no descendants of ours: those that a killed holder left, and what came of them.
    pub(crate) fn strays(&self) -> Vec<i32> {
        if !self.adopted {
            return Vec::new();
        }
        let runs = self
            .processes
            .values()
            .filter_map(|process| process.run.as_ref());
        let mut pids: Vec<i32> = runs
            .filter(|run| !run.is_child && !session_sys::identity::dead(&run.pidfd))
            .map(|run| run.pid)
            .collect();
        match &self.group {
            Some(group) => pids.extend(group.processes().unwrap_or_default()),
            None => {
                let own = rustix::process::getpid().as_raw_nonzero().get();
                let cookie = crate::reclaim::cookie(&self.owned);
                let found = session_sys::tree::with_environment(&cookie).unwrap_or_default();
                pids.extend(found.into_iter().filter(|pid| *pid != own));
            }
        }
        pids.sort_unstable();
        pids.dedup();
        pids
    }
}
