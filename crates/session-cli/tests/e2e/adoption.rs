//! What is left when one of our own processes is killed: everything. The processes of a session live on, with the same
//! pid, and every byte that they write is had once, by the log and by whoever is attached.

use std::process::Stdio;

use rustix::process::Signal;

use crate::support::{Fifo, Sandbox, dies, kill, lives, until};

/// Lets go on whoever reads from the pipe `gate`.
fn tell(session: &Sandbox) {
    std::fs::write(session.path("gate"), "\n").unwrap();
}

/// Prints numbered lines for as long as it lives, some hundred a second.
const COUNTER: &str =
    "stty -echo -opost; i=0; while :; do echo \"line $i\"; i=$((i+1)); sleep 0.002; done";

impl Sandbox {
    /// Creates a session of a script that may ignore what a stop begins with.
    fn runs(&self, name: &str, script: &str) {
        let what = ["--stop-timeout", "1s", "--", "sh", "-c", script];
        self.ok(["create", "-n", name].into_iter().chain(what));
    }

    /// Kills the one holder, and waits until the next one serves.
    fn kill_holder(&self, name: &str) {
        let [holder] = self.holders()[..] else {
            panic!("one holder: {:?}", self.holders());
        };
        kill(holder, Signal::KILL);
        until("another holder", || {
            self.holders().iter().any(|next| *next != holder)
        });
        // A verb waits for it.
        self.ok(["set", name, "stop-timeout", "1s"]);
    }
}

/// The numbers of the lines, which are to be all from the first on: what is missing or doubled is told.
fn counted(text: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(text);
    let lines = text.split('\n').filter(|line| !line.is_empty());
    let mut next = 0;
    for line in lines {
        let line = line.trim_end_matches('\r');
        // The last line may be there in part.
        if line != format!("line {next}") {
            assert!(
                format!("line {next}").starts_with(line) && text.ends_with(line),
                "line {next} is missing or not alone: {line:?}"
            );
            break;
        }
        next += 1;
    }
    next
}

/// A line from which on an attached client shows what is said as it is.
const BEGIN: &str = "\nline 40\n";

/// What follows that.
fn behind_the_beginning(text: &[u8]) -> &[u8] {
    let from = text
        .windows(BEGIN.len())
        .position(|it| it == BEGIN.as_bytes());
    &text[from.unwrap()..]
}

/// That `got` begins with all that was `said`.
fn same(what: &str, got: &[u8], said: &[u8]) {
    let same = got.iter().zip(said).take_while(|(one, other)| one == other);
    let same = same.count();
    let around = |text: &[u8]| {
        let part = &text[same.saturating_sub(30)..text.len().min(same + 50)];
        String::from_utf8_lossy(part).into_owned()
    };
    assert!(
        same == said.len(),
        "what was {what} is the log; where {:?} was said it has {:?}",
        around(said),
        around(got),
    );
}

#[test]
fn a_killed_holder_loses_no_byte_and_doubles_none() {
    let session = Sandbox::new();
    let _gate = Fifo::new(session.path("gate"));
    session.ok(["create", "-n", "c", "--", "sh", "-c", COUNTER]);
    let mut terminal = session.attach("c");
    tell(&session);
    // Before it are the screen's own ways to say the first lines.
    terminal.said(BEGIN);
    let followed = session.path("followed");
    let mut follower = session
        .command(["logs", "-f", "c"])
        .stdout(std::fs::File::create(&followed).unwrap())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let pid = session.pid("c");
    for round in 1..=12 {
        session.kill_holder("c");
        assert_eq!(session.pid("c"), pid, "round {round}");
        // Also right behind an adoption, and some way on.
        if round % 3 == 0 {
            let log = session.ok(["logs", "c"]);
            let next = format!("line {}\n", counted(log.as_bytes()) + 20);
            terminal.said(&next);
        }
    }
    session.ok(["stop", "c"]);
    dies(pid);
    assert_eq!(follower.wait().unwrap().code(), Some(0));
    terminal.exit();
    let log = session.ok(["logs", "c"]);
    let lines = counted(log.as_bytes());
    assert!(lines > 80, "{lines}");
    same(
        "followed",
        &std::fs::read(&followed).unwrap(),
        log.as_bytes(),
    );
    same(
        "shown",
        behind_the_beginning(&terminal.raw),
        behind_the_beginning(log.as_bytes()),
    );
}

#[test]
fn what_is_typed_reaches_the_same_program_through_the_next_holder() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "sh", "--", "sh"]);
    let mut terminal = session.attach("sh");
    terminal.send("before=kept; echo ready=$((40+2))\r");
    terminal.shows("ready=42");
    let pid = session.pid("sh");
    session.kill_holder("sh");
    terminal.send("echo $before $((6*7))\r");
    terminal.shows("kept 42");
    assert_eq!(session.pid("sh"), pid);
    // What restores a screen knows what was there before.
    let mut other = session.attach("sh");
    other.shows("ready=42");
    other.shows("kept 42");
    // Ctrl-C, jobs and sizes work as ever.
    terminal.send("sh -c 'echo up=$((1+1)); exec sleep 1000'\r");
    terminal.shows("up=2");
    terminal.send("\x03");
    terminal.send("echo code=$?\r");
    terminal.shows("code=130");
    terminal.send("\x1c");
    dies(terminal.pid);
}

#[test]
fn an_adopted_process_s_end_is_known_and_its_policy_applies() {
    let session = Sandbox::new();
    let _gate = Fifo::new(session.path("gate"));
    let run = |name: &str, restart: &str, then: &str| {
        let script = format!("read x <gate; {then}");
        let args = [
            "create",
            "-n",
            name,
            "--restart",
            restart,
            "--",
            "sh",
            "-c",
            &script,
        ];
        session.ok(args);
    };
    for (name, then, code, signal) in [
        ("code", "exit 7", Some(7), None),
        ("zero", "exit 0", Some(0), None),
        ("shot", "kill -9 $$", None, Some("SIGKILL")),
    ] {
        run(name, "no", then);
        session.kill_holder(name);
        tell(&session);
        session.reaches(name, "exited");
        let exit = &session.status(name)["exit"];
        let known = exit["code"].as_i64().is_some() || !exit["signal"].is_null();
        if !known {
            eprintln!("SKIPPED: this kernel does not tell how a reaped process ended");
        } else {
            assert_eq!(exit["code"].as_i64(), code, "{name}: {exit}");
            assert_eq!(exit["signal"].as_str(), signal, "{name}: {exit}");
        }
        session.ok(["rm", name]);
    }
    run("again", "always", "exit 0");
    let first = session.pid("again");
    session.kill_holder("again");
    tell(&session);
    until("another one", || {
        let pid = session.status("again")["pid"].as_i64();
        pid.is_some_and(|pid| pid != i64::from(first))
    });
    assert!(!lives(first));
    assert_eq!(session.status("again")["restarts"], 1);
}

#[test]
fn stop_ends_the_whole_tree_of_an_adopted_session() {
    let session = Sandbox::new();
    let mut ready = Fifo::new(session.path("ready"));
    // One in the background of another kernel session, which ignores what a stop begins with.
    let script = "setsid sh -c 'trap \"\" TERM HUP; echo $$ >ready; while :; do sleep 1000; done' & echo $$ >ready; wait";
    session.runs("t", script);
    let pids: Vec<i32> = (0..2).map(|_| ready.line().parse().unwrap()).collect();
    session.kill_holder("t");
    session.ok(["suspend", "t"]);
    session.ok(["resume", "t"]);
    session.ok(["stop", "t"]);
    for pid in pids {
        assert!(!lives(pid), "{pid}");
    }
    assert_eq!(session.status("t")["state"], "stopped");
    session.ok(["start", "t"]);
    session.reaches("t", "running");
}

#[test]
fn a_command_on_pipes_goes_on_through_a_killed_holder() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "host", "sleep", "1000"]);
    let _gate = Fifo::new(session.path("gate"));
    let mut ready = Fifo::new(session.path("ready"));
    let script = "echo before; echo wrong >&2; echo >ready; read x <gate; echo after; echo worse >&2; exit 3";
    let exec = session
        .command(["exec", "host", "--", "sh", "-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    ready.line();
    session.kill_holder("host");
    tell(&session);
    let output = exec.wait_with_output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "before\nafter\n",
        "{output:?}"
    );
    assert_eq!(String::from_utf8_lossy(&output.stderr), "wrong\nworse\n");
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn a_killed_keeper_is_replaced_and_has_everything_again() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "a", "sleep", "1000"]);
    let pid = session.pid("a");
    for _ in 0..5 {
        let keeper = session.keeper().unwrap();
        kill(keeper, Signal::KILL);
        until("another keeper", || {
            session.keeper().is_some_and(|next| next != keeper)
        });
        session.ok(["set", "a", "stop-timeout", "1s"]);
        session.kill_holder("a");
        assert_eq!(session.pid("a"), pid);
    }
}

#[test]
fn keeper_and_holder_killed_at_once_run_nothing_twice() {
    let session = Sandbox::new();
    let mut ready = Fifo::new(session.path("ready"));
    let script = "trap '' HUP; echo $$ >ready; while :; do sleep 1000; done";
    session.runs("one", script);
    let first: i32 = ready.line().parse().unwrap();
    session.abandon();
    assert!(lives(first), "it ignores that its terminal is gone");
    session.ok(["restart", "one"]);
    let second: i32 = ready.line().parse().unwrap();
    assert!(!lives(first));
    assert_eq!(session.pid("one"), second);
}

#[test]
fn no_verb_takes_a_session_from_the_holder_that_is_about_to_come() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "v", "sleep", "1000"]);
    let pid = session.pid("v");
    for _ in 0..10 {
        let [holder] = session.holders()[..] else {
            panic!("one holder");
        };
        kill(holder, Signal::KILL);
        // In the very gap.
        let started = session.run(["start", "v"]);
        assert_eq!(started.code, 1, "{started:?}");
        assert!(started.err.contains("is running"), "{started:?}");
        assert_eq!(session.pid("v"), pid);
    }
}

#[test]
fn an_upgrade_keeps_processes_bytes_and_whoever_is_attached() {
    let session = Sandbox::new();
    let _gate = Fifo::new(session.path("gate"));
    session.ok(["create", "-n", "c", "--", "sh", "-c", COUNTER]);
    session.ok(["create", "-n", "still", "sleep", "1000"]);
    let mut terminal = session.attach("c");
    tell(&session);
    terminal.said(BEGIN);
    let (pid, mut holders) = (session.pid("c"), session.holders());
    let keeper = session.keeper();
    // Another file of the same program is another executable.
    let new = session.path("new");
    std::fs::copy(session.executable(), &new).unwrap();
    let new = new.display().to_string();
    for round in 0..4 {
        let mut args = vec!["upgrade", "--all", "-v"];
        if round % 2 == 0 {
            args.extend(["--executable", &new]);
        }
        let said = session.run(args);
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(said.out.matches(" goes on with ").count(), 2, "{said:?}");
        let mut now = session.holders();
        holders.sort_unstable();
        now.sort_unstable();
        assert_eq!(now, holders, "the same processes hold");
        assert_eq!(session.keeper(), keeper);
        let runs = |pid: i32| std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
        let expected = match round % 2 {
            0 => std::fs::canonicalize(&new).unwrap(),
            _ => std::fs::canonicalize(session.executable()).unwrap(),
        };
        for pid in now.into_iter().chain(keeper) {
            assert_eq!(runs(pid), expected);
        }
        assert_eq!(session.pid("c"), pid);
    }
    // What the keeper was handed over serves.
    let holder = holders[0];
    kill(holder, Signal::KILL);
    until("another holder", || !session.holders().contains(&holder));
    session.ok(["set", "c", "stop-timeout", "1s"]);
    session.ok(["set", "still", "stop-timeout", "1s"]);
    assert_eq!(session.pid("c"), pid);
    session.ok(["stop", "c"]);
    terminal.exit();
    let log = session.ok(["logs", "c"]);
    counted(log.as_bytes());
    same(
        "shown",
        behind_the_beginning(&terminal.raw),
        behind_the_beginning(log.as_bytes()),
    );
}

#[test]
fn a_program_that_would_not_take_over_is_not_executed() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "a", "sleep", "1000"]);
    let (pid, holders) = (session.pid("a"), session.holders());
    let script = session.path("script");
    std::fs::write(&script, "#!/bin/sh\nexit 0\n").unwrap();
    for executable in ["/bin/true", "/bin/sh", "/etc/passwd", "/no/such", "script"] {
        let refused = session.run(["upgrade", "a", "--executable", executable]);
        assert_eq!(refused.code, 1, "{executable}: {refused:?}");
        assert_eq!(refused.err.lines().count(), 1, "{refused:?}");
        assert_eq!(
            (session.pid("a"), session.holders()),
            (pid, holders.clone())
        );
    }
    session.ok(["stop", "a"]);
}

#[test]
fn without_a_cgroup_what_cannot_be_proven_is_said() {
    let Some(session) = Sandbox::of_other_user() else {
        return;
    };
    let mut ready = Fifo::new(session.path("ready"));
    let script = "setsid sh -c 'trap \"\" TERM HUP; echo $$ >ready; while :; do sleep 1000; done' & echo $$ >ready; wait";
    session.ok(["create", "-n", "t", "--", "sh", "-c", script]);
    let pids: Vec<i32> = (0..2).map(|_| ready.line().parse().unwrap()).collect();
    let main = session.pid("t");
    session.kill_holder("t");
    assert_eq!(session.pid("t"), main);
    let notes = session.status("t")["notes"].to_string();
    assert!(notes.contains("cannot be proven"), "{notes}");
    session.ok(["stop", "t"]);
    for pid in pids {
        assert!(!lives(pid), "{pid}");
    }
    // Another start has nothing of it any more.
    session.ok(["start", "t"]);
    session.reaches("t", "running");
}
