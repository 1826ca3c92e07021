//! A process: its relatives, its group, its threads, its end.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::fmt;
use core::sync::atomic::Ordering;

use crate::key::Key;
use crate::lock::{AtomicBool, Lock};
use crate::thread::ThreadGroup;
use crate::{Pid, ProcessGroup, Session, Thread, ThreadBuilder};

/// What a caller has a process or a thread carry.
pub(crate) type Data = Box<dyn Any + Send + Sync>;

/// A process, made by [`fork`](Self::fork), [`new_child`](Self::new_child), [`new_init`](Self::new_init) or
/// [`new_root`](Self::new_root).
///
/// It runs until [`exit`](Self::exit), is a zombie until [`free`](Self::free), and nobody's afterwards. Lists know it
/// by the `Arc` it was built in: one moved into another `Arc` is in none of them.
pub struct Process {
    links: Lock<Links>,
    /// Changed under the lock of the links alone.
    is_zombie: AtomicBool,
    is_root: bool,
    key: Key,
    data: Data,
    pub(crate) threads: Lock<ThreadGroup>,
}

/// Whom it belongs to, and who belongs to it.
struct Links {
    parent: Weak<Process>,
    membership: Membership,
    /// A zombie has none and is given none.
    children: BTreeMap<Key, Arc<Process>>,
    is_subreaper: bool,
}

/// The group a process is in.
enum Membership {
    In(Arc<ProcessGroup>),
    /// None, since it was freed; this was the last one.
    Left {
        pgid: Pid,
        sid: Pid,
    },
}

impl Process {
    /// Its number.
    pub fn pid(&self) -> Pid {
        self.key.number
    }

    /// What [`ProcessBuilder::data`](crate::ProcessBuilder::data) gave it, if that is a `T`.
    pub fn data<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.data.downcast_ref()
    }

    /// Whether it is init, or the root of a hierarchy of its own.
    pub fn is_init(self: &Arc<Self>) -> bool {
        self.is_root
    }

    pub(crate) fn key(&self) -> Key {
        self.key
    }
}

/// Parent and children
impl Process {
    /// Its parent: `None` for init, when nobody keeps the parent any more, and for an orphan with nobody left above.
    ///
    /// One that was freed keeps telling the parent that it had.
    pub fn parent(&self) -> Option<Arc<Self>> {
        self.links.lock().parent.upgrade()
    }

    /// Its children, by number; zombies too, until they are freed.
    pub fn children(&self) -> Vec<Arc<Self>> {
        self.links.lock().children.values().cloned().collect()
    }

    /// All that descends from it, parents before their children.
    ///
    /// No snapshot: an orphan handed over meanwhile may be missing or be there twice. Who needs all repeats.
    pub fn descendants(&self) -> Vec<Arc<Self>> {
        let mut found = self.children();
        let mut next = 0;
        while let Some(process) = found.get(next) {
            let below = process.children();
            found.extend(below);
            next += 1;
        }
        found
    }

    /// Makes it a child subreaper, or no longer: the orphans among its descendants become its children
    /// (`PR_SET_CHILD_SUBREAPER` of prctl(2)). Children do not inherit that.
    ///
    /// ```
    /// # use session_hierarchy::Process;
    /// let supervisor = Process::new_root(1).build().fork(2).build();
    /// supervisor.set_child_subreaper(true);
    /// let shell = supervisor.fork(3).build();
    /// let daemon = shell.fork(4).build();
    /// shell.exit();
    /// assert_eq!(daemon.parent().unwrap().pid(), supervisor.pid());
    /// ```
    pub fn set_child_subreaper(&self, enabled: bool) {
        self.links.lock().is_subreaper = enabled;
    }

    /// Whether it is a child subreaper.
    pub fn is_child_subreaper(&self) -> bool {
        self.links.lock().is_subreaper
    }

    /// Who gets its children when it exits: the nearest living child subreaper above it, else the root above it.
    /// `None` when there is nobody above it any more and no init either.
    pub(crate) fn reaper(&self) -> Option<Arc<Self>> {
        'search: loop {
            let mut may_have_moved = !self.is_freed();
            let mut above = self.parent();
            while let Some(process) = above {
                if process.is_root || (process.is_child_subreaper() && !process.is_zombie()) {
                    return Some(process);
                }
                above = process.parent();
                // A zombie that is freed while we look may have lost sight of those above it. Whoever came here from
                // below has another parent by now, unless freed too.
                if above.is_none() && process.is_zombie() && may_have_moved {
                    continue 'search;
                }
                may_have_moved |= !process.is_freed();
            }
            return crate::init::registered();
        }
    }

    /// Makes a new process its child and a member of `group`, or else of its own group, in one step. `false` if this
    /// one has exited, or if everybody has left that group and another object is the group of its number by now.
    pub(crate) fn take_in(
        self: &Arc<Self>,
        child: &Arc<Self>,
        group: Option<Arc<ProcessGroup>>,
    ) -> bool {
        let mut links = self.links.lock();
        if self.is_zombie() {
            return false; // `group`, maybe held by nobody else, is dropped after the lock is
        }
        let Some(group) = group.or_else(|| links.group().cloned()) else {
            return false;
        };
        let mut own = child.links.lock();
        let is_taken = group.join(child);
        let old = own.settle(Arc::downgrade(self), group);
        drop(own);
        if is_taken {
            links.children.insert(child.key(), child.clone());
        }
        drop(links);
        drop(old);
        is_taken
    }
}

/// Process group and session
impl Process {
    /// The process group it is in.
    ///
    /// One that was freed is in none: what is returned then has the numbers of its last group and session, but is
    /// empty and apart from everything.
    pub fn group(&self) -> Arc<ProcessGroup> {
        match &self.links.lock().membership {
            Membership::In(group) => group.clone(),
            Membership::Left { pgid, sid } => ProcessGroup::new(*pgid, &Session::new(*sid)),
        }
    }

    /// The process group it is in, `None` once it was freed.
    pub fn try_group(&self) -> Option<Arc<ProcessGroup>> {
        self.links.lock().group().cloned()
    }

    /// Makes it the leader of a new session and of a new group in it (setsid(2)).
    ///
    /// `None`, and nothing changes, if it leads a group already, a session too, or was freed; also if its session
    /// has a group of its number that it has left, for that group would then be in two sessions.
    ///
    /// ```
    /// # use session_hierarchy::Process;
    /// let shell = Process::new_root(1).build().fork(2).build();
    /// shell.create_group().unwrap();
    /// assert!(shell.create_session().is_none(), "it leads a group");
    ///
    /// let daemon = shell.fork(3).build();
    /// let (session, group) = daemon.create_session().unwrap();
    /// assert_eq!((session.sid(), group.pgid()), (3, 3));
    /// assert!(daemon.create_session().is_none());
    /// ```
    pub fn create_session(self: &Arc<Self>) -> Option<(Arc<Session>, Arc<ProcessGroup>)> {
        let group = self.regroup(|current| {
            let session = current.session_ref();
            let leads = current.pgid() == self.pid() || session.sid() == self.pid();
            if leads || !session.dismiss_founder(self, current) {
                return None;
            }
            // Nobody reaches the new session before this process names it, so it is in one group for all who look.
            Some(Session::found(self))
        })?;
        Some((group.session(), group))
    }

    /// Makes it the leader of a process group of its own number (`setpgid(0, 0)`).
    ///
    /// `None`, and nothing changes, if it leads one already or was freed. If it left such a group and others are
    /// still in it, it enters that one again.
    ///
    /// ```
    /// # use session_hierarchy::Process;
    /// let job = Process::new_root(1).build().fork(2).build();
    /// let group = job.create_group().unwrap();
    /// assert_eq!(group.pgid(), job.pid());
    /// assert!(job.create_group().is_none());
    /// ```
    pub fn create_group(self: &Arc<Self>) -> Option<Arc<ProcessGroup>> {
        self.regroup(|current| {
            let leads = current.pgid() == self.pid();
            (!leads).then(|| current.session_ref().transfer_to_own(self, current))
        })
    }

    /// Moves it to another process group of its session (setpgid(2)); `true` also if it is in that group already.
    ///
    /// `false`, and nothing changes, if the group is of another session, if the process was freed, or if the group
    /// is an old object that lost its last process and was created anew since.
    ///
    /// ```
    /// # use session_hierarchy::Process;
    /// let shell = Process::new_root(1).build();
    /// let job = shell.fork(2).build().create_group().unwrap();
    /// assert!(shell.fork(3).build().move_to_group(&job));
    ///
    /// let daemon = shell.fork(4).build();
    /// daemon.create_session().unwrap();
    /// assert!(!daemon.move_to_group(&job));
    /// ```
    pub fn move_to_group(self: &Arc<Self>, group: &Arc<ProcessGroup>) -> bool {
        let moved = self.regroup(|current| {
            let session = current.session_ref();
            let may = Arc::ptr_eq(current, group)
                || (Arc::ptr_eq(session, group.session_ref())
                    && session.transfer(self, current, group));
            may.then(|| group.clone())
        });
        moved.is_some()
    }

    /// Changes its group to the one that `choose` has put it into, and returns that one.
    fn regroup(
        &self,
        choose: impl FnOnce(&Arc<ProcessGroup>) -> Option<Arc<ProcessGroup>>,
    ) -> Option<Arc<ProcessGroup>> {
        let mut links = self.links.lock();
        let group = choose(links.group()?)?;
        let old = core::mem::replace(&mut links.membership, Membership::In(group.clone()));
        drop(links);
        drop(old); // maybe the last reference to a session, whose terminal is the caller's
        Some(group)
    }
}

/// Threads
impl Process {
    /// Begins a thread of it.
    pub fn new_thread(self: &Arc<Self>, tid: Pid) -> ThreadBuilder {
        ThreadBuilder::new(tid, self)
    }

    /// Its threads, by number: those that somebody holds and that have not exited.
    pub fn threads(&self) -> Vec<Arc<Thread>> {
        self.threads.lock().living()
    }

    /// Whether [`group_exit`](Self::group_exit) was called.
    pub fn is_group_exited(&self) -> bool {
        self.threads.lock().has_exited
    }

    /// Says that all of its threads are to end (exit_group(2)): those that exit afterwards no longer change the
    /// exit code.
    pub fn group_exit(&self) {
        self.threads.lock().has_exited = true;
    }

    /// The code of the last thread that exited before [`group_exit`](Self::group_exit); 0 before any did.
    pub fn exit_code(&self) -> i32 {
        self.threads.lock().exit_code
    }
}

/// The end
impl Process {
    /// Whether it has exited.
    pub fn is_zombie(&self) -> bool {
        self.is_zombie.load(Ordering::Acquire)
    }

    fn is_freed(&self) -> bool {
        self.links.lock().group().is_none()
    }

    /// Ends it: it becomes a zombie, and its children become those of its nearest living child subreaper, else of
    /// init. It stays in its group and among its parent's children until it is freed. Again is nothing. Takes as
    /// long as it has children, under the locks of both parents, and as the way up to the reaper.
    ///
    /// # Panics
    /// If it is init or a root: `init process cannot exit`. No lock is held then, and nothing has changed.
    pub fn exit(self: &Arc<Self>) {
        assert!(!self.is_root, "init process cannot exit");
        while !self.exit_childless() {
            let Some(reaper) = self.reaper() else {
                return self.exit_alone();
            };
            if self.exit_below(&reaper) {
                return;
            }
        }
    }

    /// Ends it if it has no children.
    fn exit_childless(&self) -> bool {
        let links = self.links.lock();
        let is_childless = links.children.is_empty();
        if is_childless {
            self.is_zombie.store(true, Ordering::Release);
        }
        is_childless
    }

    /// Ends it and gives its children to `reaper`. `false` if that one has exited meanwhile: there is another one
    /// above it.
    fn exit_below(&self, reaper: &Arc<Self>) -> bool {
        // The reaper is the older one, or init: its lock comes first.
        let mut heir = reaper.links.lock();
        let mut links = self.links.lock();
        if reaper.is_zombie() {
            return false;
        }
        // Both locked, so that each child is at every moment among the children of one.
        for (key, child) in core::mem::take(&mut links.children) {
            child.links.lock().parent = Arc::downgrade(reaper);
            heir.children.insert(key, child);
        }
        self.is_zombie.store(true, Ordering::Release);
        true
    }

    /// Ends it when there is nobody above: its children go, but for those that somebody holds, which have no parent
    /// then.
    fn exit_alone(&self) {
        let mut links = self.links.lock();
        self.is_zombie.store(true, Ordering::Release);
        let children = core::mem::take(&mut links.children);
        for child in children.values() {
            child.links.lock().parent = Weak::new();
        }
        drop(links);
        drop(children);
    }

    /// Reaps a zombie (waitpid(2)): it is no longer among its parent's children and in no group, even if somebody
    /// goes on holding it. Again is nothing.
    ///
    /// # Panics
    /// If it has not exited: `only zombie process can be freed`. No lock is held then, and nothing has changed.
    pub fn free(&self) {
        assert!(self.is_zombie(), "only zombie process can be freed");
        loop {
            let parent = self.parent();
            let mut above = parent.as_ref().map(|parent| parent.links.lock());
            let mut links = self.links.lock();
            let is_stale = parent
                .as_ref()
                .is_some_and(|parent| !links.is_below(parent));
            if is_stale {
                continue; // the parent has exited meanwhile, and this one has another
            }
            let kept = above
                .as_mut()
                .and_then(|above| above.children.remove(&self.key()));
            let left = links.leave_group(self.key());
            drop(links);
            drop(above);
            drop((kept, left));
            return;
        }
    }
}

/// Birth; the rest of it is in `builder`.
impl Process {
    /// One that is nowhere yet.
    pub(crate) fn new(pid: Pid, data: Data, is_root: bool) -> Arc<Self> {
        Arc::new_cyclic(|place| Self {
            key: Key::of(pid, place),
            is_root,
            data,
            is_zombie: AtomicBool::new(false),
            links: Lock::new(Links {
                parent: Weak::new(),
                membership: Membership::Left { pgid: 0, sid: 0 },
                children: BTreeMap::new(),
                is_subreaper: false,
            }),
            threads: Lock::new(ThreadGroup::default()),
        })
    }

    /// Says where one belongs that has no parent.
    pub(crate) fn settle_alone(self: &Arc<Self>) {
        let group = Session::found(self);
        let old = self.links.lock().settle(Weak::new(), group);
        drop(old);
    }
}

impl Links {
    fn group(&self) -> Option<&Arc<ProcessGroup>> {
        match &self.membership {
            Membership::In(group) => Some(group),
            Membership::Left { .. } => None,
        }
    }

    /// Says where one belongs that nobody lists yet; what it said before is to be dropped when no lock is held.
    fn settle(&mut self, parent: Weak<Process>, group: Arc<ProcessGroup>) -> Membership {
        self.parent = parent;
        core::mem::replace(&mut self.membership, Membership::In(group))
    }

    fn is_below(&self, parent: &Arc<Process>) -> bool {
        core::ptr::eq(self.parent.as_ptr(), Arc::as_ptr(parent))
    }

    /// Leaves the group, which is returned to be dropped when no lock is held: with it may go its session, whose
    /// terminal is the caller's.
    fn leave_group(&mut self, key: Key) -> Option<Membership> {
        let group = self.group()?;
        group.leave(key);
        let (pgid, sid) = (group.pgid(), group.session_ref().sid());
        Some(core::mem::replace(
            &mut self.membership,
            Membership::Left { pgid, sid },
        ))
    }
}

impl Drop for Process {
    /// Leaves the group at once, and lets go of the children one by one: a line of a million generations would
    /// otherwise need a stack as deep.
    fn drop(&mut self) {
        let key = self.key();
        let links = self.links.get_mut();
        links.leave_group(key);
        let mut gone: Vec<Arc<Self>> = core::mem::take(&mut links.children).into_values().collect();
        while let Some(child) = gone.pop() {
            if let Some(mut child) = Arc::into_inner(child) {
                gone.extend(core::mem::take(&mut child.links.get_mut().children).into_values());
            }
        }
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Process");
        shown.field("pid", &self.pid());
        if self.is_group_exited() {
            shown.field("group_exited", &true);
        }
        if self.is_zombie() {
            shown.field("exit_code", &self.exit_code());
        }
        if let Some(parent) = self.parent() {
            shown.field("parent", &parent.pid());
        }
        if let Some(group) = self.try_group() {
            shown.field("group", &group);
        }
        shown.finish()
    }
}
