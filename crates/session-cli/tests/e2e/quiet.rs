//! A session that has nothing to say costs next to nothing, whatever it has shown, and its screen is as it was.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Sandbox, private_memory, until};

/// A screen is drawn in one go: nothing more comes that long.
const SILENCE: Duration = Duration::from_millis(500);
/// A full-screen program's worth of output, and lines.
const LOUD: &str = "stty -echo; read x; printf '\\033[?1049h\\033[2J'; \
    for i in $(seq 24); do printf '\\033[%d;1H\\033[3%d;4%dm%s' $i $((i%8)) $((i%5)) \
    'colours of a full-screen program, to the end of the line and a little further'; done; \
    printf '\\033[?1049l\\033[m'; for i in $(seq 5000); do printf '\\033[3%dmline %d\\033[m\\n' $((i%8)) $i; done; \
    printf '\\033[1;5r\\033[7;9H\\033[1;4mEND'; exec cat";

#[test]
fn memory_comes_back_and_the_screen_stays() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "s", "--", "sh", "-c", LOUD]);
    session.ok(["wait", "s", "--idle", "1500ms", "--timeout", "30s"]);
    let holder = session.holders()[0];
    let fresh = private_memory(holder);
    session.ok(["send", "s", "--enter"]);
    session.ok(["wait", "s", "--text", "END", "--timeout", "30s"]);
    let seen = |session: &Sandbox| session.ok(["screen", "--json", "s"]);
    let shown = seen(&session);
    let mut terminal = session.attach("s");
    terminal.shows("END");
    terminal.falls_silent(SILENCE);
    let first = terminal.screen().contents_formatted();
    terminal.send("\x1c");
    assert_eq!(terminal.exit(), 0);
    until("memory is given back", || {
        private_memory(holder) < fresh + (128 << 10)
    });
    assert_eq!(seen(&session), shown);
    let mut again = session.attach("s");
    again.shows("END");
    again.falls_silent(SILENCE);
    assert_eq!(again.screen().contents_formatted(), first);
    // Margins and the pen have outlasted it.
    session.ok(["send", "s", "\x1b[5;1H\npen", "--enter"]);
    again.shows("pen");
    let row = (0..24).find(|row| again.screen().cell(*row, 0).unwrap().contents() == "p");
    assert_eq!(row, Some(3), "the fifth row is the last that scrolls");
    assert!(again.screen().cell(3, 0).unwrap().bold());
}

#[test]
fn it_does_not_wake_up() {
    let strace = Command::new("strace").arg("-V").output();
    if !strace.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: no strace, to see who wakes up");
        return;
    }
    let session = Sandbox::new();
    session.ok([
        "create",
        "-n",
        "s",
        "--",
        "sh",
        "-c",
        "stty -echo; echo said; exec cat",
    ]);
    let mut terminal = session.attach("s");
    terminal.shows("said");
    session.ok(["wait", "s", "--idle", "2s", "--timeout", "30s"]);
    // Memory is given back a second after who waited; then nothing is due.
    traced(&session);
    assert_eq!(traced(&session), Vec::<String>::new());
}

/// What the holder did in two seconds but wait.
fn traced(session: &Sandbox) -> Vec<String> {
    let trace = session.path("trace");
    let holder = session.holders()[0].to_string();
    let mut strace = Command::new("timeout")
        .args(["--signal=INT", "2", "strace", "-q", "-o"])
        .arg(&trace)
        .args(["-p", &holder])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    strace.wait().unwrap();
    let calls = std::fs::read_to_string(&trace).unwrap_or_default();
    let calls = calls.lines().filter(|line| !line.contains("epoll_"));
    calls.map(str::to_owned).collect()
}
