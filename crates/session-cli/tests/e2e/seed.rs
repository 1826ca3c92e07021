//! The transcripts that Session was asked for, line by line, with their exact texts.

use crate::support::Sandbox;

#[test]
fn names_are_derived_from_the_command() {
    let session = Sandbox::new();
    assert_eq!(session.ok(["create", "bash"]), "Session 'bash' started\n");
    assert_eq!(session.ok(["create", "bash"]), "Session 'bash2' started\n");
    assert_eq!(
        session.ok(["create", "/bin/bash"]),
        "Session 'bash3' started\n"
    );
}

#[test]
fn a_suspended_session_waits_for_enter() {
    let session = Sandbox::new();
    let created = session.ok([
        "create",
        "-n",
        "backend",
        "-s",
        "--",
        "sh",
        "-c",
        "echo it runs; exec cat",
    ]);
    assert_eq!(created, "Session 'backend' created and suspended.\n");
    assert_eq!(
        session.ok(["status", "backend"]),
        "Session 'backend' is suspended, not started.\n"
    );

    let mut terminal = session.attach("backend");
    terminal.shows(":");
    terminal.send("\x04");
    assert_eq!(terminal.exit(), 0);
    assert_eq!(
        session.ok(["status", "backend"]),
        "Session 'backend' is suspended, not started.\n"
    );

    let mut terminal = session.attach("backend");
    terminal.shows(":");
    terminal.send("\r");
    terminal.shows("it runs");
    assert_eq!(session.status("backend")["state"], "running");

    let create = ["create", "-a", "-s", "-n", "at-once"];
    let mut terminal =
        session.terminal(&[&create[..], &["sh", "-c", "echo so does it; exec cat"]].concat());
    terminal.raw_mode();
    terminal.shows(":");
    terminal.send("\r");
    terminal.shows("so does it");
}

#[test]
fn process_control() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "backend", "sleep", "1000"]);
    let first = session.pid("backend");
    assert_eq!(
        session.ok(["status", "backend"]),
        format!("Session 'backend' is running, PID {first}.\n")
    );
    assert_eq!(session.ok(["suspend", "backend"]), "");
    assert_eq!(
        session.ok(["status", "backend"]),
        format!("Session 'backend' is suspended, PID {first}.\n")
    );
    assert_eq!(session.ok(["resume", "backend"]), "");
    assert_eq!(session.ok(["restart", "backend"]), "");
    let second = session.pid("backend");
    assert_ne!(first, second, "killed and re-spawned");
    assert!(!crate::support::lives(first));
    assert_eq!(session.ok(["stop", "backend"]), "");
    let stopped = session.run(["status", "backend"]);
    assert_eq!(
        (stopped.code, &stopped.out[..]),
        (3, "Session 'backend' is stopped.\n")
    );
    session.falls_silent();
    assert_eq!(session.ok(["start", "backend"]), "");
    let third = session.pid("backend");
    assert_eq!(
        session.ok(["status", "backend"]),
        format!("Session 'backend' is running, PID {third}.\n")
    );
}

#[test]
fn attributes_and_renaming() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "backend", "-s", "/bin/sleep"]);
    assert_eq!(session.ok(["set", "backend", "start-suspended", "yes"]), "");
    let got = session.ok(["get", "backend"]);
    let lines: Vec<&str> = got.lines().collect();
    assert_eq!(
        lines[..3],
        [
            "name=backend",
            "command=['/bin/sleep']",
            "start-suspended=yes"
        ]
    );
    assert_eq!(session.ok(["rename", "backend", "mybackend"]), "");
    assert_eq!(session.ok(["get", "mybackend", "name"]), "mybackend\n");
    assert_eq!(session.run(["status", "backend"]).code, 4);
    assert_eq!(session.ok(["set", "mybackend", "name", "backend"]), "");
    assert_eq!(
        session.ok(["get", "backend", "command"]),
        "['/bin/sleep']\n"
    );
}

#[test]
fn rm_refuses_what_runs() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "backend", "sleep", "1000"]);
    let pid = session.pid("backend");
    let refused = session.run(["rm", "backend"]);
    assert_eq!(refused.code, 1);
    assert_eq!(
        refused.err,
        format!(
            "The session 'backend' is running (PID {pid}). Use `session rm -f backend` to stop and delete the session.\n"
        )
    );
    session.ok(["suspend", "backend"]);
    let refused = session.run(["rm", "backend"]);
    assert!(
        refused
            .err
            .starts_with(&format!("The session 'backend' is suspended (PID {pid}).")),
        "{refused:?}"
    );
    assert!(crate::support::lives(pid));
    assert_eq!(session.ok(["rm", "-f", "backend"]), "");
    assert!(!crate::support::lives(pid));
    assert_eq!(session.run(["status", "backend"]).code, 4);
    assert_eq!(
        std::fs::read_dir(session.state().join("sessions"))
            .unwrap()
            .count(),
        0,
        "nothing is left"
    );
    assert_eq!(
        std::fs::read_dir(session.state().join("names"))
            .unwrap()
            .count(),
        0
    );
}
