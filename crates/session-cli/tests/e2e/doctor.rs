//! `doctor`: what is not as it should be is said, and what can be put right without a loss is.

use std::path::PathBuf;

use rustix::process::Signal;

use crate::support::{Sandbox, kill, state};

const WHOLE: &str = "ok    records: whole, and every name has its session";

fn id(session: &Sandbox, name: &str) -> String {
    session.ok(["get", name, "id"]).trim().to_owned()
}

fn directory(session: &Sandbox, id: &str) -> PathBuf {
    session.state().join("sessions").join(id)
}

/// The warnings about the state directory.
fn warnings(session: &Sandbox) -> Vec<String> {
    let about_state = |line: &&str| {
        let mut words = line.split_whitespace();
        words.next() != Some("ok")
            && matches!(words.next(), Some("records:" | "holders:" | "sessions:"))
    };
    let said = session.ok(["doctor"]);
    said.lines()
        .filter(about_state)
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_name_of_two_sessions_is_reported_and_a_lost_one_given_back() {
    let session = Sandbox::new();
    let claim = session.state().join("names/c");
    session.ok(["create", "-n", "c", "sleep", "1000"]);
    let first = id(&session, "c");
    std::fs::remove_file(&claim).unwrap();
    session.ok(["create", "-n", "c", "sleep", "1000"]);
    let second = id(&session, "c");
    let warnings = warnings(&session);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let rename = format!("`session rename {first} NAME`");
    assert!(
        warnings[0].contains(&rename) && warnings[0].contains(&second),
        "{warnings:?}"
    );
    session.ok(["rename", &first, "d"]);
    assert!(session.ok(["doctor"]).contains(WHOLE));
    std::fs::remove_file(&claim).unwrap();
    session.ok(["doctor", "--repair"]);
    assert_eq!(id(&session, "c"), second);
    assert!(session.ok(["doctor"]).contains(WHOLE));
}

#[test]
fn a_damaged_record_of_a_session_that_runs_is_reported() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "s", "sleep", "1000"]);
    let record = directory(&session, &id(&session, "s")).join("record");
    std::fs::write(&record, "noise").unwrap();
    let warnings = warnings(&session);
    let damaged = format!("the record {} is damaged", record.display());
    assert!(
        warnings.len() == 1 && warnings[0].contains(&damaged),
        "{warnings:?}"
    );
    session.ok(["doctor", "--repair"]);
    assert_eq!(std::fs::read(&record).unwrap(), b"noise");
    session.ok(["set", "s", "title", "whole"]);
    assert!(session.ok(["doctor"]).contains(WHOLE));
}

#[test]
fn a_holder_in_trouble_is_reported_and_its_directory_left() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "s", "sleep", "1000"]);
    let directory = directory(&session, &id(&session, "s"));
    let holder = session.holders()[0];
    let troubled = |why: &str| {
        session.ok(["doctor", "--repair"]);
        let warnings = warnings(&session);
        let (holder, says) = (holder.to_string(), format!("{why} "));
        assert!(
            warnings
                .iter()
                .any(|warning| warning.contains(&says) && warning.contains(&holder)),
            "{warnings:?}"
        );
    };
    std::fs::remove_file(directory.join("record")).unwrap();
    troubled("the record of");
    session.ok(["set", "s", "title", "whole"]);
    assert!(session.ok(["doctor"]).contains(WHOLE));
    kill(holder, Signal::STOP);
    assert!((0..100_000).any(|_| state(holder) == Some('T')));
    troubled("is stopped");
    std::fs::remove_file(directory.join("socket")).unwrap();
    troubled("the socket of");
    std::fs::remove_file(directory.join("record")).unwrap();
    std::fs::remove_file(directory.join("live")).unwrap();
    troubled("the file `live` of");
    assert!(directory.join("main").exists());
    kill(holder, Signal::TERM);
    kill(holder, Signal::CONT);
    session.falls_silent();
    session.ok(["doctor", "--repair"]);
    assert_eq!(session.run(["status", "s"]).code, 3, "nothing was lost");
}

#[test]
fn screens_kept_beside_the_log_are_known_and_go_with_it() {
    let session = Sandbox::new();
    let create = ["create", "-n", "s", "--log-limit", "64K", "--restart", "no"];
    session.ok([&create[..], &["--", "sh", "-c", "seq 60000; exec cat"]].concat());
    session.ok(["wait", "s", "--text", "^60000$", "--timeout", "30s"]);
    session.ok(["screen", "s"]);
    let directory = session.ok(["get", "s", "dir"]);
    let directory = std::path::Path::new(directory.trim());
    let stream = directory.join("streams/main/pty");
    let entries = std::fs::read_dir(&stream).unwrap();
    let screens = entries.filter(|entry| {
        let path = entry.as_ref().unwrap().path();
        path.extension().is_some_and(|it| it == "s")
    });
    assert!(screens.count() > 2, "in {}", stream.display());
    let healthy = session.run(["doctor"]);
    assert!(!healthy.out.contains("streams"), "{healthy:?}");
    assert!(!healthy.err.contains("streams"), "{healthy:?}");
    session.ok(["stop", "s"]);
    let healthy = session.run(["doctor", "--repair"]);
    assert!(!healthy.out.contains("streams"), "{healthy:?}");
    session.ok(["rm", "s"]);
    assert!(!directory.exists());
    session.falls_silent();
}
