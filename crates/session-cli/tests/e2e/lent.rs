//! The holder writes what is little to a client's terminal itself: each byte once, in order, and none behind the end.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::{Sandbox, kill, state, until};

/// What a terminal may be ahead of its client by, in bytes.
const AHEAD: usize = 1024;

#[test]
fn a_stopped_client_s_terminal_gets_a_little_more_and_the_rest_with_the_client() {
    let session = Sandbox::new();
    let script = "stty -echo; exec cat";
    session.ok(["create", "-n", "s", "--", "sh", "-c", script]);
    let mut terminal = session.attach("s");
    terminal.send("first\n");
    terminal.shows("first");
    // It has told the holder that it has shown this, then, and waits.
    until("the client rests", || state(terminal.pid) == Some('S'));
    kill(terminal.pid, Signal::STOP);
    until("the client is stopped", || state(terminal.pid) == Some('T'));
    let since = terminal.raw.len();
    let mut expected = String::new();
    for number in 0..40 {
        let line = format!("line {number:034}");
        session.ok(["send", "s", &line, "--enter"]);
        expected.push_str(&format!("{line}\r\n"));
    }
    terminal.said("line 0000000000000000000000000000000000");
    session.ok(["wait", "s", "--idle", "100ms"]);
    terminal.falls_silent(Duration::from_millis(100));
    let ahead = terminal.raw.len() - since;
    assert!((1..=AHEAD).contains(&ahead), "{ahead} bytes");
    kill(terminal.pid, Signal::CONT);
    terminal.catches_up(expected.as_bytes());
    assert_eq!(String::from_utf8_lossy(&terminal.raw[since..]), expected);
}

#[test]
fn nothing_is_written_behind_the_last_word() {
    let session = Sandbox::new();
    let script = "i=0; while :; do i=$((i+1)); echo $i; done";
    session.ok(["create", "-n", "s", "--", "sh", "-c", script]);
    for _ in 0..10 {
        let mut terminal = session.attach("s");
        terminal.said("000\r\n");
        terminal.send("\x1c");
        assert_eq!(terminal.exit(), 0);
        terminal.falls_silent(Duration::from_millis(20));
        let all = String::from_utf8_lossy(&terminal.raw).into_owned();
        let end = "\r\nDetached from session 's'.\r\n";
        assert!(all.ends_with(end), "{:?}", &all[all.len() - 200..]);
    }
}

#[test]
fn numbers_arrive_once_and_in_order_whoever_writes_them() {
    let session = Sandbox::new();
    let script = "stty -echo; read x; i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo $i; \
        [ $((i % 500)) = 0 ] && head -c 3000 /dev/zero | tr '\\0' x; done; echo over; exec cat";
    session.ok(["create", "-n", "s", "--", "sh", "-c", script]);
    let mut terminal = session.attach("s");
    until("it is attached", || session.status("s")["clients"] == 1);
    let since = terminal.raw.len();
    terminal.send("\n");
    terminal.said("over\r\n");
    let came = String::from_utf8_lossy(&terminal.raw[since..]).into_owned();
    let filler = "x".repeat(3000);
    let expected: String = (1..=3000)
        .map(|number| match number % 500 {
            0 => format!("{number}\r\n{filler}"),
            _ => format!("{number}\r\n"),
        })
        .collect();
    let begins = came.find("1\r\n2\r\n").unwrap_or_default();
    assert!(
        came[begins..] == format!("{expected}over\r\n"),
        "{} bytes came, {} were expected",
        came.len() - begins,
        expected.len() + 6
    );
}
