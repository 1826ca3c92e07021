//! What the tests of this crate share: programs to spawn, their ends, and a process of its own for a test that
//! changes or waits for what belongs to a whole process.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Command;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{WaitId, WaitIdOptions, waitid};

use crate::spawn::{ChildStdio, Failure, Program, Started, read_report, spawn};

/// How long anything may take before a test has failed.
const PATIENCE: Timespec = Timespec {
    tv_sec: 20,
    tv_nsec: 0,
};

/// Runs `body` in a process of its own, where no other test runs: the test executable again, for this one test. `name`
/// is the test's full path.
pub(crate) fn alone(name: &str, body: impl FnOnce()) {
    const MARK: &str = "SESSION_SYS_ALONE";
    if std::env::var_os(MARK).is_some_and(|test| test == name) {
        return body();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(MARK, name)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{name} alone: {}\n{text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

pub(crate) fn string(text: &str) -> CString {
    CString::new(text).unwrap()
}

/// A file with these arguments after `argv[0]`, and /dev/null for all streams.
pub(crate) fn program(executable: &str, arguments: &[&str]) -> Program {
    let argv = [&[executable], arguments].concat();
    Program {
        executable: string(executable),
        argv: argv.into_iter().map(string).collect(),
        env: vec![string("PATH=/usr/bin:/bin:/usr/sbin:/sbin")],
        directory: string("/"),
        stdio: ChildStdio::Pipes {
            stdin: null(),
            stdout: null(),
            stderr: null(),
        },
        umask: 0o022,
        limits: Vec::new(),
    }
}

/// A shell script; its output comes from the descriptor.
pub(crate) fn script(text: &str) -> (Program, OwnedFd) {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut program = program("/bin/sh", &["-c", text]);
    program.stdio = ChildStdio::Pipes {
        stdin: null(),
        stdout: writer.try_clone().unwrap().into(),
        stderr: writer.into(),
    };
    (program, reader.into())
}

pub(crate) fn null() -> OwnedFd {
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/null");
    file.unwrap().into()
}

/// Everything up to end of file.
pub(crate) fn read_all(fd: OwnedFd) -> String {
    std::io::read_to_string(std::fs::File::from(fd)).unwrap()
}

/// Bytes up to and including these words, from a pipe or a terminal.
pub(crate) fn read_until(fd: BorrowedFd<'_>, words: &str) -> String {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&all);
        if text.contains(words) {
            return text.into_owned();
        }
        readable(fd);
        let count = rustix::io::read(fd, &mut buffer[..]);
        let count = count.unwrap_or_else(|error| panic!("{error} after {text:?}"));
        assert!(count > 0, "end of file after {text:?}");
        all.extend_from_slice(&buffer[..count]);
    }
}

/// Waits until the descriptor is readable.
pub(crate) fn readable(fd: BorrowedFd<'_>) {
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    let count = rustix::io::retry_on_intr(|| poll(&mut fds, Some(&PATIENCE))).unwrap();
    assert_eq!(count, 1, "nothing within {PATIENCE:?}");
}

/// A child of a test, killed and reaped with it.
pub(crate) struct Child {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
    reaped: bool,
}

impl Child {
    pub(crate) fn new(pid: i32, pidfd: OwnedFd) -> Self {
        Self {
            pid,
            pidfd,
            reaped: false,
        }
    }

    /// Starts a program past its gate and exec.
    pub(crate) fn start(program: Program) -> Self {
        let (child, failure) = Self::try_start(program);
        assert!(failure.is_none(), "{failure:?}");
        child
    }

    /// Starts a program and waits for the report.
    pub(crate) fn try_start(program: Program) -> (Self, Option<Failure>) {
        let started = spawn(&program, None).unwrap().open().unwrap();
        Self::report(started)
    }

    pub(crate) fn report(started: Started) -> (Self, Option<Failure>) {
        readable(started.report.as_fd());
        let failure = read_report(started.report.as_fd()).unwrap();
        (Self::new(started.pid, started.pidfd), failure)
    }

    pub(crate) fn signal(&self, signo: i32) {
        crate::signal::send(&self.pidfd, signo).unwrap();
    }

    /// Waits for its end without reaping it.
    pub(crate) fn await_end(&self) {
        readable(self.pidfd.as_fd());
    }

    /// Waits for its end: (exit code, signal).
    pub(crate) fn wait(&mut self) -> (Option<i32>, Option<i32>) {
        self.await_end();
        let status = waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED);
        self.reaped = true;
        let status = status.unwrap().unwrap();
        (status.exit_status(), status.terminating_signal())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.reaped {
            let _ = crate::signal::send(&self.pidfd, libc::SIGKILL);
            let _ = waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED);
        }
    }
}

/// Repeats until it holds, for what the kernel does a moment later and announces to nobody.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        std::thread::yield_now();
        let _ = poll(
            &mut [],
            Some(&Timespec {
                tv_sec: 0,
                tv_nsec: 5_000_000,
            }),
        );
    }
    panic!("never: {what}");
}
