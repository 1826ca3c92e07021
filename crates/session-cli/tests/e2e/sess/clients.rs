//! One client at a time, which leaves as it should whatever ends it.

use rustix::process::Signal;

use super::{PROMPT, World};
use crate::support::{kill, state, until};

const TAKEN: &str = "Error: Session already has an active connection: someone is attached to 001; \
     `session attach -d 001` takes their place";

#[test]
fn a_second_client_is_refused_and_changes_nothing() {
    let sess = World::new();
    let mut first = sess.create();
    let before = std::fs::read(sess.file(".current_session")).unwrap();
    for args in [["-a", "1"], ["-A", "1"]] {
        let mut second = sess.terminal(&args);
        assert_eq!(second.exit(), 1);
        let shown = second.text().replace('\n', "");
        assert!(shown.contains(&TAKEN.replace("     ", "")), "{shown}");
        assert_eq!(second.modes(), second.before);
    }
    assert_eq!(
        std::fs::read(sess.file(".current_session")).unwrap(),
        before
    );
    first.send("echo =$((4*4))=\r");
    first.shows("=16=");
    // Who only looks on is no second client, nor does it keep one out.
    let mut reader = sess.sandbox.terminal(&["attach", "-r", "001"]);
    reader.raw_mode();
    reader.shows("=16=");
    first.send("\x18");
    assert_eq!(first.exit(), 0);
    let mut third = sess.attach("1");
    third.send("\x18");
    assert_eq!(third.exit(), 0);
}

#[test]
fn of_several_that_attach_or_create_at_once_one_does() {
    let sess = World::new();
    let mut terminals: Vec<_> = (0..6).map(|_| sess.terminal(&["-A", "9"])).collect();
    let taken = "Error: Session already has an active connection";
    let mut attached = 0;
    for terminal in &mut terminals {
        terminal.until("an outcome", |screen| {
            let shown = screen.contents();
            shown.contains(PROMPT) || shown.contains(taken)
        });
        attached += usize::from(!terminal.text().contains(taken));
    }
    let shown: Vec<String> = terminals.iter().map(|terminal| terminal.text()).collect();
    assert_eq!(attached, 1, "{shown:?}");
    assert_eq!(sess.ok(["ls"]).matches("* 009   attached").count(), 1);
}

#[test]
fn a_client_that_was_killed_keeps_nobody_out() {
    let sess = World::new();
    for _ in 0..3 {
        sess.terminal(&["-A", "1"]).kill();
        let client = sess.terminal(&["-A", "1"]);
        let pid = client.pid;
        client.hang_up();
        assert_ne!(state(pid), Some('S'));
    }
    let mut client = sess.terminal(&["-A", "1"]);
    client.shows(PROMPT);
    let marker = sess.json(".current_session");
    assert_eq!(marker["pid"], client.pid);
    assert!(marker["before"].is_null(), "{marker}");
}

#[test]
fn a_client_that_is_stopped_can_be_detached() {
    let sess = World::new();
    let mut first = sess.create();
    kill(first.pid, Signal::STOP);
    until("it is stopped", || state(first.pid) == Some('T'));
    assert_eq!(sess.ok(["-x"]), "");
    sess.fails(["-x"], 1, "Error: Not attached to any session");
    let mut second = sess.attach("1");
    kill(first.pid, Signal::CONT);
    assert_eq!(first.exit(), 0);
    assert_eq!(sess.json(".current_session")["pid"], second.pid);
    second.send("\x18");
    assert_eq!(second.exit(), 0);
}

#[test]
fn signals_detach_it() {
    let sess = World::new();
    let mut terminal = sess.create();
    for (signal, code) in [
        (Signal::USR1, 0),
        (Signal::TERM, 0),
        (Signal::INT, 0),
        (Signal::HUP, 129),
    ] {
        kill(terminal.pid, signal);
        assert_eq!(terminal.exit(), code);
        terminal.shows("Detached from session 001");
        assert_eq!(terminal.modes(), terminal.before);
        assert!(!sess.file(".current_session").exists());
        terminal = sess.attach("1");
    }
}

#[test]
fn the_shell_has_the_size_of_the_terminal_from_the_start() {
    let sess = World::new();
    let shell = sess.sandbox.path("shell");
    std::fs::write(&shell, "#!/bin/sh\nstty size\nexec sh -i\n").unwrap();
    std::fs::set_permissions(&shell, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let here = sess.sandbox.path("");
    let environment = sess.environment(&[("SHELL", shell.to_str().unwrap())]);
    let run = |args: &[&str], size| {
        crate::support::Terminal::run(&sess.link, args, &environment, &here, size)
    };
    let mut terminal = run(&[], (33, 99));
    terminal.shows("33 99");
    terminal.shows(PROMPT);
    terminal.resize(20, 70);
    terminal.send("clear; stty size\r");
    terminal.shows("20 70");
    terminal.send("\x18");
    assert_eq!(terminal.exit(), 0);
    let mut terminal = run(&["-a", "1"], (40, 120));
    terminal.raw_mode();
    terminal.send("clear; stty size\r");
    terminal.shows("40 120");
}

#[test]
fn from_inside_one_another_can_be_attached_to() {
    let sess = World::new();
    let mut other = sess.create();
    other.send("\x18");
    assert_eq!(other.exit(), 0);
    let mut outer = sess.create();
    outer.send("$HOME/sess -a 1\r");
    outer.said("Attaching to session 001");
    outer.send("echo n=$SESS_NUM=\r");
    outer.shows("n=001=");
    // What is typed there is that one's.
    outer.send("$HOME/sess -x\r");
    outer.shows("Detached from session 001");
    outer.send("clear; echo n=$SESS_NUM=\r");
    outer.shows("n=002=");
}
