//! `record`: the output as players of terminals have it, whatever the bytes are and however it ends.

use std::process::Stdio;

use crate::support::{Fifo, Sandbox, dies, until};
use rustix::process::Signal;
use serde_json::Value;

/// A recording, each line of which must be of the format.
struct Recording {
    header: Value,
    events: Vec<(f64, String, String)>,
}

impl Recording {
    fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "cut off: {text:?}");
        let mut lines = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line:?}")));
        let header: Value = lines.next().unwrap();
        assert_eq!(header["version"], 2);
        for key in ["width", "height", "timestamp"] {
            assert!(header[key].as_u64().is_some_and(|it| it > 0), "{header}");
        }
        assert!(header["title"].is_string());
        let mut before = 0.0;
        let event = |line: Value| {
            let event = line.as_array().unwrap();
            assert_eq!(event.len(), 3, "{line}");
            let at = event[0].as_f64().unwrap();
            assert!(at >= before, "time goes back: {line}");
            before = at;
            let text = |index: usize| event[index].as_str().unwrap().to_owned();
            (at, text(1), text(2))
        };
        let events = lines.map(event).collect();
        Self { header, events }
    }

    fn data(&self, code: &str) -> String {
        let of_code = |(_, of, data): &(f64, String, String)| (of == code).then(|| data.clone());
        self.events.iter().filter_map(of_code).collect()
    }
}

impl Sandbox {
    fn recording(&self, name: &str) -> Recording {
        Recording::parse(&std::fs::read_to_string(self.path(name)).unwrap())
    }
}

#[test]
fn a_recording_holds_the_output_of_the_last_run() {
    let session = Sandbox::new();
    let mut go = Fifo::new(session.path("go"));
    let lines = "stty -echo; printf 'run\\n\\303'; echo x > go; read x; printf '\\251\\377\\033[1mbold\\n'; echo y > go; exec cat";
    let create = [
        "create",
        "-n",
        "x",
        "--title",
        "A \"title\"",
        "--",
        "sh",
        "-c",
        lines,
    ];
    session.ok(create);
    go.line();
    session.ok(["restart", "x"]);
    go.line();
    session.ok(["send", "x", "--enter", ""]);
    go.line();
    // Said before that, but perhaps not yet read.
    session.ok(["wait", "x", "--text", "bold", "--timeout", "20s"]);
    session.ok(["record", "x", "x.cast"]);
    let recording = session.recording("x.cast");
    let raw = std::process::Command::new(session.executable())
        .args(["logs", "--raw", "x"])
        .env("SESSION_HOME", session.state())
        .output()
        .unwrap()
        .stdout;
    let both = String::from_utf8_lossy(&raw).into_owned();
    assert_eq!(both.matches("run").count(), 2);
    let last = &both[both.rfind("run").unwrap()..];
    assert_eq!(recording.data("o"), last);
    assert!(last.contains("\u{e9}\u{fffd}\u{1b}[1mbold\r\n"), "{last:?}");
    assert_eq!(recording.header["width"], 80);
    assert_eq!(recording.header["height"], 24);
    assert_eq!(recording.header["title"], "A \"title\"");
    assert_eq!(recording.header["env"]["TERM"], "xterm-256color");
    session.ok(["record", "--all", "x", "all.cast"]);
    assert_eq!(session.recording("all.cast").data("o"), both);
    // Nothing need run.
    session.ok(["stop", "x"]);
    let printed = session.ok(["record", "x", "-"]);
    let printed = Recording::parse(&printed);
    assert!(printed.data("o").starts_with(last));
    assert_eq!(printed.header["width"], 80);
}

#[test]
fn sizes_change_where_they_changed() {
    let session = Sandbox::new();
    let script = "stty -echo; echo small; exec cat";
    session.ok(["create", "-n", "s", "--", "sh", "-c", script]);
    session.ok(["wait", "s", "--text", "small", "--timeout", "20s"]);
    for (rows, cols, text) in [(40, 120, "large"), (10, 40, "tiny")] {
        let mut terminal = session.terminal_of(rows, cols, &["attach", "s"]);
        terminal.raw_mode();
        terminal.send(&format!("{text}\r"));
        terminal.shows(text);
        session.ok(["detach", "s"]);
        assert_eq!(terminal.exit(), 0);
    }
    session.ok(["stop", "s"]);
    let recording = Recording::parse(&session.ok(["record", "s", "-"]));
    assert_eq!(
        (&recording.header["width"], &recording.header["height"]),
        (&Value::from(80), &Value::from(24))
    );
    let of = |text: &str| {
        let mut events = recording.events.iter();
        events.position(|(_, _, data)| data.contains(text)).unwrap()
    };
    let order = ["small", "120x40", "large", "40x10", "tiny"].map(of);
    assert!(order.is_sorted(), "{:?}", recording.events);
    assert_eq!(recording.data("r"), "120x4040x10");
}

#[test]
fn a_file_that_is_there_is_overwritten_by_force_alone() {
    let session = Sandbox::new();
    session.ok([
        "create",
        "-n",
        "x",
        "--restart",
        "no",
        "--",
        "echo",
        "hello",
    ]);
    session.reaches("x", "exited");
    std::fs::write(session.path("x.cast"), "mine").unwrap();
    let refused = session.run(["record", "x", "x.cast"]);
    assert_eq!(refused.code, 1);
    assert_eq!(
        refused.err,
        "session: 'x.cast' exists; --force overwrites it\n"
    );
    assert_eq!(std::fs::read(session.path("x.cast")).unwrap(), b"mine");
    session.ok(["record", "--force", "x", "x.cast"]);
    assert_eq!(session.recording("x.cast").data("o"), "hello\r\n");
    // A name that is wrong leaves no file.
    assert_eq!(session.run(["record", "y", "y.cast"]).code, 4);
    assert!(!session.path("y.cast").exists());
}

#[test]
fn following_goes_on_over_restarts_and_sizes_to_the_end() {
    let session = Sandbox::new();
    let mut go = Fifo::new(session.path("go"));
    let run = "trap 'stty size > go' WINCH; echo begun; echo begun > go; while :; do read x && echo \"read $x\"; done";
    session.ok(["create", "-n", "x", "--", "sh", "-c", run]);
    go.line();
    let mut recorder = session
        .command(["record", "--follow", "x", "x.cast"])
        .spawn()
        .unwrap();
    let shows = |text: &str| {
        until(text, || {
            std::fs::read_to_string(session.path("x.cast")).is_ok_and(|cast| cast.contains(text))
        });
    };
    shows("begun");
    let mut terminal = session.attach("x");
    terminal.resize(30, 100);
    assert_eq!(go.line(), "30 100");
    shows("100x30");
    assert_eq!(
        session.status("x")["size"],
        serde_json::json!({ "rows": 30, "cols": 100 })
    );
    terminal.send("one\r");
    terminal.shows("read one");
    session.ok(["restart", "x"]);
    go.line();
    terminal.send("two\r");
    terminal.shows("read two");
    session.ok(["stop", "x"]);
    assert!(recorder.wait().unwrap().success());
    let recording = session.recording("x.cast");
    assert_eq!(recording.data("r"), "100x30");
    assert_eq!(
        recording.data("o").as_bytes(),
        session.ok(["logs", "--raw", "x"]).as_bytes()
    );
    assert!(session.status("x")["size"].is_null());
    // The size that it had last is known still.
    session.ok(["record", "x", "later.cast"]);
    assert_eq!(session.recording("later.cast").header["width"], 100);
}

#[test]
fn signals_end_a_recording_that_is_whole() {
    let session = Sandbox::new();
    session.ok([
        "create",
        "-n",
        "x",
        "--",
        "sh",
        "-c",
        "printf 'hello\\303'; exec cat",
    ]);
    for signal in [Signal::INT, Signal::TERM] {
        let mut recorder = session
            .command(["record", "-f", "--force", "x", "x.cast"])
            .spawn()
            .unwrap();
        let pid = recorder.id() as i32;
        // Truncated at first, by force.
        until("output", || {
            std::fs::read_to_string(session.path("x.cast")).is_ok_and(|cast| cast.contains("hello"))
        });
        crate::support::kill(pid, signal);
        assert!(recorder.wait().unwrap().success(), "{signal:?}");
        assert_eq!(session.recording("x.cast").data("o"), "hello\u{fffd}");
        std::fs::remove_file(session.path("x.cast")).unwrap();
    }
    // Who reads it does not: it ends all the same.
    let flood = session.path("flood");
    std::fs::write(&flood, "x".repeat(1 << 20)).unwrap();
    session.ok([
        "create",
        "-n",
        "flood",
        "--restart",
        "no",
        "--",
        "cat",
        flood.to_str().unwrap(),
    ]);
    session.reaches("flood", "exited");
    let mut stuck = session
        .command(["record", "-f", "flood", "-"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    crate::support::readable(stuck.stdout.as_ref().unwrap(), crate::support::PATIENCE);
    crate::support::kill(stuck.id() as i32, Signal::TERM);
    dies(stuck.id() as i32);
    stuck.wait().unwrap();
}

#[test]
fn what_the_log_dropped_is_told_with_its_size() {
    let session = Sandbox::new();
    let flood = "i=0; while [ $i -lt 6000 ]; do i=$((i+1)); echo \"line $i of many\"; done";
    session.ok([
        "create",
        "-n",
        "x",
        "--restart",
        "no",
        "--log-limit",
        "64K",
        "--",
        "sh",
        "-c",
        flood,
    ]);
    session.reaches("x", "exited");
    let ran = session.run(["record", "x", "x.cast"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let raw = session.run(["logs", "--raw", "x"]).out;
    let all: usize = (1..=6000)
        .map(|i| format!("line {i} of many\r\n").len())
        .sum();
    let gone = all - raw.len();
    assert!(gone > 0);
    assert_eq!(
        ran.err,
        format!("session: the first {gone} bytes of the session's output are gone\n")
    );
    assert_eq!(session.recording("x.cast").data("o"), raw);
}

#[test]
fn a_session_on_pipes_is_recorded_too() {
    let session = Sandbox::new();
    let run = "echo out; echo err >&2; echo more";
    session.ok([
        "create",
        "-n",
        "x",
        "--no-pty",
        "--restart",
        "no",
        "--",
        "sh",
        "-c",
        run,
    ]);
    session.reaches("x", "exited");
    assert!(session.status("x")["size"].is_null());
    session.ok(["record", "x", "x.cast"]);
    let data = session.recording("x.cast").data("o");
    let mut lines: Vec<&str> = data.split_terminator("\r\n").collect();
    assert!(lines.iter().position(|it| *it == "out") < lines.iter().position(|it| *it == "more"));
    lines.sort_unstable();
    assert_eq!(lines, ["err", "more", "out"]);
}

#[test]
fn a_line_that_is_not_ended_holds_back_nothing() {
    let session = Sandbox::new();
    // Each at a time of its own, as the log tells it.
    let run = "printf be; sleep 0.03; echo between >&2; sleep 0.03; echo gun";
    let create = ["create", "-n", "x", "--no-pty", "--restart", "no"];
    session.ok(create.iter().chain(&["--", "sh", "-c", run]));
    session.reaches("x", "exited");
    session.ok(["record", "x", "x.cast"]);
    let recording = session.recording("x.cast");
    assert_eq!(recording.data("o"), "bebetween\r\ngun\r\n");
    let times: Vec<f64> = recording.events.iter().map(|(at, ..)| *at).collect();
    assert!(times.is_sorted_by(|one, other| one < other), "{times:?}");
    // To read, it is lines.
    assert_eq!(session.ok(["logs", "x"]), "begun\nbetween\n");
}
