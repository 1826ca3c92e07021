//! Many commands at once on one session end in a state that one order of them explains.

use std::process::Stdio;

use crate::support::{Ran, Sandbox};

#[test]
fn two_hundred_verbs_at_once_on_one_session() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "busy", "sleep", "1000"]);
    let verbs: [&[&str]; 8] = [
        &["stop", "busy"],
        &["start", "busy"],
        &["restart", "busy"],
        &["suspend", "busy"],
        &["resume", "busy"],
        &["status", "busy"],
        &["set", "busy", "title", "x"],
        &["kill", "busy"],
    ];
    let started: Vec<_> = (0..200)
        .map(|n| {
            let verb = verbs[(n * 5 + n / 8) % verbs.len()];
            let child = session
                .command(verb)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            (verb, child)
        })
        .collect();
    for (verb, child) in started {
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        let ran = Ran {
            code: output.status.code().unwrap_or(-1),
            out: String::new(),
            err,
        };
        assert!(matches!(ran.code, 0 | 1 | 3), "{verb:?}: {ran:?}");
        // A verb may come at the wrong moment; it may not fail for another reason.
        let moment = [
            "running",
            "stopped",
            "suspended",
            "exited",
            "was killed",
            "restarting",
            "failed",
        ];
        assert!(
            ran.code != 1 || moment.iter().any(|word| ran.err.contains(word)),
            "{verb:?}: {ran:?}"
        );
    }
    let status = session.status("busy");
    let sleeping: Vec<i32> = session
        .living()
        .into_iter()
        .filter(|pid| crate::support::command_line(*pid).starts_with("sleep"))
        .collect();
    let expected: Vec<i32> = status["pid"]
        .as_i64()
        .into_iter()
        .map(|pid| pid as i32)
        .collect();
    assert_eq!(sleeping, expected, "{status}");
    assert!(session.holders().len() <= 1);
    assert_eq!(
        status["title"],
        serde_json::Value::Null,
        "titles are attributes, not status"
    );
    assert_eq!(session.ok(["get", "busy", "title"]), "x\n");
    session.run(["restart", "busy"]);
    assert_eq!(session.status("busy")["state"], "running");
}

#[test]
fn removing_and_creating_one_name_at_once() {
    let session = Sandbox::new();
    let verbs: [&[&str]; 2] = [
        &["create", "-n", "name", "sleep", "1000"],
        &["rm", "-f", "name"],
    ];
    let children: Vec<_> = (0..60)
        .map(|n| {
            session
                .command(verbs[n % 2])
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(0 | 1 | 4)), "{err}");
    }
    let listed: Vec<serde_json::Value> =
        serde_json::from_str(&session.ok(["ls", "--json"])).unwrap();
    assert!(listed.len() <= 1, "{listed:?}");
    let count = std::fs::read_dir(session.state().join("sessions"))
        .unwrap()
        .count();
    assert_eq!(count, listed.len());
    session.run(["rm", "-f", "name"]);
    session.ok(["create", "-n", "name", "sleep", "1000"]);
}
