//! `attach`: any terminal at any time, and none of them matters to the process.

use std::path::Path;

use crate::support::{Fifo, Sandbox, Terminal, command_line, kill, state, until};
use rustix::process::Signal;

#[test]
fn a_count_goes_on_whatever_becomes_of_its_terminals() {
    let session = Sandbox::new();
    let count = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done";
    session.ok(["create", "-n", "n", "--", "sh", "-c", count]);
    let mut first = session.attach("n");
    let mut second = session.attach("n");
    first.shows("20");
    second.shows("20");
    first.hang_up();
    second.kill();
    let mut third = session.attach("n");
    third.shows("120");
    session.ok(["stop", "n"]);
    let log = session.ok(["logs", "n"]);
    let numbers: Vec<u64> = log.lines().filter_map(|line| line.parse().ok()).collect();
    assert!(numbers.len() >= 120);
    let expected: Vec<u64> = (1..=numbers.len() as u64).collect();
    assert_eq!(numbers, expected, "a hole");
}

#[test]
fn detaching_restores_the_terminal_and_says_so() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "cat", "cat"]);
    let mut terminal = session.terminal(&["attach", "cat"]);
    terminal.raw_mode();
    terminal.send("hello\r");
    terminal.shows("hello");
    terminal.send("\x1c");
    assert_eq!(terminal.exit(), 0);
    assert!(
        terminal.text().contains("Detached from session 'cat'."),
        "{}",
        terminal.text()
    );
    assert_eq!(terminal.modes(), terminal.before);
    assert_eq!(session.status("cat")["state"], "running");
}

#[test]
fn signals_to_the_client_restore_the_terminal_too() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "cat", "cat"]);
    session.ok(["create", "-n", "unstarted", "-s", "cat"]);
    let ends = |args: &[&str], signal: i32| {
        let mut terminal = session.terminal(args);
        terminal.raw_mode();
        session.shell(&format!("kill -{signal} {}", terminal.pid));
        assert_eq!(terminal.exit(), 128 + signal, "{args:?}");
        assert_eq!(terminal.modes(), terminal.before, "{args:?} after {signal}");
    };
    // From HUP to PWR, and a real-time one.
    for signal in [1, 2, 3, 5, 6, 10, 12, 14, 15, 16, 24, 26, 27, 29, 30, 40] {
        ends(&["attach", "cat"], signal);
    }
    for signal in [10, 15, 26] {
        ends(&["attach", "unstarted"], signal);
        ends(&["exec", "-t", "cat", "cat"], signal);
    }
    assert_eq!(session.status("cat")["clients"], 0);
}

#[test]
fn other_detach_keys_and_none() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "cat", "cat"]);
    let mut terminal = session.terminal(&["attach", "--detach-key", "ctrl-x", "cat"]);
    terminal.raw_mode();
    terminal.send("typed\r");
    terminal.shows("typed");
    terminal.send("\x18");
    assert_eq!(terminal.exit(), 0);
    let refused = session.run(["attach", "--detach-key", "nonsense", "cat"]);
    assert_eq!(refused.code, 2, "{refused:?}");
}

#[test]
fn the_screen_is_there_after_re_attaching_and_queries_are_not_repeated() {
    let session = Sandbox::new();
    let mut go = Fifo::new(session.path("go"));
    let draw = "stty raw -echo; printf 'first line\\r\\n\\033[31mred\\033[0m\\033[c'; echo x > go; exec cat";
    session.ok(["create", "-n", "draw", "--", "sh", "-c", draw]);
    go.line();
    let mut terminal = session.attach("draw");
    terminal.shows("red");
    assert!(terminal.text().contains("first line"));
    let cell = terminal.screen().cell(1, 0).unwrap();
    assert_eq!(cell.fgcolor(), vt100::Color::Idx(1));
    assert!(
        !terminal.raw.windows(3).any(|window| window == b"\x1b[c"),
        "an old query reached the terminal"
    );
}

#[test]
fn a_read_only_client_neither_types_nor_sizes() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "cat", "cat"]);
    let mut writer = session.attach("cat");
    writer.send("a\r");
    writer.shows("a");
    let mut reader = session.terminal(&["attach", "-r", "cat"]);
    reader.raw_mode();
    reader.shows("a");
    reader.resize(10, 40);
    reader.send("not this");
    writer.send("but this\r");
    writer.shows("but this");
    reader.shows("but this");
    assert!(!reader.text().contains("not"), "{}", reader.text());
    assert_eq!(
        session.ok([
            "exec",
            "cat",
            "--",
            "stty",
            "size",
            "-F",
            &tty_of(session.pid("cat"))
        ]),
        "24 80\n"
    );
}

#[test]
fn who_typed_last_leads_the_size() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "cat", "cat"]);
    let tty = tty_of(session.pid("cat"));
    let size = || session.ok(["exec", "cat", "--", "stty", "size", "-F", &tty]);
    let mut small = session.attach("cat");
    small.send("a\r");
    small.shows("a");
    let mut large = session.attach("cat");
    large.shows("a");
    large.resize(50, 132);
    large.send("b\r");
    large.shows("b\nb");
    small.shows("b\nb");
    // The resize and the keys were read in this order; what the process shows came after both.
    assert_eq!(size(), "50 132\n");
    small.send("c\r");
    small.shows("c\nc");
    assert_eq!(size(), "24 80\n");
}

#[test]
fn the_exit_code_comes_through_with_the_status_line() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "sh", "--restart", "no", "sh"]);
    let mut terminal = session.attach("sh");
    terminal.send("exit 7\r");
    assert_eq!(terminal.exit(), 7);
    assert!(
        terminal.text().contains("Session 'sh' exited with code 7."),
        "{}",
        terminal.text()
    );
}

#[test]
fn attaching_goes_on_through_a_restart() {
    let session = Sandbox::new();
    session.ok([
        "create",
        "-n",
        "life",
        "--",
        "sh",
        "-c",
        "echo born; exec cat",
    ]);
    let mut terminal = session.attach("life");
    terminal.shows("born");
    crate::support::kill(session.pid("life"), Signal::KILL);
    terminal.until("a second life", |screen| {
        screen.contents().matches("born").count() == 2
    });
    terminal.send("still here\r");
    terminal.shows("still here");
}

#[test]
fn the_prompt_goes_on_when_the_session_is_started_elsewhere_or_removed() {
    let session = Sandbox::new();
    for name in ["begun", "gone"] {
        session.ok([
            "create",
            "-n",
            name,
            "-s",
            "--",
            "sh",
            "-c",
            "echo born; exec cat",
        ]);
    }
    let mut terminal = session.attach("begun");
    terminal.shows(":");
    session.ok(["start", "begun"]);
    terminal.shows("born");
    terminal.send("typed\r");
    terminal.shows("typed\ntyped");
    session.ok([
        "create",
        "-n",
        "seen",
        "-s",
        "--",
        "sh",
        "-c",
        "echo born; exec cat",
    ]);
    let mut terminal = session.terminal(&["attach", "-r", "seen"]);
    terminal.raw_mode();
    terminal.shows("Session 'seen' is suspended, not started.");
    terminal.send("\r\r\x04");
    assert_eq!(terminal.exit(), 0);
    assert_eq!(session.status("seen")["state"], "suspended");
    let mut terminal = session.terminal(&["attach", "-r", "seen"]);
    terminal.raw_mode();
    session.ok(["start", "seen"]);
    terminal.shows("born");
    let mut terminal = session.attach("gone");
    terminal.shows(":");
    session.ok(["rm", "gone"]);
    assert_eq!(terminal.exit(), 4);
    terminal.said("session 'gone' was removed");
}

#[test]
fn detach_from_outside_and_detach_others() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "cat", "cat"]);
    let mut first = session.attach("cat");
    first.send("x");
    first.shows("x");
    session.ok(["detach", "cat"]);
    assert_eq!(first.exit(), 0);
    first.said("Detached from session 'cat'.");
    let mut second = session.attach("cat");
    second.shows("x");
    let mut third = session.terminal(&["attach", "-d", "cat"]);
    third.shows("x");
    assert_eq!(second.exit(), 0);
    assert_eq!(session.status("cat")["clients"], 1);
}

#[test]
fn what_cannot_be_attached_says_why() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "cat", "cat"]);
    let piped = session.run(["attach", "cat"]);
    assert_eq!(piped.code, 1);
    assert!(
        piped.err.contains("terminal") && piped.err.contains("logs -f"),
        "{piped:?}"
    );
    let inside = session
        .shell("SESSION_ID=$($SESSION get cat id) script -qec '$SESSION attach cat' /dev/null");
    assert!(
        inside.out.contains("inside") || inside.err.contains("inside"),
        "{inside:?}"
    );
    session.ok(["stop", "cat"]);
    let mut terminal = session.terminal(&["attach", "cat"]);
    assert_eq!(terminal.exit(), 1);
    assert!(
        terminal.text().contains("is stopped"),
        "{}",
        terminal.text()
    );
    let mut terminal = session.terminal(&["attach", "nobody"]);
    assert_eq!(terminal.exit(), 4);
}

#[test]
fn ten_megabytes_of_paste_arrive_byte_for_byte() {
    let session = Sandbox::new();
    let mut ready = Fifo::new(session.path("ready"));
    let size = 10_000_000;
    let script = format!(
        "stty raw -echo; echo x > ready; head -c {size} | sha256sum > sum; echo x > ready; exec cat"
    );
    session.ok(["create", "-n", "paste", "--", "sh", "-c", &script]);
    ready.line();
    let mut bytes: Vec<u8> = (0..size as u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    // The detach key alone is not data; everything else is.
    bytes
        .iter_mut()
        .filter(|byte| **byte == 0x1c)
        .for_each(|byte| *byte = 0x18);
    let mut terminal = session.attach("paste");
    terminal.raw_mode();
    terminal.send_bytes(&bytes);
    ready.line();
    let sum = std::fs::read_to_string(session.path("sum")).unwrap();
    std::fs::write(session.path("pasted"), &bytes).unwrap();
    let expected = session.shell("sha256sum < pasted").out;
    assert_eq!(sum, expected);
}

#[test]
fn a_paste_that_the_process_does_not_read_yet_waits_for_it() {
    let session = Sandbox::new();
    let mut ready = Fifo::new(session.path("ready"));
    let _go = Fifo::new(session.path("go"));
    let size = 3_000_000;
    let script = format!(
        "stty raw -echo; echo x > ready; read x < go; head -c {size} | wc -c > count; echo x > ready; exec cat"
    );
    session.ok(["create", "-n", "late", "--", "sh", "-c", &script]);
    ready.line();
    let mut terminal = session.attach("late");
    terminal.raw_mode();
    let paste = vec![b'x'; size];
    let taken = terminal.offer(&paste);
    assert!(taken < size, "something holds more than was granted");
    std::fs::write(session.path("go"), "x\n").unwrap();
    terminal.send_bytes(&paste[taken..]);
    ready.line();
    let count = std::fs::read_to_string(session.path("count")).unwrap();
    assert_eq!(count.trim(), size.to_string());
}

#[test]
fn what_is_pasted_into_a_suspended_session_does_not_lock_its_client_in() {
    let session = Sandbox::new();
    let mut ready = Fifo::new(session.path("ready"));
    let script = "stty raw -echo; echo x > ready; exec cat";
    session.ok(["create", "-n", "still", "--", "sh", "-c", script]);
    ready.line();
    session.ok(["suspend", "still"]);
    let mut terminal = session.attach("still");
    terminal.said("Session 'still' is suspended, PID ");
    terminal.send_bytes(&[b'x'; 300_000]);
    terminal.send_bytes(&[0x1c]);
    assert_eq!(terminal.exit(), 0);
    session.ok(["rm", "-f", "still"]);
}

fn tty_of(pid: i32) -> String {
    std::fs::read_link(format!("/proc/{pid}/fd/0"))
        .unwrap()
        .display()
        .to_string()
}

#[test]
fn a_client_that_is_stopped_gives_the_terminal_back_until_it_goes_on() {
    let session = Sandbox::new();
    let script = "stty -echo; printf '\\033[?1049h\\033[?1003hfull'; exec cat";
    session.ok(["create", "-n", "s", "--", "sh", "-c", script]);
    let mut terminal = session.attach("s");
    terminal.shows("full");
    assert!(terminal.screen().alternate_screen());
    kill(terminal.pid, Signal::TSTP);
    terminal.until("the ordinary screen", |screen| !screen.alternate_screen());
    until("it is stopped", || state(terminal.pid) == Some('T'));
    assert_eq!(terminal.modes(), terminal.before);
    until("it is not attached", || session.status("s")["clients"] == 0);
    kill(terminal.pid, Signal::CONT);
    terminal.until("the screen as it is", |screen| {
        screen.alternate_screen() && screen.contents().contains("full")
    });
    terminal.raw_mode();
    terminal.send("on\r");
    terminal.shows("on");
    terminal.send("\x1c");
    assert_eq!(terminal.exit(), 0);
    assert_eq!(terminal.modes(), terminal.before);
}

#[test]
fn in_the_background_it_waits_to_be_in_the_foreground() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "s", "--", "sh", "-c", "echo here; exec cat"]);
    session.ok(["wait", "s", "--text", "here", "--timeout", "20s"]);
    let mut environment = session.environment();
    let executable = session.executable().display().to_string();
    environment.push(("SESSION".to_owned(), executable));
    environment.push(("PS1".to_owned(), "prompt> ".to_owned()));
    let (shell, here) = (Path::new("/bin/sh"), session.path(""));
    let mut terminal = Terminal::run(shell, &["-i", "+o", "emacs"], &environment, &here, (24, 80));
    terminal.shows("prompt>");
    let client = || {
        let mut living = session.living().into_iter();
        living.find(|pid| command_line(*pid).ends_with(" attach s "))
    };
    let stopped = || client().and_then(state) == Some('T');
    terminal.send("$SESSION attach s &\n");
    until("it is stopped", stopped);
    // It can be ended there, too.
    kill(client().unwrap(), Signal::TERM);
    kill(client().unwrap(), Signal::CONT);
    until("it has ended", || client().is_none());
    terminal.send("$SESSION attach s &\n");
    until("another one is stopped", stopped);
    assert_eq!(terminal.modes(), terminal.before);
    terminal.send("fg\n");
    terminal.raw_mode();
    terminal.shows("here");
    terminal.send("\x1c");
    terminal.shows("Detached from session 's'.");
    terminal.send("exit\n");
    assert_eq!(terminal.exit(), 0);
}
