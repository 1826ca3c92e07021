//! Programs driven by scripts: `send --offset` and `wait --since`, which does not take the echo for the answer.

use std::io::{BufRead, BufReader, Write as _};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::protocol::socket;
use crate::support::{Fifo, Sandbox};

/// Types a line; where the answer begins.
fn send(session: &Sandbox, name: &str, line: &str) -> String {
    let offset = session.ok(["send", "--offset", name, line, "--enter"]);
    assert!(offset.trim().parse::<u64>().is_ok(), "{offset}");
    offset.trim().to_owned()
}

/// The line that `wait --text` found behind `since`.
fn wait(session: &Sandbox, name: &str, text: &str, since: &str) -> String {
    let timeout = ["--timeout", "30s", "--json"];
    let wait = ["wait", name, "--text", text, "--since", since];
    let found = session.ok(wait.iter().chain(&timeout));
    let found: Value = serde_json::from_str(&found).unwrap();
    assert!(found["offset"].is_u64() && found["stream"].is_string());
    found["line"].as_str().unwrap().to_owned()
}

/// Nothing but an echo has it.
fn is_not_found(session: &Sandbox, name: &str, text: &str, since: &str) {
    let wait = ["wait", name, "--text", text];
    let seen = session.ok(wait.iter().chain(&["--timeout", "30s"]));
    assert_eq!(seen, "", "it is in the output");
    let late = ["--since", since, "--timeout", "300ms"];
    let late = session.run(wait.iter().chain(&late));
    assert_eq!(late.code, 124, "{late:?}");
}

fn create(session: &Sandbox, name: &str, command: &[&str]) {
    session.ok(["create", "-q", "-n", name, "--"].iter().chain(command));
}

#[test]
fn the_echo_of_a_shell_command_is_not_its_output() {
    let session = Sandbox::new();
    create(&session, "sh", &["sh"]);
    session.ok(["wait", "sh", "--text", "[$#] $", "--timeout", "30s"]);
    let since = send(&session, "sh", "echo DONE");
    assert_eq!(wait(&session, "sh", "DONE", &since), "DONE");
    let since = send(&session, "sh", "sleep 1000; echo LATER");
    is_not_found(&session, "sh", "LATER", &since);
}

#[test]
fn what_cat_repeats_is_found_behind_the_echo() {
    let session = Sandbox::new();
    create(&session, "cat", &["cat"]);
    let since = send(&session, "cat", "hello");
    let found = [
        "wait", "cat", "--text", "^hello$", "--since", &since, "--json",
    ];
    let found: Value = serde_json::from_str(&session.ok(found)).unwrap();
    let answer = since.parse::<u64>().unwrap() + "hello\r\n".len() as u64;
    assert_eq!(
        found,
        json!({ "stream": "pty", "offset": answer, "line": "hello" })
    );
    create(&session, "mute", &["sh", "-c", "exec cat > /dev/null"]);
    let since = send(&session, "mute", "hello");
    is_not_found(&session, "mute", "hello", &since);
    // Several lines at once.
    let since = send(&session, "mute", "one\ntwo\nthree");
    is_not_found(&session, "mute", "three", &since);
    is_not_found(&session, "mute", "one", &since);
    let since = send(&session, "cat", "one\ntwo\nthree");
    assert_eq!(wait(&session, "cat", "^three$", &since), "three");
}

#[test]
fn a_line_editor_that_reads_what_was_typed_ahead_shows_it_twice() {
    let session = Sandbox::new();
    session.ok([
        "create", "-q", "-n", "b", "-e", "PS1=$ ", "--", "bash", "--norc",
    ]);
    // Its terminal shows this before it reads, and it shows it itself.
    let since = send(&session, "b", "sleep 0.3; echo ONE");
    assert_eq!(wait(&session, "b", "ONE", &since), "ONE");
    // Two lines while the first one runs.
    let mut go = Fifo::new(session.path("go"));
    let since = send(&session, "b", "echo > go; sleep 0.5");
    go.line();
    send(&session, "b", "echo TWO");
    send(&session, "b", "sleep 1000; echo THREE");
    assert_eq!(wait(&session, "b", "TWO", &since), "TWO");
    is_not_found(&session, "b", "THREE", &since);
}

#[test]
fn a_command_that_the_line_editor_wraps_is_an_echo_too() {
    let session = Sandbox::new();
    session.ok([
        "create", "-q", "-n", "b", "-e", "PS1=$ ", "--", "bash", "--norc",
    ]);
    session.ok(["wait", "b", "--text", r"\$ $", "--timeout", "30s"]);
    let words = "a word ".repeat(30);
    let since = send(&session, "b", &format!("echo {words} DONE > /dev/null"));
    // The prompt behind it.
    assert_eq!(wait(&session, "b", r"^\$ $", &since), "$ ");
    is_not_found(&session, "b", "DONE", &since);
    is_not_found(&session, "b", "word", &since);
    let since = send(&session, "b", &format!("echo {words}\necho END"));
    assert_eq!(wait(&session, "b", "END", &since), "END");
}

#[test]
fn an_interpreter_is_asked_and_answers() {
    let session = Sandbox::new();
    let python = ["env", "PYTHON_HISTORY=/dev/null", "python3", "-q"];
    if std::process::Command::new("python3")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("SKIPPED: there is no python3");
        return;
    }
    create(&session, "py", &python);
    session.ok(["wait", "py", "--text", ">>> $", "--timeout", "30s"]);
    let since = send(&session, "py", "print('an' + 'swer', 6 * 7)");
    assert_eq!(wait(&session, "py", "answer", &since), "answer 42");
    let since = send(
        &session,
        "py",
        "import time, signal; signal.pause(); 'answer'",
    );
    is_not_found(&session, "py", "time", &since);
}

#[test]
fn what_somebody_types_is_no_answer_either() {
    let session = Sandbox::new();
    let mut heard = Fifo::new(session.path("heard"));
    let script = "while read x; do echo \"$x\" > heard; done";
    create(&session, "s", &["sh", "-c", script]);
    let since = send(&session, "s", "begin");
    assert_eq!(heard.line(), "begin");
    let mut terminal = session.attach("s");
    for key in ["w", "o", "r", "d", "\r"] {
        terminal.send(key);
    }
    assert_eq!(heard.line(), "word");
    is_not_found(&session, "s", "word", &since);
    is_not_found(&session, "s", "o", &since);
}

#[test]
fn a_password_has_no_echo_to_be_left_out() {
    let session = Sandbox::new();
    let mut ready = Fifo::new(session.path("ready"));
    let script = "stty -echo; echo > ready; read x; stty echo; echo \"it was $x\"; exec cat";
    create(&session, "s", &["sh", "-c", script]);
    ready.line();
    let since = send(&session, "s", "secret");
    assert_eq!(wait(&session, "s", "secret", &since), "it was secret");
}

#[test]
fn who_waits_outlives_a_restart_and_is_told_of_the_end() {
    let session = Sandbox::new();
    let mut run = Fifo::new(session.path("run"));
    let script = "echo run > run; read x; echo \"$x\" > run; exec cat";
    create(&session, "s", &["sh", "-c", script]);
    run.line();
    let spawn = |text: &str| {
        let wait = ["wait", "s", "--text", text, "--timeout", "30s"];
        let mut command = session.command(wait);
        command.stderr(Stdio::piped()).spawn().unwrap()
    };
    let (mut found, never) = (spawn("^second$"), spawn("^third$"));
    session.ok(["restart", "s"]);
    run.line();
    send(&session, "s", "second");
    assert_eq!(run.line(), "second");
    assert_eq!(found.wait().unwrap().code(), Some(0));
    session.ok(["stop", "s"]);
    let never = never.wait_with_output().unwrap();
    assert_eq!(never.status.code(), Some(1));
    let why = String::from_utf8(never.stderr).unwrap();
    assert_eq!(
        why,
        "session: session 's' ended without a line that matches\n"
    );
    // What it said last is found in what is kept.
    session.ok(["wait", "s", "--text", "^second$"]);
    assert_eq!(session.run(["wait", "s", "--text", "^third$"]).code, 1);
    session.ok(["wait", "s", "--idle", "1s"]);
}

#[test]
fn a_session_that_is_not_started_may_still_say_it() {
    let session = Sandbox::new();
    session.ok([
        "create",
        "-s",
        "-n",
        "s",
        "--",
        "sh",
        "-c",
        "echo hello; exec cat",
    ]);
    for condition in [["--text", "hello"], ["--idle", "1ms"]] {
        let at_once = ["wait", "s", "--timeout", "0"];
        let at_once = session.run(at_once.iter().chain(&condition));
        assert_eq!(at_once.code, 124, "{at_once:?}");
    }
    let wait = ["wait", "s", "--text", "hello", "--timeout", "30s"];
    let mut waiting = session.command(wait).spawn().unwrap();
    session.ok(["start", "s"]);
    assert!(waiting.wait().unwrap().success());
    // What is there already takes no time.
    session.ok(["wait", "s", "--text", "hello", "--timeout", "0"]);
}

#[test]
fn silence_begins_when_all_is_said_and_read() {
    let session = Sandbox::new();
    let script = "while read x; do sleep 0.3; echo \"got $x\"; done";
    create(&session, "s", &["sh", "-c", script]);
    session.ok(["wait", "s", "--idle", "100ms", "--timeout", "30s"]);
    for word in ["one", "two"] {
        send(&session, "s", word);
        let quiet = session.ok(["wait", "s", "--idle", "1s", "--timeout", "30s", "--json"]);
        let quiet: Value = serde_json::from_str(&quiet).unwrap();
        assert!(quiet["quiet_ms"].as_u64() >= Some(1000), "{quiet}");
        assert!(session.ok(["logs", "s"]).contains(&format!("got {word}")));
    }
    let never = session.run(["wait", "s", "--idle", "1h", "--timeout", "50ms"]);
    assert_eq!(never.code, 124);
}

#[test]
fn a_long_log_is_searched_while_others_are_served() {
    let session = Sandbox::new();
    let script = "echo first; seq 700000; echo last; exec cat";
    create(&session, "s", &["sh", "-c", script]);
    session.ok(["wait", "s", "--text", "^last$", "--timeout", "60s"]);
    assert_eq!(wait(&session, "s", "^first$", "0"), "first");
    let search = [
        "wait",
        "s",
        "--text",
        "^none$",
        "--since",
        "0",
        "--timeout",
        "60s",
    ];
    let mut searching = session.command(search).spawn().unwrap();
    let since = send(&session, "s", "answer");
    assert_eq!(wait(&session, "s", "answer", &since), "answer");
    send(&session, "s", "none");
    assert!(searching.wait().unwrap().success());
}

#[test]
fn on_pipes_the_answer_is_in_either_stream() {
    let session = Sandbox::new();
    let script =
        "echo said; echo said >&2; while read x; do echo \"out $x\"; echo \"err $x\" >&2; done";
    session.ok([
        "create", "-q", "-n", "p", "--no-pty", "--", "sh", "-c", script,
    ]);
    for stream in ["out", "err"] {
        let since = send(&session, "p", "it");
        let found = wait(&session, "p", &format!("^{stream} it"), &since);
        assert_eq!(found, format!("{stream} it"));
    }
    let since = send(&session, "p", "more");
    wait(&session, "p", "^err more", &since);
    let said = ["wait", "p", "--text", "said", "--since", &since];
    let said = session.run(said.iter().chain(&["--timeout", "200ms"]));
    assert_eq!(said.code, 124, "{said:?}");
}

#[test]
fn a_wait_is_a_call_and_whoever_hangs_up_waits_no_longer() {
    let session = Sandbox::new();
    create(&session, "cat", &["cat"]);
    let call = |mut stream: &std::os::unix::net::UnixStream, params: Value| {
        let call = json!({ "id": 1, "method": "session.wait", "params": params });
        writeln!(stream, "{call}").unwrap();
    };
    let answer = |params: Value| {
        let stream = socket(&session, "cat");
        call(&stream, params);
        // It says no more, and is still answered.
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        serde_json::from_str::<Value>(&line).unwrap()
    };
    for wrong in [
        json!({ "text": "(" }),
        json!({ "text": "x".repeat(5000) }),
        json!({ "text": "x", "idle": 1 }),
        json!({}),
    ] {
        assert_eq!(answer(wrong)["error"]["data"]["code"], "usage");
    }
    let gone = json!({ "text": "x", "process": 7 });
    assert_eq!(answer(gone)["error"]["data"]["code"], "not_found");
    let now = json!({ "text": "x", "now": true });
    assert_eq!(answer(now)["result"], Value::Null);
    // More than may wait at once, were they not forgotten.
    for _ in 0..520 {
        call(&socket(&session, "cat"), json!({ "text": "x" }));
    }
    let since = send(&session, "cat", "word");
    let found = answer(json!({ "text": "word", "since": since.parse::<u64>().unwrap() }));
    assert_eq!(found["result"]["line"], "word");
    assert!(answer(json!({ "idle": 10 }))["result"]["quiet_ms"].is_u64());
}

#[test]
fn usage_is_refused_before_anything_waits() {
    let session = Sandbox::new();
    create(&session, "cat", &["cat"]);
    for wrong in [
        &["--text", "("][..],
        &["--since", "0"],
        &["--text", &"x".repeat(5000)],
        &["--idle", "1s", "--since", "0"],
    ] {
        let ran = session.run(["wait", "cat"].iter().chain(wrong));
        assert_eq!(ran.code, 2, "{ran:?}");
    }
    let sent = session.ok(["send", "--json", "cat", "x"]);
    assert!(sent.starts_with("{\"offset\":"), "{sent}");
    assert_eq!(session.ok(["send", "cat", "x"]), "");
    // The option's former name.
    let former = ["wait", "cat", "--text", "y", "--from", "0"];
    let former = session.run(former.iter().chain(&["--timeout", "0"]));
    assert_eq!(former.code, 124, "{former:?}");
}
