//! The rules beyond what was asked for: who may regroup, who inherits orphans, what counts once, what lives how long.

#![cfg(not(loom))]

mod hierarchies;
mod numbers;
mod orphans;
mod regrouping;
mod terminal;
mod threads;

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::thread;

use session_hierarchy::{Pid, Process, ProcessGroup, Session, Thread};

fn root() -> Arc<Process> {
    Process::new_root(1).build()
}

fn reap(process: &Arc<Process>) {
    process.exit();
    process.free();
}

fn pids(processes: &[Arc<Process>]) -> Vec<Pid> {
    processes.iter().map(|process| process.pid()).collect()
}

fn pgids(session: &Session) -> Vec<Pid> {
    let groups = session.process_groups();
    groups.iter().map(|group| group.pgid()).collect()
}

fn parent_of(process: &Process) -> Option<Pid> {
    process.parent().map(|parent| parent.pid())
}

/// A child of `parent` that leads a group of its own, and that group.
fn leader(parent: &Arc<Process>, pid: Pid) -> (Arc<Process>, Arc<ProcessGroup>) {
    let leader = parent.fork(pid).build();
    let Some(group) = leader.create_group() else {
        panic!("{leader:?} cannot lead a group");
    };
    (leader, group)
}
