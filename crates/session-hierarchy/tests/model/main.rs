//! Every interleaving of threads that change one hierarchy: loom tries them all, and reports deadlocks too.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p session-hierarchy --release --test model`, best with a `--target-dir` of its
//! own. What loom knows are the locks and the zombie flag; the counts of an `Arc` are the standard library's.

#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a failed assumption is a failed test")]

mod callers;
mod orphans;
mod reaping;
mod regrouping;
mod threads;

use std::sync::{Arc, OnceLock, Weak};

use loom::model;
use loom::model::Builder;
use loom::thread;
use session_hierarchy::{Pid, Process, ProcessGroup, Session};

fn root() -> Arc<Process> {
    Process::new_root(1).build()
}

fn reap(process: &Arc<Process>) {
    process.exit();
    process.free();
}

/// What both threads return, when both are done.
fn both<A: 'static, B>(one: impl FnOnce() -> A + 'static, other: impl FnOnce() -> B) -> (A, B) {
    let one = thread::spawn(one);
    let other = other();
    (one.join().unwrap(), other)
}

/// What all three threads return, when all are done.
fn all<A: 'static, B: 'static, C>(
    one: impl FnOnce() -> A + 'static,
    other: impl FnOnce() -> B + 'static,
    third: impl FnOnce() -> C,
) -> (A, B, C) {
    let one = thread::spawn(one);
    let (other, third) = both(other, third);
    (one.join().unwrap(), other, third)
}

/// For models too long for all interleavings: those in which a thread is interrupted at most so often while it could
/// go on. Nearly all defects need one or two such interruptions.
fn with_interruptions(most: usize, act: impl Fn() + Sync + Send + 'static) {
    let mut bounded = Builder::new();
    bounded.preemption_bound = Some(most);
    bounded.check(act);
}

fn pids(processes: &[Arc<Process>]) -> Vec<Pid> {
    processes.iter().map(|process| process.pid()).collect()
}

/// Each group of a session: its number, and those of its processes.
fn groups(session: &Session) -> Vec<(Pid, Vec<Pid>)> {
    let groups = session.process_groups();
    let shown = |group: &Arc<ProcessGroup>| (group.pgid(), pids(&group.processes()));
    groups.iter().map(shown).collect()
}

fn parent_of(process: &Process) -> Option<Pid> {
    process.parent().map(|parent| parent.pid())
}
