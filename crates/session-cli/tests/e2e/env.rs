//! `env`, and the agent: what a person has who attaches from elsewhere reaches the processes that are there already.

use std::path::PathBuf;

use crate::support::{Fifo, Ran, Sandbox, Terminal, ran};
use rustix::process::Signal;

impl Sandbox {
    fn run_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Ran {
        ran(self.command(args).envs(variables.iter().copied()))
    }

    /// Attached to `name` from a place where these variables are set.
    fn attach_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Terminal {
        let mut environment = self.environment();
        let more = variables.iter();
        environment.extend(more.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let here = self.path("");
        let mut terminal = Terminal::run(self.executable(), args, &environment, &here, (24, 80));
        terminal.raw_mode();
        terminal
    }

    fn link(&self, name: &str) -> PathBuf {
        PathBuf::from(self.ok(["get", name, "dir"]).trim()).join("agent")
    }

    fn agent(&self, name: &str) -> String {
        let target = std::fs::read_link(self.link(name)).unwrap();
        target.to_str().unwrap().to_owned()
    }

    fn variables(&self, name: &str) -> serde_json::Value {
        serde_json::from_str(&self.ok(["env", "--json", name])).unwrap()
    }
}

#[test]
fn the_environment_is_that_of_who_attached_last() {
    let session = Sandbox::new();
    let created = session.run_with(
        &["create", "-n", "x", "cat"],
        &[
            ("DISPLAY", ":0"),
            ("SECRET", "s3cr3t"),
            ("XAUTHORITY", "/a"),
        ],
    );
    assert_eq!(created.code, 0, "{created:?}");
    let before = session.variables("x");
    assert_eq!(before["DISPLAY"], ":0");
    assert!(before["WAYLAND_DISPLAY"].is_null());
    assert!(before.get("SECRET").is_none() && before.get("PATH").is_none());
    let place = [
        ("DISPLAY", "it's; $(touch evil)\nhere"),
        ("SSH_CONNECTION", "10.0.0.1 1 10.0.0.2 22"),
    ];
    let mut terminal = session.attach_with(&["attach", "x"], &place);
    terminal.send("a\r");
    terminal.shows("a");
    // Who only looks on changes nothing, nor does a client that goes.
    let mut reader = session.attach_with(&["attach", "-r", "x"], &[("DISPLAY", ":9")]);
    reader.shows("a");
    terminal.hang_up();
    let shell = session.shell(
        "export XAUTHORITY=old; eval \"$($SESSION env x)\"; printf '%s|%s|%s' \"$DISPLAY\" \"${XAUTHORITY-none}\" \"$SSH_CONNECTION\"",
    );
    assert_eq!(
        shell.out, "it's; $(touch evil)\nhere|none|10.0.0.1 1 10.0.0.2 22",
        "{shell:?}"
    );
    assert!(!session.path("evil").exists());
    let grep = session.shell("grep -r -e 10.0.0.1 -e s3cr3t state");
    assert_eq!((grep.code, grep.out.as_str()), (1, ""), "on disk");
    session.ok(["stop", "x"]);
    let stopped = session.run(["env", "x"]);
    assert_eq!(
        (stopped.code, stopped.err.as_str()),
        (1, "Session 'x' is stopped.\n")
    );
}

#[test]
fn what_is_not_on_the_list_is_not_taken_from_a_client() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "x", "cat"]);
    let long = "x".repeat(5000);
    let attach = serde_json::json!({ "id": 1, "method": "process.attach", "params": {
        "window": 1000, "interactive": true,
        "environment": { "LD_PRELOAD": "/evil", "DISPLAY": ":5", "SSH_TTY": long, "WINDOWID": "a\u{0}b" },
    }});
    let ask = serde_json::json!({ "id": 2, "method": "session.environment" });
    let directory = session.ok(["get", "x", "dir"]);
    let socket = std::path::Path::new(directory.trim()).join("socket");
    let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
    std::io::Write::write_all(&mut stream, format!("{attach}\n{ask}\n").as_bytes()).unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(stream));
    let answer = lines
        .map(|line| serde_json::from_str::<serde_json::Value>(&line.unwrap()).unwrap())
        .find(|line| line["id"] == 2)
        .unwrap();
    let variables = answer["result"]["variables"].as_object().unwrap();
    assert_eq!(variables["DISPLAY"], ":5");
    assert!(variables["SSH_TTY"].is_null() && variables["WINDOWID"].is_null());
    assert!(!variables.contains_key("LD_PRELOAD"));
}

#[test]
fn the_agent_is_reached_by_a_link_that_stays() {
    let session = Sandbox::new();
    let mut go = Fifo::new(session.path("go"));
    let run = "echo \"${SSH_AUTH_SOCK-none}\" > go; exec cat";
    let create = ["create", "-n", "x", "--", "sh", "-c", run];
    session.run_with(&create, &[("SSH_AUTH_SOCK", "/tmp/first")]);
    let link = session.link("x");
    let link = link.to_str().unwrap();
    assert_eq!(go.line(), link);
    assert_eq!(session.agent("x"), "/tmp/first");
    let second = [("SSH_AUTH_SOCK", "/tmp/second")];
    let mut terminal = session.attach_with(&["attach", "x"], &second);
    terminal.send("a\r");
    terminal.shows("a");
    assert_eq!(session.agent("x"), "/tmp/second");
    assert_eq!(session.variables("x")["SSH_AUTH_SOCK"], link);
    let mut reader = session.attach_with(&["attach", "-r", "x"], &[("SSH_AUTH_SOCK", "/tmp/r")]);
    reader.shows("a");
    assert_eq!(session.agent("x"), "/tmp/second");
    // A start of the holder's own, one from another login, and a process beside it.
    crate::support::kill(session.pid("x"), Signal::KILL);
    assert_eq!(go.line(), link);
    session.ok(["stop", "x"]);
    session.run_with(&["start", "x"], &[("SSH_AUTH_SOCK", "/tmp/third")]);
    assert_eq!(go.line(), link);
    assert_eq!(session.agent("x"), "/tmp/third");
    session.ok(["stop", "x"]);
    session.ok(["start", "x"]);
    assert_eq!(go.line(), link, "from where there is no agent");
    let beside = session.ok(["exec", "x", "--", "sh", "-c", "echo $SSH_AUTH_SOCK"]);
    assert_eq!(beside.trim(), link);
    // What is asked for prevails.
    session.ok(["set", "x", "env.SSH_AUTH_SOCK", "/tmp/mine"]);
    session.ok(["restart", "x"]);
    assert_eq!(go.line(), "/tmp/mine");
    assert_eq!(session.variables("x")["SSH_AUTH_SOCK"], "/tmp/mine");
}

#[test]
fn no_agent_no_link_and_a_session_in_a_session_makes_no_loop() {
    let session = Sandbox::new();
    let mut go = Fifo::new(session.path("go"));
    let run = "echo \"${SSH_AUTH_SOCK-none}\" > go; exec cat";
    session.ok(["create", "-n", "none", "--", "sh", "-c", run]);
    assert_eq!(go.line(), "none");
    assert!(!session.link("none").exists());
    let first = [("SSH_AUTH_SOCK", "/tmp/first")];
    session.run_with(&["create", "-n", "outer", "cat"], &first);
    session.run_with(&["create", "-s", "-n", "inner", "cat"], &first);
    assert_eq!(session.agent("inner"), "/tmp/first");
    session.ok(["start", "inner"]);
    let [outer, inner] = ["outer", "inner"].map(|name| session.link(name));
    let attach = |to: &str, link: &PathBuf| {
        let place = [("SSH_AUTH_SOCK", link.to_str().unwrap())];
        let mut terminal = session.attach_with(&["attach", to], &place);
        terminal.send("a\r");
        terminal.shows("a");
    };
    attach("inner", &outer);
    assert_eq!(session.agent("inner"), outer.to_str().unwrap());
    attach("outer", &inner);
    attach("outer", &outer);
    assert_eq!(session.agent("outer"), "/tmp/first");
}

#[test]
fn a_path_too_long_for_a_socket_leaves_the_callers_agent() {
    let session = Sandbox::new();
    let mut go = Fifo::new(session.path("go"));
    let home = session.path(&"d".repeat(100));
    let place = [
        ("SESSION_HOME", home.to_str().unwrap()),
        ("SSH_AUTH_SOCK", "/tmp/first"),
    ];
    let run = "echo \"$SSH_AUTH_SOCK\" > go";
    let create = [
        "create",
        "-n",
        "x",
        "--restart",
        "no",
        "--",
        "sh",
        "-c",
        run,
    ];
    let created = session.run_with(&create, &place);
    assert_eq!((created.code, created.err.as_str()), (0, ""));
    assert_eq!(go.line(), "/tmp/first");
    assert_eq!(session.run_with(&["wait", "x"], &place).code, 0);
    assert_eq!(session.run_with(&["rm", "-f", "x"], &place).code, 0);
}
