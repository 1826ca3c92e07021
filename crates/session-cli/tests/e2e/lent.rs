//! The holder writes what is little to a client's terminal itself: each byte once, in order, and none behind the end.

use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use rustix::process::Signal;
use session_client::{Connection, Incoming};
use session_protocol::{Attach, Attached, Call, From, ProcessId, StreamId};
use session_store::Root;

use crate::support::{PATIENCE, Sandbox, Terminal, kill, readable, state, until};

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
    let script = "while :; do echo tick; sleep 0.001; done";
    session.ok(["create", "-n", "s", "--", "sh", "-c", script]);
    for _ in 0..20 {
        let mut terminal = session.attach("s");
        terminal.said("tick\r\n");
        terminal.send("\x1c");
        assert_eq!(terminal.exit(), 0);
        ends_with_the_last_word(&mut terminal);
    }
}

#[test]
fn a_holder_that_hung_meanwhile_leaves_the_terminal_alone() {
    let session = Sandbox::new();
    let script = "stty raw -echo; exec cat";
    session.ok(["create", "-n", "s", "--", "sh", "-c", script]);
    let mut terminal = session.attach("s");
    for word in ["one", "two"] {
        terminal.send(word);
        terminal.shows(word);
    }
    let (program, holder) = (session.pid("s"), session.holders()[0]);
    let stop = |pid| {
        kill(pid, Signal::STOP);
        until("it is stopped", || state(pid) == Some('T'));
    };
    stop(program);
    terminal.send("late");
    session.ok(["get", "s", "restart"]);
    stop(holder);
    kill(program, Signal::CONT);
    terminal.send("\x1c");
    assert_eq!(terminal.exit(), 0);
    kill(holder, Signal::CONT);
    session.ok(["wait", "s", "--text", "late", "--timeout", "30s"]);
    ends_with_the_last_word(&mut terminal);
}

fn ends_with_the_last_word(terminal: &mut Terminal) {
    terminal.falls_silent(Duration::from_millis(20));
    let all = String::from_utf8_lossy(&terminal.raw);
    let end = "\r\n\x1b[JDetached from session 's'.\r\n";
    assert!(
        all.ends_with(end),
        "{:?}",
        &all[all.len().saturating_sub(200)..]
    );
}

/// A session whose terminal says nothing but what is typed, and is ready for it.
fn raw_cat() -> Sandbox {
    let session = Sandbox::new();
    let script = "stty raw -echo; echo up; exec cat";
    session.ok(["create", "-n", "s", "--", "sh", "-c", script]);
    session.ok(["wait", "s", "--text", "up", "--timeout", "30s"]);
    session
}

/// A client of the protocol with a terminal that it lent.
struct Lender {
    connection: Connection,
    master: OwnedFd,
    slave: OwnedFd,
    input: (StreamId, u64),
}

impl Lender {
    fn new(session: &Sandbox) -> Self {
        let root = Root::open(&session.state()).unwrap();
        let session = root.find("s").unwrap();
        let mut connection = session_client::connect(&session).unwrap().unwrap();
        let (master, slave) = session_sys::pty::open(24, 80).unwrap();
        let attach = Attach {
            process: ProcessId::MAIN,
            from: From::Live,
            window: 1 << 20,
            interactive: true,
            read_only: false,
            size: None,
            detach_others: false,
            exclusive: false,
            environment: None,
            resume: Vec::new(),
            lossless: false,
        };
        let attached: Attached = connection.call(Call::Attach(attach)).unwrap();
        connection.lend(ProcessId::MAIN, slave.as_fd()).unwrap();
        let input = attached.input.unwrap();
        Self {
            connection,
            master,
            slave,
            input,
        }
    }

    /// What comes next, and whether the holder has shown it; all of it is told to be shown.
    fn takes(&mut self) -> (String, bool) {
        let (bytes, shown, credit) = loop {
            match self.connection.poll().unwrap() {
                Some(Incoming::Data {
                    stream,
                    offset,
                    bytes,
                    shown,
                    ..
                }) => {
                    let end = offset + bytes.len() as u64;
                    break (bytes.to_vec(), shown, (stream, end));
                }
                Some(_) => {}
                None => self.connection.receive().unwrap(),
            }
        };
        self.connection.credit(credit.0, credit.1).unwrap();
        // Behind its answer the holder has heard that.
        let _: serde_json::Value = self.connection.call(Call::Status {}).unwrap();
        (String::from_utf8(bytes).unwrap(), shown)
    }

    fn types(&mut self, text: &str) {
        let (stream, offset) = self.input;
        self.connection
            .send_data(stream, offset, text.as_bytes())
            .unwrap();
        self.input.1 += text.len() as u64;
    }

    /// This, and nothing else, has come to its terminal since.
    fn sees(&self, text: &str) {
        let mut seen = Vec::new();
        // With nothing to wait for, whatever is there at once.
        while readable(
            &self.master,
            if seen.len() < text.len() {
                PATIENCE
            } else {
                Duration::ZERO
            },
        ) {
            let mut buffer = [0; 4096];
            let read = rustix::io::read(&self.master, &mut buffer).unwrap();
            seen.extend_from_slice(&buffer[..read]);
        }
        assert_eq!(String::from_utf8(seen).unwrap(), text);
    }
}

#[test]
fn only_the_terminal_that_answers_is_written_to_and_not_before_its_client_is_there() {
    let session = raw_cat();
    let (mut first, mut second) = (Lender::new(&session), Lender::new(&session));
    for (text, shown) in [("a", false), ("b", true), ("c", true)] {
        first.types(text);
        assert_eq!(first.takes(), (text.to_owned(), shown));
        assert_eq!(second.takes(), (text.to_owned(), false));
    }
    first.sees("bc");
    second.sees("");
    // Whose turn it is now has told that it has shown everything; but that was before the turn.
    for (text, shown) in [("d", false), ("e", true)] {
        second.types(text);
        assert_eq!(second.takes(), (text.to_owned(), shown));
        assert_eq!(first.takes(), (text.to_owned(), false));
    }
    first.sees("");
    second.sees("e");
    // Having left, it is sent nothing, and its terminal is its own.
    let process = ProcessId::MAIN;
    let _: serde_json::Value = second.connection.call(Call::Leave { process }).unwrap();
    first.types("f");
    assert_eq!(first.takes(), ("f".to_owned(), false));
    assert!(
        second
            .connection
            .poll()
            .unwrap()
            .is_none_or(|it| !matches!(it, Incoming::Data { .. }))
    );
    second.sees("");
    drop(second.slave);
}

#[test]
fn what_a_client_says_behind_its_terminal_is_heard_although_it_goes() {
    let session = raw_cat();
    let mut lender = Lender::new(&session);
    let holder = session.holders()[0];
    kill(holder, Signal::STOP);
    until("the holder is stopped", || state(holder) == Some('T'));
    lender
        .connection
        .lend(ProcessId::MAIN, lender.slave.as_fd())
        .unwrap();
    lender.types("heard");
    drop(lender);
    kill(holder, Signal::CONT);
    session.ok(["wait", "s", "--text", "heard", "--timeout", "30s"]);
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
