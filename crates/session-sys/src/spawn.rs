//! Creating a process behind a gate: it exists, and its identity can be written down, before it may exec.
//!
//! The gate is a socket pair: the parent sends a byte to open it; end of file there (the parent died or gave up) makes
//! the child exit instead. The report is a pipe, of which the child's end is close-on-exec: end of file says that exec
//! succeeded, and before it the child writes what failed. They are two, because whoever takes over from a parent that
//! dies needs a copy of the report and must have none of the gate.

#![allow(unsafe_code)] // clone3 and fork

mod child;
#[cfg(test)]
mod tests;

use std::ffi::{CString, c_char};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::null;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};

use crate::Error;
use crate::signal::set_mask;

/// What to run, and in which surroundings. Nothing of the caller's signals, mask or other descriptors is
/// inherited.
#[derive(Debug)]
pub struct Program {
    /// The file to execute; not searched for. One without a known format is run by `/bin/sh`, as execvp does.
    pub executable: CString,
    /// The arguments, from `argv[0]` on.
    pub argv: Vec<CString>,
    /// The whole environment, entries of `NAME=value`.
    pub env: Vec<CString>,
    /// The working directory.
    pub directory: CString,
    /// Where descriptors 0, 1 and 2 come from.
    pub stdio: ChildStdio,
    /// The file mode creation mask.
    pub umask: u32,
    /// Resource limits, set in this order; those not named are inherited.
    pub limits: Vec<Limit>,
}

/// One resource limit (setrlimit(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The number of the resource, `RLIMIT_*`.
    pub resource: i32,
    /// The limit in force; `u64::MAX` is unlimited.
    pub soft: u64,
    /// How far the process may raise it; `u64::MAX` is unlimited.
    pub hard: u64,
}

/// The standard streams of a child. The parent's copies stay open until the [`Program`] is dropped.
#[derive(Debug)]
pub enum ChildStdio {
    /// The slave of a pseudo-terminal, which becomes the controlling terminal.
    Terminal(OwnedFd),
    /// One descriptor each, and no controlling terminal.
    Pipes {
        /// Becomes 0.
        stdin: OwnedFd,
        /// Becomes 1.
        stdout: OwnedFd,
        /// Becomes 2.
        stderr: OwnedFd,
    },
}

/// A child that exists and waits at its gate. Dropped, it exits with 127 without running anything; like every
/// child it has to be reaped.
#[derive(Debug)]
pub struct Gated {
    pid: i32,
    in_cgroup: bool,
    pidfd: OwnedFd,
    gate: OwnedFd,
    report: OwnedFd,
}

/// A child past its gate.
#[derive(Debug)]
pub struct Started {
    /// Its number.
    pub pid: i32,
    /// Readable once it has ended.
    pub pidfd: OwnedFd,
    /// For [`read_report`]; non-blocking, readable when exec succeeded or something failed.
    pub report: OwnedFd,
}

/// Why a child could not run its program; it has exited with 127.
#[derive(Debug)]
pub struct Failure {
    /// The step that failed.
    pub stage: Stage,
    /// With what.
    pub errno: io::Error,
}

/// The steps of a child between gate and program, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// The gate was never opened: nothing was begun.
    Gate = 7,
    /// A new session (setsid).
    Session = 1,
    /// The controlling terminal (TIOCSCTTY).
    Terminal,
    /// Descriptors 0, 1 and 2.
    Stdio,
    /// A resource limit.
    Limits,
    /// The working directory.
    Directory,
    /// The program itself.
    Exec,
}

/// Whether a file without `#!` may be meant for the shell: text, not a program of another machine.
fn is_script(executable: &std::ffi::CStr) -> bool {
    let mut head = [0; 128];
    let flags =
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
    let Ok(file) = rustix::fs::open(executable, flags, rustix::fs::Mode::empty()) else {
        return false;
    };
    let read = rustix::io::read(&file, &mut head).unwrap_or(0);
    !head[..read].contains(&0)
}

/// Creates a child that waits at its gate, inside `cgroup` (an open directory) from its first instant where the
/// kernel can do that and lets us; else [`Gated::in_cgroup`] is false.
///
/// # Errors
/// [`Error`]; the program is looked at only behind the gate, so its faults come through [`read_report`].
pub fn spawn(program: &Program, cgroup: Option<BorrowedFd<'_>>) -> Result<Gated, Error> {
    gated(program, |prepared| create(prepared, cgroup))
}

/// As [`spawn`], but the new process is a child of the caller's parent (clone(2), `CLONE_PARENT`): the caller neither has
/// to reap it nor counts it among its own.
///
/// # Errors
/// As [`spawn`]; on a kernel without clone3(2) there is no such process.
pub fn spawn_beside(program: &Program) -> Result<Gated, Error> {
    const CLONE_PARENT: u64 = 0x8000;
    gated(program, |prepared| {
        let created = clone3(prepared, None, CLONE_PARENT);
        let (pid, pidfd) =
            created.map_err(|error| Error::Create(io::Error::from_raw_os_error(error)))?;
        Ok((pid, false, Some(pidfd)))
    })
}

/// A new child: its pid, whether it is in the cgroup, its pidfd if there is one yet.
type Created = (i32, bool, Option<OwnedFd>);

/// Prepares all that the child needs, then creates it by `create`.
fn gated(
    program: &Program,
    create: impl FnOnce(&child::Prepared<'_>) -> Result<Created, Error>,
) -> Result<Gated, Error> {
    let failed = |errno: Errno| Error::Channel(errno.into());
    let (gate, their_gate) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(failed)?;
    rustix::io::ioctl_fionbio(&gate, true).map_err(failed)?;
    let (report, their_report) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(failed)?;
    rustix::io::ioctl_fionbio(&report, true).map_err(failed)?;

    let argv = pointers(program.argv.iter());
    // What execvp does with ENOEXEC: a file that is neither ELF nor `#!` is a script for the shell.
    let shell = c"/bin/sh";
    let mut shell_argv = vec![shell.as_ptr(), program.executable.as_ptr()];
    shell_argv.extend(argv.iter().skip(1));
    if argv.len() < 2 {
        shell_argv.push(null()); // an empty argv had nothing but its end
    }
    let shell = if is_script(&program.executable) {
        shell
    } else {
        c""
    };
    let env = pointers(program.env.iter());
    let (stdio, terminal) = match &program.stdio {
        ChildStdio::Terminal(slave) => ([slave.as_raw_fd(); 3], true),
        ChildStdio::Pipes {
            stdin,
            stdout,
            stderr,
        } => {
            let stdio = [stdin, stdout, stderr].map(AsRawFd::as_raw_fd);
            (stdio, false)
        }
    };
    let prepared = child::Prepared {
        executable: &program.executable,
        argv: &argv,
        shell,
        shell_argv: &shell_argv,
        env: &env,
        directory: &program.directory,
        stdio,
        terminal,
        umask: program.umask,
        limits: &program.limits,
        gate: their_gate.as_raw_fd(),
        report: their_report.as_raw_fd(),
    };

    // No handler of ours may run in the child. The child empties the mask right before exec.
    let mask = set_mask(u64::MAX).map_err(Error::Mask)?;
    let created = create(&prepared);
    // Cannot fail: it succeeded a moment ago with the same addresses.
    let restored = set_mask(mask);
    debug_assert!(restored.is_ok(), "signal mask: {restored:?}");

    let (pid, in_cgroup, pidfd) = created?;
    let pidfd = match pidfd {
        Some(pidfd) => pidfd,
        // The child is ours and not reaped yet, so the number is still its own.
        None => match crate::identity::open_pid(pid) {
            Ok(Some(pidfd)) => pidfd,
            Ok(None) => return Err(Error::Pidfd(io::Error::from_raw_os_error(libc::ESRCH))),
            Err(error) => return Err(Error::Pidfd(error)),
        },
    };
    Ok(Gated {
        pid,
        in_cgroup,
        pidfd,
        gate,
        report,
    })
}

impl Gated {
    /// The number of the waiting child.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether the child was created inside the cgroup that was asked for.
    pub fn in_cgroup(&self) -> bool {
        self.in_cgroup
    }

    /// Where [`read_report`] will find what became of it.
    pub fn report(&self) -> BorrowedFd<'_> {
        self.report.as_fd()
    }

    /// Lets the child go on to its program.
    pub fn open(self) -> io::Result<Started> {
        match rustix::net::send(&self.gate, &[1], SendFlags::NOSIGNAL) {
            // Broken: the child has ended already, killed or by a failure before the gate, and the report or
            // its exit status tells.
            Ok(_) | Err(Errno::PIPE | Errno::CONNRESET) => Ok(Started {
                pid: self.pid,
                pidfd: self.pidfd,
                report: self.report,
            }),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Gated {
    /// The child's pidfd.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// What became of a started child: `Ok(None)` once exec succeeded (or the child was killed before it; its exit
/// status tells), a [`Failure`] if not, an error of kind `WouldBlock` while it is not known yet.
pub fn read_report(report: BorrowedFd<'_>) -> io::Result<Option<Failure>> {
    let mut message = [0; child::REPORT_LEN];
    let received = rustix::io::retry_on_intr(|| rustix::io::read(report, &mut message[..]));
    match received {
        Ok(child::REPORT_LEN) => Ok(Some(Failure::decode(message)?)),
        Ok(0) => Ok(None),
        // Messages this small are written whole or not at all.
        Ok(_) => Err(io::ErrorKind::InvalidData.into()),
        Err(error) => Err(error.into()),
    }
}

impl Failure {
    fn decode(message: [u8; child::REPORT_LEN]) -> io::Result<Self> {
        let [stage, errno @ ..] = message;
        let stage = [
            Stage::Gate,
            Stage::Session,
            Stage::Terminal,
            Stage::Stdio,
            Stage::Limits,
            Stage::Directory,
            Stage::Exec,
        ]
        .into_iter()
        .find(|known| *known as u8 == stage)
        .ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self {
            stage,
            errno: io::Error::from_raw_os_error(i32::from_ne_bytes(errno)),
        })
    }
}

/// Pointers to strings, ended by null, valid as long as the strings are.
fn pointers<'a>(strings: impl Iterator<Item = &'a CString>) -> Vec<*const c_char> {
    strings
        .map(|string| string.as_ptr())
        .chain([null()])
        .collect()
}

const CLONE_PIDFD: u64 = 0x1000;
/// Not from libc, whose constant is an int too narrow for it.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// The kernel's `struct clone_args` as of 5.7 (clone3(2)).
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// The size of `clone_args` that every kernel with clone3 takes.
const CLONE_ARGS_SIZE_VER0: usize = 64;

/// Creates the child by the best way there is.
fn create(
    prepared: &child::Prepared<'_>,
    cgroup: Option<BorrowedFd<'_>>,
) -> Result<Created, Error> {
    if let Some(cgroup) = cgroup {
        match clone3(prepared, Some(cgroup), 0) {
            Ok((pid, pidfd)) => return Ok((pid, true, Some(pidfd))),
            // Too old a kernel, a filter, no right to the cgroup, a cgroup that takes no processes or is gone.
            Err(
                libc::EINVAL
                | libc::ENOSYS
                | libc::EOPNOTSUPP
                | libc::EACCES
                | libc::EPERM
                | libc::EBUSY
                | libc::E2BIG
                | libc::ENODEV,
            ) => {}
            Err(error) => return Err(Error::Create(io::Error::from_raw_os_error(error))),
        }
    }
    match clone3(prepared, None, 0) {
        Ok((pid, pidfd)) => Ok((pid, false, Some(pidfd))),
        // Older than 5.3, or a filter that does not know it.
        Err(libc::ENOSYS | libc::EPERM | libc::EINVAL) => {
            let pid = fork(prepared).map_err(Error::Create)?;
            Ok((pid, false, None))
        }
        Err(error) => Err(Error::Create(io::Error::from_raw_os_error(error))),
    }
}

/// clone3 with a pidfd; the error is an errno.
fn clone3(
    prepared: &child::Prepared<'_>,
    cgroup: Option<BorrowedFd<'_>>,
    flags: u64,
) -> Result<(i32, OwnedFd), i32> {
    let mut pidfd: RawFd = -1;
    let mut args = CloneArgs {
        flags: CLONE_PIDFD | flags,
        pidfd: (&raw mut pidfd) as u64,
        // A sibling's is that of the caller.
        exit_signal: if flags == 0 { libc::SIGCHLD as u64 } else { 0 },
        ..CloneArgs::default()
    };
    let mut size = CLONE_ARGS_SIZE_VER0;
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
        size = size_of::<CloneArgs>();
    }
    // SAFETY: without CLONE_VM the child gets a copy of all memory and goes on here on a copy of this stack,
    // as after fork. It calls nothing but `child::run`, which makes system calls only: no lock that another
    // thread of the parent held, and no allocator, is touched. Signals are blocked by the caller.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size) };
    match pid {
        0 => child::run(prepared),
        -1 => Err(last_errno()),
        pid => {
            // SAFETY: the kernel stored a new descriptor there, which nobody else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            // Pids fit an int (PID_MAX_LIMIT is 4 Mi).
            Ok((pid as i32, pidfd))
        }
    }
}

fn fork(prepared: &child::Prepared<'_>) -> io::Result<i32> {
    // SAFETY: as for clone3.
    match unsafe { libc::fork() } {
        0 => child::run(prepared),
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(pid),
    }
}

fn last_errno() -> i32 {
    io::Error::last_os_error()
        .raw_os_error()
        .unwrap_or(libc::EIO)
}
