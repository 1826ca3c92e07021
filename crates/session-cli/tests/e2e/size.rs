//! The attribute `size`: what size a program sees whom several terminals show.

use crate::support::{Fifo, Sandbox, Terminal, private_memory, until};

/// A program that tells each size that it is told; and the size that it began with.
const TELLS: &str =
    "trap 'stty size > go' WINCH; stty size > go; while :; do read x && echo \"read $x\"; done";

/// A session of [`TELLS`], and where it tells.
fn told(session: &Sandbox, options: &[&str]) -> Fifo {
    let go = Fifo::new(session.path("go"));
    let create = ["create", "-n", "x"].iter().chain(options);
    session.ok(create.chain(&["--", "sh", "-c", TELLS]));
    go
}

/// Attached, with its size known to the holder: what it typed is shown behind that.
fn attached(session: &Sandbox, go: &mut Fifo, rows: u16, cols: u16, changes: bool) -> Terminal {
    let mut terminal = session.attach("x");
    if changes {
        terminal.resize(rows, cols);
        assert_eq!(go.line(), format!("{rows} {cols}"));
    } else {
        terminal.resize(rows, cols);
    }
    terminal
}

fn types(terminal: &mut Terminal, text: &str) {
    terminal.send(&format!("{text}\r"));
    terminal.shows(&format!("read {text}"));
}

fn size(session: &Sandbox) -> (u64, u64) {
    let size = &session.status("x")["size"];
    let cells = |key: &str| size[key].as_u64().unwrap();
    (cells("rows"), cells("cols"))
}

#[test]
fn the_smallest_fits_everywhere() {
    let session = Sandbox::new();
    let mut go = told(&session, &["--size", "smallest"]);
    assert_eq!(go.line(), "24 80");
    let mut wide = attached(&session, &mut go, 20, 132, true);
    let mut tall = session.attach("x");
    // It came with 24 lines of 80 columns.
    assert_eq!(go.line(), "20 80");
    tall.resize(50, 100);
    assert_eq!(go.line(), "20 100");
    types(&mut tall, "one");
    types(&mut wide, "two");
    assert_eq!(size(&session), (20, 100));
    // A client that only looks on has no say, however small it is.
    let mut reader = session.terminal(&["attach", "-r", "x"]);
    reader.raw_mode();
    reader.resize(5, 10);
    types(&mut tall, "three");
    assert_eq!(size(&session), (20, 100));
    wide.hang_up();
    assert_eq!(go.line(), "50 100");
}

#[test]
fn the_latest_is_who_came_or_changed_last() {
    let session = Sandbox::new();
    let mut go = told(&session, &["--size", "latest"]);
    assert_eq!(go.line(), "24 80");
    let mut first = attached(&session, &mut go, 30, 100, true);
    let mut second = session.attach("x");
    assert_eq!(go.line(), "24 80");
    // Typing changes nothing.
    types(&mut first, "one");
    assert_eq!(size(&session), (24, 80));
    first.resize(31, 101);
    assert_eq!(go.line(), "31 101");
    second.resize(25, 81);
    assert_eq!(go.line(), "25 81");
    second.send("\x1c");
    assert_eq!(second.exit(), 0);
    assert_eq!(go.line(), "31 101");
}

#[test]
fn a_terminal_that_answers_does_not_lead() {
    let session = Sandbox::new();
    let mut go = told(&session, &[]);
    assert_eq!(go.line(), "24 80");
    let mut first = attached(&session, &mut go, 30, 100, true);
    types(&mut first, "one");
    let mut second = session.attach("x");
    types(&mut second, "two");
    assert_eq!(go.line(), "24 80");
    second.resize(20, 60);
    assert_eq!(go.line(), "20 60");
    // An answer to what the program asked, and that its window has the focus.
    first.send("\x1b[?62;22c\x1b[I");
    first.shows("^[[?62;22c^[[I");
    assert_eq!(size(&session), (20, 60));
    first.send("\r");
    assert_eq!(go.line(), "30 100");
}

#[test]
fn a_fixed_size_is_nobodys() {
    let session = Sandbox::new();
    let mut go = told(&session, &["--size", "fixed 120x40"]);
    assert_eq!(go.line(), "40 120");
    assert_eq!(session.ok(["get", "x", "size"]), "fixed 120x40\n");
    let mut terminal = attached(&session, &mut go, 30, 100, false);
    types(&mut terminal, "one");
    assert_eq!(size(&session), (40, 120));
    session.ok(["restart", "x"]);
    assert_eq!(go.line(), "40 120");
}

#[test]
fn what_is_set_takes_effect_at_once() {
    let session = Sandbox::new();
    let mut go = told(&session, &[]);
    assert_eq!(go.line(), "24 80");
    let mut large = attached(&session, &mut go, 50, 132, true);
    types(&mut large, "one");
    let mut small = session.attach("x");
    small.shows("one");
    // Who typed last leads still.
    assert_eq!(size(&session), (50, 132));
    for (rule, line) in [
        ("smallest", "24 80"),
        ("fixed 90x33", "33 90"),
        ("leader", "50 132"),
        ("latest", "24 80"),
    ] {
        session.ok(["set", "x", "size", rule]);
        assert_eq!(go.line(), line, "{rule}");
        let status = session.ok(["status", "x"]);
        assert!(!status.contains("restart to apply"), "{status}");
    }
    session.ok(["unset", "x", "size"]);
    assert_eq!(go.line(), "50 132");
    types(&mut small, "two");
    assert_eq!(go.line(), "24 80");
    let refused = session.run(["set", "x", "size", "120x40"]);
    assert_eq!(refused.code, 1);
    assert_eq!(
        refused.err,
        "session: '120x40' is no value of size; it takes leader, smallest, latest, or fixed with columns and lines such as 'fixed 120x40'\n"
    );
    // Without a holder it is there at the next start.
    session.ok(["stop", "x"]);
    session.ok(["set", "x", "size", "fixed 60x20"]);
    session.ok(["start", "x"]);
    assert_eq!(go.line(), "20 60");
}

/// A full-screen program that shows its size whenever it changes, and cells at three corners.
const CORNERS: &str = "draw() { set -- $(stty size); \
    printf '\\033[2J\\033[1;1Hfirst %sx%s\\033[%s;1Hlast\\033[2;%sHR' $1 $2 $1 $2; echo \"$1 $2\" > go; }; \
    stty -echo; printf '\\033[?1049h'; trap draw WINCH; draw; while :; do read x && printf '\\033[3;1Hread %s ' $x; done";

#[test]
fn terminals_of_any_size_attach() {
    let session = Sandbox::new();
    let mut go = Fifo::new(session.path("go"));
    session.ok(["create", "-n", "x", "--", "sh", "-c", CORNERS]);
    assert_eq!(go.line(), "24 80");
    for (rows, cols, told) in [
        (1, 1, Some("1 1")),
        // What a serial line says.
        (0, 0, Some("24 80")),
        (65535, 65535, Some("65535 65535")),
        (1, 65535, Some("1 65535")),
        (65535, 1, Some("65535 1")),
        (2, 2, Some("2 2")),
        (24, 80, Some("24 80")),
    ] {
        let mut terminal = session.terminal_of(rows, cols, &["attach", "x"]);
        if let Some(told) = told {
            assert_eq!(go.line(), told);
        }
        session.ok(["wait", "x", "--text", "last", "--timeout", "30s"]);
        // Whatever is to be seen on so small a part of it, it is drawn.
        terminal.said("\x1b[?25h");
        let mut reader = session.terminal(&["attach", "-r", "x"]);
        reader.said("\x1b[?25h");
        terminal.send("\x1c");
        assert_eq!(terminal.exit(), 0, "{rows}x{cols}");
        let memory = private_memory(session.holders()[0]);
        assert!(memory < 128 << 20, "{memory} bytes for {rows}x{cols}");
    }
    // What the largest of them took comes back.
    let holder = session.holders()[0];
    until("little memory is taken", || {
        private_memory(holder) < 4 << 20
    });
    assert_eq!(session.status("x")["state"], "running");
    let mut terminal = session.attach("x");
    terminal.shows("first 24x80");
    let mut second = session.attach("x");
    second.shows("first 24x80");
    assert_eq!(terminal.text(), second.text());
}

#[test]
fn a_thousand_sizes_come_to_the_last_one() {
    let session = Sandbox::new();
    session.ok([
        "create",
        "-n",
        "x",
        "--",
        "sh",
        "-c",
        "stty -echo; exec cat",
    ]);
    let mut terminal = session.attach("x");
    terminal.send("begun\r");
    terminal.shows("begun");
    for number in 0..1000_u16 {
        terminal.resize(2 + number * 7 % 90, 2 + number * 13 % 290);
    }
    terminal.resize(31, 77);
    until("the last size", || size(&session) == (31, 77));
    terminal.send("\x1b[2J\x1b[Hdone\r");
    let memory = private_memory(session.holders()[0]);
    assert!(memory < 8 << 20, "{memory} bytes");
    // As who attaches has it, and as it is kept.
    terminal.send("\x1b[Hthe end\r");
    terminal.shows("the end");
    let screen: serde_json::Value =
        serde_json::from_str(&session.ok(["screen", "--json", "x"])).unwrap();
    assert_eq!(
        screen["size"],
        serde_json::json!({ "rows": 31, "cols": 77 })
    );
    let told = session.ok(["get", "x", "dir"]);
    let marks: u64 = std::fs::read_dir(std::path::Path::new(told.trim()).join("streams/main/pty"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().extension().is_some_and(|it| it == "s"))
        .map(|entry| entry.metadata().unwrap().len())
        .sum();
    assert!(marks < 64 << 10, "{marks} bytes of marks");
}

#[test]
fn a_smaller_terminal_shows_what_fits() {
    let session = Sandbox::new();
    let mut go = Fifo::new(session.path("go"));
    let create = ["create", "-n", "x", "--size", "fixed 300x100"];
    session.ok([&create[..], &["--", "sh", "-c", CORNERS]].concat());
    assert_eq!(go.line(), "100 300");
    session.ok(["wait", "x", "--text", "last", "--timeout", "30s"]);
    for options in [&["attach", "x"][..], &["attach", "-r", "x"]] {
        let mut terminal = session.terminal(options);
        terminal.raw_mode();
        terminal.falls_silent(std::time::Duration::from_millis(300));
        let text = terminal.text();
        // The cursor was in the second row.
        assert!(text.contains("first 100x300"), "{options:?}: {text:?}");
        assert!(text.lines().count() <= 24, "{text:?}");
    }
    assert_eq!(size(&session), (100, 300));
    // One that is larger shows all of it.
    let mut large = session.terminal_of(120, 320, &["attach", "-r", "x"]);
    large.shows("last");
    assert_eq!(large.screen().cell(1, 299).unwrap().contents(), "R");
    assert_eq!(large.screen().cell(99, 0).unwrap().contents(), "l");
}

#[test]
fn who_only_looks_on_from_another_size_sees_what_fits() {
    let session = Sandbox::new();
    let mut go = Fifo::new(session.path("go"));
    session.ok(["create", "-n", "x", "--", "sh", "-c", CORNERS]);
    assert_eq!(go.line(), "24 80");
    for (rows, cols) in [(10, 40), (50, 132), (1, 1)] {
        let mut reader = session.terminal_of(rows, cols, &["attach", "-r", "x"]);
        reader.said("\x1b[?25h");
        if rows > 1 {
            reader.shows("first 24x80");
        }
        session.ok(["send", "x", &format!("row{rows}"), "--enter"]);
        reader.said(&format!("row{rows}"));
    }
    assert_eq!(size(&session), (24, 80));
}
