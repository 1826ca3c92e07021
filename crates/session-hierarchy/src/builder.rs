//! How processes come to be: roots, and children of others.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::any::Any;

use crate::process::Data;
use crate::{Pid, Process, ProcessGroup, init};

/// Makes a [`Process`].
#[must_use = "nothing is made before `build`"]
pub struct ProcessBuilder {
    pid: Pid,
    origin: Origin,
    data: Data,
}

/// Where a new process comes from.
enum Origin {
    Init,
    Root,
    Fork(Arc<Process>),
}

impl Process {
    /// Begins the init process: the leader of the first session and of its first group, found by
    /// [`init_proc`](crate::init_proc).
    pub fn new_init(pid: Pid) -> ProcessBuilder {
        ProcessBuilder::new(pid, Origin::Init)
    }

    /// Begins the root of another hierarchy: like init, but there can be many, and `init_proc` is none of them. (Init
    /// takes the orphans of one whose root nobody holds any more.)
    ///
    /// Whoever holds it holds the hierarchy.
    pub fn new_root(pid: Pid) -> ProcessBuilder {
        ProcessBuilder::new(pid, Origin::Root)
    }

    /// Begins a child, in the group that this process is in when it is [built](ProcessBuilder::build).
    ///
    /// No other living process should have that number; the lists show both then. The child of a process that has
    /// exited is an orphan from the start: it goes where the others went.
    pub fn fork(self: &Arc<Self>, pid: Pid) -> ProcessBuilder {
        ProcessBuilder::new(pid, Origin::Fork(self.clone()))
    }

    /// Makes a child with a number of its own: they count up from 2²² + 1, beyond every number that Linux gives to
    /// processes (`PID_MAX_LIMIT`, proc_sys_kernel(5)).
    ///
    /// # Panics
    /// When all numbers have been given.
    pub fn new_child(self: &Arc<Self>) -> Arc<Self> {
        self.fork(init::next_pid()).build()
    }
}

impl ProcessBuilder {
    fn new(pid: Pid, origin: Origin) -> Self {
        Self {
            pid,
            origin,
            data: Box::new(()),
        }
    }

    /// Gives the process something of the caller's to carry; the last call counts.
    pub fn data<T: Any + Send + Sync>(mut self, data: T) -> Self {
        self.data = Box::new(data);
        self
    }

    /// Makes the process.
    ///
    /// # Panics
    /// When it makes init a second time.
    pub fn build(self) -> Arc<Process> {
        let Self { pid, origin, data } = self;
        match origin {
            Origin::Init => init::register(|| root(pid, data)),
            Origin::Root => root(pid, data),
            Origin::Fork(parent) => born(pid, data, &parent, None),
        }
    }
}

/// A process above all others, with a session and a group of its own.
fn root(pid: Pid, data: Data) -> Arc<Process> {
    let process = Process::new(pid, data, true);
    process.settle_alone();
    process
}

/// A child of `forker`, in `placed` or else in the group of `forker`. If `forker` has exited, it is a child of its
/// reaper; if nobody is left above, of none, and in a session of its own.
pub(crate) fn born(
    pid: Pid,
    data: Data,
    forker: &Arc<Process>,
    placed: Option<&Arc<ProcessGroup>>,
) -> Arc<Process> {
    let child = Process::new(pid, data, false);
    if forker.take_in(&child, placed.cloned()) {
        return child;
    }
    while let Some(reaper) = forker.reaper() {
        let group = placed.cloned().or_else(|| forker.try_group());
        if reaper.take_in(&child, group) {
            return child;
        }
    }
    child.settle_alone();
    child
}
