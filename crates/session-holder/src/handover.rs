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
            limits: written(&holder.limits),
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

    /// The state that these bytes are, unless it is of a later version.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let state: Self = serde_json::from_slice(bytes).ok()?;
        (state.version <= VERSION).then_some(state)
    }

    /// The limits that the caller had.
    pub(crate) fn limits(&self) -> Vec<Limit> {
        limits_of(&self.limits)
    }
}

/// Limits as they are written down: resource, soft limit, hard limit.
pub(crate) fn limits_of(limits: &[(i32, u64, u64)]) -> Vec<Limit> {
    let limit = |(resource, soft, hard): &(i32, u64, u64)| Limit {
        resource: *resource,
        soft: *soft,
        hard: *hard,
    };
    limits.iter().map(limit).collect()
}

/// As [`limits_of`] reads them.
pub(crate) fn written(limits: &[Limit]) -> Vec<(i32, u64, u64)> {
    let limit = |limit: &Limit| (limit.resource, limit.soft, limit.hard);
    limits.iter().map(limit).collect()
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

/// Two files in memory that are written in turn, so that whoever is killed while it writes leaves the state before.
#[derive(Debug)]
pub(crate) struct StateFile {
    files: [OwnedFd; 2],
    written: u64,
}

/// The number of the write, the length, the checksum.
const HEADER: usize = 24;

impl StateFile {
    pub(crate) fn new() -> io::Result<Self> {
        let file = || rustix::fs::memfd_create("session-state", MemfdFlags::CLOEXEC);
        let files = [file()?, file()?];
        Ok(Self { files, written: 0 })
    }

    /// The files that another holder wrote, and what they say; nothing where that is of a later version.
    pub(crate) fn read(files: Vec<OwnedFd>) -> io::Result<(Self, Option<Handover>)> {
        let files: [OwnedFd; 2] = files.try_into().map_err(|_| io::ErrorKind::InvalidData)?;
        let states = files.each_ref().map(read_block);
        let last = states
            .into_iter()
            .flatten()
            .max_by_key(|(written, _)| *written);
        let written = last.as_ref().map_or(0, |(written, _)| *written);
        let state = last.and_then(|(_, bytes)| Handover::parse(&bytes));
        Ok((Self { files, written }, state))
    }

    pub(crate) fn files(&self) -> [BorrowedFd<'_>; 2] {
        self.files.each_ref().map(AsFd::as_fd)
    }

    fn write(&mut self, state: &Handover) -> io::Result<()> {
        let json = serde_json::to_vec(state)?;
        let number = self.written + 1;
        let mut block = Vec::with_capacity(HEADER + json.len());
        block.extend_from_slice(&number.to_le_bytes());
        block.extend_from_slice(&(json.len() as u64).to_le_bytes());
        block.extend_from_slice(&u64::from(crc32fast::hash(&json)).to_le_bytes());
        block.extend_from_slice(&json);
        let [even, odd] = &self.files;
        let file = if number.is_multiple_of(2) { even } else { odd };
        let mut done = 0;
        while done < block.len() {
            let write = || rustix::io::pwrite(file, &block[done..], done as u64);
            done += rustix::io::retry_on_intr(write)?;
        }
        self.written = number;
        Ok(())
    }
}

/// What lies there, if it is whole: its number and its bytes.
fn read_block(file: &OwnedFd) -> Option<(u64, Vec<u8>)> {
    let mut header = [0; HEADER];
    if rustix::io::pread(file, &mut header, 0).ok()? != HEADER {
        return None;
    }
    let word = |index: usize| {
        let bytes = header.get(index * 8..index * 8 + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    let len = usize::try_from(word(1)?).ok()?;
    let end = rustix::fs::fstat(file).ok()?.st_size as u64;
    if len as u64 > end {
        return None;
    }
    let mut bytes = vec![0; len];
    let read = rustix::io::pread(file, &mut bytes, HEADER as u64).ok()?;
    let whole = read == len && u64::from(crc32fast::hash(&bytes)) == word(2)?;
    (whole && word(0)? > 0).then(|| Some((word(0)?, bytes)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(number: u64, json: &[u8]) -> Vec<u8> {
        let words = [number, json.len() as u64, u64::from(crc32fast::hash(json))];
        let mut block: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        block.extend_from_slice(json);
        block
    }

    fn read(blocks: [&[u8]; 2]) -> Option<u64> {
        let StateFile { files, .. } = StateFile::new().unwrap();
        for (file, block) in files.iter().zip(blocks) {
            rustix::io::write(file, block).unwrap();
        }
        let (file, _) = StateFile::read(files.into()).unwrap();
        (file.written > 0).then_some(file.written)
    }

    #[test]
    fn of_two_states_the_last_whole_one_counts() {
        let (old, new) = (block(7, b"{}"), block(8, b"{\"a\":1}"));
        assert_eq!(read([&old, &new]), Some(8));
        assert_eq!(read([&new, &old]), Some(8));
        for cut in 0..new.len() {
            assert_eq!(read([&new[..cut], &old]), Some(7), "cut at {cut}");
        }
        assert_eq!(read([b"", b""]), None);
        assert!(StateFile::read(Vec::new()).is_err());
    }

    #[test]
    fn a_later_version_is_not_understood() {
        let known = serde_json::json!({
            "version": VERSION, "umask": 18, "limits": [], "origin": 0, "processes": [],
            "first_size": {"rows": 24, "cols": 80}, "later": [1],
            "supervision": {"state": "Running", "budget": {"recent": [], "streak": 0}},
        });
        assert!(Handover::parse(known.to_string().as_bytes()).is_some());
        let mut later = known;
        later["version"] = (VERSION + 1).into();
        assert!(Handover::parse(later.to_string().as_bytes()).is_none());
    }
}
