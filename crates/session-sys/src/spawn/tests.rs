//! Real children: what they inherit, what holds them back, how their failures are told.

use std::io::Write as _;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;

use rustix::io::FdFlags;

use super::*;
use crate::testing::{Child, alone, program, read_all, read_until, readable, script, string};

/// A line of `/proc/PID/status`, without its key.
fn status(pid: &str, key: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.unwrap().trim().to_owned()
}

fn open_descriptors(pid: i32) -> Vec<i32> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name());
    let mut fds: Vec<i32> = names
        .map(|name| name.to_str().unwrap().parse().unwrap())
        .collect();
    fds.sort_unstable();
    fds
}

#[test]
fn runs_the_program() {
    let (program, output) = script("echo out; echo err >&2; exit 7");
    let mut child = Child::start(program);
    assert_eq!(read_all(output), "out\nerr\n");
    assert_eq!(child.wait(), (Some(7), None));
}

#[test]
fn report_is_unknown_until_exec() {
    let gated = spawn(&program("/bin/true", &[]), None).unwrap();
    let unknown = read_report(gated.report()).unwrap_err();
    assert_eq!(unknown.kind(), io::ErrorKind::WouldBlock);
    let (mut child, failure) = Child::report(gated.open().unwrap());
    assert!(failure.is_none());
    assert_eq!(child.wait(), (Some(0), None));
}

#[test]
fn inherits_no_descriptors_signals_or_mask() {
    alone(
        "spawn::tests::inherits_no_descriptors_signals_or_mask",
        || {
            let leak = rustix::io::dup(crate::testing::null()).unwrap();
            rustix::io::fcntl_setfd(&leak, FdFlags::empty()).unwrap();
            for signo in [libc::SIGINT, libc::SIGPIPE, libc::SIGCHLD, libc::SIGRTMAX()] {
                crate::event::ignore(signo).unwrap();
            }
            set_mask(u64::MAX).unwrap();
            let (reader, mut writer) = std::io::pipe().unwrap();
            let (output, stdout) = std::io::pipe().unwrap();
            let mut cat = program("/bin/cat", &[]);
            cat.stdio = ChildStdio::Pipes {
                stdin: reader.into(),
                stdout: stdout.into(),
                stderr: crate::testing::null(),
            };
            let child = Child::start(cat);
            // Once it answers, it has no library open any more.
            writer.write_all(b"ready\n").unwrap();
            read_until(output.as_fd(), "ready");
            assert_eq!(open_descriptors(child.pid), [0, 1, 2]);
            for key in ["SigBlk:", "SigIgn:"] {
                assert_eq!(
                    status(&child.pid.to_string(), key),
                    "0000000000000000",
                    "{key}"
                );
            }
            // And the parent has its own mask back, but for what cannot be blocked.
            let own = u64::from_str_radix(&status("thread-self", "SigBlk:"), 16);
            assert_eq!(own.unwrap(), !(1 << 8 | 1 << 18));
            drop(writer);
            child.await_end();
        },
    );
}

#[test]
fn a_waiting_child_holds_nothing_of_the_parent() {
    let gated = spawn(&program("/bin/true", &[]), None).unwrap();
    // Its three streams, its end of the gate and its end of the report, a moment after the clone.
    crate::testing::eventually("streams, gate and report only", || {
        open_descriptors(gated.pid())
            .iter()
            .filter(|&&fd| fd > 2)
            .count()
            <= 5
    });
    let (pid, pidfd) = (gated.pid(), gated.as_fd().try_clone_to_owned().unwrap());
    drop(gated);
    assert_eq!(Child::new(pid, pidfd).wait(), (Some(127), None));
}

#[test]
fn dropping_the_gate_runs_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("made");
    let touch = program("/usr/bin/touch", &[file.to_str().unwrap()]);
    let first = spawn(&touch, None).unwrap();
    // A second one, made while the first waits, must not hold the first one's gate open.
    let second = spawn(&touch, None).unwrap();
    for gated in [first, second] {
        let pidfd = gated.as_fd().try_clone_to_owned().unwrap();
        let mut child = Child::new(gated.pid(), pidfd);
        drop(gated);
        assert_eq!(child.wait(), (Some(127), None));
    }
    assert!(!file.exists());
}

#[test]
fn a_child_killed_at_its_gate_is_no_error() {
    let gated = spawn(&program("/bin/true", &[]), None).unwrap();
    let killed = Child::new(gated.pid(), gated.as_fd().try_clone_to_owned().unwrap());
    killed.signal(libc::SIGKILL);
    killed.await_end();
    let started = gated.open().unwrap();
    readable(started.report.as_fd()); // another test's child may hold a copy for a moment
    assert!(read_report(started.report.as_fd()).unwrap().is_none());
}

#[test]
fn failures_name_their_stage() {
    let fails = |program: Program, stage: Stage, errno: i32| {
        let (mut child, failure) = Child::try_start(program);
        let failure = failure.unwrap();
        assert_eq!(
            (failure.stage, failure.errno.raw_os_error()),
            (stage, Some(errno))
        );
        assert_eq!(child.wait(), (Some(127), None));
    };
    fails(program("/nonexistent", &[]), Stage::Exec, libc::ENOENT);
    fails(program("/etc/passwd", &[]), Stage::Exec, libc::EACCES);
    fails(program("/etc", &[]), Stage::Exec, libc::EACCES);
    let mut lost = program("/bin/true", &[]);
    lost.directory = string("/nonexistent");
    fails(lost, Stage::Directory, libc::ENOENT);
    let mut bad_limit = program("/bin/true", &[]);
    bad_limit.limits = vec![Limit {
        resource: 99,
        soft: 0,
        hard: 0,
    }];
    fails(bad_limit, Stage::Limits, libc::EINVAL);
    let mut no_terminal = program("/bin/true", &[]);
    no_terminal.stdio = ChildStdio::Terminal(crate::testing::null());
    fails(no_terminal, Stage::Terminal, libc::ENOTTY);
}

#[test]
fn runs_a_script_without_interpreter_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("script");
    std::fs::write(&path, "echo \"$1-$2\"\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (mut program, output) = script("");
    program.executable = string(path.to_str().unwrap());
    program.argv = ["other name", "a b", "c"].map(string).to_vec();
    let mut child = Child::start(program);
    assert_eq!(read_all(output), "a b-c\n");
    assert_eq!(child.wait(), (Some(0), None));

    // An empty argv reads one past nothing if the shell's arguments are put together carelessly.
    let (mut program, output) = script("");
    program.executable = string(path.to_str().unwrap());
    program.argv = Vec::new();
    let mut child = Child::start(program);
    assert_eq!(read_all(output), "-\n");
    assert_eq!(child.wait(), (Some(0), None));
}

#[test]
fn sets_umask_limits_directory_and_environment() {
    let (mut program, output) =
        script("umask; ulimit -Sn; ulimit -Hn; pwd; echo \"$ONE\"; echo \"${HOME-unset}\"");
    program.umask = 0o077;
    program.directory = string("/usr");
    program.env = vec![string("ONE=1")];
    program.limits = vec![Limit {
        resource: libc::RLIMIT_NOFILE as i32,
        soft: 20,
        hard: 30,
    }];
    let mut child = Child::start(program);
    assert_eq!(read_all(output), "0077\n20\n30\n/usr\n1\nunset\n");
    assert_eq!(child.wait(), (Some(0), None));
}

#[test]
fn gives_a_controlling_terminal() {
    let (master, slave) = crate::pty::open(30, 90).unwrap();
    let (mut program, _) = script("echo ready >/dev/tty; stty size; exec sleep 100");
    program.stdio = ChildStdio::Terminal(slave);
    let mut child = Child::start(program);
    assert_eq!(read_until(master.as_fd(), "90\r\n"), "ready\r\n30 90\r\n");
    let stat = crate::stat::of(child.pid).unwrap();
    assert_eq!(
        (stat.session, stat.pgrp, stat.tpgid),
        (child.pid, child.pid, child.pid)
    );
    // Ctrl-C, which the terminal makes a signal of.
    rustix::io::write(&master, b"\x03").unwrap();
    assert_eq!(child.wait(), (None, Some(libc::SIGINT)));
}

#[test]
fn leads_a_session_without_terminal_too() {
    let child = Child::start(program("/bin/sleep", &["100"]));
    let stat = crate::stat::of(child.pid).unwrap();
    assert_eq!((stat.session, stat.tty_nr), (child.pid, 0));
}

#[test]
fn streams_may_have_the_lowest_numbers() {
    alone("spawn::tests::streams_may_have_the_lowest_numbers", || {
        let saved = crate::process::take_inherited(1).unwrap();
        let saved_error = crate::process::take_inherited(2).unwrap();
        // The parent's 0, 1 and 2 closed: the pipes and the channel land there.
        for fd in 0..=2 {
            // SAFETY: single-threaded, and nothing uses the streams until they are back.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
        let (program, output) = script("echo hello; echo error >&2");
        let gated = spawn(&program, None);
        let lowest = output.as_raw_fd();
        let output = rustix::io::fcntl_dupfd_cloexec(&output, 10).unwrap();
        let text = gated.map(|gated| {
            let (mut child, failure) = Child::report(gated.open().unwrap());
            drop(program);
            (read_all(output), failure.is_none(), child.wait())
        });
        rustix::stdio::dup2_stdout(&saved).unwrap();
        rustix::stdio::dup2_stderr(&saved_error).unwrap();
        assert!(lowest <= 2);
        assert_eq!(
            text.unwrap(),
            ("hello\nerror\n".to_owned(), true, (Some(0), None))
        );
        rustix::stdio::dup2_stdin(crate::testing::null()).unwrap();
    });
}

#[test]
fn works_by_fork_where_clone3_is_missing() {
    let (program, output) = script("echo forked");
    let gated = gated(&program, |prepared| {
        let pid = fork(prepared).map_err(Error::Create)?;
        Ok((pid, false, None))
    });
    let (mut child, failure) = Child::report(gated.unwrap().open().unwrap());
    drop(program);
    assert!(failure.is_none());
    assert_eq!(read_all(output), "forked\n");
    assert_eq!(child.wait(), (Some(0), None));
}

#[test]
fn a_directory_that_is_no_cgroup_is_an_error() {
    // Refused by the kernel with EBADF: a caller's mistake, and not to be hidden.
    let directory = tempfile::tempdir().unwrap();
    let directory = std::fs::File::open(directory.path()).unwrap();
    let result = spawn(&program("/bin/true", &[]), Some(directory.as_fd()));
    assert!(
        matches!(result, Err(Error::Create(error)) if error.raw_os_error() == Some(libc::EBADF))
    );
}

#[test]
fn is_born_inside_its_cgroup() {
    let Some(group) = crate::cgroup::tests::group("spawn") else {
        return;
    };
    let gated = spawn(&program("/bin/sleep", &["100"]), Some(group.fd())).unwrap();
    assert!(gated.in_cgroup());
    assert_eq!(group.processes().unwrap(), [gated.pid()]);
    let (mut child, failure) = Child::report(gated.open().unwrap());
    assert!(failure.is_none());
    end_by_kill(&group, &mut child);
}

fn end_by_kill(group: &crate::cgroup::Group, child: &mut Child) {
    group.kill().unwrap();
    readable(child.pidfd.as_fd());
    assert_eq!(child.wait(), (None, Some(libc::SIGKILL)));
    crate::testing::eventually("unpopulated", || !group.is_populated().unwrap());
    group.remove().unwrap();
}
