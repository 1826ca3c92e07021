//! The holder's socket, spoken by hand: JSON lines, nonsense, and clients that do not read.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;

use crate::support::{PATIENCE, Sandbox};
use serde_json::{Value, json};

pub(crate) fn socket(session: &Sandbox, name: &str) -> UnixStream {
    let directory = session.ok(["get", name, "dir"]);
    let stream =
        UnixStream::connect(std::path::Path::new(directory.trim()).join("socket")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[test]
fn the_protocol_from_a_shell() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "s", "cat"]);
    let mut stream = socket(&session, "s");
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    writeln!(stream, "{}", json!({ "id": 1, "method": "session.status" })).unwrap();
    assert_eq!(next()["result"]["name"], "s");
    writeln!(
        stream,
        "{}",
        json!({ "id": 2, "method": "process.attach", "params": { "window": 65536 } })
    )
    .unwrap();
    assert_eq!(next()["id"], 2);
    writeln!(
        stream,
        "{}",
        json!({ "id": 3, "method": "process.write", "params": { "data": "hi\n" } })
    )
    .unwrap();
    let mut shown = String::new();
    let mut answered = false;
    while !shown.contains("hi\r\nhi\r\n") || !answered {
        let message = next();
        answered |= message["id"] == 3;
        shown.push_str(message["data"]["text"].as_str().unwrap_or_default());
    }
    writeln!(stream, "{}", json!({ "id": 4, "method": "no.such" })).unwrap();
    loop {
        let message = next();
        if message["id"] == 4 {
            assert_eq!(message["error"]["data"]["code"], "usage");
            break;
        }
    }
}

#[test]
fn nonsense_disturbs_nobody() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "s", "cat"]);
    let silent = socket(&session, "s");
    for nonsense in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01"[..],
        b"GET / HTTP/1.1\r\n\r\n",
        b"SESS\0\x63\0\0",
        b"SESS\0\x01\0\0\xff\xff\xff\xff\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        b"{\"id\":}\n",
        b"SESS\0\x01\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff",
    ] {
        let mut stream = socket(&session, "s");
        stream.write_all(nonsense).unwrap();
        let mut answer = Vec::new();
        // Closed by the holder, or answered and closed: within the patience of the socket.
        let _ = stream.read_to_end(&mut answer);
        assert_eq!(
            session.status("s")["state"],
            "running",
            "after {nonsense:?}"
        );
    }
    drop(silent);
}

#[test]
fn a_client_that_never_reads_holds_up_nobody() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "loud", "--", "sh", "-c", "yes 'a line of output that is neither short nor long' | head -c 30000000; echo done; exec sleep 1000"]);
    let mut deaf = socket(&session, "loud");
    let attach = json!({ "id": 1, "method": "process.attach", "params": { "window": 16_000_000, "interactive": true } });
    writeln!(deaf, "{attach}").unwrap();
    session.ok(["wait", "loud", "--text", "^done$", "--timeout", "30s"]);
    let memory = std::fs::read_to_string(format!("/proc/{}/status", session.holders()[0])).unwrap();
    let resident: u64 = memory
        .lines()
        .find_map(|line| {
            line.strip_prefix("RssAnon:")?
                .trim()
                .strip_suffix(" kB")?
                .parse()
                .ok()
        })
        .unwrap();
    assert!(
        resident < 4096,
        "{resident} KiB for a client that does not read"
    );
}

#[test]
fn who_has_said_everything_still_gets_the_answer() {
    let session = Sandbox::new();
    let mut ready = crate::support::Fifo::new(session.path("ready"));
    let script = "trap 'sleep 0.2; exit' TERM; echo > ready; while :; do sleep 0.01; done";
    session.ok(["create", "-n", "s", "--", "sh", "-c", script]);
    ready.line();
    let mut stream = socket(&session, "s");
    writeln!(stream, "{}", json!({ "id": 1, "method": "session.stop" })).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("\"stopped\""), "{answer}");
}

#[test]
fn a_socket_that_was_deleted_is_made_again() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "s", "sleep", "1000"]);
    let directory = session.ok(["get", "s", "dir"]);
    std::fs::remove_file(std::path::Path::new(directory.trim()).join("socket")).unwrap();
    session.ok(["exec", "s", "true"]);
    socket(&session, "s");
    session.ok(["rm", "-f", "s"]);
}

#[test]
fn what_was_given_up_does_not_happen_later() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "s", "sleep", "1000"]);
    let holder = session.holders()[0];
    crate::support::kill(holder, rustix::process::Signal::STOP);
    let changes = json!({ "changes": [["title", "late"]] });
    let call = json!({ "id": 1, "method": "session.set", "params": changes });
    writeln!(socket(&session, "s"), "{call}").unwrap();
    crate::support::kill(holder, rustix::process::Signal::CONT);
    // Served after the other, which came first.
    session.ok(["set", "s", "stop-timeout", "3s"]);
    assert!(!session.ok(["get", "s"]).contains("late"));
}

#[test]
fn the_end_of_one_client_s_input_is_not_the_end_of_another_s() {
    let session = Sandbox::new();
    let mut heard = crate::support::Fifo::new(session.path("heard"));
    // More than a pipe takes at once, for a process that does not read yet.
    let part = 40_000;
    let script = "read go < go; wc -c > heard";
    crate::support::ran(std::process::Command::new("mkfifo").arg(session.path("go")));
    session.ok(["create", "-n", "p", "--no-pty", "--", "sh", "-c", script]);
    let call = |mut stream: &UnixStream, id: u64, method: &str, params: Value| {
        let call = json!({ "id": id, "method": method, "params": params });
        writeln!(stream, "{call}").unwrap();
    };
    let answered = |reader: &mut BufReader<UnixStream>, id: u64| {
        let lines = reader
            .lines()
            .map(|line| serde_json::from_str::<Value>(&line.unwrap()));
        let mut ids = lines.map(|message| message.unwrap()["id"].clone());
        assert_eq!(ids.find(|id| !id.is_null()), Some(json!(id)));
    };
    let mut writer = BufReader::new(socket(&session, "p"));
    let mut closer = BufReader::new(socket(&session, "p"));
    for id in 1..=3 {
        call(
            writer.get_ref(),
            id,
            "process.write",
            json!({ "data": "x".repeat(part) }),
        );
    }
    call(writer.get_ref(), 4, "session.status", json!({}));
    answered(&mut writer, 1);
    answered(&mut writer, 4);
    call(closer.get_ref(), 5, "process.close_stdin", json!({}));
    answered(&mut closer, 5);
    drop(closer);
    std::fs::write(session.path("go"), "go\n").unwrap();
    answered(&mut writer, 2);
    answered(&mut writer, 3);
    assert_eq!(heard.line(), (3 * part).to_string());
}

#[test]
fn output_of_orphans_behind_the_end_harms_nobody() {
    let session = Sandbox::new();
    let script = "yes & exec sleep 0.1";
    session.ok([
        "create",
        "-n",
        "o",
        "--no-pty",
        "--restart",
        "no",
        "--log-limit",
        "64K",
        "--",
        "sh",
        "-c",
        script,
    ]);
    session.reaches("o", "exited");
    let holder = session.holders()[0];
    for from in [
        json!({ "offset": 0 }),
        json!({ "tail": 100 }),
        json!("start"),
        json!("live"),
    ] {
        let mut stream = socket(&session, "o");
        writeln!(stream, "{}", json!({ "id": 1, "method": "process.attach", "params": { "window": 65536, "from": from } })).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        assert!(line.contains("streams"), "{line}");
    }
    assert_eq!(session.holders(), [holder]);
    session.ok(["rm", "-f", "o"]);
    session.falls_silent();
}
