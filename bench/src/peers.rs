//! The programs that are compared, and how each of them is told the same things.

use std::ffi::{OsStr, OsString};
use std::fs::{File, canonicalize};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::arena::Arena;
use crate::process::{Tag, await_end, executable, run};

/// How long a command of a peer may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// Which program; the order is that of the table's columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// This project.
    Session,
    /// One process a session, and no screen: the bar for speed.
    Dtach,
    /// One server for all.
    Tmux,
    /// One server a session.
    Screen,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Session, Self::Dtach, Self::Tmux, Self::Screen];

    /// The executable's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Dtach => "dtach",
            Self::Tmux => "tmux",
            Self::Screen => "screen",
        }
    }
}

/// A program that is installed, shut into its part of the arena.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// Which.
    pub(crate) kind: Kind,
    executable: PathBuf,
    environment: Vec<(&'static str, OsString)>,
    home: PathBuf,
    tag: Tag,
}

impl Peer {
    /// Those that are here, and those that are not.
    pub(crate) fn installed(arena: &Arena, session: Option<&Path>) -> (Vec<Self>, Vec<Kind>) {
        let (mut here, mut missing) = (Vec::new(), Vec::new());
        for kind in Kind::ALL {
            let found = match (kind, session) {
                (Kind::Session, Some(path)) => canonicalize(path).ok(),
                (Kind::Session, None) => beside("session").or_else(|| on_path("session")),
                _ => on_path(kind.name()),
            };
            match found {
                None => missing.push(kind),
                Some(executable) => here.push(Self {
                    kind,
                    executable,
                    environment: arena.environment(kind.name()),
                    home: arena.directory.join(kind.name()),
                    tag: arena.tag_of(kind.name()),
                }),
            }
        }
        (here, missing)
    }

    /// What it says of its version.
    pub(crate) fn version(&self) -> String {
        let flag = match self.kind {
            Kind::Session | Kind::Dtach => "--version",
            Kind::Tmux => "-V",
            Kind::Screen => "-v",
        };
        let output = self
            .command(&[flag.as_ref()])
            .stdout(Stdio::piped())
            .output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let text = text.unwrap_or_default();
        let is_number = |word: &&str| word.starts_with(|first: char| first.is_ascii_digit());
        let number = text.split_whitespace().find(is_number).unwrap_or("?");
        number.trim_end_matches(',').to_owned()
    }

    /// Makes a detached session.
    pub(crate) fn create(&self, name: &str, program: &[&OsStr]) -> Command {
        let mut command = match self.kind {
            Kind::Session => self.command(&words(&["create", "-q", "-n", name, "--"])),
            Kind::Dtach => {
                let mut command = self.command(&["-n".as_ref()]);
                command.arg(self.socket(name));
                command
            }
            Kind::Tmux => self.tmux(&["new-session", "-d", "-s", name]),
            Kind::Screen => self.command(&words(&["-dmS", name])),
        };
        command.args(program);
        command
    }

    /// Makes a session with the user's shell, which asks with `prompt`, and attaches to it.
    pub(crate) fn shell(&self, name: &str, prompt: &str) -> Command {
        // Where a server makes it, the environment is the server's.
        let variable = format!("PS1={prompt}");
        let mut command = match self.kind {
            Kind::Session => self.command(&["sess".as_ref()]),
            Kind::Dtach => {
                let mut command = self.command(&["-A".as_ref()]);
                command
                    .arg(self.socket(name))
                    .args(["-E", "-r", "none", "/bin/sh"]);
                command
            }
            Kind::Tmux => self.tmux(&["new-session", "-e", &variable, "-s", name, "/bin/sh"]),
            Kind::Screen => self.command(&words(&["-S", name, "/bin/sh"])),
        };
        command.env("PS1", prompt);
        command
    }

    /// Watches it and types into it.
    pub(crate) fn attach(&self, name: &str) -> Command {
        match self.kind {
            Kind::Session => self.command(&words(&["attach", name])),
            Kind::Dtach => {
                let mut command = self.command(&["-a".as_ref()]);
                command.arg(self.socket(name)).args(["-E", "-r", "none"]);
                command
            }
            Kind::Tmux => self.tmux(&["attach", "-t", name]),
            Kind::Screen => self.command(&words(&["-x", name])),
        }
    }

    /// Lists its sessions; `None` if it cannot.
    pub(crate) fn list(&self) -> Option<Command> {
        match self.kind {
            Kind::Session => Some(self.command(&["ls".as_ref()])),
            Kind::Dtach => None,
            Kind::Tmux => Some(self.tmux(&["ls"])),
            Kind::Screen => Some(self.command(&["-ls".as_ref()])),
        }
    }

    /// Brings up what all its sessions share, so that no measured `create` pays for it.
    pub(crate) fn warm_up(&self) -> io::Result<()> {
        let program = words(&["sleep", "100000"]);
        self.done(&mut self.create("warm", &program))
    }

    /// Ends one session, whose main process is known, and forgets it.
    pub(crate) fn end(&self, name: &str, main: i32) -> io::Result<()> {
        match self.kind {
            Kind::Session => self.done(&mut self.command(&words(&["rm", "-f", name])))?,
            Kind::Tmux => self.done(&mut self.tmux(&["kill-session", "-t", name]))?,
            Kind::Dtach | Kind::Screen => {
                self.tag.signal(main, Signal::KILL);
            }
        }
        await_end(main);
        Ok(())
    }

    /// Runs a command of this peer; one that fails is an error with what it printed.
    pub(crate) fn done(&self, command: &mut Command) -> io::Result<()> {
        let status = run(command, LIMIT)?;
        if status.success() {
            return Ok(());
        }
        Err(self.failure(&status.to_string()))
    }

    /// An error with the last line that the peer printed on standard error.
    pub(crate) fn failure(&self, what: &str) -> io::Error {
        let text = std::fs::read(self.errors()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().last().unwrap_or_default();
        io::Error::other(format!("{what}; {line}"))
    }

    /// Its own processes, without the programs inside the sessions.
    pub(crate) fn own(&self) -> io::Result<Vec<i32>> {
        let mut own = self.tag.processes()?;
        own.retain(|&pid| executable(pid).is_some_and(|file| file == self.executable));
        Ok(own)
    }

    /// What Session says is on the screen of a session, once it has said `last`.
    pub(crate) fn screen(&self, name: &str, last: &str) -> io::Result<String> {
        let wait = ["wait", name, "--text", last, "--timeout", "9s"];
        self.done(&mut self.command(&words(&wait)))?;
        let mut command = self.command(&words(&["screen", name]));
        let output = command.stdout(std::process::Stdio::piped()).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Sends a signal to each of its own processes.
    pub(crate) fn signal(&self, pids: &[i32], signal: Signal) {
        for &pid in pids {
            self.tag.signal(pid, signal);
        }
    }

    /// Ends all its sessions by its own command where that undoes more than a kill (Session's control groups).
    pub(crate) fn remove_all(&self) {
        if self.kind != Kind::Session || !self.home.join("state/session").exists() {
            return;
        }
        let mut command = self.command(&words(&["rm", "-f", "*"]));
        match run(&mut command, Duration::from_secs(120)) {
            Ok(status) if status.success() || status.code() == Some(4) => {} // 4: there was none
            Ok(status) => eprintln!("session-bench: {}", self.failure(&format!("rm: {status}"))),
            Err(error) => eprintln!("session-bench: {error}"),
        }
    }

    /// Ends everything of it and empties its directories.
    pub(crate) fn clear(&self, arena: &Arena) -> io::Result<()> {
        self.remove_all();
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let left = self.tag.processes()?;
            if left.is_empty() {
                return arena.refurnish(self.kind.name());
            }
            if Instant::now() > deadline {
                let message = format!("{} processes do not end", left.len());
                return Err(io::Error::other(message));
            }
            self.signal(&left, Signal::KILL);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn command(&self, arguments: &[&OsStr]) -> Command {
        let mut command = Command::new(&self.executable);
        let errors = File::options()
            .create(true)
            .append(true)
            .open(self.errors());
        command
            .args(arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors.map_or_else(|_| Stdio::null(), Stdio::from));
        command
    }

    fn tmux(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&words(&["-L", "b", "-f", "/dev/null"]));
        command.args(arguments);
        command
    }

    fn socket(&self, name: &str) -> PathBuf {
        self.home.join("run").join(name)
    }

    fn errors(&self) -> PathBuf {
        self.home.join("errors")
    }
}

/// Words of a command line.
pub(crate) fn words<'a>(words: &[&'a str]) -> Vec<&'a OsStr> {
    words.iter().map(|word| OsStr::new(*word)).collect()
}

fn beside(name: &str) -> Option<PathBuf> {
    let path = std::env::current_exe().ok()?.with_file_name(name);
    canonicalize(path).ok()
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .find_map(|directory| {
            let file = canonicalize(directory.join(name)).ok()?;
            let metadata = file.metadata().ok()?;
            (metadata.is_file() && metadata.permissions().mode() & 0o111 != 0).then_some(file)
        })
}
