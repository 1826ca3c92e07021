//! The whole tree of a session: its end, its freezing, its signals. Stop, kill and suspend reach also those that
//! called setsid(2): through the cgroup where there is one, and by sweeps over the holder's descendants, for those
//! that left the cgroup (a login does, systemd-run does) or where there is none.

use std::io;
use std::time::{Duration, Instant};

use session_protocol::{ByteString, Code, Error, Signal};
use session_sys::cgroup::Group;
use session_sys::tree::{self, Roots};

use crate::holder::Holder;
use crate::supervision::Refusal;

/// How long a frozen cgroup may take to say so (a process deep in the kernel freezes late).
const FREEZING: Duration = Duration::from_secs(1);

impl Holder {
    /// Below which all processes of the session are.
    fn roots(&self) -> Roots {
        Roots {
            above: rustix::process::getpid().as_raw_nonzero().get(),
            others: self.strays(),
        }
    }

    pub(crate) fn living(&self) -> Vec<tree::Entry> {
        let mut entries = self.roots().processes().unwrap_or_default();
        entries.retain(|entry| !entry.has_ended());
        entries
    }

    /// Those that live, for a sentence: numbers and names.
    pub(crate) fn living_named(&self) -> String {
        let living = self.living();
        let named = living.iter().map(|entry| {
            let name = ByteString(entry.name.clone());
            format!("{} ({})", entry.pid, name.escaped())
        });
        named.collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn sweep(&mut self, signal: Signal) -> Result<usize, Error> {
        let signalled = tree::signal(&self.roots(), signal.number()).map_err(|error| {
            Error::new(
                Code::Io,
                format!("cannot signal the session's processes: {error}"),
            )
        })?;
        if !signalled.denied.is_empty() {
            let pids: Vec<String> = signalled.denied.iter().map(ToString::to_string).collect();
            self.note(format!("not ours to signal: PID {}", pids.join(", ")));
        }
        Ok(signalled.sent)
    }

    /// The stop signal to every process; SIGCONT, or the stopped ones would not see it; and a hang-up for
    /// shells on a terminal, which ignore SIGTERM (`docs/adr/0006-stopping-shells.md`).
    pub(crate) fn ask_to_end(&mut self) {
        let signal = self.owned.record().spec.stop_signal;
        let pty = self.in_force.pty;
        let deaf: Vec<tree::Entry> = if pty && signal == Signal::TERM {
            self.living()
                .into_iter()
                .filter(|entry| tree::ignores(entry.pid, signal.number()))
                .collect()
        } else {
            Vec::new()
        };
        let _ = self.sweep(signal);
        for entry in &deaf {
            let _ = tree::signal_entry(entry, Signal::HUP.number());
        }
        let _ = self.sweep(Signal::CONT);
    }

    pub(crate) fn kill_all(&mut self) {
        self.killing.get_or_insert_with(Instant::now);
        if let Some(group) = &self.group {
            let _ = group.kill();
        }
        let _ = self.sweep(Signal::KILL);
    }

    /// Sends `signal` to every process.
    pub(crate) fn signal_all(&mut self, signal: Signal) -> Result<(), Error> {
        let living = !self.childless;
        if !living {
            return Err(self.refuse(Refusal::NotRunning));
        }
        if let (Signal::KILL, Some(group)) = (signal, &self.group) {
            let _ = group.kill();
        }
        self.sweep(signal).map(drop)
    }

    /// Freezes every process, or none.
    pub(crate) fn freeze(&mut self) -> Result<(), Error> {
        let failed = |error: io::Error| Error::new(Code::Io, format!("cannot suspend: {error}"));
        // The group first: none of its processes forks any more then, so what is listed is all of them.
        let frozen = match &self.group {
            Some(group) => freeze_group(group).and_then(|()| group.processes()),
            None => Ok(Vec::new()),
        };
        match frozen.and_then(|frozen| tree::stop(&self.roots(), &frozen)) {
            Ok(stopped) if stopped.denied.is_empty() => Ok(()),
            Ok(stopped) => {
                self.note(format!("not ours to suspend: PID {:?}", stopped.denied));
                Ok(())
            }
            Err(error) => {
                self.thaw();
                Err(failed(error))
            }
        }
    }

    pub(crate) fn thaw(&mut self) {
        // Those of the group that a person stopped (Ctrl-Z) stay as they were.
        let inside = self
            .group
            .as_ref()
            .and_then(|group| group.processes().ok())
            .unwrap_or_default();
        // Those outside first: a shell that wakes before its job would take the job for stopped.
        let _ = tree::resume(&self.roots(), &inside);
        let thawed = self.group.as_ref().map(|group| group.freeze(false));
        if let Some(Err(error)) = thawed {
            self.note(format!("cannot thaw: {error}"));
        }
    }

    /// The processes are not in the group: it is of no use.
    pub(crate) fn leave_group(&mut self) {
        if let Some(group) = self.group.take() {
            let _ = group.remove();
        }
    }
}

/// Freezes a group and waits until every process in it stands still.
fn freeze_group(group: &Group) -> io::Result<()> {
    let deadline = Instant::now() + FREEZING;
    let events = group.events()?;
    group.freeze(true)?;
    while !group.is_frozen()? {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::other(
                "a process deep in the kernel does not freeze",
            ));
        }
        let timeout = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let mut fds = [rustix::event::PollFd::new(
            &events,
            rustix::event::PollFlags::PRI,
        )];
        let _ = rustix::event::poll(&mut fds, Some(&timeout));
    }
    Ok(())
}
