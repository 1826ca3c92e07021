//! Every line of the usage: what is done, what is said, and the exit code.

use super::{PROMPT, World};
use crate::support::{Terminal, dies, lives};

/// A line of the shell, and its answer, which must not be in the line itself.
fn asks(terminal: &mut Terminal, line: &str, answer: &str) {
    terminal.send(&format!("{line}\r"));
    terminal.shows(answer);
}

#[test]
fn sess_creates_a_session_and_attaches_to_it_and_hands_on_the_exit_code_of_its_shell() {
    let sess = World::new();
    let mut terminal = sess.create();
    let shown = terminal.text();
    let lines: Vec<&str> = shown.lines().collect();
    let created = lines[0].strip_prefix("Created session 001 at 20").unwrap();
    assert!(created.len() == 14 && created.contains(':'), "{shown}");
    assert_eq!(lines[1], "Attaching to session 001");
    asks(&mut terminal, "echo n=$SESS_NUM=", "n=001=");
    terminal.send("exit 7\r");
    assert_eq!(terminal.exit(), 7);
    let shown = terminal.text();
    assert!(
        shown.contains("Session '001' exited with code 7.\nDetached from session 001"),
        "{shown}"
    );
    assert_eq!(terminal.modes(), terminal.before);
    assert_eq!(sess.ok(["ls"]), "No active sessions\n");
    assert_eq!(sess.sandbox.ok(["ls", "--json"]), "[]\n");

    let mut terminal = sess.create();
    terminal.send("exit\r");
    assert_eq!(terminal.exit(), 0);
    assert!(!terminal.text().contains("exited"), "{}", terminal.text());
    let mut terminal = sess.create();
    terminal.send("kill -9 $$\r");
    assert_eq!(terminal.exit(), 137);
    terminal.shows("Session '003' was killed by SIGKILL.");
}

#[test]
fn its_sessions_are_ordinary_ones() {
    let sess = World::new();
    let mut terminal = sess.create();
    asks(&mut terminal, "echo first; echo =$((6*7))=", "=42=");
    let listed = sess.sandbox.ok(["ls"]);
    assert!(listed.contains("001   running"), "{listed}");
    assert_eq!(sess.sandbox.ok(["get", "001", "restart"]), "no\n");
    terminal.send("\x18");
    assert_eq!(terminal.exit(), 0);
    let mut other = sess.sandbox.attach("001");
    other.shows("=42=");
    asks(&mut other, "echo =$((7*7))=", "=49=");
    other.send("\x1c");
    assert_eq!(other.exit(), 0);

    sess.sandbox.ok([
        "create",
        "-n",
        "backend",
        "--",
        "sh",
        "-c",
        "echo here; exec cat",
    ]);
    let mut terminal = sess.terminal(&["-a", "backend"]);
    terminal.shows("here");
    terminal.send("\x18");
    assert_eq!(terminal.exit(), 0);
    terminal.shows("Detached from session backend");
    let listed = sess.ok(["ls"]);
    assert!(!listed.contains("backend"), "{listed}");
    // What was not made with it is stopped, and can be started again.
    assert_eq!(sess.ok(["-k", "backend"]), "Killed session backend\n");
    assert_eq!(sess.sandbox.status("backend")["state"], "stopped");
    sess.fails(
        ["-a", "backend"],
        1,
        "Error: session backend is dead; `session start backend` starts it again",
    );
}

#[test]
fn session_sess_is_the_same() {
    let sess = World::new();
    let run = |args: &[&str]| sess.sandbox.run([&["sess"], args].concat());
    assert_eq!(run(&["ls"]).out, "No active sessions\n");
    assert_eq!(
        run(&["-v"]).out,
        format!("sess v{}\n", env!("CARGO_PKG_VERSION"))
    );
    let refused = run(&["-a", "5"]);
    assert_eq!(
        (refused.code, &refused.err[..]),
        (1, "Error: session 005 does not exist\n")
    );
    let mut terminal = sess.sandbox.terminal(&["sess"]);
    terminal.shows("Attaching to session 001");
    terminal.raw_mode();
    terminal.send("\x18");
    assert_eq!(terminal.exit(), 0);
}

#[test]
fn ls_shows_status_and_marks_the_current_one() {
    let sess = World::new();
    assert_eq!(sess.ok(["ls"]), "No active sessions\n");
    let mut first = sess.create();
    first.send("\x18");
    assert_eq!(first.exit(), 0);
    let mut second = sess.create();
    let meta = |number| sess.json(&format!("session-{number}.meta"));
    let created = |number| {
        let at = meta(number)["created_at"].as_str().unwrap().to_owned();
        at[..16].replace('T', " ")
    };
    let row = |mark, number, status| {
        let (pid, created) = (meta(number)["pid"].as_i64().unwrap(), created(number));
        format!("{mark} {number}   {status:<9} {created:<20} {pid:<7} /bin/sh\n")
    };
    let head = "SESSION  STATUS    CREATED              PID     CMD\n";
    let expected = format!(
        "{head}{}{}\n* indicates current session (002)\n",
        row(" ", "001", "detached"),
        row("*", "002", "attached")
    );
    assert_eq!(sess.ok(["ls"]), expected);
    // Inside, too, whatever is attached elsewhere.
    let mut third = sess.attach("1");
    asks(&mut second, "$HOME/sess ls", "current session (002)");
    asks(&mut third, "$HOME/sess ls", "current session (001)");
    for mut terminal in [second, third] {
        terminal.send("\x18");
        assert_eq!(terminal.exit(), 0);
    }
    let expected = [row(" ", "001", "detached"), row(" ", "002", "detached")].concat();
    assert_eq!(sess.ok(["ls"]), format!("{head}{expected}"));
}

#[test]
fn attaching_shows_the_screen_however_the_number_is_written() {
    let sess = World::new();
    let mut terminal = sess.create();
    asks(&mut terminal, "echo =$((123*3))=", "=369=");
    terminal.send("\x18");
    assert_eq!(terminal.exit(), 0);
    for args in [
        &["-a", "001"][..],
        &["-a", "1"],
        &["-a=1"],
        &["--a", "1"],
        &["-A", "1"],
    ] {
        let mut terminal = sess.terminal(args);
        terminal.said("Attaching to session 001\r\n");
        terminal.shows("=369=");
        terminal.send("\x18");
        assert_eq!(terminal.exit(), 0);
        terminal.shows("Detached from session 001");
        assert_eq!(terminal.modes(), terminal.before);
    }
    for (args, line) in [
        (["-a", "999"], "Error: session 999 does not exist"),
        (["-a", "nobody"], "Error: session nobody does not exist"),
        (["-a", "../x"], "Error: session ../x does not exist"),
        (
            ["-a", "\x1b[2J"],
            "Error: session \\u{1b}[2J does not exist",
        ),
        (["-k", "999"], "Error: session 999 does not exist"),
    ] {
        sess.fails(args, 1, line);
    }
}

#[test]
fn attach_or_create_makes_what_is_missing() {
    let sess = World::new();
    let mut terminal = sess.terminal(&["-A", "5"]);
    terminal.shows(PROMPT);
    assert!(terminal.text().contains("Created session 005 at"));
    asks(&mut terminal, "echo n=$SESS_NUM=", "n=005=");
    terminal.send("\x18");
    assert_eq!(terminal.exit(), 0);
    let mut terminal = sess.terminal(&["-A", "005"]);
    terminal.shows("n=005=");
    terminal.send("exit\r");
    assert_eq!(terminal.exit(), 0);
    let mut terminal = sess.create();
    assert!(
        terminal.text().contains("Created session 006"),
        "{}",
        terminal.text()
    );
    terminal.send("exit\r");
    assert_eq!(terminal.exit(), 0);
    let refused = sess.run(["-A", "no/name"]);
    assert_eq!(
        (refused.code, &refused.err[..31]),
        (1, "Error: the name 'no/name' is no")
    );
    assert_eq!(sess.sandbox.ok(["ls", "--json"]), "[]\n");
}

#[test]
fn inside_a_session_none_is_created() {
    let sess = World::new();
    let mut terminal = sess.create();
    let cannot = "Error: Cannot create session from within existing session 001";
    asks(&mut terminal, "$HOME/sess; echo code $?", "code 1");
    assert!(terminal.text().contains(cannot), "{}", terminal.text());
    asks(
        &mut terminal,
        "clear; $HOME/sess -A 7; echo $((1+1))code $?",
        "2code 1",
    );
    assert!(terminal.text().contains(cannot), "{}", terminal.text());
    asks(
        &mut terminal,
        "clear; $HOME/sess -a 1",
        "Error: Already attached to session 001",
    );
    // An ordinary session is one, too, and what it is started from is not what it is.
    asks(
        &mut terminal,
        "clear; $SESSION create -n plain -- sh -c 'echo n=$SESS_NUM=; exec cat'",
        "started",
    );
    sess.sandbox
        .ok(["wait", "plain", "--text", "n==", "--timeout", "30s"]);
    let refused = sess
        .sandbox
        .run(["exec", "plain", "--", sess.link.to_str().unwrap()]);
    let cannot = "Error: Cannot create session from within existing session plain\n";
    assert_eq!((refused.code, &refused.err[..]), (1, cannot));
}

#[test]
fn x_detaches_from_inside_and_from_elsewhere() {
    let sess = World::new();
    sess.fails(["-x"], 1, "Error: Not attached to any session");
    let mut first = sess.create();
    let mut second = sess.create();
    // From elsewhere the one that attached last; then the one before it is the current one again.
    assert_eq!(sess.ok(["-x"]), "");
    assert_eq!(second.exit(), 0);
    second.shows("Detached from session 002");
    assert_eq!(sess.json(".current_session")["number"], "001");
    let mut second = sess.attach("2");
    // From inside that one, whichever attached last.
    first.send("$HOME/sess -x\r");
    assert_eq!(first.exit(), 0);
    assert_eq!(sess.json(".current_session")["number"], "002");
    second.send("$HOME/sess -x\r");
    assert_eq!(second.exit(), 0);
    sess.fails(["-x"], 1, "Error: Not attached to any session");
    assert_eq!(sess.sandbox.status("001")["state"], "running");
    // Also who attached otherwise.
    let mut other = sess.sandbox.attach("001");
    other.send("$HOME/sess -x\r");
    assert_eq!(other.exit(), 0);
}

#[test]
fn ctrl_x_detaches_unless_it_is_disabled() {
    let sess = World::new();
    let mut terminal = sess.create();
    terminal.send("\x18");
    assert_eq!(terminal.exit(), 0);
    for flag in ["-C", "--no-ctrlx", "-no-ctrlx"] {
        let mut terminal = sess.terminal(&["-a", "1", flag]);
        terminal.shows(PROMPT);
        let read = format!(
            "clear; stty raw -echo; printf '%s' =$((5+5)){flag}; dd bs=1 count=1 2>/dev/null | od -An -tx1; stty sane"
        );
        asks(&mut terminal, &read, &format!("=10{flag}"));
        terminal.send("\x18");
        terminal.shows(&format!("=10{flag} 18"));
        sess.ok(["-x"]);
        assert_eq!(terminal.exit(), 0);
    }
}

#[test]
fn k_ends_the_whole_tree_at_once() {
    let sess = World::new();
    let mut terminal = sess.create();
    let stubborn = "sh -c 'trap \"\" TERM HUP INT; setsid sleep 1000 & sleep 1000 & echo $((3*3)) trees; wait'";
    asks(&mut terminal, stubborn, "9 trees");
    let tree = || {
        let mut living = sess.sandbox.living();
        living.retain(|pid| *pid != terminal.pid);
        living
    };
    // The holder, the shell, and what that has started.
    crate::support::until("all of them run", || tree().len() >= 5);
    let holder = sess.sandbox.holders()[0];
    let mut tree = tree();
    tree.retain(|pid| *pid != holder);
    assert_eq!(sess.ok(["-k", "1"]), "Killed session 001\n");
    assert_eq!(tree.iter().filter(|pid| lives(**pid)).count(), 0);
    dies(holder);
    terminal.exit();
    terminal.shows("Detached from session 001");
    assert_eq!(sess.files(), [".lock"]);
    assert_eq!(sess.sandbox.ok(["ls", "--json"]), "[]\n");
}

#[test]
fn k_without_a_number_kills_the_current_one() {
    let sess = World::new();
    sess.fails(["-k"], 1, "Error: Not attached to any session");
    let mut first = sess.create();
    let mut second = sess.create();
    first.send("$HOME/sess -k\r");
    first.exit();
    sess.sandbox.ok(["wait", "002", "--state", "running"]);
    let gone = || sess.sandbox.run(["status", "001"]).code == 4;
    crate::support::until("001 is gone", gone);
    assert_eq!(sess.ok(["-k"]), "Killed session 002\n");
    second.exit();
    sess.fails(["-k"], 1, "Error: Not attached to any session");
}

#[test]
fn capital_k_kills_all_of_its_own() {
    let sess = World::new();
    assert_eq!(sess.ok(["-K"]), "No active sessions\n");
    sess.sandbox
        .ok(["create", "-n", "20261201", "sleep", "1000"]);
    let mut terminals: Vec<Terminal> = (0..3).map(|_| sess.create()).collect();
    let all = "Killed session 001\nKilled session 002\nKilled session 003\n";
    assert_eq!(sess.ok(["-K"]), all);
    for terminal in &mut terminals {
        terminal.exit();
    }
    assert_eq!(sess.ok(["ls"]), "No active sessions\n");
    assert_eq!(sess.sandbox.status("20261201")["state"], "running");
    let mut first = sess.create();
    let mut second = sess.create();
    // From inside one of them that one goes last.
    first.send("$HOME/sess -K\r");
    first.exit();
    second.exit();
    let gone = || sess.ok(["ls"]) == "No active sessions\n";
    crate::support::until("all are gone", gone);
}

#[test]
fn what_a_shell_left_behind_goes_on_until_it_is_killed() {
    let sess = World::new();
    let mut terminal = sess.create();
    terminal.send("setsid sleep 1000 </dev/null >/dev/null 2>&1 & exit 5\r");
    assert_eq!(terminal.exit(), 5);
    assert_eq!(sess.ok(["ls"]), "No active sessions\n");
    assert_eq!(sess.sandbox.status("001")["state"], "exited");
    assert!(sess.run::<&str>([]).out.starts_with("Created session 002"));
    let both = "Killed session 001\nKilled session 002\n";
    assert_eq!(sess.ok(["-K"]), both);
    sess.sandbox.falls_silent();
}

#[test]
fn version_help_and_what_is_not_understood() {
    let sess = World::new();
    let version = format!("sess v{}\n", env!("CARGO_PKG_VERSION"));
    for flag in ["-v", "--version", "-version"] {
        assert_eq!(sess.ok([flag]), version);
    }
    for flag in ["-h", "--help", "-help"] {
        let help = sess.ok([flag]);
        for line in ["sess ls", "sess -a <num>", "sess -k [<num>]", "--no-ctrlx"] {
            assert!(help.contains(line), "{help}");
        }
    }
    for (args, line) in [
        (
            ["-z"],
            "Error: flag provided but not defined: -z; try `sess -h`",
        ),
        (["-a"], "Error: flag needs an argument: -a; try `sess -h`"),
        (["lss"], "Error: unknown command 'lss'; try `sess -h`"),
    ] {
        sess.fails(args, 2, line);
    }
    assert!(!sess.sandbox.path(".sess").exists(), "nothing was made");
}

#[test]
fn a_shell_that_cannot_be_started_leaves_nothing() {
    let sess = World::new();
    let refused = super::ran(sess.command::<&str>([]).env("SHELL", "/no/such/shell"));
    let line = "Error: cannot execute '/no/such/shell': No such file or directory\n";
    assert_eq!((refused.code, &refused.err[..]), (1, line));
    assert_eq!(sess.ok(["ls"]), "No active sessions\n");
    assert_eq!(sess.sandbox.ok(["ls", "--json"]), "[]\n");
    assert_eq!(sess.sandbox.holders(), Vec::<i32>::new());
}

#[test]
fn debugging_tells_what_happens() {
    let sess = World::new();
    let mut terminal = sess.terminal_with(&[("SESS_DEBUG", "1")], &[]);
    terminal.shows(PROMPT);
    terminal.shows("[sess-daemon] session 001: shell ");
    terminal.shows("[sess-client] attached to session 001");
    terminal.shows("[sess-client] size 80x24");
    terminal.send("\x18");
    assert_eq!(terminal.exit(), 0);
}
