//! Processes as the bench sees them: waited for with a limit, found by their tag, read in `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The variable that marks every process of a run.
pub(crate) const TAG: &str = "SESSION_BENCH";
/// The variable that says whose process it is.
pub(crate) const PEER_TAG: &str = "SESSION_BENCH_PEER";

/// Entries of an environment by which processes of this run are told from all others.
#[derive(Debug, Clone)]
pub(crate) struct Tag(Vec<String>);

impl Tag {
    /// All of these `NAME=value` have to be there.
    pub(crate) fn new(entries: Vec<String>) -> Self {
        Self(entries)
    }

    /// Every process that carries it, this one left out.
    pub(crate) fn processes(&self) -> io::Result<Vec<i32>> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let pid = name.to_str().and_then(|name| name.parse::<i32>().ok());
            let Some(pid) = pid else { continue };
            if pid != std::process::id().cast_signed() && self.is_on(pid) {
                found.push(pid);
            }
        }
        Ok(found)
    }

    /// Signals a process if it carries the tag; true if it did.
    pub(crate) fn signal(&self, pid: i32, signal: Signal) -> bool {
        // First the descriptor, then the look: from there on the number cannot mean somebody else.
        let Ok(pidfd) = open(pid) else { return false };
        self.is_on(pid) && pidfd_send_signal(&pidfd, signal).is_ok()
    }

    fn is_on(&self, pid: i32) -> bool {
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else {
            return false; // gone, or another user's
        };
        let entries: Vec<&[u8]> = environment.split(|&byte| byte == 0).collect();
        self.0.iter().all(|tag| entries.contains(&tag.as_bytes()))
    }
}

/// A descriptor of a process.
pub(crate) fn open(pid: i32) -> io::Result<OwnedFd> {
    let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Waits until a descriptor is readable; false if the time (none: for ever) is over first.
pub(crate) fn readable<Fd: AsFd>(fd: Fd, until: Option<Instant>) -> io::Result<bool> {
    Ok(first_readable(&[fd.as_fd()], until)?.is_some())
}

/// Waits for the first of several, by its index.
pub(crate) fn first_readable<Fd: AsFd>(
    fds: &[Fd],
    until: Option<Instant>,
) -> io::Result<Option<usize>> {
    let mut polled: Vec<PollFd<'_>> = fds
        .iter()
        .map(|fd| PollFd::new(fd, PollFlags::IN))
        .collect();
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = left.map(Timespec::try_from).transpose();
        let left = left.map_err(io::Error::other)?;
        match poll(&mut polled, left.as_ref()) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(polled.iter().position(|fd| !fd.revents().is_empty())),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Runs a command to its end; killed, and an error of kind `TimedOut`, once the limit is over.
pub(crate) fn run(command: &mut Command, limit: Duration) -> io::Result<ExitStatus> {
    let mut child = command.spawn()?;
    let pidfd = open(child.id().cast_signed())?;
    if !readable(&pidfd, Some(Instant::now() + limit))? {
        child.kill()?;
        child.wait()?;
        let name = command.get_program().display();
        let message = format!("{name} did not end within {limit:?}");
        return Err(io::Error::new(io::ErrorKind::TimedOut, message));
    }
    child.wait()
}

/// Waits until a process is no more, at most two seconds.
pub(crate) fn await_end(pid: i32) {
    if let Ok(pidfd) = open(pid) {
        let _ = readable(&pidfd, Some(Instant::now() + Duration::from_secs(2)));
    }
}

/// The file a process executes.
pub(crate) fn executable(pid: i32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// The proportional set size of some processes, in KiB.
pub(crate) fn pss(pids: &[i32]) -> io::Result<u64> {
    pids.iter().try_fold(0, |sum, pid| {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        Ok(sum + field(&text, "Pss:"))
    })
}

/// What some processes have for themselves alone, in KiB.
pub(crate) fn private(pids: &[i32]) -> io::Result<u64> {
    pids.iter().try_fold(0, |sum, pid| {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        Ok(sum + field(&text, "Private_Dirty:"))
    })
}

/// The bytes that a process has written.
pub(crate) fn written(pid: i32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/io"))?;
    Ok(field(&text, "wchar:"))
}

/// The children of a process.
pub(crate) fn children(pid: i32) -> io::Result<Vec<i32>> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let pids = text.split_whitespace().map(str::parse);
    Ok(pids.filter_map(Result::ok).collect())
}

/// How often all threads of each process have been switched to another, of their own will or not.
pub(crate) fn switches(pids: &[i32]) -> io::Result<BTreeMap<i32, u64>> {
    let mut switches = BTreeMap::new();
    for &pid in pids {
        let mut sum = 0;
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let status = fs::read_to_string(thread?.path().join("status"))?;
            sum += field(&status, "voluntary_ctxt_switches:")
                + field(&status, "nonvoluntary_ctxt_switches:");
        }
        switches.insert(pid, sum);
    }
    Ok(switches)
}

/// The number behind a name at the start of a line.
fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}
