//! A life in the hierarchy, told without std: if a dependency of session-hierarchy brought it in, there would be two
//! panic handlers, and no program.
//!
//! Linked against the C library alone, for its start code and malloc(3): a target without an operating system
//! cannot be had everywhere. It exits with 0, or with the number of the first thing that is wrong.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::sync::Arc;
use core::ffi::c_int;
use core::panic::PanicInfo;

use libc_alloc as _;
use session_hierarchy::{Process, init_proc};

#[link(name = "c")]
unsafe extern "C" {
    safe fn abort() -> !;
}

// What unwinds the frames of a static glibc.
#[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
#[link(name = "gcc_eh")]
unsafe extern "C" {}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    abort()
}

// SAFETY: no other function here has the name that the C library's start code calls.
#[unsafe(no_mangle)]
extern "C" fn main() -> c_int {
    match story() {
        Ok(()) => 0,
        Err(step) => step,
    }
}

/// From init to a session that is gone; the number of the step that went wrong.
fn story() -> Result<(), c_int> {
    Process::new_init(1).build();
    let init = init_proc();
    ensure(1, init.is_init() && init.group().session().sid() == 1)?;

    let shell = init.fork(2).data("shell").build();
    ensure(2, shell.data() == Some(&"shell"))?;
    let (session, group) = shell.create_session().ok_or(3)?;
    ensure(4, (session.sid(), group.pgid()) == (2, 2))?;

    let job = shell.fork(3).build();
    let jobs = job.create_group().ok_or(5)?;
    ensure(6, session.process_groups().len() == 2)?;
    ensure(7, job.move_to_group(&group) && job.move_to_group(&jobs))?;

    let first = job.new_thread(3).build();
    let second = job.new_thread(4).build();
    ensure(8, job.threads().len() == 2)?;
    ensure(9, !first.exit(1) && second.exit(5) && job.exit_code() == 5)?;

    shell.exit();
    shell.free();
    ensure(10, job.parent().is_some_and(|parent| parent.is_init()))?;
    ensure(11, group.processes().is_empty())?;
    job.exit();
    ensure(12, job.is_zombie() && jobs.processes().len() == 1)?;
    job.free();
    ensure(13, job.try_group().is_none() && init.children().is_empty())?;

    let session_seen = Arc::downgrade(&session);
    drop((session, group, jobs));
    ensure(14, session_seen.upgrade().is_none())
}

fn ensure(step: c_int, holds: bool) -> Result<(), c_int> {
    if holds { Ok(()) } else { Err(step) }
}
