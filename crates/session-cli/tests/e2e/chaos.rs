//! Random verbs on a handful of sessions, with SIGKILL of holders, keeper, processes and clients between them and during
//! them. A model knows what must hold: what was answered has happened, what only lost a holder runs on with the same pid and
//! every byte, nothing ever runs twice, and what is stopped is stopped with all its tree.
//!
//! `SESSION_CHAOS=SEED:OPERATIONS` runs as many of them as wanted; the seed is printed either way.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{PATIENCE, Sandbox, kill, lives, pids_with, until};

/// Operations of a run that nobody asked to be longer.
const OPERATIONS: u32 = 150;
/// Sessions at once.
const MOST: usize = 8;

/// Numbers that a seed decides (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % below
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.roll(times) == 0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    Suspended,
    Stopped,
}

/// What is expected of one session.
#[derive(Clone, Debug)]
struct Expected {
    /// What it was first called, which its processes go by.
    mark: String,
    state: State,
    /// Its main process, until something happens that may replace it.
    pid: Option<i32>,
    /// Its holder and the keeper were killed at once, so that its processes may be gone.
    abandoned: bool,
    /// A restart that nobody heard the end of may be under way since then.
    restarting: Option<Instant>,
}

/// No restart takes so long here.
const RESTART: Duration = Duration::from_secs(5);

struct World {
    sandbox: Sandbox,
    sessions: BTreeMap<String, Expected>,
    followers: Vec<Child>,
    next: u32,
    dice: Dice,
    story: String,
}

#[test]
fn whatever_is_killed_nothing_is_lost_and_nothing_doubled() {
    let asked = std::env::var("SESSION_CHAOS").unwrap_or_default();
    let (seed, operations) = asked.split_once(':').unwrap_or(("", ""));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = seed
        .parse()
        .unwrap_or_else(|_| now.unwrap().as_nanos() as u64 | 1);
    let operations = operations.parse().unwrap_or(OPERATIONS);
    eprintln!("SESSION_CHAOS={seed}:{operations}");
    let mut world = World::new(seed);
    for number in 0..operations {
        let _ = write!(world.story, "\n{number}: ");
        world.step();
        if number % 10 == 9 {
            world.check();
        }
    }
    world.check();
    for follower in &mut world.followers {
        let _ = follower.kill();
        let _ = follower.wait();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.story);
        }
    }
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            sandbox: Sandbox::new(),
            sessions: BTreeMap::new(),
            followers: Vec::new(),
            next: 0,
            dice: Dice(seed),
            story: String::new(),
        }
    }

    fn tell(&mut self, what: impl std::fmt::Display) {
        let _ = write!(self.story, " {what};");
    }

    /// The script of a main process. It looks whether the one before lives, writes down that it began, and counts.
    fn script(&mut self, mark: &str) -> String {
        let begin = format!(
            "prev=$(tail -n1 runs-{mark} 2>/dev/null); \
             if [ -n \"$prev\" ] && grep -q {mark} /proc/$prev/cmdline 2>/dev/null; then echo {mark} $prev $$ >>doubles; fi; \
             echo $$ >>runs-{mark}; "
        );
        let more = match self.dice.roll(3) {
            0 => "",
            1 => "trap '' TERM HUP; ",
            // One that leaves the terminal, the group and its parent, and does not end by itself.
            _ => "(setsid sh -c 'trap \"\" TERM HUP; while :; do sleep 0.5; done' &) ; ",
        };
        format!("{begin}{more}i=0; while :; do echo \"{mark} $$ $i\"; i=$((i+1)); sleep 0.04; done")
    }

    fn any(&mut self) -> Option<String> {
        let count = self.sessions.len();
        let index = self.dice.roll(count.max(1));
        self.sessions.keys().nth(index).cloned()
    }

    fn step(&mut self) {
        let what = self.dice.roll(100);
        match (what, self.any()) {
            (0..12, _) if self.sessions.len() < MOST => self.create(),
            (_, None) => self.create(),
            (0..22, Some(name)) => self.verb("stop", &name),
            (22..34, Some(name)) => self.verb("start", &name),
            (34..42, Some(name)) => self.verb("restart", &name),
            (42..47, Some(name)) => self.verb("suspend", &name),
            (47..52, Some(name)) => self.verb("resume", &name),
            (52..55, Some(name)) => self.verb("rm", &name),
            (55..58, Some(name)) => self.rename(&name),
            (58..63, Some(name)) => self.kill_main(&name),
            (63..80, Some(name)) => self.kill_holder(&name),
            (80..87, _) => self.kill_keeper(),
            (87..89, _) => self.abandon(),
            (89..92, Some(name)) => self.follow(&name),
            (92..96, Some(name)) => self.exec(&name),
            (_, _) => self.upgrade(),
        }
    }

    fn create(&mut self) {
        let mark = format!("s{}m", self.next);
        self.next += 1;
        self.tell(format_args!("create {mark}"));
        let script = self.script(&mark);
        self.sandbox.ok([
            "create",
            "-n",
            &mark,
            "--restart",
            "always",
            "--restart-limit",
            "1000/1s",
            "--restart-delay",
            "10ms",
            "--stop-timeout",
            "200ms",
            "--",
            "sh",
            "-c",
            &script,
            &mark,
        ]);
        let expected = Expected {
            mark: mark.clone(),
            state: State::Running,
            pid: Some(self.sandbox.pid(&mark)),
            abandoned: false,
            restarting: None,
        };
        self.sessions.insert(mark, expected);
    }

    /// The holder of a session, as its `live` file has it.
    fn holder(&self, name: &str) -> Option<i32> {
        let id = self.sandbox.status(name)["id"].as_str()?.to_owned();
        let holders = self.sandbox.holders();
        holders
            .into_iter()
            .find(|pid| crate::support::command_line(*pid).contains(&id))
    }

    /// A verb, and perhaps a kill of its session's holder, of the keeper or of the verb itself meanwhile.
    fn verb(&mut self, verb: &str, name: &str) {
        let disturbed = self.dice.one_in(3);
        self.tell(format_args!("{verb} {name}"));
        let mut args = vec![verb, name];
        if verb == "rm" {
            args.push("-f");
        }
        let holder = disturbed.then(|| self.holder(name)).flatten();
        let mut command = self.sandbox.command(&args);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut killed_verb = false;
        if disturbed {
            let wait = Duration::from_micros(self.dice.roll(6000) as u64);
            let since = Instant::now();
            while since.elapsed() < wait {
                std::hint::spin_loop();
            }
            match (self.dice.roll(4), holder) {
                (0, _) => {
                    self.tell("killing the verb");
                    let _ = child.kill();
                    killed_verb = true;
                }
                (1, _) => self.kill_keeper(),
                (_, Some(holder)) => {
                    self.tell(format_args!("killing its holder {holder}"));
                    self.kill_if_there(holder);
                }
                _ => {}
            }
        }
        let output = child.wait_with_output().unwrap();
        let code = output.status.code();
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        self.tell(format_args!("{code:?} {why}"));
        assert!(!why.contains("internal error"), "{why}");
        if disturbed {
            return self.look_again(verb, name, code == Some(0), killed_verb);
        }
        let expected = self.sessions.get_mut(name).unwrap();
        let before = expected.state;
        let should = match (verb, before) {
            // Perhaps it was started anew meanwhile, or is about to be.
            ("start" | "suspend" | "resume", _) if expected.abandoned => code == Some(0),
            ("start", State::Stopped)
            | ("stop", _)
            | ("rm", _)
            | ("restart", _)
            | ("suspend" | "resume", State::Running | State::Suspended) => true,
            _ => false,
        };
        assert_eq!(code == Some(0), should, "{verb} of {before:?}: {why}");
        if !should {
            return;
        }
        self.happened(verb, name);
    }

    /// What a verb that succeeded means.
    fn happened(&mut self, verb: &str, name: &str) {
        if verb == "rm" {
            self.sessions.remove(name);
            assert_eq!(self.sandbox.run(["status", name]).code, 4);
            return;
        }
        let pid = self.sandbox.status(name)["pid"].as_i64();
        let expected = self.sessions.get_mut(name).unwrap();
        match verb {
            "start" | "restart" => {
                (expected.state, expected.abandoned) = (State::Running, false);
                expected.pid = pid.map(|pid| pid as i32);
            }
            "stop" => {
                (expected.state, expected.abandoned) = (State::Stopped, false);
                expected.pid = None;
            }
            "suspend" => expected.state = State::Suspended,
            "resume" => expected.state = State::Running,
            _ => {}
        }
    }

    /// A disturbed verb has happened wholly or not at all, and has happened if it said so.
    fn look_again(&mut self, verb: &str, name: &str, succeeded: bool, killed: bool) {
        if succeeded && !killed {
            return self.happened(verb, name);
        }
        // Nobody knows which; from here on what is counts, once it has settled.
        let settled = Instant::now();
        let ran = loop {
            // What was asked before this is done, or never will be.
            let _ = self.sandbox.parked(name);
            let ran = self.sandbox.run(["status", "--json", name]);
            let status: serde_json::Value = serde_json::from_str(&ran.out).unwrap_or_default();
            let unwatched = status["unwatched"] == true;
            let stopping = status["desired"] == "down" && status["state"] == "running";
            let starting = status["desired"] == "up" && status["pid"].is_null();
            if ran.code == 4 || !(unwatched || stopping || starting) {
                break ran;
            }
            if settled.elapsed() > PATIENCE {
                panic!("{verb} {name} never settles: {status}");
            }
        };
        if ran.code == 4 {
            assert_eq!(verb, "rm", "{name} is gone");
            self.sessions.remove(name);
            return;
        }
        let status: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        let expected = self.sessions.get_mut(name).unwrap();
        let before = expected.state;
        expected.state = match status["state"].as_str() {
            Some("running" | "backoff") => State::Running,
            Some("suspended") => State::Suspended,
            Some("stopped" | "exited") => State::Stopped,
            other => panic!("{name} is {other:?}"),
        };
        let fits = match verb {
            "start" | "restart" => expected.state == State::Running || expected.state == before,
            "stop" | "rm" => expected.state == State::Stopped || expected.state == before,
            "suspend" => expected.state == State::Suspended || expected.state == before,
            _ => expected.state == State::Running || expected.state == before,
        };
        assert!(
            fits,
            "{verb} {name}: {before:?} became {:?}",
            expected.state
        );
        // A restart may still be under way.
        let pid = status["pid"].as_i64().map(|pid| pid as i32);
        expected.pid = pid.filter(|_| verb != "restart");
        expected.restarting = (verb == "restart").then(Instant::now);
    }

    fn rename(&mut self, name: &str) {
        let new = format!("s{}m", self.next);
        self.next += 1;
        self.tell(format_args!("rename {name} {new}"));
        self.sandbox.ok(["rename", name, &new]);
        let expected = self.sessions.remove(name).unwrap();
        self.sessions.insert(new, expected);
    }

    fn kill_if_there(&self, pid: i32) {
        if lives(pid) {
            let _ = std::panic::catch_unwind(|| kill(pid, Signal::KILL));
        }
    }

    fn kill_main(&mut self, name: &str) {
        let expected = self.sessions.get_mut(name).unwrap();
        let (Some(pid), State::Running) = (expected.pid.take(), expected.state) else {
            return;
        };
        self.tell(format_args!("kill main {pid} of {name}"));
        if !lives(pid) {
            return;
        }
        kill(pid, Signal::KILL);
        self.await_main(name, pid);
    }

    /// Waits for a main process that is not `old`.
    fn await_main(&mut self, name: &str, old: i32) {
        let mut pid = None;
        until("another main process", || {
            pid = self.sandbox.status(name)["pid"].as_i64();
            pid.is_some_and(|pid| pid != i64::from(old))
        });
        self.sessions.get_mut(name).unwrap().pid = pid.map(|pid| pid as i32);
    }

    fn kill_holder(&mut self, name: &str) {
        if let Some(holder) = self.holder(name) {
            self.tell(format_args!("kill holder {holder} of {name}"));
            self.kill_if_there(holder);
        }
    }

    fn kill_keeper(&mut self) {
        // Of a session whose holder is just being replaced both may be killed at once.
        let waits = self.dice.one_in(2);
        for (name, expected) in &mut self.sessions {
            if waits {
                self.sandbox.is_parked(name);
            } else if expected.state != State::Stopped {
                expected.pid = None;
                expected.abandoned = true;
            }
        }
        let keeper = self.sandbox.keeper();
        self.tell(format_args!("kill keeper {keeper:?}"));
        keeper
            .into_iter()
            .for_each(|keeper| self.kill_if_there(keeper));
        if !self.sandbox.holders().is_empty() {
            let sandbox = &self.sandbox;
            until("another keeper", || {
                sandbox.keeper().is_some_and(|next| Some(next) != keeper)
                    || sandbox.holders().is_empty()
            });
            // Everyone has parked again once each has spoken to it: a killed holder before that is both at once.
            for name in self.sessions.keys() {
                self.sandbox.is_parked(name);
            }
        }
    }

    /// Keeper and all holders at once: what is started then is started once.
    fn abandon(&mut self) {
        self.tell("kill all of ours at once");
        self.sandbox.abandon();
        let running: Vec<String> = self
            .sessions
            .iter()
            .filter(|(_, it)| it.state != State::Stopped)
            .map(|(name, _)| name.clone())
            .collect();
        for name in running {
            let ran = self.sandbox.run(["restart", &name]);
            self.tell(format_args!("restart {name} {ran:?}"));
            assert_eq!(ran.code, 0, "{ran:?}");
            self.happened("restart", &name);
        }
    }

    fn follow(&mut self, name: &str) {
        self.tell(format_args!("follow {name}"));
        let mut command = self.sandbox.command(["logs", "-f", name]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        self.followers.push(command.spawn().unwrap());
        if self.followers.len() > 3 {
            let mut oldest = self.followers.remove(0);
            let _ = oldest.kill();
            let _ = oldest.wait();
        }
    }

    fn exec(&mut self, name: &str) {
        if self.sessions[name].state != State::Running || self.sessions[name].pid.is_none() {
            return;
        }
        self.tell(format_args!("exec {name}"));
        let ran = self
            .sandbox
            .run(["exec", name, "--", "sh", "-c", "echo $SESSION_ID; exit 4"]);
        assert_eq!(ran.code, 4, "{ran:?}");
        assert_eq!(ran.out.trim().len(), 16, "{ran:?}");
    }

    fn upgrade(&mut self) {
        self.tell("upgrade");
        let ran = self.sandbox.run(["upgrade", "--all"]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }

    /// That everything is as it has to be.
    fn check(&mut self) {
        self.tell("check");
        let sessions = self.sessions.clone();
        for (name, expected) in &sessions {
            let word = match expected.state {
                State::Running => "running",
                State::Suspended => "suspended",
                State::Stopped => "stopped",
            };
            let sandbox = &self.sandbox;
            let mut status = serde_json::Value::Null;
            until(&format!("{name} is {word}"), || {
                status = sandbox.status(name);
                let state = status["state"].as_str().unwrap_or_default();
                let stopped = expected.state == State::Stopped && state == "exited";
                // One that was started anew is not suspended any more.
                let anew = expected.abandoned && state == "running";
                (state == word || stopped || anew) && status["unwatched"] == false
            });
            if expected.abandoned {
                let now = self.sessions.get_mut(name).unwrap();
                now.abandoned = false;
                now.pid = status["pid"].as_i64().map(|pid| pid as i32);
                if status["state"] == "running" {
                    now.state = State::Running;
                }
            } else if expected
                .restarting
                .is_some_and(|since| since.elapsed() < RESTART)
            {
                self.sessions.get_mut(name).unwrap().pid = None;
            } else if expected.pid.is_none() {
                let now = self.sessions.get_mut(name).unwrap();
                now.pid = status["pid"].as_i64().map(|pid| pid as i32);
            } else if let Some(pid) = expected.pid {
                assert_eq!(
                    status["pid"].as_i64(),
                    Some(i64::from(pid)),
                    "{name}: {status}"
                );
            }
            let id = status["id"].as_str().unwrap();
            if expected.state == State::Stopped {
                let left = pids_with(&format!("SESSION_ID={id}"));
                let left: Vec<i32> = left.into_iter().filter(|pid| lives(*pid)).collect();
                assert!(left.is_empty(), "of {name} lives {left:?}");
            }
            self.check_log(name, &expected.mark);
        }
        let doubles = std::fs::read_to_string(self.sandbox.path("doubles")).unwrap_or_default();
        assert_eq!(doubles, "", "ran twice");
        let listed = self.sandbox.ok(["ls", "--json"]);
        let listed: Vec<serde_json::Value> = serde_json::from_str(&listed).unwrap();
        assert_eq!(listed.len(), sessions.len());
    }

    /// Every run counts from 0 on without a hole and without a line that comes twice.
    fn check_log(&self, name: &str, mark: &str) {
        let log = self.sandbox.ok(["logs", name]);
        let mut counts: BTreeMap<i32, u64> = BTreeMap::new();
        let mut lines = log.lines().peekable();
        while let Some(line) = lines.next() {
            let line = line.trim_end_matches('\r');
            let mut words = line.split(' ');
            let whole = (
                words.next(),
                words.next().and_then(|pid| pid.parse::<i32>().ok()),
                words.next().and_then(|count| count.parse::<u64>().ok()),
            );
            match whole {
                (Some(first), Some(pid), Some(count)) if first == mark => {
                    let next = counts.entry(pid).or_default();
                    assert_eq!(count, *next, "{name}, run {pid}: {line:?}");
                    *next += 1;
                }
                // What a killed process had said of a line, or is just saying.
                _ => assert!(
                    lines.peek().is_none() || line.len() < mark.len() + 20,
                    "{name}: {line:?}"
                ),
            }
        }
    }
}
