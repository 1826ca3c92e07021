//! The child's side, between clone and exec. **System calls only**: no allocation, no lock, no panic, for the
//! parent may have been in the middle of any of these.

use std::ffi::{CStr, c_char};
use std::os::fd::{BorrowedFd, RawFd};

use rustix::fs::Mode;
use rustix::io::Errno;

use super::{Limit, Stage, last_errno};
use crate::signal::LAST;

/// A report: the stage, and the errno in native byte order.
pub(super) const REPORT_LEN: usize = 5;

/// The status of a child that ran no program, as shells have it.
const NOT_RUN: i32 = 127;

/// close_range(2): mark instead of close. Since 5.11.
const CLOSE_RANGE_CLOEXEC: u32 = 4;

/// All that the child needs, made before it exists.
pub(super) struct Prepared<'a> {
    pub(super) executable: &'a CStr,
    pub(super) argv: &'a [*const c_char],
    pub(super) shell: &'a CStr,
    pub(super) shell_argv: &'a [*const c_char],
    pub(super) env: &'a [*const c_char],
    pub(super) directory: &'a CStr,
    pub(super) stdio: [RawFd; 3],
    pub(super) terminal: bool,
    pub(super) umask: u32,
    pub(super) limits: &'a [Limit],
    pub(super) gate: RawFd,
    pub(super) report: RawFd,
}

/// Waits at the gate, then becomes the program. Never returns.
pub(super) fn run(prepared: &Prepared<'_>) -> ! {
    let mut report = prepared.report;
    if let Err((stage, errno)) = become_program(prepared, &mut report) {
        let [a, b, c, d] = errno.to_ne_bytes();
        let message = [stage as u8, a, b, c, d];
        // With nobody left to listen, the exit status is still to be what it is documented to be.
        let _ = crate::signal::set_mask(u64::MAX);
        // SAFETY: a live buffer of that length.
        unsafe { libc::write(report, message.as_ptr().cast(), message.len()) };
    }
    exit()
}

/// The steps; returns only if one failed, with the errno.
fn become_program(prepared: &Prepared<'_>, report: &mut RawFd) -> Result<(), (Stage, i32)> {
    // Out of the way of what is about to become 0, 1 and 2.
    let mut stdio = prepared.stdio;
    *report = above_streams(*report).map_err(|errno| (Stage::Stdio, errno))?;
    let gate = above_streams(prepared.gate).map_err(|errno| (Stage::Stdio, errno))?;
    for fd in &mut stdio {
        *fd = above_streams(*fd).map_err(|errno| (Stage::Stdio, errno))?;
    }
    // Before the wait: a copy of the parent's end of this gate would keep us from ever seeing the
    // parent's death, and copies of other gates, locks or sockets would outlive their owner with us.
    close_others([gate, *report, stdio[0], stdio[1], stdio[2]]);

    if !wait_at_gate(gate) {
        return Err((Stage::Gate, libc::ECANCELED));
    }

    rustix::process::setsid().map_err(|error| (Stage::Session, error.raw_os_error()))?;
    if prepared.terminal {
        // SAFETY: stdio[0] is the slave, open since before the clone.
        let slave = unsafe { BorrowedFd::borrow_raw(stdio[0]) };
        rustix::process::ioctl_tiocsctty(slave)
            .map_err(|error| (Stage::Terminal, error.raw_os_error()))?;
    }
    for (from, to) in stdio.into_iter().zip(0..) {
        // SAFETY: plain numbers; 0 to 2 hold nothing this child still needs.
        if unsafe { libc::syscall(libc::SYS_dup3, from, to, 0) } == -1 {
            return Err((Stage::Stdio, last_errno()));
        }
    }
    rustix::process::umask(Mode::from_raw_mode(prepared.umask));
    for limit in prepared.limits {
        set_limit(limit).map_err(|errno| (Stage::Limits, errno))?;
    }
    rustix::process::chdir(prepared.directory)
        .map_err(|error| (Stage::Directory, error.raw_os_error()))?;

    mark_others();
    reset_signals();
    let errno = exec(prepared.executable, prepared.argv, prepared.env);
    let errno = if errno == libc::ENOEXEC && !prepared.shell.is_empty() {
        exec(prepared.shell, prepared.shell_argv, prepared.env)
    } else {
        errno
    };
    Err((Stage::Exec, errno))
}

/// The descriptor, or a copy of it that is none of 0, 1 and 2.
fn above_streams(fd: RawFd) -> Result<RawFd, i32> {
    if fd > 2 {
        return Ok(fd);
    }
    // SAFETY: plain numbers.
    match unsafe { libc::syscall(libc::SYS_fcntl, fd, libc::F_DUPFD_CLOEXEC, 3) } {
        -1 => Err(last_errno()),
        copy => Ok(copy as RawFd), // descriptors fit an int
    }
}

/// True if the parent opened the gate, false if it is gone or gave up.
fn wait_at_gate(gate: RawFd) -> bool {
    // SAFETY: open since before the clone.
    let gate = unsafe { BorrowedFd::borrow_raw(gate) };
    let mut byte = [0u8; 1];
    loop {
        match rustix::io::read(gate, &mut byte[..]) {
            Ok(count) => return count == 1,
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

/// Closes everything above 2 but these, as far as the kernel can do it in one go (close_range, 5.9); exec
/// closes the rest.
fn close_others(mut keep: [RawFd; 5]) {
    // An insertion sort of five numbers: the library's may allocate.
    for end in 1..keep.len() {
        let mut at = end;
        while at > 0 && keep[at - 1] > keep[at] {
            keep.swap(at - 1, at);
            at -= 1;
        }
    }
    let mut first = 3u32;
    for fd in keep {
        let fd = fd.cast_unsigned();
        if fd > first {
            close_range(first, fd - 1, 0);
        }
        first = first.max(fd + 1);
    }
    close_range(first, u32::MAX, 0);
}

/// Marks everything above 2 close-on-exec, so that nothing gets into the program.
fn mark_others() {
    if close_range(3, u32::MAX, CLOSE_RANGE_CLOEXEC) {
        return;
    }
    let mut limit = KernelLimit { soft: 0, hard: 0 };
    // SAFETY: a live struct of the kernel's layout; 0 is this process, null asks only.
    let result = unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            libc::RLIMIT_NOFILE,
            std::ptr::null::<KernelLimit>(),
            &raw mut limit,
        )
    };
    // A bound, for a limit may be "unlimited" (2^30 descriptors).
    let end = if result == -1 {
        1 << 16
    } else {
        limit.soft.min(1 << 20)
    };
    for fd in 3..end {
        // SAFETY: plain numbers; a closed descriptor gives EBADF.
        unsafe { libc::syscall(libc::SYS_fcntl, fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

fn close_range(first: u32, last: u32, flags: u32) -> bool {
    // SAFETY: plain numbers; no descriptor in the range is used by this child afterwards (or it is only marked).
    unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) == 0 }
}

/// The kernel's `struct rlimit64`.
#[repr(C)]
struct KernelLimit {
    soft: u64,
    hard: u64,
}

fn set_limit(limit: &Limit) -> Result<(), i32> {
    let new = KernelLimit {
        soft: limit.soft,
        hard: limit.hard,
    };
    // SAFETY: a live struct of the kernel's layout; 0 is this process, null asks for no old value.
    let result = unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            limit.resource,
            &raw const new,
            std::ptr::null::<KernelLimit>(),
        )
    };
    if result == -1 {
        Err(last_errno())
    } else {
        Ok(())
    }
}

/// The kernel's `struct sigaction` where it has a restorer (x86_64, aarch64) and, being zero, where it has not.
#[repr(C)]
struct KernelAction {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

/// Default dispositions and an empty mask: both survive exec, and a program cannot tell why its Ctrl-C is dead.
fn reset_signals() {
    let default = KernelAction {
        handler: libc::SIG_DFL,
        flags: 0,
        restorer: 0,
        mask: 0,
    };
    for signo in 1..=LAST {
        // SAFETY: a live struct of the kernel's layout, without code. Not through libc, which refuses the
        // signals it keeps for threads. KILL and STOP are refused, and are at their default.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signo,
                &raw const default,
                std::ptr::null::<KernelAction>(),
                size_of::<u64>(),
            )
        };
    }
    let _ = crate::signal::set_mask(0); // fails for bad addresses only
}

/// Returns only if it failed, with the errno.
fn exec(executable: &CStr, argv: &[*const c_char], env: &[*const c_char]) -> i32 {
    // SAFETY: both arrays end with null and point to strings that the parent's `Program`, copied with the
    // rest of its memory, keeps alive.
    unsafe { libc::execve(executable.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    last_errno()
}

fn exit() -> ! {
    // SAFETY: ends the process without running any of the parent's exit handlers.
    unsafe { libc::_exit(NOT_RUN) }
}
