//! The attribute `restore`: what of the past a terminal that attaches finds, above all in its own scrollback.

use crate::support::{Fifo, Sandbox, Terminal, dies, until};

/// Rows of a terminal and of its scrollback, from the oldest on.
struct Rows {
    text: Vec<String>,
    /// The row goes on in the next.
    wrapped: Vec<bool>,
    /// With escape sequences.
    formatted: Vec<String>,
}

impl Rows {
    /// Of a terminal that was sent this.
    fn of(raw: &[u8], (rows, cols): (u16, u16)) -> Self {
        let mut parser =
            vt100::Parser::new(rows.try_into().unwrap(), cols.try_into().unwrap(), 100_000);
        parser.process(raw);
        let mut all = Self {
            text: Vec::new(),
            wrapped: Vec::new(),
            formatted: Vec::new(),
        };
        parser.screen_mut().set_scrollback(usize::MAX);
        for back in (0..=parser.screen().scrollback()).rev() {
            parser.screen_mut().set_scrollback(back);
            let screen = parser.screen();
            // One after another rises to the top.
            let count = if back > 0 { 1 } else { usize::from(rows) };
            all.text.extend(screen.rows(0, cols).take(count));
            let formatted = screen.rows_formatted(0, cols).take(count);
            all.formatted.extend(formatted);
            all.wrapped
                .extend((0..count as u16).map(|row| screen.row_wrapped(row)));
        }
        all
    }

    /// Those that begin like this, in order.
    fn beginning(&self, with: &str) -> Vec<&str> {
        let rows = self.text.iter().map(String::as_str);
        rows.filter(|row| row.starts_with(with)).collect()
    }

    /// With rows put together that are one line.
    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let mut goes_on = false;
        for (row, wrapped) in self.text.iter().zip(&self.wrapped) {
            match lines.last_mut().filter(|_| goes_on) {
                Some(line) => line.push_str(row),
                None => lines.push(row.clone()),
            }
            goes_on = *wrapped;
        }
        lines
    }
}

fn numbered(range: std::ops::RangeInclusive<u32>) -> Vec<String> {
    range.map(|number| format!("line {number}")).collect()
}

/// All that a client shows whose session has nothing more to say than `last`.
fn attached(session: &Sandbox, last: &str) -> (Terminal, Rows) {
    let mut terminal = session.attach("s");
    // It may be in the past, too.
    terminal.until(last, |screen| screen.contents().trim_end().ends_with(last));
    let rows = Rows::of(&terminal.raw, (24, 80));
    (terminal, rows)
}

/// A session that has printed this script's output and then END, and goes on as cat.
fn printed(options: &[&str], script: &str) -> Sandbox {
    let session = Sandbox::new();
    let script = format!("stty -echo; {script}; printf END; exec cat");
    let create = ["create", "-n", "s"].iter().chain(options);
    session.ok(create.chain(&["--", "sh", "-c", &script]));
    session.ok(["wait", "s", "--text", "END", "--timeout", "30s"]);
    session
}

/// So many lines in colours, numbered from 1.
const COLOURED: &str =
    "for i in $(seq 100); do printf '\\033[3%dmline %d\\033[0m\\n' $((i%8)) $i; done";

#[test]
fn lines_are_in_the_scrollback_once_in_order_and_in_colour() {
    let session = printed(&[], COLOURED);
    for _ in 0..2 {
        let (mut terminal, rows) = attached(&session, "END");
        assert_eq!(rows.beginning("line"), numbered(1..=100));
        for number in [1, 50, 100] {
            let row = rows
                .text
                .iter()
                .position(|row| *row == format!("line {number}"));
            let colour = format!("\x1b[3{}m", number % 8);
            let row = &rows.formatted[row.unwrap()];
            assert!(row.contains(&colour), "{row:?}");
        }
        terminal.send("\x1c");
        assert_eq!(terminal.exit(), 0);
    }
}

#[test]
fn each_way_takes_effect_with_the_next_client() {
    let session = printed(&[], COLOURED);
    assert_eq!(session.ok(["get", "s", "restore"]), "lines 1000\n");
    let mut first = session.attach("s");
    first.shows("END");
    for (restore, from) in [
        ("lines 5", 73),
        ("lines 0", 78),
        ("screen", 78),
        ("lines 50", 28),
    ] {
        session.ok(["set", "s", "restore", restore]);
        assert_eq!(session.ok(["get", "s", "restore"]), format!("{restore}\n"));
        let (_terminal, rows) = attached(&session, "END");
        assert_eq!(rows.beginning("line"), numbered(from..=100), "{restore}");
    }
    session.ok(["set", "s", "restore", "raw"]);
    let (mut terminal, rows) = attached(&session, "END");
    assert_eq!(rows.beginning("line"), numbered(1..=100));
    assert!(String::from_utf8_lossy(&terminal.raw).contains("\x1b[31mline 1\x1b[0m\r\n"));
    terminal.send("\x1c");
    assert_eq!(terminal.exit(), 0);
    session.ok(["set", "s", "restore", "none"]);
    let mut terminal = session.attach("s");
    until("all are attached", || session.status("s")["clients"] == 2);
    session.ok(["send", "s", "new", "--enter"]);
    terminal.shows("new");
    assert_eq!(terminal.text().trim(), "new");
    // Who was there before has seen nothing of it.
    first.shows("new");
    assert_eq!(
        Rows::of(&first.raw, (24, 80)).beginning("line"),
        numbered(1..=100)
    );
    let refused = session.run(["set", "s", "restore", "everything"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("lines"), "{refused:?}");
}

#[test]
fn lines_from_before_a_full_screen_program_are_there_beneath_it() {
    let script = format!("{COLOURED}; printf '\\033[?1049h\\033[2J\\033[3;3H'");
    let session = printed(&[], &script);
    let (terminal, _) = attached(&session, "END");
    assert_eq!(terminal.text().trim(), "END");
    // The program leaves.
    let raw = [&terminal.raw[..], b"\x1b[?1049l"].concat();
    let rows = Rows::of(&raw, (24, 80));
    assert_eq!(rows.beginning("line"), numbered(1..=100));
}

#[test]
fn a_line_that_was_wrapped_is_one_line() {
    let long: String = (0..50).map(|number| format!("word{number:02} ")).collect();
    let session = printed(
        &[],
        &format!("for i in $(seq 40); do echo \"$i {long}|\"; done"),
    );
    let (_terminal, rows) = attached(&session, "END");
    let lines = rows.lines();
    let expected = |number: u32| format!("{number} {long}|");
    // All but those on the screen, and the one that begins above it.
    for number in 1..=34 {
        let line = expected(number);
        let count = lines.iter().filter(|it| **it == line).count();
        assert_eq!(count, 1, "{line:?} in {lines:#?}");
    }
    let all: String = (1..=40).map(expected).collect();
    assert!(rows.text.concat().contains(&all), "{:#?}", rows.text);
}

#[test]
fn the_past_survives_its_holder() {
    let session = printed(&[], COLOURED);
    let all = || {
        let (mut terminal, rows) = attached(&session, "END");
        terminal.send("\x1c");
        assert_eq!(terminal.exit(), 0);
        let lines = rows.text.iter().filter(|row| row.contains("line"));
        let lines: Vec<String> = lines.cloned().collect();
        (lines, terminal.text().matches("END").count())
    };
    let once = numbered(1..=100);
    assert_eq!(all(), (once.clone(), 1));
    session.ok(["stop", "s"]);
    // The last screen can be looked at still.
    assert!(session.ok(["screen", "s"]).contains("line 100\nEND"));
    session.ok(["start", "s"]);
    let said = |count: usize| {
        until("the next life has said it all", || {
            session.ok(["logs", "s"]).matches("END").count() == count
        });
    };
    said(2);
    // END has no end of its line.
    let begun = |life: Vec<String>| [&["ENDline 1".to_owned()], &life[1..]].concat();
    let twice = [once.clone(), begun(once.clone())].concat();
    assert_eq!(all(), (twice.clone(), 1));
    let main = session.pid("s");
    session.abandon();
    // Its terminal is gone.
    dies(main);
    let started = session.run(["start", "s"]);
    assert_eq!(started.code, 0, "{started:?} {}", session.status("s"));
    said(3);
    let thrice = [twice, begun(once)].concat();
    assert_eq!(all(), (thrice, 1));
}

#[test]
fn a_log_that_lost_its_beginning_begins_at_a_screen() {
    // Nothing of it says what colour it has but the beginning.
    let session = printed(&["--log-limit", "64K"], "printf '\\033[1;35m'; seq 100000");
    let (terminal, rows) = attached(&session, "END");
    let cell = terminal.screen().cell(0, 0).unwrap();
    assert!(cell.bold() && cell.fgcolor() == vt100::Color::Idx(5));
    let numbers: Vec<u32> = rows
        .text
        .iter()
        .filter_map(|row| row.parse().ok())
        .collect();
    assert!(numbers.len() > 900, "{}", numbers.len());
    let expected: Vec<u32> = (100_001 - numbers.len() as u32..=100_000).collect();
    assert_eq!(numbers, expected);
    for (text, row) in rows.text.iter().zip(&rows.formatted) {
        assert!(
            text.parse::<u32>().is_err()
                || row.contains("\x1b[35;1m")
                || row.contains("\x1b[1;35m"),
            "{row:?}"
        );
    }
    // The same from a holder that has only the log.
    drop(terminal);
    session.abandon();
    session.ok(["set", "s", "restart", "no"]);
    let shown = session.ok(["screen", "s"]);
    assert!(shown.contains("100000\nEND"), "{shown}");
}

#[test]
fn lines_were_as_wide_as_the_terminal_was_then() {
    let session = Sandbox::new();
    let mut go = Fifo::new(session.path("go"));
    // A row is full, and the next one begins with the column that was left of it.
    let script = "stty -echo; trap 'stty size > go' WINCH; stty size > go; while :; do read x && \
        case $x in print*) for i in $(seq 60); do \
        printf '%s %s %0100d|\\n' $x $i 0; done; echo \"$x is done\";; esac; done";
    session.ok(["create", "-n", "s", "--", "sh", "-c", script]);
    assert_eq!(go.line(), "24 80");
    let mut terminal = session.attach("s");
    let mut all = Vec::new();
    for (word, cols, rows) in [
        ("printa", 40, 24),
        ("printb", 120, 50),
        ("printc", 79, 10),
        ("printd", 100, 40),
    ] {
        terminal.resize(rows, cols);
        assert_eq!(go.line(), format!("{rows} {cols}"));
        session.ok(["send", "s", word, "--enter"]);
        session.ok([
            "wait",
            "s",
            "--text",
            &format!("{word} is done"),
            "--timeout",
            "30s",
        ]);
        all.extend((1..=60).map(|number| format!("{word} {number} {:0100}|", 0)));
    }
    terminal.hang_up();
    let mut terminal = session.attach("s");
    terminal.shows("printd is done");
    assert_eq!(go.line(), "24 80");
    session.ok(["wait", "s", "--idle", "200ms", "--timeout", "30s"]);
    // From the holder that was there, from another terminal, and from a holder that only has the log.
    let rows = Rows::of(&terminal.raw, (24, 80));
    let lines = rows.lines();
    let found = |line: &String| lines.iter().filter(|it| *it == line).count() == 1;
    let (whole, cut): (Vec<_>, Vec<_>) = all.iter().partition(|line| found(line));
    // One that was partly above the screen when the size changed is two.
    assert!(whole.len() >= all.len() - 4, "{cut:#?} in {lines:#?}");
    let text = rows.text.concat();
    let mut at = 0;
    for line in &all {
        assert_eq!(
            text.matches(line.as_str()).count(),
            1,
            "{line} in {lines:#?}"
        );
        let next = text.find(line.as_str()).unwrap();
        assert!(next >= at);
        at = next;
    }
}
