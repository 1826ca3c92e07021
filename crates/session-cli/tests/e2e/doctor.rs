//! `doctor`: what is not as it should be is said, and what can be put right without a loss is.

use std::path::PathBuf;

use crate::support::Sandbox;

const WHOLE: &str = "ok    records: whole, and every name has its session";

fn id(session: &Sandbox, name: &str) -> String {
    session.ok(["get", name, "id"]).trim().to_owned()
}

fn directory(session: &Sandbox, id: &str) -> PathBuf {
    session.state().join("sessions").join(id)
}

/// The only warning of the state directory.
fn warning(session: &Sandbox) -> String {
    let said = session.ok(["doctor"]);
    let about_state = |line: &&str| {
        let mut words = line.split_whitespace();
        words.next() != Some("ok")
            && matches!(words.next(), Some("records:" | "holders:" | "sessions:"))
    };
    let warnings: Vec<&str> = said.lines().filter(about_state).collect();
    assert_eq!(warnings.len(), 1, "{said}");
    warnings[0].to_owned()
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
    let warning = warning(&session);
    assert!(
        warning.contains(&first) && warning.contains(&second),
        "{warning}"
    );
    assert!(warning.contains(&format!("`session rename {first} NAME`")));
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
    let warning = warning(&session);
    assert!(
        warning.contains("is damaged") && warning.contains(&record.display().to_string()),
        "{warning}"
    );
    session.ok(["doctor", "--repair"]);
    assert_eq!(std::fs::read(&record).unwrap(), b"noise");
    session.ok(["set", "s", "title", "whole"]);
    assert!(session.ok(["doctor"]).contains(WHOLE));
}
