//! A hierarchy as it was seen from outside, for instance in `/proc`.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use crate::builder::born;
use crate::{Pid, Process, ProcessGroup, Session};

/// What was seen of one process.
#[derive(Debug, Clone)]
pub struct Sighting<T> {
    /// Its number.
    pub pid: Pid,
    /// Its parent's.
    pub parent: Pid,
    /// That of its process group.
    pub pgid: Pid,
    /// That of its session.
    pub sid: Pid,
    /// Whether it has exited and waits to be reaped.
    pub has_ended: bool,
    /// What else is known of it: its process's [`data`](Process::data).
    pub data: T,
}

/// The processes below one of them, with their groups and sessions.
///
/// What is seen process by process while processes come and go need not fit together; there is no sequence of
/// sightings that fails. Whoever is not seen below the root is left out, the first of two with one number counts,
/// and two who name the same group in different sessions are in two groups.
///
/// ```
/// use session_hierarchy::{Picture, Sighting};
///
/// let seen = |pid, parent, pgid, sid| Sighting { pid, parent, pgid, sid, has_ended: false, data: "" };
/// // A shell (11) with a pipeline, and a daemon that has left its session.
/// let picture = Picture::below(10, [
///     seen(11, 10, 11, 11), seen(13, 11, 13, 11), seen(14, 11, 13, 11), seen(15, 10, 15, 15),
/// ]);
/// let shell = &picture.sessions()[0];
/// let pipeline = &shell.process_groups()[1];
/// assert_eq!(pipeline.processes().len(), 2);
/// assert_eq!(picture.sessions()[1].sid(), 15);
/// ```
pub struct Picture {
    root: Arc<Process>,
}

impl Picture {
    /// Puts together what was seen, as far as it descends from `root`, of which it suffices to know the number.
    pub fn below<T: Any + Send + Sync>(
        root: Pid,
        seen: impl IntoIterator<Item = Sighting<T>>,
    ) -> Self {
        let mut known = BTreeSet::from([root]);
        let mut waiting: BTreeMap<Pid, Vec<Sighting<T>>> = BTreeMap::new();
        for sighting in seen {
            if known.insert(sighting.pid) {
                waiting.entry(sighting.parent).or_default().push(sighting);
            }
        }
        let root = Process::new_root(root).build();
        let mut places = Places::with(&root);
        let mut ended = Vec::new();
        let mut parents = VecDeque::from([root.clone()]);
        while let Some(parent) = parents.pop_front() {
            for sighting in waiting.remove(&parent.pid()).unwrap_or_default() {
                let Sighting {
                    pid,
                    pgid,
                    sid,
                    has_ended,
                    data,
                    ..
                } = sighting;
                let group = places.group(sid, pgid);
                let process = born(pid, Box::new(data), &parent, Some(&group));
                if has_ended {
                    ended.push(process.clone());
                }
                parents.push_back(process);
            }
        }
        // Only now: whoever was seen below one of them is an orphan, which the root takes.
        for process in ended {
            process.exit();
        }
        Self { root }
    }

    /// The process that all others descend from.
    pub fn root(&self) -> &Arc<Process> {
        &self.root
    }

    /// Those below the root, parents before their children.
    pub fn processes(&self) -> Vec<Arc<Process>> {
        self.root.descendants()
    }

    /// The sessions of those below the root, by number.
    pub fn sessions(&self) -> Vec<Arc<Session>> {
        let processes = self.processes();
        let sessions = processes.iter().map(|process| process.group().session());
        let by_number: BTreeMap<Pid, Arc<Session>> =
            sessions.map(|session| (session.sid(), session)).collect();
        by_number.into_values().collect()
    }
}

/// The groups that were spoken of; one object for each pair of session and group.
struct Places {
    sessions: BTreeMap<Pid, Arc<Session>>,
    groups: BTreeMap<(Pid, Pid), Arc<ProcessGroup>>,
}

impl Places {
    fn with(root: &Arc<Process>) -> Self {
        let group = root.group();
        let session = group.session();
        let (sid, pgid) = (session.sid(), group.pgid());
        Self {
            sessions: BTreeMap::from([(sid, session)]),
            groups: BTreeMap::from([((sid, pgid), group)]),
        }
    }

    fn group(&mut self, sid: Pid, pgid: Pid) -> Arc<ProcessGroup> {
        let session = self
            .sessions
            .entry(sid)
            .or_insert_with(|| Session::new(sid));
        let group = self.groups.entry((sid, pgid));
        group
            .or_insert_with(|| ProcessGroup::new(pgid, session))
            .clone()
    }
}
