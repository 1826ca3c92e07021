//! Restarts, backoff, limits, and what the status says of each end.

use crate::support::{Fifo, Sandbox};
use rustix::process::Signal;

#[test]
fn an_exit_without_restart_is_told_as_it_was() {
    let session = Sandbox::new();
    session.ok([
        "create",
        "-n",
        "three",
        "--restart",
        "no",
        "--",
        "sh",
        "-c",
        "exit 3",
    ]);
    assert_eq!(session.run(["wait", "three"]).code, 3);
    let status = session.run(["status", "three"]);
    assert_eq!(
        (status.code, &status.out[..]),
        (3, "Session 'three' exited with code 3.\n")
    );
    session.ok(["create", "-n", "shot", "--restart", "no", "sleep", "1000"]);
    crate::support::kill(session.pid("shot"), Signal::KILL);
    assert_eq!(session.run(["wait", "shot"]).code, 137);
    assert_eq!(
        session.run(["status", "shot"]).out,
        "Session 'shot' was killed by SIGKILL.\n"
    );
}

#[test]
fn a_success_is_not_restarted_and_a_failure_is() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "good", "true"]);
    session.run(["wait", "good"]);
    assert_eq!(
        session.run(["status", "good"]).out,
        "Session 'good' exited with code 0.\n"
    );
    let mut starts = Fifo::new(session.path("starts"));
    let command = "echo x > starts; exec sleep 1000";
    session.ok(["create", "-n", "bad", "--", "sh", "-c", command]);
    starts.line();
    let first = session.pid("bad");
    crate::support::kill(first, Signal::KILL);
    starts.line();
    let second = session.pid("bad");
    assert_ne!(first, second);
    assert_eq!(session.status("bad")["restarts"], 1);
}

#[test]
fn always_restarts_successes_too() {
    let session = Sandbox::new();
    let mut starts = Fifo::new(session.path("starts"));
    session.ok([
        "create",
        "-n",
        "again",
        "--restart",
        "always",
        "--",
        "sh",
        "-c",
        "echo x > starts",
    ]);
    starts.line();
    starts.line();
}

#[test]
fn a_crash_loop_fails_after_its_limit() {
    let session = Sandbox::new();
    let mut starts = Fifo::new(session.path("starts"));
    let options = ["--restart-delay", "100ms", "--restart-limit", "3/1m"];
    session.ok(["create", "-n", "loop"].into_iter().chain(options).chain([
        "--",
        "sh",
        "-c",
        "echo x > starts; exit 9",
    ]));
    session.reaches("loop", "failed");
    for _ in 0..4 {
        starts.line();
    }
    let status = session.run(["status", "loop"]);
    assert_eq!(
        (status.code, &status.out[..]),
        (
            3,
            "Session 'loop' failed after 3 restarts, last exit code 9.\n"
        )
    );
    session.falls_silent();
    session.ok(["start", "loop"]);
    starts.line();
}

#[test]
fn between_tries_it_says_when_the_next_is() {
    let session = Sandbox::new();
    let options = ["--restart-delay", "1h", "--restart-max-delay", "1h"];
    session.ok(["create", "-n", "slow"]
        .into_iter()
        .chain(options)
        .chain(["--", "sh", "-c", "exit 2"]));
    session.reaches("slow", "backoff");
    let status = session.run(["status", "slow"]);
    assert_eq!(status.code, 3);
    assert!(
        status
            .out
            .starts_with("Session 'slow' exited with code 2, restarting in 3"),
        "{status:?}"
    );
    session.ok(["stop", "slow"]);
    assert_eq!(
        session.run(["status", "slow"]).out,
        "Session 'slow' is stopped.\n"
    );
}

#[test]
fn a_command_that_vanished_is_a_failure_with_its_reason() {
    let session = Sandbox::new();
    let tool = session.path("tool");
    std::fs::copy("/bin/sleep", &tool).unwrap();
    session.ok([
        "create",
        "-n",
        "tool",
        "--restart-delay",
        "50ms",
        "--restart-limit",
        "2/1m",
        "--",
        "./tool",
        "1000",
    ]);
    std::fs::remove_file(&tool).unwrap();
    crate::support::kill(session.pid("tool"), Signal::KILL);
    session.reaches("tool", "failed");
    let refused = session.run(["start", "tool"]);
    assert_eq!(refused.code, 1);
    assert!(
        refused.err.contains("No such file or directory") && refused.err.contains("tool"),
        "{refused:?}"
    );
}

#[test]
fn a_suspended_session_whose_process_is_killed_waits_for_resume() {
    let session = Sandbox::new();
    let mut starts = Fifo::new(session.path("starts"));
    let script = "echo $$ > starts; exec sleep 1000";
    session.ok(["create", "-n", "s", "--", "sh", "-c", script]);
    let first = starts.pid();
    session.ok(["suspend", "s"]);
    crate::support::kill(first, Signal::KILL);
    crate::support::dies(first);
    crate::support::until("its end is seen", || session.status("s")["pid"].is_null());
    let status = session.run(["status", "s"]);
    assert_eq!(
        (status.code, &status.out[..]),
        (
            3,
            "Session 's' was killed by SIGKILL, restarting when it is resumed.\n"
        )
    );
    assert_eq!(session.run(["rm", "s"]).code, 1);
    session.ok(["resume", "s"]);
    assert_ne!(starts.pid(), first);
    assert_eq!(session.status("s")["state"], "running");
}

#[test]
fn a_restart_that_fails_is_tried_again() {
    let session = Sandbox::new();
    let mut starts = Fifo::new(session.path("starts"));
    let script = session.path("tool");
    let write = |interpreter: &str| {
        std::fs::write(
            &script,
            format!("#!{interpreter}\necho $$ > starts\nexec sleep 1000\n"),
        )
        .unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&script, mode).unwrap();
    };
    write("/bin/sh");
    let delays = ["--restart-delay", "10ms", "--restart-limit", "100000/1h"];
    session.ok([&["create", "-n", "s"][..], &delays, &["--", "./tool"]].concat());
    let first = starts.pid();
    write("/no/such/interpreter");
    let refused = session.run(["restart", "s"]);
    assert!(refused.err.contains("interpreter"), "{refused:?}");
    assert_eq!(
        session.pid("s"),
        first,
        "what cannot start replaces nothing"
    );
    write("/bin/sh");
    // More than the kernel grants anyone, which shows only in the new process.
    session.ok(["set", "s", "limit.nofile", "999999999999"]);
    assert_eq!(session.run(["restart", "s"]).code, 1);
    assert_eq!(session.status("s")["desired"], "up");
    assert_eq!(session.run(["start", "s"]).code, 1);
    session.ok(["unset", "s", "limit.nofile"]);
    assert_ne!(starts.pid(), first);
    session.reaches("s", "running");
    assert_eq!(session.status("s")["notes"], serde_json::json!([]));
}

#[test]
fn a_killed_holder_is_never_followed_by_a_second_process() {
    let session = Sandbox::new();
    let mut ready = crate::support::Fifo::new(session.path("ready"));
    session.ok([
        "create",
        "-n",
        "tough",
        "--stop-timeout",
        "100ms",
        "--",
        "sh",
        "-c",
        "trap '' HUP TERM; echo $$ > ready; while :; do sleep 1000; done",
    ]);
    let first = ready.pid();
    session.abandon();
    assert!(crate::support::lives(first), "it ignores the hang-up");
    let status = session.run(["status", "tough"]);
    assert_eq!(status.code, 0);
    assert!(
        status
            .out
            .starts_with(&format!("Session 'tough' is running, PID {first}.\n")),
        "{status:?}"
    );
    assert!(status.out.contains("nobody watches it"), "{status:?}");
    let lives_on = format!("the holder of 'tough' is gone and its main process {first} lives on");
    assert!(session.ok(["doctor"]).contains(&lives_on));
    assert_eq!(session.run(["rm", "tough"]).code, 1, "it lives");
    assert_eq!(
        session.run(["wait", "tough"]).code,
        1,
        "nobody will see its end"
    );
    assert_eq!(session.run(["start", "tough"]).code, 1, "it runs");
    let refused = session.run(["--json", "exec", "tough", "true"]);
    assert!(refused.err.contains("holder_unreachable"), "{refused:?}");
    session.ok(["restart", "tough"]);
    assert!(
        !crate::support::lives(first),
        "the first is ended before the second begins"
    );
    let second = ready.pid();
    assert_ne!(first, second);
    session.abandon();
    assert_eq!(session.pid("tough"), second);
    session.ok(["rm", "-f", "tough"]);
    session.falls_silent();
}

#[test]
fn what_a_lost_pid_namespace_left_can_be_given_up() {
    let session = Sandbox::new();
    let created = session.shell("unshare -pf --mount-proc $SESSION create -q -n gone sleep 1000");
    if created.err.contains("unshare") {
        return eprintln!("SKIPPED: no pid namespace: {}", created.err);
    }
    let refused = session.run(["start", "gone"]);
    assert_eq!(refused.code, 1, "it may live: {refused:?}");
    assert!(refused.err.contains("pid namespace"), "{refused:?}");
    let stopped = session.run(["stop", "gone"]);
    assert!(
        stopped.code == 0 && stopped.err.contains("gave up"),
        "{stopped:?}"
    );
    session.ok(["start", "gone"]);
    assert_eq!(session.status("gone")["state"], "running");
}

#[test]
fn diagnostics_go_where_the_caller_means() {
    let session = Sandbox::new();
    let created = session.shell("SESSION_LOG=log $SESSION create -q -n s sleep 1000");
    assert_eq!(created.code, 0, "{created:?}");
    session.ok(["rm", "-f", "s"]);
    let log = std::fs::read_to_string(session.path("log")).unwrap();
    assert!(log.contains(" s "), "{log}");
}

#[test]
fn termination_of_the_holder_ends_the_tree_and_keeps_what_is_wanted() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "up", "sleep", "1000"]);
    let (holder, pid) = (session.holders()[0], session.pid("up"));
    crate::support::kill(holder, Signal::TERM);
    crate::support::dies(holder);
    assert!(!crate::support::lives(pid));
    assert_eq!(session.status("up")["desired"], "up");
}

#[test]
fn a_session_that_does_not_remain_is_gone_when_it_has_ended_by_itself() {
    let session = Sandbox::new();
    let create = |name: &str, script: &str| {
        let options = ["create", "--remain-on-exit", "no", "-n", name];
        session.run([&options[..], &["--restart", "no", "--", "sh", "-c", script]].concat())
    };
    assert_eq!(create("kept", "exec cat").code, 0);
    // `stop` is not by itself, nor is a command that could not be started.
    session.ok(["stop", "kept"]);
    assert_eq!(session.status("kept")["state"], "stopped");
    session.ok(["start", "kept"]);
    let mut terminal = session.attach("kept");
    session.ok(["send", "kept", "--keys", "C-d"]);
    assert_eq!(terminal.exit(), 0);
    terminal.shows("Session 'kept' exited with code 0.");
    assert_eq!(session.run(["status", "kept"]).code, 4);
    create("other", "exit 3");
    let gone = || session.run(["status", "other"]).code == 4;
    crate::support::until("it is gone", gone);
    assert_eq!(session.ok(["ls", "--json"]), "[]\n");
}
