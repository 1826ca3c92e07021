//! `logs`, `send` and `wait`: a session read and driven without a terminal.

use std::io::{BufRead as _, BufReader, Read as _};

use crate::support::{Fifo, Sandbox};

#[test]
fn logs_show_lines_and_raw_bytes() {
    let session = Sandbox::new();
    session.ok([
        "create",
        "-n",
        "l",
        "--restart",
        "no",
        "--",
        "sh",
        "-c",
        "printf 'one\\n\\033[31mtwo\\033[0m\\nthree\\n'",
    ]);
    session.ok(["wait", "l"]);
    assert_eq!(session.ok(["logs", "l"]), "one\ntwo\nthree\n");
    assert_eq!(
        session.ok(["logs", "--raw", "l"]),
        "one\r\n\x1b[31mtwo\x1b[0m\r\nthree\r\n"
    );
    assert_eq!(session.ok(["logs", "-n", "1", "l"]), "three\n");
    assert_eq!(
        session.ok(["logs", "--raw", "--from", "5", "l"]),
        "\x1b[31mtwo\x1b[0m\r\nthree\r\n"
    );
    assert_eq!(session.run(["logs", "--raw", "--json", "l"]).code, 2);
    for line in session.ok(["logs", "--json", "l"]).lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["text"].is_string() && line["at"].is_string(), "{line}");
    }
    let stamped = session.ok(["logs", "--timestamps", "l"]);
    assert!(
        stamped
            .lines()
            .all(|line| line.starts_with("20") && line.contains('T')),
        "{stamped}"
    );
    assert_eq!(
        session.ok(["logs", "--since", "1h", "l"]).lines().count(),
        3
    );
    assert_eq!(
        session.ok(["logs", "--since", "2100-01-01T00:00:00Z", "l"]),
        ""
    );
}

#[test]
fn logs_go_on_over_restarts_and_stops() {
    let session = Sandbox::new();
    session.ok([
        "create",
        "-n",
        "l",
        "--restart",
        "no",
        "--",
        "sh",
        "-c",
        "echo life",
    ]);
    session.ok(["wait", "l"]);
    session.ok(["start", "l"]);
    session.ok(["wait", "l"]);
    assert_eq!(session.ok(["logs", "l"]), "life\nlife\n");
}

#[test]
fn the_log_keeps_to_its_limit_and_says_what_is_gone() {
    let session = Sandbox::new();
    session.ok([
        "create",
        "-n",
        "big",
        "--restart",
        "no",
        "--log-limit",
        "256K",
        "--",
        "sh",
        "-c",
        "seq 200000",
    ]);
    session.ok(["wait", "big"]);
    let kept = session.run(["logs", "--raw", "big"]);
    assert!(
        kept.out.len() <= 256 << 10 && kept.out.len() > 128 << 10,
        "{}",
        kept.out.len()
    );
    assert!(kept.out.ends_with("200000\r\n"));
    let all: usize = (1..=200_000).map(|i| format!("{i}\r\n").len()).sum();
    let gone = format!(
        "[\u{2026} {} bytes are gone \u{2026}]\n",
        all - kept.out.len()
    );
    assert_eq!(kept.err, gone);
    // Who asks for the last lines does not ask for those.
    assert!(session.ok(["logs", "big"]).starts_with(&gone));
    assert_eq!(session.ok(["logs", "-n", "1", "big"]), "200000\n");
}

#[test]
fn following_ends_with_the_session() {
    let session = Sandbox::new();
    let mut go = Fifo::new(session.path("go"));
    session.ok([
        "create",
        "-n",
        "f",
        "--restart",
        "no",
        "--",
        "sh",
        "-c",
        "echo first; echo x > go; read x; echo \"second $x\"",
    ]);
    go.line();
    let follow = session
        .command(["logs", "-f", "f"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    session.ok(["send", "f", "word", "--keys", "Enter"]);
    let followed = String::from_utf8(follow.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(followed, "first\nword\nsecond word\n");
}

#[test]
fn who_follows_is_told_why_nothing_follows() {
    let session = Sandbox::new();
    // It outlives its terminal.
    let script = "trap '' HUP; echo said; while :; do sleep 0.1; done";
    session.ok(["create", "-n", "f", "--", "sh", "-c", script]);
    session.ok(["wait", "f", "--text", "said", "--timeout", "30s"]);
    let mut follow = session.command(["logs", "-f", "f"]);
    let mut follow = follow
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(follow.stdout.take().unwrap()).lines();
    assert_eq!(out.next().unwrap().unwrap(), "said");
    session.abandon();
    let mut why = String::new();
    let mut err = follow.stderr.take().unwrap();
    err.read_to_string(&mut why).unwrap();
    assert_eq!(follow.wait().unwrap().code(), Some(1));
    assert!(why.contains("the holder of session 'f' is gone"), "{why}");
    session.ok(["stop", "f"]);
    for verb in [&["logs", "-f", "f"][..], &["record", "--follow", "f", "-"]] {
        let ran = session.run(verb);
        assert!(ran.err.contains("Session 'f' is stopped"), "{}", ran.err);
        assert_eq!(ran.code, 0);
    }
}

#[test]
fn the_last_lines_are_those_of_both_streams_together() {
    let session = Sandbox::new();
    let script = "for i in 1 2 3; do echo out$i; sleep 0.03; echo err$i >&2; sleep 0.03; done; \
                  for i in 4 5 6; do echo out$i; done; printf end";
    let create = ["create", "-n", "l", "--no-pty", "--restart", "no", "--"];
    session.ok([&create[..], &["sh", "-c", script]].concat());
    session.run(["wait", "l"]);
    for (lines, last) in [
        ("1", "end"),
        ("4", "out4\nout5\nout6\nend"),
        ("6", "out3\nerr3\nout4\nout5\nout6\nend"),
    ] {
        let shown = session.ok(["logs", "-n", lines, "l"]);
        assert_eq!(shown.trim_end(), last, "-n {lines}");
    }
    assert_eq!(
        session.ok(["logs", "-n", "100", "l"]),
        session.ok(["logs", "l"])
    );
}

#[test]
fn what_is_said_last_is_kept_also_when_nobody_is_left_to_say_more() {
    let session = Sandbox::new();
    std::fs::write(session.path("big"), [b'a'; 50_000]).unwrap();
    for round in 0..5 {
        let name = format!("last{round}");
        let mut ready = Fifo::new(session.path(&name));
        // What is left of the session writes once and ends; the holder leaves behind it.
        let script = format!(
            "(echo x > {name}; read go < {name}.go; exec dd if=big bs=50000 status=none) & exit 0"
        );
        let _go = Fifo::new(session.path(&format!("{name}.go")));
        let create = ["create", "-n", &name, "--no-pty", "--restart", "no", "--"];
        session.ok([&create[..], &["sh", "-c", &script]].concat());
        ready.line();
        std::fs::write(session.path(&format!("{name}.go")), "x\n").unwrap();
        crate::support::until("all of it is in the log", || {
            session.ok(["logs", &name]).trim_end().len() == 50_000
        });
    }
}

#[test]
fn who_follows_goes_on_when_a_restart_changed_the_streams() {
    let session = Sandbox::new();
    let script =
        "test -t 1 && echo terminal && exec sleep 1000; while echo pipe; do sleep 0.1; done";
    session.ok(["create", "-n", "lf", "--", "sh", "-c", script]);
    let mut lines = Fifo::new(session.path("lines"));
    let writing = std::fs::File::options()
        .write(true)
        .open(session.path("lines"))
        .unwrap();
    let mut spawned: Vec<_> = [
        &["wait", "lf", "--idle", "6s", "--timeout", "7s"][..],
        &["wait", "lf", "--text", "^pipe$", "--timeout", "20s"],
        &["logs", "-f", "lf"],
    ]
    .into_iter()
    .map(|verb| {
        let mut command = session.command(verb);
        command.stdout(writing.try_clone().unwrap());
        command.stderr(std::process::Stdio::null()).spawn().unwrap()
    })
    .collect();
    assert_eq!(lines.line(), "terminal");
    session.ok(["set", "lf", "pty", "no"]);
    session.ok(["restart", "lf"]);
    assert_eq!(lines.line(), "pipe");
    let mut code = |index: usize| spawned[index].wait().unwrap().code();
    assert_eq!(code(1), Some(0));
    assert_eq!(code(0), Some(124), "it never fell silent");
    session.ok(["stop", "lf"]);
    assert_eq!(code(2), Some(0));
}

#[test]
fn output_on_pipes_is_kept_too() {
    let session = Sandbox::new();
    session.ok([
        "create",
        "-n",
        "p",
        "--no-pty",
        "--restart",
        "no",
        "--",
        "sh",
        "-c",
        "test -t 1 || echo out; echo err >&2",
    ]);
    session.ok(["wait", "p"]);
    let mut lines: Vec<String> = session
        .ok(["logs", "p"])
        .lines()
        .map(str::to_owned)
        .collect();
    lines.sort();
    assert_eq!(lines, ["err", "out"]);
}

#[test]
fn cursor_keys_are_those_that_the_program_has_asked_for() {
    let session = Sandbox::new();
    let script = "stty raw -echo; for mode in h l; do printf \"\\033[?1$mode ready $mode \"; \
        head -c 6 | od -An -c; done; exec cat";
    session.ok(["create", "-n", "s", "--", "sh", "-c", script]);
    for (mode, shown) in [("h", "O   A 033   O   F"), ("l", "[   A 033   [   F")] {
        session.ok([
            "wait",
            "s",
            "--text",
            &format!("ready {mode}"),
            "--timeout",
            "20s",
        ]);
        session.ok(["send", "s", "--keys", "Up", "End"]);
        session.ok([
            "wait",
            "s",
            "--text",
            &shown.replace('[', "\\["),
            "--timeout",
            "20s",
        ]);
    }
}

#[test]
fn send_types_text_and_keys() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "c", "cat"]);
    session.ok(["send", "c", "hello", "--keys", "Enter"]);
    session.ok(["wait", "c", "--text", "^hello$", "--timeout", "20s"]);
    session.ok(["send", "c", "--keys", "C-d"]);
    session.ok(["wait", "c", "--timeout", "20s"]);
    let refused = session.run(["send", "c", "x"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert_eq!(session.run(["send", "c", "--keys", "NoSuchKey"]).code, 2);
}

#[test]
fn wait_for_exit_text_idleness_and_state() {
    let session = Sandbox::new();
    session.ok([
        "create",
        "-n",
        "w",
        "--restart",
        "no",
        "--",
        "sh",
        "-c",
        "echo ready; read x; exit 6",
    ]);
    session.ok(["wait", "w", "--text", "re.dy"]);
    session.ok(["wait", "w", "--idle", "50ms"]);
    session.ok(["wait", "w", "--state", "running"]);
    session.ok(["wait", "w", "--state", "running", "--timeout", "0"]);
    for late in [&["--state", "stopped"][..], &["--exit"]] {
        let wait = ["wait", "w", "--timeout", "0"].iter().chain(late);
        assert_eq!(session.run(wait).code, 124, "{late:?}");
    }
    assert_eq!(session.run(["wait", "w", "--timeout", "50ms"]).code, 124);
    assert_eq!(
        session
            .run(["wait", "w", "--text", "never", "--timeout", "50ms"])
            .code,
        124
    );
    let waiting = session.command(["wait", "w"]).spawn().unwrap();
    session.ok(["send", "w", "--keys", "Enter"]);
    assert_eq!(waiting.wait_with_output().unwrap().status.code(), Some(6));
    assert_eq!(session.run(["wait", "w"]).code, 6, "also afterwards");
    assert_eq!(session.run(["wait", "nobody"]).code, 4);
    let waiting = session
        .command(["wait", "w", "--state", "running", "--timeout", "20s"])
        .spawn()
        .unwrap();
    session.ok(["start", "w"]);
    assert_eq!(
        waiting.wait_with_output().unwrap().status.code(),
        Some(0),
        "also where no holder lived"
    );
}
