//! Clients that do not read: nobody waits for them, nothing is kept for them, and they see what is when they come back.

use std::io::{BufRead as _, BufReader, Write as _};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::protocol::socket;
use crate::support::{Sandbox, Terminal, kill, private_memory, state, until};

/// Bytes of private memory that a holder of a loud session may take.
const MOST: u64 = 4 << 20;

/// How far the output has come.
fn head(session: &Sandbox) -> u64 {
    let mut stream = socket(session, "s");
    let params = json!({ "from": u64::MAX, "max": 1 });
    writeln!(
        stream,
        "{}",
        json!({ "id": 1, "method": "process.read", "params": params })
    )
    .unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    let answer: Value = serde_json::from_str(&line).unwrap();
    answer["result"]["head"].as_u64().unwrap()
}

/// What the screen shows, from `session screen`.
fn screen(session: &Sandbox) -> String {
    session.ok(["screen", "s"])
}

fn stop(pid: i32) {
    kill(pid, Signal::STOP);
    until("the process is stopped", || state(pid) == Some('T'));
}

#[test]
fn a_stopped_client_holds_up_nobody_and_shows_the_truth_when_it_goes_on() {
    let session = Sandbox::new();
    // Every line is another one, so that an old screen is told from a new one.
    let count = "stty -echo; yes | nl & exec cat";
    session.ok([
        "create",
        "-n",
        "s",
        "--log-limit",
        "1M",
        "--",
        "sh",
        "-c",
        count,
    ]);
    let mut terminal = session.attach("s");
    terminal.shows("y");
    stop(terminal.pid);
    let begun = head(&session);
    let holder = session.holders()[0];
    until("20 MB have come while the client is stopped", || {
        let taken = private_memory(holder);
        assert!(taken < MOST, "{taken} bytes");
        head(&session) > begun + 20_000_000
    });
    kill(terminal.pid, Signal::CONT);
    // While it is loud still: what is shown is of the present.
    let passed = begun + 20_000_000;
    // Longer than a line is.
    let line_at = |offset: u64| offset / 11;
    terminal.until("a line of the present", |screen| {
        let contents = screen.contents();
        let mut numbers = contents
            .lines()
            .filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        numbers.any(|number| number > line_at(passed))
    });
    session.ok(["stop", "s"]);
    let _: i32 = terminal.exit();
}

#[test]
fn what_a_stopped_client_missed_is_on_its_screen_to_the_cell() {
    let session = Sandbox::new();
    let script = "stty -echo; read x; yes 'pouring' | head -c 8000000; \
        printf '\\033[2J\\033[5;10H\\033[1;31mred\\033[0m\\033[?2004h\\033[3;20r\\033[7;7Hdone'; exec cat";
    session.ok(["create", "-n", "s", "--", "sh", "-c", script]);
    let mut terminal = session.attach("s");
    until("it is attached", || session.status("s")["clients"] == 1);
    stop(terminal.pid);
    session.ok(["send", "s", "--enter"]);
    session.ok(["wait", "s", "--text", "done", "--timeout", "30s"]);
    // A client is late when a second and a half are over: what comes then moves it on.
    session.ok(["wait", "s", "--idle", "1600ms", "--timeout", "30s"]);
    kill(terminal.pid, Signal::CONT);
    terminal.shows("done");
    let mut fresh = session.attach("s");
    fresh.shows("done");
    for terminal in [&mut terminal, &mut fresh] {
        // Nothing else says that all of it is there.
        terminal.falls_silent(Duration::from_millis(500));
    }
    assert_eq!(terminal.text(), fresh.text());
    assert_eq!(terminal.text().trim_end(), screen(&session).trim_end());
    let (one, other) = (terminal.screen(), fresh.screen());
    assert_eq!(one.contents_formatted(), other.contents_formatted());
    assert_eq!(one.cursor_position(), other.cursor_position());
    assert!(one.bracketed_paste());
    // What follows is drawn alike: margins are the same, too.
    session.ok(["send", "s", "\x1b[20;1Hone\x1b[20;1H\nnext", "--enter"]);
    for terminal in [&mut terminal, &mut fresh] {
        terminal.shows("next");
        // The end of the line comes behind it.
        terminal.falls_silent(Duration::from_millis(500));
    }
    assert_eq!(terminal.text(), fresh.text());
}

#[test]
fn many_stopped_clients_cost_no_more_than_what_is_on_its_way() {
    let session = Sandbox::new();
    let script = "stty -echo; read x; exec yes";
    session.ok(["create", "-n", "s", "--", "sh", "-c", script]);
    let terminals: Vec<_> = (0..8).map(|_| session.attach("s")).collect();
    until("all are attached", || session.status("s")["clients"] == 8);
    terminals.iter().for_each(|terminal| stop(terminal.pid));
    session.ok(["send", "s", "--enter"]);
    let holder = session.holders()[0];
    until("20 MB have come", || head(&session) > 20_000_000);
    // Of each, the rest of one frame.
    let taken = private_memory(holder);
    assert!(taken < MOST + 8 * (64 << 10), "{taken} bytes");
    // One of them is killed, one goes on.
    kill(terminals[0].pid, Signal::KILL);
    kill(terminals[1].pid, Signal::CONT);
    until("one is gone", || session.status("s")["clients"] == 7);
    session.ok(["stop", "s"]);
}

/// A session whose client is stopped before the program pours, asks, and pours `more` bytes; and that client.
fn asked_too_late(session: &Sandbox, more: usize) -> Terminal {
    let script = format!(
        "stty raw -echo; head -c 1 >/dev/null; yes pouring | head -c 3000000; printf 'asks\\033[>c'; \
        yes more | head -c {more}; head -c 10 | od -An -c; exec cat"
    );
    session.ok(["create", "-n", "s", "--", "sh", "-c", &script]);
    let terminal = session.attach("s");
    until("it is attached", || session.status("s")["clients"] == 1);
    stop(terminal.pid);
    session.ok(["send", "s", "x"]);
    session.ok(["wait", "s", "--text", "asks", "--timeout", "30s"]);
    terminal
}

/// What `od` makes of the holder's answer; a terminal of these tests gives none.
const ANSWER: &str = ">   1   ;   1   0   ;   0   c";

#[test]
fn what_is_asked_behind_what_a_client_missed_is_answered_in_its_place() {
    // However far the holder has looked meanwhile: not at all, for somebody who wants to see, because much came.
    for (looks, more) in [(false, 0), (true, 0), (false, 1_000_000)] {
        let session = Sandbox::new();
        let mut terminal = asked_too_late(&session, more);
        if looks {
            session.ok(["screen", "s"]);
        }
        session.ok(["wait", "s", "--idle", "1600ms", "--timeout", "30s"]);
        kill(terminal.pid, Signal::CONT);
        terminal.shows(ANSWER);
    }
}

#[test]
fn what_is_asked_of_a_client_that_goes_before_it_hears_of_it_is_answered() {
    let goes: [fn(&Sandbox, &Terminal); 4] = [
        |_, terminal| kill(terminal.pid, Signal::KILL),
        |session, _| drop(session.ok(["detach", "s"])),
        |session, _| {
            let mut other = session.terminal(&["attach", "-d", "s"]);
            other.shows("asks");
        },
        |session, _| {
            let mut other = session.attach("s");
            other.send("x");
            other.shows(ANSWER);
        },
    ];
    for go in goes {
        let session = Sandbox::new();
        let terminal = asked_too_late(&session, 0);
        go(&session, &terminal);
        session.ok(["wait", "s", "--text", ANSWER, "--timeout", "30s"]);
    }
}

#[test]
fn a_client_whose_terminal_takes_nothing_ends_when_it_is_told_to() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "s", "--log-limit", "1M", "--", "yes"]);
    let terminal = session.terminal(&["attach", "s"]);
    until("it is attached", || session.status("s")["clients"] == 1);
    let begun = head(&session);
    until("its terminal is full", || {
        head(&session) > begun + 4_000_000
    });
    session.ok(["detach", "s"]);
    until("the client has ended", || state(terminal.pid) == Some('Z'));
    terminal.hang_up();
}
