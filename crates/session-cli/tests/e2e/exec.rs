//! `exec`: a further process in the session, with its own streams and exit code.

use std::io::Write;
use std::process::Stdio;

use crate::support::{Sandbox, command_line, ran};

fn held() -> Sandbox {
    let session = Sandbox::new();
    session.ok(["create", "-n", "s", "-e", "IN_SESSION=yes", "sleep", "1000"]);
    session
}

#[test]
fn output_error_and_exit_code_are_separate() {
    let session = held();
    let ran = session.run([
        "exec",
        "s",
        "--",
        "sh",
        "-c",
        "echo out; echo err >&2; echo $IN_SESSION; exit 42",
    ]);
    assert_eq!(
        (ran.code, &ran.out[..], &ran.err[..]),
        (42, "out\nyes\n", "err\n")
    );
    assert_eq!(
        session.run(["exec", "s", "sh", "-c", "kill -9 $$"]).code,
        137
    );
    assert_eq!(
        session.ok(["exec", "s", "pwd"]),
        session.ok(["get", "s", "directory"])
    );
}

#[test]
fn input_ends_where_it_ends() {
    let session = held();
    let mut child = session
        .command(["exec", "s", "--", "sha256sum"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let bytes: Vec<u8> = (0..3_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    let sum = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    std::fs::write(session.path("bytes"), &bytes).unwrap();
    assert_eq!(sum, session.shell("sha256sum < bytes").out);
}

#[test]
fn a_slow_reader_loses_nothing() {
    let session = Sandbox::new();
    // The log keeps less than the reader is behind, so that it cannot come to the rescue.
    session.ok(["create", "-n", "s", "--log-limit", "64K", "sleep", "1000"]);
    crate::support::ran(std::process::Command::new("mkfifo").arg(session.path("go")));
    let mut ready = crate::support::Fifo::new(session.path("ready"));
    let produce = "yes 0123456789abcdef | head -c 4000000";
    let line =
        format!("$SESSION exec s -- sh -c 'echo > ready; {produce}' | (read go < go; sha256sum)");
    let slow = session
        .shell_command(&line)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    ready.line();
    // Longer than the holder keeps the memory of a stream that is quiet.
    session.ok(["exec", "s", "sleep", "2"]);
    std::fs::write(session.path("go"), "go\n").unwrap();
    let read = slow.wait_with_output().unwrap().stdout;
    let truth = session.shell(&format!("{produce} | sha256sum"));
    assert_eq!(String::from_utf8(read).unwrap(), truth.out);
}

#[test]
fn what_nobody_reads_any_more_ends() {
    let session = held();
    for _ in 0..10 {
        let line = "$SESSION exec s -- sh -c 'exec yes' | head -n 1";
        assert_eq!(session.shell(line).out, "y\n");
    }
    crate::support::until("all have got SIGPIPE", || {
        !session.ok(["ps", "s"]).contains("yes")
    });
}

#[test]
fn a_reader_that_waits_does_not_keep_a_session_from_being_deleted() {
    let session = held();
    crate::support::ran(std::process::Command::new("mkfifo").arg(session.path("go")));
    let line = "$SESSION exec s -- sh -c 'echo > ready; exec yes' | (read go < go; wc -c)";
    let mut ready = crate::support::Fifo::new(session.path("ready"));
    let paged = session
        .shell_command(line)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    ready.line();
    let directory = session.ok(["get", "s", "dir"]);
    let stranger = std::path::Path::new(directory.trim()).join("socket");
    let _silent = std::os::unix::net::UnixStream::connect(stranger).unwrap();
    session.ok(["rm", "-f", "s"]);
    std::fs::write(session.path("go"), "go\n").unwrap();
    assert!(paged.wait_with_output().unwrap().status.success());
}

#[test]
fn on_a_terminal_it_is_a_terminal() {
    let session = held();
    let mut terminal = session.terminal(&[
        "exec",
        "-t",
        "s",
        "--",
        "sh",
        "-c",
        "test -t 0 && stty size; read x; exit $x",
    ]);
    terminal.shows("24 80");
    terminal.send("5\r");
    assert_eq!(terminal.exit(), 5);
}

#[test]
fn who_is_sent_away_is_told_that_the_command_goes_on() {
    let session = held();
    let mut terminal =
        session.terminal(&["exec", "-t", "s", "--", "sh", "-c", "echo here; exec cat"]);
    terminal.shows("here");
    session.ok(["detach", "s"]);
    assert_eq!(terminal.exit(), 1);
    terminal.said("detached from outside; the command goes on in session 's'");
    let commands = || session.living().into_iter().map(command_line);
    assert!(commands().any(|line| line.starts_with("cat")));
}

#[test]
fn what_cannot_be_executed_says_so() {
    let session = held();
    let refused = session.run(["exec", "s", "no-such-command"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("no-such-command"), "{refused:?}");
    session.ok(["stop", "s"]);
    let refused = session.run(["exec", "s", "true"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("stopped"), "{refused:?}");
}

#[test]
fn stopping_the_session_ends_what_was_executed_in_it() {
    let session = held();
    let child = session
        .command(["exec", "s", "sleep", "1000"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    crate::support::until("both run", || {
        session.ok(["ps", "s"]).matches("sleep 1000").count() == 2
    });
    session.ok(["stop", "s"]);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(143));
    session.falls_silent();
}

#[test]
fn a_signal_to_the_client_reaches_the_process() {
    let session = held();
    let mut ready = crate::support::Fifo::new(session.path("ready"));
    let script = "trap 'exit 9' INT USR1; echo x > ready; while :; do sleep 0.01; done";
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::USR1] {
        let child = session
            .command(["exec", "s", "--", "sh", "-c", script])
            .spawn()
            .unwrap();
        ready.line();
        crate::support::kill(child.id() as i32, signal);
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(9));
    }
}

#[test]
fn variables_are_given_as_to_create() {
    let session = held();
    let mut command = session.command([
        "exec",
        "-e",
        "A=1",
        "-e",
        "B=x=y",
        "-e",
        "MINE",
        "s",
        "--",
        "sh",
        "-c",
        "echo $A $B $MINE",
    ]);
    assert_eq!(ran(command.env("MINE", "own")).out, "1 x=y own\n");
    for (variable, why) in [
        ("SURELY_NOT_SET", "'SURELY_NOT_SET' is not set here"),
        ("", "name of a variable is missing"),
        ("=x", "name of a variable is missing"),
    ] {
        for args in [
            &["exec", "-e", variable, "s", "true"][..],
            &["create", "-e", variable, "true"],
        ] {
            let ran = session.run(args);
            assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
            assert!(ran.err.contains(why), "{args:?}: {ran:?}");
        }
    }
}
