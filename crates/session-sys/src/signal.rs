//! Sending any signal by number, and the kernel's own signal mask: rustix names only the classic signals and
//! has no masks.

#![allow(unsafe_code)] // raw system calls, see above

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// The highest signal number of Linux on every architecture but MIPS.
pub(crate) const LAST: i32 = 64;

/// Sends a signal to the process of a pidfd; `ESRCH` once it is reaped, `EPERM` if it is not ours.
pub(crate) fn send<Fd: AsFd>(pidfd: Fd, signo: i32) -> io::Result<()> {
    // SAFETY: the descriptor is borrowed for the call, and a null siginfo asks for what kill(2) would send.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_fd().as_raw_fd(),
            signo,
            std::ptr::null::<libc::siginfo_t>(),
            0u32,
        )
    };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Replaces the calling thread's signal mask and returns the old one. Bit N-1 stands for signal N.
///
/// The system call itself, because libc's wrapper leaves out the signals libc reserves for threads, and a
/// mask is inherited through exec.
pub(crate) fn set_mask(mask: u64) -> io::Result<u64> {
    let mut old = 0u64;
    // SAFETY: both pointers refer to live u64s, the size the kernel's sigset has (8 bytes).
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            &raw mut old,
            size_of::<u64>(),
        )
    };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(old)
}
