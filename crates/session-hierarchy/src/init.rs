//! The one init process of a program, and the numbers it has given.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::{Pid, Process};

static INIT: spin::Once<Arc<Process>> = spin::Once::new();

/// The next number for a child that gets none from the caller.
static NEXT: AtomicU32 = AtomicU32::new((1 << 22) + 1);

/// The init process.
///
/// # Panics
/// If none was [built](crate::ProcessBuilder::build) yet.
pub fn init_proc() -> Arc<Process> {
    let Some(init) = registered() else {
        panic!("there is no init process yet");
    };
    init
}

pub(crate) fn registered() -> Option<Arc<Process>> {
    INIT.get().cloned()
}

/// Makes init, and panics if it is there already.
pub(crate) fn register(make: impl FnOnce() -> Arc<Process>) -> Arc<Process> {
    let mut is_new = false;
    let init = INIT.call_once(|| {
        is_new = true;
        make()
    });
    assert!(is_new, "there is an init process already");
    init.clone()
}

/// A number for a new child.
pub(crate) fn next_pid() -> Pid {
    let next = |pid: Pid| pid.checked_add(1);
    let Ok(pid) = NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) else {
        panic!("no process number is left");
    };
    pid
}
