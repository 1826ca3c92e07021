//! What was asked for, sentence by sentence: each test quotes one, and fails where it is not true.

#![cfg(not(loom))]

mod cleanup;
mod creation;
mod memory_management;
mod purpose;
mod session_management;

use std::sync::{Arc, Weak};

use session_hierarchy::{Process, ProcessGroup, Session};

fn root() -> Arc<Process> {
    Process::new_root(1).build()
}

fn reap(process: &Arc<Process>) {
    process.exit();
    process.free();
}

fn is_in(process: &Arc<Process>, group: &ProcessGroup) -> bool {
    let processes = group.processes();
    processes.iter().any(|member| Arc::ptr_eq(member, process))
}

fn lists(session: &Session, group: &Arc<ProcessGroup>) -> bool {
    let groups = session.process_groups();
    groups.iter().any(|listed| Arc::ptr_eq(listed, group))
}

fn is_gone<T>(seen: &Weak<T>) -> bool {
    seen.upgrade().is_none()
}

/// The process founds a session that only the hierarchy holds.
fn found(process: &Arc<Process>) -> (Weak<Session>, Weak<ProcessGroup>) {
    let Some((session, group)) = process.create_session() else {
        panic!("{process:?} cannot found a session");
    };
    (Arc::downgrade(&session), Arc::downgrade(&group))
}
