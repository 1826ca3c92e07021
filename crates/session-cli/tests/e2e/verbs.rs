//! What every verb keeps to: exit codes, JSON, globs, and one clear line when it refuses.

use crate::support::Sandbox;
use serde_json::Value;

#[test]
fn exit_codes_of_those_that_are_not_there() {
    let session = Sandbox::new();
    for verb in [
        &["status", "x"][..],
        &["stop", "x"],
        &["attach", "x"],
        &["get", "x"],
        &["set", "x", "title", "y"],
        &["rm", "x"],
        &["logs", "x"],
        &["send", "x", "y"],
        &["wait", "x"],
        &["exec", "x", "true"],
        &["ps", "x"],
        &["tree", "x"],
        &["rename", "x", "y"],
        &["kill", "x"],
        &["detach", "x"],
        &["suspend", "x"],
        &["resume", "x"],
        &["start", "x"],
        &["restart", "x"],
        &["unset", "x", "title"],
    ] {
        let ran = session.run(verb);
        assert_eq!(ran.code, 4, "{verb:?}: {ran:?}");
        assert!(
            ran.err.starts_with("session: ") && ran.err.lines().count() == 1,
            "{verb:?}: {ran:?}"
        );
        assert!(
            !session.state().exists(),
            "{verb:?} created a state directory"
        );
    }
    let ran = session.run(["status", "--json", "x"]);
    let error: Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!(
        (ran.code, &error["error"]["code"]),
        (4, &Value::from("not_found"))
    );
}

#[test]
fn usage_errors_are_two() {
    let session = Sandbox::new();
    for args in [
        &["no-such-verb"][..],
        &["status"],
        &["status", "--no-such-option", "x"],
        &["wait", "x", "--timeout", "soon"],
        &["create", "--restart", "sometimes", "true"],
        &["create", "--stop-signal", "NONE", "true"],
        &["kill", "-s", "99", "x"],
    ] {
        let ran = session.run(args);
        assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
        assert!(
            ran.out.is_empty() && ran.err.starts_with("session: "),
            "{args:?}: {ran:?}"
        );
    }
    assert!(session.ok(["--version"]).starts_with("session "));
    assert!(session.ok(["--help"]).contains("create"));
    assert!(session.ok(["create", "--help"]).contains("--restart"));
}

#[test]
fn ls_is_a_table_and_json() {
    let session = Sandbox::new();
    assert_eq!(session.run(["ls", "--json"]).out.trim(), "[]");
    session.ok(["create", "-n", "zeta", "sleep", "1000"]);
    session.ok(["create", "-n", "alpha", "-s", "--", "echo", "a\tb"]);
    let table = session.ok(["ls"]);
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        rows[0],
        ["NAME", "STATE", "PID", "UPTIME", "CLIENTS", "COMMAND"]
    );
    assert_eq!((rows[1][0], rows[1][1]), ("alpha", "suspended"));
    assert_eq!((rows[2][0], rows[2][1]), ("zeta", "running"));
    assert!(
        !table.contains("a\tb") && table.contains("a\\tb"),
        "escaped: {table:?}"
    );
    let listed: Vec<Value> = serde_json::from_str(&session.ok(["ls", "--json"])).unwrap();
    for field in [
        "name",
        "id",
        "scope",
        "state",
        "desired",
        "pid",
        "command",
        "directory",
        "created_at",
        "started_at",
        "restarts",
        "exit",
        "clients",
    ] {
        assert!(
            listed[0].as_object().unwrap().contains_key(field),
            "{field}"
        );
    }
    assert_eq!(listed[0]["pid"], Value::Null);
}

#[test]
fn several_names_and_globs() {
    let session = Sandbox::new();
    for name in ["web-1", "web-2", "db"] {
        session.ok(["create", "-n", name, "sleep", "1000"]);
    }
    session.ok(["stop", "web-*"]);
    assert_eq!(session.status("web-2")["state"], "stopped");
    assert_eq!(session.status("db")["state"], "running");
    session.ok(["start", "web-[12]"]);
    assert_eq!(session.status("web-2")["state"], "running");
    assert_eq!(session.run(["stop", "nothing-*"]).code, 4);
    assert_eq!(session.run(["stop", "web-[12"]).code, 2);
    session.ok(["stop", "web**"]);
    let deleted = session.ok(["rm", "-v", "-f", "web-*", "db"]);
    assert_eq!(deleted, "deleted 'web-1'\ndeleted 'web-2'\ndeleted 'db'\n");
    assert_eq!(session.ok(["ls", "--json"]).trim(), "[]");
}

#[test]
fn a_session_is_not_deleted_from_inside_itself() {
    let session = Sandbox::new();
    let mut said = crate::support::Fifo::new(session.path("said"));
    let script = "\"$0\" rm -f i 2> said; exec sleep 1000";
    let executable = session.executable().to_str().unwrap().to_owned();
    session.ok(["create", "-n", "i", "--", "sh", "-c", script, &executable]);
    assert!(said.line().contains("from inside itself"));
    session.ok(["rm", "-f", "i"]);
}

#[test]
fn a_shorter_stop_timeout_ends_a_stop_that_is_under_way() {
    let session = Sandbox::new();
    let mut ready = crate::support::Fifo::new(session.path("ready"));
    let script = "trap 'echo > ready' TERM; echo > ready; while :; do sleep 0.01; done";
    session.ok([
        "create",
        "-n",
        "s",
        "--stop-timeout",
        "60s",
        "--",
        "sh",
        "-c",
        script,
    ]);
    ready.line();
    let mut stop = session.command(["stop", "s"]).spawn().unwrap();
    ready.line();
    session.ok(["set", "s", "stop-timeout", "10ms"]);
    assert!(stop.wait().unwrap().success());
}

#[test]
fn ids_and_their_prefixes_name_a_session() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "one", "-s", "true"]);
    let id = session.ok(["get", "one", "id"]).trim().to_owned();
    assert_eq!(session.ok(["get", &id, "name"]), "one\n");
    for digits in [1, 3, 6] {
        assert_eq!(session.ok(["get", &id[..digits], "name"]), "one\n");
    }
    for verb in [&["stop"][..], &["rm"], &["rm", "-f"]] {
        let ran = session.run([verb, &[&id[..3]]].concat());
        assert_eq!(ran.code, 4, "a name that is gone ends nobody: {ran:?}");
        assert!(ran.err.contains(&id), "{ran:?}");
    }
    session.ok(["stop", &id[..4]]);
    assert_eq!(
        session.run(["get", "on", "name"]).code,
        4,
        "no prefixes of names"
    );
}

#[test]
fn a_new_command_is_looked_for_as_the_first_was() {
    let session = Sandbox::new();
    std::fs::create_dir(session.path("bin")).unwrap();
    for name in ["one", "other"] {
        std::fs::copy("/bin/sleep", session.path("bin").join(name)).unwrap();
    }
    let path = format!("PATH={}", session.path("bin").display());
    session.ok(["create", "-n", "s", "-e", &path, "one", "1000"]);
    session.ok(["set", "s", "command", r#"["other","2000"]"#]);
    session.ok(["restart", "s"]);
    let here = session.shell("cd bin && $SESSION set s command '[\"./one\",\"3000\"]'");
    assert_eq!((here.code, &here.err[..]), (0, ""), "{here:?}");
    session.ok(["restart", "s"]);
    assert!(session.ok(["ps", "s"]).contains("./one 3000"));
}

#[test]
fn set_applies_at_the_next_start_and_says_so() {
    let session = Sandbox::new();
    session.ok([
        "create",
        "-n",
        "s",
        "--",
        "sh",
        "-c",
        "echo \"value $V\"; exec sleep 1000",
    ]);
    session.ok(["set", "s", "env.V", "two"]);
    assert!(
        session
            .ok(["status", "s"])
            .contains("changed, restart to apply")
    );
    assert!(
        session
            .ok(["get", "s"])
            .contains("changed, restart to apply")
    );
    session.ok(["restart", "s"]);
    assert!(!session.ok(["status", "s"]).contains("changed"));
    session.ok(["wait", "s", "--text", "value two", "--timeout", "20s"]);
    session.ok(["unset", "s", "env.V"]);
    for (key, value, known) in [
        ("colour", "red", "title"),
        ("restart", "sometimes", "on-failure"),
        ("stop-timeout", "soon", "500ms"),
        ("log-limit", "-1", "16M"),
    ] {
        let refused = session.run(["set", "s", key, value]);
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(
            refused.err.contains(known),
            "the known ones are listed: {refused:?}"
        );
    }
}

#[test]
fn verbs_at_the_wrong_moment_are_refused_or_do_nothing() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "s", "sleep", "1000"]);
    assert_eq!(session.run(["start", "s"]).code, 1);
    session.ok(["resume", "s"]);
    session.ok(["suspend", "s"]);
    session.ok(["suspend", "s"]);
    assert_eq!(session.run(["start", "s"]).code, 1);
    session.ok(["stop", "s"]);
    session.ok(["stop", "s"]);
    assert_eq!(session.run(["suspend", "s"]).code, 1);
    assert_eq!(session.run(["resume", "s"]).code, 1);
    assert_eq!(session.run(["kill", "s"]).code, 1);
    session.ok(["restart", "s"]);
    assert_eq!(session.status("s")["state"], "running");
    session.ok(["create", "-n", "w", "-s", "sleep", "1000"]);
    session.ok(["resume", "w"]);
    assert_eq!(session.status("w")["state"], "running");
}

#[test]
fn ps_and_purge_and_doctor() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "s", "--", "sh", "-c", "sleep 1000 & wait"]);
    crate::support::until("both run", || {
        session.ok(["ps", "s"]).matches("sleep 1000").count() == 2
    });
    let pid = session.pid("s").to_string();
    assert!(session.ok(["ps", "s"]).contains(&pid));
    session.ok(["create", "-n", "gone", "--restart", "no", "true"]);
    session.ok(["wait", "gone"]);
    session.ok(["create", "-n", "kept", "-s", "true"]);
    session.ok(["purge"]);
    assert_eq!(session.run(["status", "gone"]).code, 4);
    assert_eq!(session.run(["status", "kept"]).code, 0);
    let doctor = session.run(["doctor"]);
    assert_eq!(doctor.code, 0, "{doctor:?}");
    assert!(
        doctor.out.contains(&session.state().display().to_string()),
        "{doctor:?}"
    );
}

#[test]
fn completions_know_the_sessions() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "findme", "-s", "true"]);
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            session.ok(["completion", shell]).contains("session"),
            "{shell}"
        );
    }
    assert_eq!(session.run(["completion", "tcl"]).code, 2);
}

#[test]
fn json_cannot_act_on_a_terminal() {
    let session = Sandbox::new();
    let hostile = "a\u{9b}2J\u{2028}\u{202e}\u{2066}\u{200e}\u{61c}b";
    session.ok([
        "create", "-n", "j", "-s", "--title", hostile, "--", "true", hostile,
    ]);
    session.ok([
        "create",
        "-n",
        "l",
        "--restart",
        "no",
        "--",
        "echo",
        hostile,
    ]);
    session.run(["wait", "l"]);
    for args in [
        &["ls", "--json"][..],
        &["status", "--json", "j"],
        &["get", "--json", "j"],
        &["get", "--json", "j", "title"],
        &["logs", "--json", "l"],
        &["status", "--json", hostile],
        &["ls", "--json", hostile],
    ] {
        let ran = session.run(args);
        let printed = ran.out + &ran.err;
        assert!(
            !printed.contains(|c: char| hostile.contains(c) && !c.is_ascii()),
            "{args:?}: {printed:?}"
        );
        let _: Value = serde_json::from_str(&printed).unwrap();
    }
    let title: Value = serde_json::from_str(&session.ok(["get", "--json", "j", "title"])).unwrap();
    assert_eq!(title, hostile);
}

#[test]
fn an_attribute_has_one_value_wherever_it_is_asked_for() {
    let session = Sandbox::new();
    session.ok([
        "create",
        "-n",
        "g",
        "-s",
        "--title",
        "a\u{1b}[1mb",
        "-e",
        "K=1",
        "--",
        "echo",
        "it's",
    ]);
    let json = |args: &[&str]| -> Value {
        serde_json::from_str(&session.ok([&["get", "--json"], args].concat())).unwrap()
    };
    let whole = json(&["g"]);
    assert_eq!(whole["title"], "a\u{1b}[1mb");
    for key in ["title", "command", "directory", "restart", "name", "state"] {
        assert_eq!(json(&["g", key]), whole[key], "{key}");
    }
    assert_eq!(json(&["g", "env.K"]), "1");
    session.ok(["unset", "g", "title"]);
    for key in ["title", "env.NOPE", "limit.core", "pid"] {
        let refused = session.run(["get", "g", key]);
        assert_eq!((refused.code, refused.out.as_str()), (1, ""), "{refused:?}");
        assert_eq!(refused.err, format!("session: session 'g' has no {key}\n"));
        assert_eq!(session.run(["get", "--json", "g", key]).code, 1);
    }
}

#[test]
fn set_takes_the_command_that_get_prints() {
    use std::os::unix::ffi::OsStringExt as _;
    let session = Sandbox::new();
    let hostile = b"it's \"so\" \\ \t\n\x1b \xc3\xa9 \xe2\x80\xae \xff\xc3(".to_vec();
    let hostile = std::ffi::OsString::from_vec(hostile);
    let args = ["create", "-n", "u", "-s", "--", "echo"].map(Into::into);
    session.ok([&args[..], &[hostile, "'".into(), "".into()]].concat());
    let command = session.ok(["get", "u", "command"]);
    for form in ["", "--json"] {
        let line = format!(
            "C=$($SESSION get {form} u command) && $SESSION set u command \"['true']\" && $SESSION set u command \"$C\""
        );
        let ran = session.shell(&line);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
        assert_eq!(session.ok(["get", "u", "command"]), command, "{form}");
    }
}

#[test]
fn a_name_that_is_taken_is_refused_in_the_same_words() {
    let session = Sandbox::new();
    for name in ["one", "two"] {
        session.ok(["create", "-n", name, "sleep", "1000"]);
    }
    let taken = |args: &[&str]| {
        let ran = session.run(args);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert_eq!(ran.err, "session: a session named 'one' exists already\n");
    };
    taken(&["create", "-n", "one", "true"]);
    taken(&["rename", "two", "one"]);
    session.ok(["stop", "two"]);
    taken(&["set", "two", "name", "one"]);
}

#[test]
fn a_bad_name_is_refused_alike_whoever_gives_it() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "held", "sleep", "1000"]);
    session.ok(["create", "-n", "idle", "-s", "true"]);
    for (name, code, word) in [
        ("", 2, "usage"),
        ("a/b", 1, "bad_name"),
        ("all", 1, "bad_name"),
    ] {
        for args in [
            &["--json", "create", "-n", name, "true"][..],
            &["--json", "rename", "held", name],
            &["--json", "rename", "idle", name],
            &["--json", "set", "held", "name", name],
        ] {
            let ran = session.run(args);
            assert_eq!(ran.code, code, "{args:?}: {ran:?}");
            let error: Value = serde_json::from_str(&ran.err).unwrap();
            assert_eq!(error["error"]["code"], word, "{args:?}");
        }
    }
}

#[test]
fn an_error_does_not_repeat_all_of_a_long_text() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "s", "-s", "true"]);
    let long = "x".repeat(2000);
    for args in [
        &["set", "s", "title", &long][..],
        &["set", "s", &long, "y"],
        &["get", "s", &format!("env.{long}")],
        &["status", &long],
        &["create", "--title", &long, "true"],
        &["create", "--limit", &long, "true"],
        &["create", "-e", &long, "true"],
        &["create", "-n", &long, "true"],
    ] {
        let ran = session.run(args);
        assert!(ran.err.contains("xxx…") && ran.err.len() < 400, "{ran:?}");
    }
}
