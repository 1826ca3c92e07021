//! The hierarchy and the model of it side by side: the same is done to both, and whatever can be seen is compared.

use std::fmt::Debug;
use std::sync::{Arc, Weak};

use session_hierarchy::{Process, ProcessGroup, Session, Thread};

use crate::naive::{Id, Naive, Number};
use crate::{Step, What};

/// Objects of one kind in the order in which they were made; `Weak` keeps their addresses apart for ever.
struct Remembered<T> {
    seen: Vec<Weak<T>>,
    held: Vec<Option<Arc<T>>>,
}

impl<T> Remembered<T> {
    fn new() -> Self {
        Self {
            seen: Vec::new(),
            held: Vec::new(),
        }
    }

    /// The place of an object; it is remembered from now on.
    fn id(&mut self, object: &Arc<T>) -> Id {
        self.known(object).unwrap_or_else(|| {
            self.seen.push(Arc::downgrade(object));
            self.held.push(None);
            self.seen.len() - 1
        })
    }

    fn known(&self, object: &Arc<T>) -> Option<Id> {
        let mut seen = self.seen.iter();
        seen.position(|seen| std::ptr::eq(seen.as_ptr(), Arc::as_ptr(object)))
    }

    /// The places of those listed, in the order of the places.
    fn ids(&self, listed: &[Arc<T>]) -> Vec<Option<Id>> {
        let mut ids: Vec<_> = listed.iter().map(|object| self.known(object)).collect();
        ids.sort_unstable();
        ids
    }

    fn get(&self, id: Id) -> Arc<T> {
        let Some(object) = self.seen[id].upgrade() else {
            panic!("number {id} should live");
        };
        object
    }

    fn set_held(&mut self, id: Id, is_held: bool) {
        self.held[id] = is_held.then(|| self.get(id));
    }

    fn living(&self) -> Vec<Id> {
        let lives = |id: &Id| self.seen[*id].strong_count() > 0;
        (0..self.seen.len()).filter(lives).collect()
    }

    fn pick(&self, which: Id) -> Option<Id> {
        let living = self.living();
        living.get(which.checked_rem(living.len())?).copied()
    }
}

/// The hierarchy and the model of it, to which the same things happen.
pub(crate) struct World {
    naive: Naive,
    processes: Remembered<Process>,
    groups: Remembered<ProcessGroup>,
    sessions: Remembered<Session>,
    threads: Remembered<Thread>,
}

const ROOT: Id = 0;

impl World {
    pub(crate) fn new() -> Self {
        let mut world = Self {
            naive: Naive::default(),
            processes: Remembered::new(),
            groups: Remembered::new(),
            sessions: Remembered::new(),
            threads: Remembered::new(),
        };
        let root = world.naive.root(1);
        world.meet(root, &Process::new_root(1).build());
        world
    }

    /// Remembers a new process and whatever came with it.
    fn meet(&mut self, id: Id, process: &Arc<Process>) {
        same("place of a new process", self.processes.id(process), id);
        self.processes.set_held(id, true);
        let group = process.group();
        self.sessions.id(&group.session());
        self.groups.id(&group);
    }

    pub(crate) fn take(&mut self, step: Step) {
        match step {
            Step::Fork { parent, number } => self.on(parent, |it, id| it.fork(id, number)),
            Step::Exit { process } => self.on(process, Self::exit),
            Step::Free { process } => self.on(process, Self::free),
            Step::CreateSession { process } => self.on(process, Self::create_session),
            Step::CreateGroup { process } => self.on(process, Self::create_group),
            Step::Move { process, group } => {
                if let Some(group) = self.groups.pick(group) {
                    self.on(process, |it, id| it.move_to(id, group));
                }
            }
            Step::Follow { process, other } => {
                let other = self.processes.pick(other);
                if let Some(group) = other.and_then(|other| self.naive.group(other)) {
                    self.on(process, |it, id| it.move_to(id, group));
                }
            }
            Step::SetSubreaper { process, enabled } => self.on(process, |it, id| {
                it.naive.processes[id].is_subreaper = enabled;
                it.processes.get(id).set_child_subreaper(enabled);
            }),
            Step::NewThread { process, number } => {
                self.on(process, |it, id| it.new_thread(id, number));
            }
            Step::ExitThread { thread, code } => {
                if let Some(id) = self.threads.pick(thread) {
                    let was_last = self.threads.get(id).exit(code);
                    same("last thread", was_last, self.naive.exit_thread(id, code));
                }
            }
            Step::GroupExit { process } => self.on(process, |it, id| {
                it.naive.processes[id].has_group_exited = true;
                it.processes.get(id).group_exit();
            }),
            Step::Hold { what, which } => self.set_held(what, which, true),
            Step::LetGo { what, which } => self.set_held(what, which, false),
            Step::LetGoOfRoot => {
                self.naive.processes[ROOT].is_held = false;
                self.processes.held[ROOT] = None;
            }
        }
    }

    fn on(&mut self, which: Id, act: impl FnOnce(&mut Self, Id)) {
        if let Some(id) = self.processes.pick(which) {
            act(self, id);
        }
    }

    fn fork(&mut self, parent: Id, number: Number) {
        let child = self.processes.get(parent).fork(number).build();
        let id = self.naive.fork(parent, number);
        self.meet(id, &child);
    }

    fn exit(&mut self, id: Id) {
        if !self.naive.processes[id].is_root {
            self.processes.get(id).exit();
            self.naive.exit(id);
        }
    }

    fn free(&mut self, id: Id) {
        if self.naive.processes[id].is_zombie {
            self.processes.get(id).free();
            self.naive.free(id);
        }
    }

    fn create_session(&mut self, id: Id) {
        let created = self.processes.get(id).create_session();
        let created = created.map(|(session, group)| {
            assert!(self.sessions.known(&session).is_none(), "a new session");
            assert!(self.groups.known(&group).is_none(), "with a new group");
            (self.sessions.id(&session), self.groups.id(&group))
        });
        same("created session", created, self.naive.create_session(id));
    }

    fn create_group(&mut self, id: Id) {
        let created = self.processes.get(id).create_group();
        let created = created.map(|group| self.groups.id(&group));
        same("created group", created, self.naive.create_group(id));
    }

    fn move_to(&mut self, id: Id, group: Id) {
        let moved = self
            .processes
            .get(id)
            .move_to_group(&self.groups.get(group));
        same("moved", moved, self.naive.move_to(id, group));
    }

    fn new_thread(&mut self, process: Id, number: Number) {
        let thread = self.processes.get(process).new_thread(number).build();
        let id = self.naive.new_thread(process, number);
        same("place of a new thread", self.threads.id(&thread), id);
        self.threads.set_held(id, true);
    }

    /// The root is let go of by [`Step::LetGoOfRoot`] alone, for little happens afterwards.
    fn set_held(&mut self, what: What, which: Id, is_held: bool) {
        match what {
            What::Process => {
                if let Some(id) = self.processes.pick(which).filter(|id| *id != ROOT) {
                    self.processes.set_held(id, is_held);
                    self.naive.processes[id].is_held = is_held;
                }
            }
            What::Group => {
                if let Some(id) = self.groups.pick(which) {
                    self.groups.set_held(id, is_held);
                    self.naive.groups[id].is_held = is_held;
                }
            }
            What::Session => {
                if let Some(id) = self.sessions.pick(which) {
                    self.sessions.set_held(id, is_held);
                    self.naive.sessions[id].is_held = is_held;
                }
            }
            What::Thread => {
                if let Some(id) = self.threads.pick(which) {
                    self.threads.set_held(id, is_held);
                    self.naive.threads[id].is_held = is_held;
                }
            }
        }
    }
}

/// The comparison
impl World {
    pub(crate) fn compare(&self) {
        let naive = &self.naive;
        let all = |count: Id, lives: &dyn Fn(Id) -> bool| -> Vec<Id> {
            (0..count).filter(|id| lives(*id)).collect()
        };
        let living = all(naive.processes.len(), &|id| naive.lives(id));
        same("living processes", &self.processes.living(), &living);
        living.iter().for_each(|id| self.compare_process(*id));

        let living = all(naive.groups.len(), &|id| naive.group_lives(id));
        same("living groups", &self.groups.living(), &living);
        living.iter().for_each(|id| self.compare_group(*id));

        let living = all(naive.sessions.len(), &|id| naive.session_lives(id));
        same("living sessions", &self.sessions.living(), &living);
        living.iter().for_each(|id| self.compare_session(*id));

        let living = all(naive.threads.len(), &|id| naive.threads[id].is_held);
        same("living threads", &self.threads.living(), &living);
        living.iter().for_each(|id| self.compare_thread(*id));
    }

    fn compare_process(&self, id: Id) {
        let (process, naive) = (self.processes.get(id), &self.naive.processes[id]);
        same("pid", process.pid(), naive.number);
        let parent = process.parent().map(|parent| self.processes.known(&parent));
        same("parent", parent, self.naive.parent(id).map(Some));
        let children = process.children();
        same(
            "children",
            self.processes.ids(&children),
            some(self.naive.children(id)),
        );
        assert!(children.is_sorted_by_key(|child| child.pid()));

        let group = process.try_group().map(|group| self.groups.known(&group));
        same("group", group, self.naive.group(id).map(Some));
        let group = process.group();
        let numbers = (group.pgid(), group.session().sid());
        same("numbers", numbers, self.naive.numbers(id));
        if self.naive.group(id).is_none() {
            assert!(group.processes().is_empty() && group.session().process_groups().is_empty());
        }

        let flags = (
            process.is_zombie(),
            process.is_child_subreaper(),
            process.is_init(),
        );
        same(
            "flags",
            flags,
            (naive.is_zombie, naive.is_subreaper, naive.is_root),
        );
        let end = (process.is_group_exited(), process.exit_code());
        same("end", end, (naive.has_group_exited, naive.exit_code));
        let threads = process.threads();
        same(
            "threads",
            self.threads.ids(&threads),
            some(self.naive.running(id)),
        );
        assert!(threads.is_sorted_by_key(|thread| thread.tid()));
    }

    fn compare_group(&self, id: Id) {
        let group = self.groups.get(id);
        same("pgid", group.pgid(), self.naive.groups[id].number);
        let session = self.sessions.known(&group.session());
        same("session", session, Some(self.naive.groups[id].session));
        let members = group.processes();
        same(
            "members",
            self.processes.ids(&members),
            some(self.naive.members(id)),
        );
        assert!(members.is_sorted_by_key(|member| member.pid()));
    }

    fn compare_session(&self, id: Id) {
        let session = self.sessions.get(id);
        same("sid", session.sid(), self.naive.sessions[id].number);
        let listed = session.process_groups();
        same(
            "listed",
            self.groups.ids(&listed),
            some(self.naive.listed(id)),
        );
        assert!(listed.is_sorted_by(|one, other| one.pgid() < other.pgid()));
    }

    fn compare_thread(&self, id: Id) {
        let (thread, naive) = (self.threads.get(id), &self.naive.threads[id]);
        same("tid", thread.tid(), naive.number);
        let process = self.processes.known(thread.process());
        same("process", process, Some(naive.process));
    }

    /// What holds whatever the model says: who is not freed is in one group, and a group that has members is listed
    /// by one session.
    pub(crate) fn check_memberships(&self) {
        let groups: Vec<_> = self
            .groups
            .living()
            .into_iter()
            .map(|id| self.groups.get(id))
            .collect();
        let members: Vec<_> = groups.iter().flat_map(|group| group.processes()).collect();
        for process in self
            .processes
            .living()
            .into_iter()
            .map(|id| self.processes.get(id))
        {
            let memberships = members
                .iter()
                .filter(|member| Arc::ptr_eq(member, &process));
            same(
                "memberships",
                memberships.count(),
                usize::from(process.try_group().is_some()),
            );
        }
        let sessions = self
            .sessions
            .living()
            .into_iter()
            .map(|id| self.sessions.get(id));
        let listed: Vec<_> = sessions
            .flat_map(|session| session.process_groups())
            .collect();
        for group in groups {
            let listings = listed.iter().filter(|listed| Arc::ptr_eq(listed, &group));
            same(
                "listings",
                listings.count(),
                usize::from(!group.processes().is_empty()),
            );
        }
    }
}

/// The end
impl World {
    /// Lets everything go, step by step, and looks for what is left.
    pub(crate) fn end(mut self) {
        if self.naive.processes[ROOT].is_held {
            self.end_all();
            self.let_go();
            self.expect_root_alone();
            self.processes.held.clear();
        } else {
            self.let_go();
        }
        self.expect_nothing();
    }

    /// Whatever is below the root exits and is freed, in the order in which the root sees it.
    fn end_all(&mut self) {
        while let Some(child) = self.naive.children(ROOT).first().copied() {
            self.exit(child);
            self.free(child);
            self.compare();
        }
    }

    /// Nobody holds anything any more but the root.
    fn let_go(&mut self) {
        self.processes
            .held
            .iter_mut()
            .skip(1)
            .for_each(|held| *held = None);
        self.groups.held.clear();
        self.sessions.held.clear();
        self.threads.held.clear();
    }

    fn expect_root_alone(&self) {
        let root = self.processes.get(ROOT);
        let group = root.group();
        same("processes left", self.processes.living(), vec![ROOT]);
        same(
            "groups left",
            some(self.groups.living()),
            vec![self.groups.known(&group)],
        );
        let session = self.sessions.known(&group.session());
        same("sessions left", some(self.sessions.living()), vec![session]);
        same(
            "members left",
            self.processes.ids(&group.processes()),
            vec![Some(ROOT)],
        );
        assert!(root.children().is_empty());
        assert!(self.threads.living().is_empty());
    }

    fn expect_nothing(&self) {
        assert!(self.processes.living().is_empty());
        assert!(self.groups.living().is_empty());
        assert!(self.sessions.living().is_empty());
        assert!(self.threads.living().is_empty());
    }
}

fn same<T: Debug + PartialEq>(what: &str, found: T, expected: T) {
    assert!(
        found == expected,
        "{what}: {found:?}, expected {expected:?}"
    );
}

fn some(ids: Vec<Id>) -> Vec<Option<Id>> {
    ids.into_iter().map(Some).collect()
}
