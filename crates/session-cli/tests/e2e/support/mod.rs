//! A private Session for one test: its own state directory, its own terminals, and nothing left behind.
//!
//! Nothing here sleeps: terminals and pipes are polled, ends of processes are awaited by pidfd, states by
//! `session wait`.

mod fifo;
mod terminal;

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

pub(crate) use fifo::Fifo;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
pub(crate) use terminal::Terminal;

/// Long enough for a loaded machine; only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// A user that owns nothing.
pub(crate) const OTHER_USER: u32 = 65_532;

/// One test's world.
pub(crate) struct Sandbox {
    directory: tempfile::TempDir,
    user: Option<u32>,
    executable: PathBuf,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            directory,
            user: None,
            executable: env!("CARGO_BIN_EXE_session").into(),
        }
    }

    /// A world of an ordinary user, without a cgroup; `None`, said loudly, where the test is not run by root.
    pub(crate) fn of_other_user() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: only root can become another user");
            return None;
        }
        let mut sandbox = Self::new();
        // The build directory may be closed to others: the executable comes along. Another process writes it: what
        // other tests start meanwhile would inherit it open for writing, and until then nobody may execute it (ETXTBSY).
        sandbox.executable = sandbox.path("session");
        let mut copy = Command::new("cp");
        copy.args([
            env!("CARGO_BIN_EXE_session").as_ref(),
            sandbox.executable.as_os_str(),
        ]);
        assert!(copy.status().unwrap().success());
        std::fs::set_permissions(&sandbox.executable, PermissionsExt::from_mode(0o755)).unwrap();
        std::os::unix::fs::chown(sandbox.directory.path(), Some(OTHER_USER), Some(OTHER_USER))
            .unwrap();
        sandbox.user = Some(OTHER_USER);
        Some(sandbox)
    }

    /// A path in this world.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The state directory.
    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// The executable under test.
    pub(crate) fn executable(&self) -> &Path {
        &self.executable
    }

    /// The environment of every command here.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let path = std::env::var("PATH").unwrap_or_default();
        let here = self.directory.path().display().to_string();
        [
            ("PATH", path),
            ("HOME", here),
            ("TERM", "xterm-256color".into()),
            ("LANG", "C.UTF-8".into()),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .chain([(
            "SESSION_HOME".to_owned(),
            self.state().display().to_string(),
        )])
        .collect()
    }

    /// `session ARGS`, not run yet.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(&self.executable);
        command
            .args(args)
            .env_clear()
            .envs(self.environment())
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    /// Runs `session ARGS`.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Ran {
        ran(&mut self.command(args))
    }

    /// Runs `session ARGS`, which must succeed without a word on stderr; gives what it printed.
    pub(crate) fn ok<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> String {
        let args: Vec<A> = args.into_iter().collect();
        let ran = self.run(&args);
        let shown: Vec<_> = args
            .iter()
            .map(|arg| arg.as_ref().to_string_lossy())
            .collect();
        assert!(
            ran.code == 0 && ran.err.is_empty(),
            "session {}: {ran:?}",
            shown.join(" ")
        );
        ran.out
    }

    /// Runs a shell line with `$SESSION` as the executable.
    pub(crate) fn shell(&self, line: &str) -> Ran {
        ran(&mut self.shell_command(line))
    }

    /// The same, to be started by the test.
    pub(crate) fn shell_command(&self, line: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", line])
            .env_clear()
            .envs(self.environment())
            .env("SESSION", &self.executable);
        command
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    /// `session ARGS` on a terminal of its own.
    pub(crate) fn terminal(&self, args: &[&str]) -> Terminal {
        self.terminal_of(24, 80, args)
    }

    /// On one of another size.
    pub(crate) fn terminal_of(&self, rows: u16, cols: u16, args: &[&str]) -> Terminal {
        Terminal::run(
            &self.executable,
            args,
            &self.environment(),
            self.directory.path(),
            (rows, cols),
        )
    }

    /// Attached to `name`, and ready to be typed on.
    pub(crate) fn attach(&self, name: &str) -> Terminal {
        let mut terminal = self.terminal(&["attach", name]);
        terminal.raw_mode();
        terminal
    }

    /// Waits until no process of this world is left.
    pub(crate) fn falls_silent(&self) {
        for pid in self.living() {
            dies(pid);
        }
        assert_eq!(self.living(), Vec::<i32>::new());
    }

    /// The JSON of `status`.
    pub(crate) fn status(&self, name: &str) -> serde_json::Value {
        let ran = self.run(["status", "--json", name]);
        serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:?}"))
    }

    /// The main process's pid.
    pub(crate) fn pid(&self, name: &str) -> i32 {
        let status = self.status(name);
        status["pid"]
            .as_i64()
            .unwrap_or_else(|| panic!("no pid: {status}")) as i32
    }

    /// Waits until the session is in this state.
    pub(crate) fn reaches(&self, name: &str, state: &str) {
        self.ok(["wait", name, "--state", state, "--timeout", "30s"]);
    }

    /// The pids of the holders of this world.
    pub(crate) fn holders(&self) -> Vec<i32> {
        let sessions = self.state().join("sessions");
        let holds = |line: &str| {
            let id = line.strip_prefix("session __hold ")?.split(' ').next()?;
            sessions.join(id).exists().then_some(())
        };
        let mut found = pids();
        found.retain(|pid| holds(&command_line(*pid)).is_some());
        found
    }

    /// Every process of this world that is still alive: children of sessions, holders, clients. Not the keeper, which
    /// goes when nobody has needed it for a while.
    pub(crate) fn living(&self) -> Vec<i32> {
        let mut found = pids_with(&format!("SESSION_HOME={}", self.state().display()));
        // Only root may look into a holder.
        found.extend(self.holders());
        found.sort_unstable();
        found.dedup();
        let keeper = self.keeper();
        found.retain(|pid| Some(*pid) != keeper);
        found
    }

    /// The keeper of this world.
    pub(crate) fn keeper(&self) -> Option<i32> {
        let keeper = format!("session __keep {} ", self.state().display());
        let mut found = pids().into_iter();
        found.find(|pid| command_line(*pid).starts_with(&keeper))
    }

    /// Whether the keeper has what the holder of this session has; `None` if it has no holder.
    pub(crate) fn parked(&self, name: &str) -> Option<bool> {
        let status = self.run(["status", "--json", name]).out;
        let status: serde_json::Value = serde_json::from_str(&status).ok()?;
        let id = status["id"].as_str()?.to_owned();
        let socket = self.state().join("sessions").join(id).join("socket");
        let mut stream = std::os::unix::net::UnixStream::connect(socket).ok()?;
        let ask = b"{\"id\":1,\"method\":\"session.holder\"}\n";
        std::io::Write::write_all(&mut stream, ask).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let mut answer = String::new();
        let mut reader = std::io::BufReader::new(stream);
        std::io::BufRead::read_line(&mut reader, &mut answer).ok()?;
        let answer: serde_json::Value = serde_json::from_str(&answer).ok()?;
        answer["result"]["parked"].as_bool()
    }

    /// Waits until the keeper has what the session's holder has, if that has one.
    pub(crate) fn is_parked(&self, name: &str) {
        until("parked", || {
            self.holders().is_empty() || self.parked(name) != Some(false)
        });
    }

    /// Kills the keeper and every holder, at once as far as any of them can see: nobody is left to take over.
    pub(crate) fn abandon(&self) {
        let holders = self.holders();
        for holder in &holders {
            kill(*holder, Signal::STOP);
            until("a holder stands still", || state(*holder) == Some('T'));
        }
        self.keeper()
            .into_iter()
            .for_each(|keeper| kill(keeper, Signal::KILL));
        for holder in holders {
            kill(holder, Signal::KILL);
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let names = self.run(["ls", "--json"]).out;
        let listed: Vec<serde_json::Value> = serde_json::from_str(&names).unwrap_or_default();
        for session in listed {
            let id = session["id"].as_str().unwrap_or_default().to_owned();
            let _ = self
                .command(["rm", "-f", &id])
                .stderr(Stdio::null())
                .status();
        }
        // A test that failed half-way may leave what no verb knows.
        for pid in self.keeper().into_iter().chain(self.living()) {
            if let Some(process) = Pid::from_raw(pid) {
                let _ = rustix::process::kill_process(process, Signal::KILL);
            }
        }
    }
}

/// Runs a command to its end.
pub(crate) fn ran(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let code = std::os::unix::process::ExitStatusExt::signal(&output.status)
        .map_or_else(|| output.status.code().unwrap_or(-1), |signal| 128 + signal);
    Ran {
        code,
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// Every process but this one.
fn pids() -> Vec<i32> {
    let directories = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = directories.filter_map(|it| it.file_name().to_str()?.parse().ok());
    pids.filter(|pid| *pid != std::process::id() as i32)
        .collect()
}

/// The processes whose environment holds `entry`; zombies have none.
pub(crate) fn pids_with(entry: &str) -> Vec<i32> {
    let holds = |pid: &i32| {
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ
            .split(|byte| *byte == 0)
            .any(|it| it == entry.as_bytes())
    };
    let mut found = pids();
    found.retain(holds);
    found
}

/// A process's argument vector, with spaces between.
pub(crate) fn command_line(pid: i32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

/// Kills a process of this test's and waits until it is dead.
pub(crate) fn kill(pid: i32, signal: Signal) {
    let pidfd = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).unwrap();
    pidfd_send_signal(&pidfd, signal).unwrap();
    if signal == Signal::KILL {
        assert!(readable(&pidfd, PATIENCE), "{pid} does not die");
    }
}

/// Asks until the answer is yes: for what tells nobody that it has come.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = std::time::Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::yield_now();
    }
}

/// Waits until the process is dead; one that is dead already is fine.
pub(crate) fn dies(pid: i32) {
    if let Ok(pidfd) = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()) {
        assert!(
            readable(&pidfd, PATIENCE),
            "{pid} ({}) lives on",
            command_line(pid)
        );
    }
}

/// Whether the process lives (a zombie does not).
pub(crate) fn lives(pid: i32) -> bool {
    state(pid).is_some_and(|state| state != 'Z')
}

/// The state letter of a process.
pub(crate) fn state(pid: i32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

/// Bytes of memory that a process has for itself alone.
pub(crate) fn private_memory(pid: i32) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let lines = rollup
        .lines()
        .filter(|line| line.starts_with("Private_Dirty"));
    let sizes = lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    sizes.sum::<u64>() << 10
}

/// Polls for input.
pub(crate) fn readable(fd: impl AsFd, patience: Duration) -> bool {
    let timeout = Timespec::try_from(patience).unwrap();
    let mut fds = [PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN)];
    poll(&mut fds, Some(&timeout)).unwrap() > 0
}
