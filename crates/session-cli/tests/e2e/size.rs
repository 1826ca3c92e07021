//! The attribute `size`: what size a program sees whom several terminals show.

use crate::support::{Fifo, Sandbox, Terminal};

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
