//! What goes over a whole tree: signals, stop, resume. A process is signalled without a race, whatever became of
//! its number since it was seen.
//!
//! A scan misses what is forked behind its back, so whoever needs all of a tree repeats: [`stop`] until nothing
//! runs, a kill until the subreaper has no children ([`crate::process::Reaped::NoChildren`]). A subreaper as root
//! keeps anything from leaving the tree.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use super::{Entry, Roots, is_absent};
use crate::identity::open_pid;
use crate::stat::{self, has_ended};

/// What one sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signalled {
    /// How many signals were sent.
    pub sent: usize,
    /// Processes we may not signal (they became another user), by number.
    pub denied: Vec<i32>,
}

/// Sends a signal once to each process that has not ended, parents first.
pub fn signal(roots: &Roots, signo: i32) -> io::Result<Signalled> {
    sweep(&roots.processes()?, signo)
}

/// Continues every process but those `spared`, children first: a shell that wakes before its foreground job
/// would take the job for stopped and the terminal away from it.
pub fn resume(roots: &Roots, spared: &[i32]) -> io::Result<Signalled> {
    let mut tree = roots.processes()?;
    tree.retain(|entry| !spared.contains(&entry.pid));
    tree.reverse();
    sweep(&tree, libc::SIGCONT)
}

/// How many sweeps [`stop`] makes. Each stops all that runs, so only what was forked meanwhile is left for the
/// next; the worst tree tried needed 12.
const ROUNDS: usize = 100;

/// Stops every process but those `spared` (a frozen cgroup's, say), and those they fork meanwhile, until a scan
/// finds none running.
///
/// Parents first, and each is waited for, lest a shell sees its foreground job stop. `denied` holds those that
/// cannot be stopped. One in an uninterruptible sleep counts as stopped, for it stops before it runs its own
/// code again.
///
/// # Errors
/// `TimedOut` if after a hundred sweeps something still runs.
pub fn stop(roots: &Roots, spared: &[i32]) -> io::Result<Signalled> {
    let mut total = Signalled::default();
    let mut signalled: HashSet<(i32, u64)> = HashSet::new();
    for _ in 0..ROUNDS {
        let running: Vec<Entry> = roots
            .processes()?
            .into_iter()
            .filter(|entry| !entry.is_stopped() && !total.denied.contains(&entry.pid))
            .filter(|entry| !spared.contains(&entry.pid))
            // A parent in vfork sleeps like this until its child, stopped by us, goes on to exec.
            .filter(|entry| {
                entry.state != 'D' || !signalled.contains(&(entry.pid, entry.start_time))
            })
            .collect();
        if running.is_empty() {
            return Ok(total);
        }
        for entry in running {
            match signal_entry(&entry, libc::SIGSTOP) {
                Ok(true) => {
                    total.sent += 1;
                    signalled.insert((entry.pid, entry.start_time));
                    await_stop(&entry);
                }
                Ok(false) => {}
                Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                    total.denied.push(entry.pid);
                }
                Err(error) => return Err(error),
            }
        }
    }
    Err(io::Error::new(
        io::ErrorKind::TimedOut,
        "processes are created faster than they can be stopped",
    ))
}

/// Signals exactly this process, if it has not ended: false if it has.
pub fn signal_entry(entry: &Entry, signo: i32) -> io::Result<bool> {
    let Some(pidfd) = open_pid(entry.pid)? else {
        return Ok(false);
    };
    // After the open, so that the descriptor is known to mean the process that was seen.
    match stat::of(entry.pid) {
        Ok(now) if now.starttime == entry.start_time && !has_ended(now.state, now.num_threads) => {}
        Ok(_) => return Ok(false),
        Err(error) if is_absent(&error) => return Ok(false),
        Err(error) => return Err(error),
    }
    match crate::signal::send(&pidfd, signo) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Signals each in the order given.
fn sweep(tree: &[Entry], signo: i32) -> io::Result<Signalled> {
    let mut done = Signalled::default();
    for entry in tree.iter().filter(|entry| !entry.has_ended()) {
        match signal_entry(entry, signo) {
            Ok(true) => done.sent += 1,
            Ok(false) => {}
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => done.denied.push(entry.pid),
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Gives a process the moment it needs to act on SIGSTOP: as long as a busy machine may take to let it run,
/// but not as long as it may sleep in the kernel.
fn await_stop(entry: &Entry) {
    let mut pause = Duration::from_micros(10);
    let mut waited = Duration::ZERO;
    loop {
        let limit = match stat::of(entry.pid) {
            Ok(now) if now.starttime != entry.start_time => return,
            Ok(now) if has_ended(now.state, now.num_threads) => return,
            Ok(now) if matches!(now.state, 'T' | 't') => return,
            Ok(now) if now.state == 'D' => Duration::from_millis(2),
            Ok(_) => Duration::from_millis(100),
            Err(_) => return,
        };
        if waited >= limit {
            return;
        }
        std::thread::sleep(pause);
        waited += pause;
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

/// Whether a process ignores a signal; false if that cannot be read.
pub fn ignores(pid: i32, signo: i32) -> bool {
    if !(1..=crate::signal::LAST).contains(&signo) {
        return false;
    }
    let Ok(status) = std::fs::read(format!("/proc/{pid}/status")) else {
        return false;
    };
    let ignored = status
        .split(|&byte| byte == b'\n')
        .find_map(|line| line.strip_prefix(b"SigIgn:\t"))
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & (1 << (signo - 1)) != 0)
}
