//! All that descends from a process, as a scan of /proc finds it, put together as the hierarchy that the kernel
//! has: sessions, process groups, processes, threads (`session-hierarchy`). What goes over it is in `cascade`.
//!
//! A scan is not a snapshot: a process forked behind its back is found by the next one. So whoever needs all
//! of a tree repeats.

mod cascade;

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use session_hierarchy::{Picture, Sighting, Thread};

use crate::stat::{self, has_ended, numbers};

pub use cascade::{Signalled, ignores, resume, signal, signal_entry, stop};

/// One process of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub pid: i32,
    /// Its parent's.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// Its session.
    pub session: i32,
    /// The state letter of proc(5): `R`, `S`, `D`, `T`, `t`, `Z` and so on; of a living thread if there is one.
    pub state: char,
    /// When it started, in ticks since boot; with `pid` it says which process this is.
    pub start_time: u64,
    /// The first 15 bytes of its name, which need not be UTF-8.
    pub name: Vec<u8>,
    /// How many threads it has.
    pub threads: i64,
    /// The foreground process group of its terminal; -1 if it has none.
    pub foreground: i32,
    /// The controlling terminal of its session.
    pub terminal: Option<Terminal>,
}

/// A terminal device, by its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terminal {
    /// Which driver.
    pub major: i32,
    /// Which of its devices.
    pub minor: i32,
}

impl fmt::Display for Terminal {
    /// As ps(1) has it: `pts/3`, `tty1`, `ttyS0`; the numbers of what else there is.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Numbers from the kernel's Documentation/admin-guide/devices.txt.
        match (self.major, self.minor) {
            (major @ 136..=143, minor) => write!(formatter, "pts/{}", (major - 136) * 256 + minor),
            (4, minor @ 0..=63) => write!(formatter, "tty{minor}"),
            (4, minor) => write!(formatter, "ttyS{}", minor - 64),
            (major, minor) => write!(formatter, "{major}:{minor}"),
        }
    }
}

/// One thread of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The first 15 bytes of its name, which need not be UTF-8.
    pub name: Vec<u8>,
    /// The state letter of proc(5).
    pub state: char,
}

impl Entry {
    /// Whether it has ended and only waits to be reaped.
    pub fn has_ended(&self) -> bool {
        has_ended(self.state, self.threads)
    }

    /// Its arguments, each with a NUL behind it, as any of its threads tells them; empty once it has ended.
    pub fn arguments(&self) -> Vec<u8> {
        let path = format!("/proc/{}/cmdline", self.pid);
        let arguments = std::fs::read(path).unwrap_or_default();
        if !arguments.is_empty() || self.threads <= 1 {
            return arguments;
        }
        // Its first thread has ended, so that it is asked for nothing.
        let task = format!("/proc/{}/task", self.pid);
        let threads = numbers(&task).unwrap_or_default().into_iter();
        let mut told = threads.map(|tid| std::fs::read(format!("{task}/{tid}/cmdline")));
        let told = told.find_map(|told| told.ok().filter(|told| !told.is_empty()));
        told.unwrap_or_default()
    }

    fn sighting(self) -> Sighting<Self> {
        Sighting {
            pid: number(self.pid),
            parent: number(self.parent),
            pgid: number(self.group),
            sid: number(self.session),
            has_ended: self.has_ended(),
            data: self,
        }
    }

    fn is_stopped(&self) -> bool {
        matches!(self.state, 'T' | 't') || self.has_ended()
    }
}

/// What descends from a process. The data of each [`Process`](session_hierarchy::Process) is its [`Entry`], the
/// terminal of each [`Session`](session_hierarchy::Session) a [`Terminal`].
pub struct Tree {
    picture: Picture,
    /// A process does not keep its threads.
    threads: Vec<Arc<Thread>>,
}

impl Tree {
    /// Looks for all that descends from `root`.
    pub fn below(root: i32) -> io::Result<Self> {
        let mut seen = Vec::new();
        for pid in pids()? {
            match entry(pid) {
                Ok(entry) => seen.push(entry.sighting()),
                // Gone since the directory was read, or hidden from us.
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let picture = Picture::below(number(root), seen);
        for process in picture.processes() {
            if let Some(terminal) = process.data().and_then(|entry: &Entry| entry.terminal) {
                let session = process.group().session();
                session.set_terminal_with(|| Arc::new(terminal));
            }
        }
        Ok(Self {
            picture,
            threads: Vec::new(),
        })
    }

    /// Looks for the threads of each process too; the data of each is its [`Task`].
    #[must_use]
    pub fn with_threads(mut self) -> Self {
        for process in self.picture.processes() {
            // None of one that has gone, or is hidden from us.
            let pid = process.data().map(|entry: &Entry| entry.pid);
            for (tid, task) in pid.map(tasks).and_then(Result::ok).unwrap_or_default() {
                self.threads
                    .push(process.new_thread(tid).data(task).build());
            }
        }
        self
    }

    /// Sessions, groups and processes.
    pub fn picture(&self) -> &Picture {
        &self.picture
    }

    /// The processes, parents before their children; ended ones included, with state `Z`.
    pub fn entries(&self) -> Vec<Entry> {
        let processes = self.picture.processes();
        let entries = processes.iter().filter_map(|process| process.data());
        entries.cloned().collect()
    }
}

/// All descendants of `root` (not itself), parents before their children; ended ones included, with state `Z`.
pub fn descendants(root: i32) -> io::Result<Vec<Entry>> {
    Ok(Tree::below(root)?.entries())
}

/// Where all processes of something are found: below one, and below others that are no descendants of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roots {
    /// Itself none of them.
    pub above: i32,
    /// Themselves among them.
    pub others: Vec<i32>,
}

impl Roots {
    /// All that descends from `root`.
    pub fn of(root: i32) -> Self {
        Self {
            above: root,
            others: Vec::new(),
        }
    }

    /// The processes, as [`descendants`] has them; each once.
    pub fn processes(&self) -> io::Result<Vec<Entry>> {
        let mut found = descendants(self.above)?;
        let mut known: HashSet<i32> = found.iter().map(|entry| entry.pid).collect();
        for root in &self.others {
            match entry(*root) {
                Ok(entry) if known.insert(*root) => found.push(entry),
                Ok(_) => {}
                // Gone; what descended from it does so no more.
                Err(error) if is_absent(&error) => continue,
                Err(error) => return Err(error),
            }
            let more = descendants(*root)?;
            found.extend(more.into_iter().filter(|entry| known.insert(entry.pid)));
        }
        Ok(found)
    }
}

/// Processes of our own user that were started with this environment entry (`NAME=value`), the caller included
/// if it was. One that cleared its environment is not found, nor one whose memory we may not read.
pub fn with_environment(entry: &[u8]) -> io::Result<Vec<i32>> {
    let uid = crate::process::effective_uid();
    let mut found = Vec::new();
    for pid in pids()? {
        let directory = format!("/proc/{pid}");
        if !std::fs::metadata(&directory).is_ok_and(|metadata| metadata.uid() == uid) {
            continue;
        }
        if has_environment(pid, entry) {
            found.push(pid);
        }
    }
    Ok(found)
}

/// Whether process `pid` was started with this environment entry; `false` also where we may not look.
pub fn has_environment(pid: i32, entry: &[u8]) -> bool {
    std::fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environment| environment.split(|&byte| byte == 0).any(|one| one == entry))
}

fn entry(pid: i32) -> io::Result<Entry> {
    let (stat, name) = stat::named(pid)?;
    let terminal = (stat.tty_nr != 0).then(|| {
        let (major, minor) = stat.tty_nr();
        Terminal { major, minor }
    });
    Ok(Entry {
        pid: stat.pid,
        parent: stat.ppid,
        group: stat.pgrp,
        session: stat.session,
        state: stat.state,
        start_time: stat.starttime,
        name,
        threads: stat.num_threads,
        foreground: stat.tpgid,
        terminal,
    })
}

/// The threads of a process, the first one included.
fn tasks(pid: i32) -> io::Result<Vec<(u32, Task)>> {
    let mut found = Vec::new();
    for tid in numbers(&format!("/proc/{pid}/task"))? {
        // Gone since the directory was read.
        if let Ok((stat, name)) = stat::of_thread(pid, tid) {
            let task = Task {
                name,
                state: stat.state,
            };
            found.push((number(tid), task));
        }
    }
    Ok(found)
}

/// The number of a process, which is never negative; 0 is that of one outside our pid namespace.
fn number(pid: i32) -> u32 {
    u32::try_from(pid).unwrap_or(0)
}

/// The numbers in /proc; processes may come and go while it is read.
pub(crate) fn pids() -> io::Result<Vec<i32>> {
    numbers("/proc")
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
    )
}

#[cfg(test)]
mod tests;
