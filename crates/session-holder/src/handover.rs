//! What one holder leaves to the next beside descriptors: a versioned record of everything that is neither on disk nor in
//! the kernel. After a kill it is found with the keeper, after an upgrade by the same process.
//!
//! Times are those of CLOCK_MONOTONIC, which all processes of a boot share.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::fs::MemfdFlags;
use serde::{Deserialize, Serialize};
use session_protocol::{ByteString, Channel, Environment, Error, Exit, ProcessId, Size};
use session_store::{Last, Spec};
use session_sys::spawn::Limit;

use crate::holder::{Facts, Holder};
use crate::process::Process;
use crate::supervision::Supervision;

/// The version that this program writes. It reads every one up to it: fields are only added.
const VERSION: u32 = 1;

/// The state of a holder.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Handover {
    version: u32,
    pub(crate) supervision: Supervision,
    /// When the holder's own time began, in milliseconds.
    pub(crate) origin: u64,
    /// The attributes that the main process was started with; none if they are those on record.
    #[serde(default)]
    pub(crate) in_force: Option<Spec>,
    pub(crate) umask: u32,
    /// Resource, soft limit, hard limit.
    pub(crate) limits: Vec<(i32, u64, u64)>,
    pub(crate) first_size: Size,
    #[serde(default)]
    pub(crate) supervision_due: Option<u64>,
    #[serde(default)]
    pub(crate) killing: Option<u64>,
    #[serde(default)]
    pub(crate) start_error: Option<Error>,
    #[serde(default)]
    pub(crate) before_start: Option<Last>,
    #[serde(default)]
    pub(crate) deleting: bool,
    #[serde(default)]
    pub(crate) shutting_down: bool,
    #[serde(default)]
    pub(crate) notes: Vec<String>,
    #[serde(default)]
    pub(crate) facts: Facts,
    #[serde(default)]
    pub(crate) followed: Option<Environment>,
    #[serde(default)]
    pub(crate) next_process: u32,
    #[serde(default)]
    pub(crate) adopted: bool,
    pub(crate) processes: Vec<Kept>,
}

/// What is known of one process.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) id: u32,
    pub(crate) command: Vec<ByteString>,
    pub(crate) executable: ByteString,
    pub(crate) directory: ByteString,
    #[serde(default)]
    pub(crate) exit: Option<Exit>,
    pub(crate) size: Size,
    /// Since when it runs, in milliseconds.
    #[serde(default)]
    pub(crate) since: Option<u64>,
    #[serde(default)]
    pub(crate) closing: bool,
    #[serde(default)]
    pub(crate) token: Option<String>,
    /// Each stream, where its present run began, and where it ended.
    pub(crate) outputs: Vec<(Channel, u64, Option<u64>)>,
}

/// Milliseconds of CLOCK_MONOTONIC.
pub(crate) fn now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    (now.tv_sec as u64) * 1000 + (now.tv_nsec as u64) / 1_000_000
}

/// A moment in milliseconds.
fn millis(moment: Instant) -> u64 {
    let here = Instant::now();
    let ahead = moment.saturating_duration_since(here).as_millis() as u64;
    let behind = here.saturating_duration_since(moment).as_millis() as u64;
    (now() + ahead).saturating_sub(behind)
}

/// A moment that was told in milliseconds.
pub(crate) fn moment(millis: u64) -> Instant {
    let (here, now) = (Instant::now(), now());
    let behind = Duration::from_millis(now.saturating_sub(millis));
    let ahead = Duration::from_millis(millis.saturating_sub(now));
    here.checked_sub(behind).unwrap_or(here) + ahead
}

impl Handover {
    /// The state of `holder`.
    pub(crate) fn of(holder: &Holder) -> Self {
        let spec = &holder.owned.record().spec;
        Self {
            version: VERSION,
            supervision: holder.supervision.clone(),
            origin: millis(holder.origin),
            in_force: (holder.in_force != *spec).then(|| holder.in_force.clone()),
            umask: holder.umask,
            limits: holder
                .limits
                .iter()
                .map(|limit| (limit.resource, limit.soft, limit.hard))
                .collect(),
            first_size: holder.first_size,
            supervision_due: holder.timers.supervision.map(millis),
            killing: holder.killing.map(millis),
            start_error: holder.start_error.clone(),
            before_start: holder.before_start.clone(),
            deleting: holder.deleting,
            shutting_down: holder.shutting_down,
            notes: holder.notes.clone(),
            facts: holder.facts.clone(),
            followed: holder.followed.clone(),
            next_process: holder.next_process,
            adopted: holder.adopted,
            processes: holder.processes.values().map(|it| Kept::of(it)).collect(),
        }
    }

    /// The limits that the caller had.
    pub(crate) fn limits(&self) -> Vec<Limit> {
        let limit = |(resource, soft, hard): &(i32, u64, u64)| Limit {
            resource: *resource,
            soft: *soft,
            hard: *hard,
        };
        self.limits.iter().map(limit).collect()
    }
}

impl Kept {
    fn of(process: &Process) -> Self {
        let outputs = process.outputs.iter();
        let (executable, directory) = &process.paths;
        let bytes = |path: &PathBuf| path.as_os_str().to_owned().into();
        Self {
            id: process.id.0,
            command: process.command.clone(),
            executable: bytes(executable),
            directory: bytes(directory),
            exit: process.exit,
            size: process.size,
            since: process.run.as_ref().map(|run| millis(run.since)),
            closing: process.run.as_ref().is_some_and(|run| run.closing),
            token: process.token.clone(),
            outputs: outputs
                .map(|output| (output.stream.channel(), output.begun, output.ended))
                .collect(),
        }
    }

    pub(crate) fn id(&self) -> ProcessId {
        ProcessId(self.id)
    }
}

impl Holder {
    /// Writes down what a next holder would go on with.
    pub(crate) fn save(&mut self) {
        if self.parking.state.is_none() || self.parking.connection().is_none() {
            return;
        }
        let state = Handover::of(self);
        if let Some(file) = &mut self.parking.state
            && let Err(error) = file.write(&state)
        {
            self.note(format!(
                "what a next holder would have to know is old: {error}"
            ));
        }
    }
}

/// Memory in which the state lies twice, so that whoever is killed while it writes leaves the one before.
#[derive(Debug)]
pub(crate) struct StateFile {
    file: OwnedFd,
    written: u64,
}

/// Where the second one lies. What is in between and was never written takes no memory.
const SECOND: u64 = 1 << 30;
/// The number of the write, the length, the checksum.
const HEADER: usize = 24;

impl StateFile {
    pub(crate) fn new() -> io::Result<Self> {
        let file = rustix::fs::memfd_create("session-state", MemfdFlags::CLOEXEC)?;
        Ok(Self { file, written: 0 })
    }

    /// The file that another holder wrote, and what it says.
    pub(crate) fn read(file: OwnedFd) -> io::Result<(Self, Option<Handover>)> {
        let mut states = [0, SECOND].map(|at| read_at(&file, at));
        states.sort_by_key(|state| state.as_ref().map(|(written, _)| *written));
        let [_, last] = states;
        let written = last.as_ref().map_or(0, |(written, _)| *written);
        let state = last
            .map(|(_, bytes)| serde_json::from_slice::<Handover>(&bytes))
            .transpose()?;
        Ok((Self { file, written }, state))
    }

    fn write(&mut self, state: &Handover) -> io::Result<()> {
        let json = serde_json::to_vec(state)?;
        let number = self.written + 1;
        let mut block = Vec::with_capacity(HEADER + json.len());
        block.extend_from_slice(&number.to_le_bytes());
        block.extend_from_slice(&(json.len() as u64).to_le_bytes());
        block.extend_from_slice(&u64::from(crc32fast::hash(&json)).to_le_bytes());
        block.extend_from_slice(&json);
        let at = if number.is_multiple_of(2) { SECOND } else { 0 };
        let mut done = 0;
        while done < block.len() {
            let write = || rustix::io::pwrite(&self.file, &block[done..], at + done as u64);
            done += rustix::io::retry_on_intr(write)?;
        }
        self.written = number;
        Ok(())
    }
}

impl AsFd for StateFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// What lies there, if it is whole: its number and its bytes.
fn read_at(file: &OwnedFd, at: u64) -> Option<(u64, Vec<u8>)> {
    let mut header = [0; HEADER];
    if rustix::io::pread(file, &mut header, at).ok()? != HEADER {
        return None;
    }
    let word = |index: usize| {
        let bytes = header.get(index * 8..index * 8 + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    let len = usize::try_from(word(1)?).ok()?;
    let end = rustix::fs::fstat(file).ok()?.st_size as u64;
    if len as u64 > end.saturating_sub(at) {
        return None;
    }
    let mut bytes = vec![0; len];
    let read = rustix::io::pread(file, &mut bytes, at + HEADER as u64).ok()?;
    let whole = read == len && u64::from(crc32fast::hash(&bytes)) == word(2)?;
    (whole && word(0)? > 0).then(|| Some((word(0)?, bytes)))?
}
