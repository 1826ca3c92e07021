//! When bytes came: beside each segment a list of (offset, moment), thinned so that it stays small.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, OFlags};
use session_protocol::Timestamp;

use super::segments::{INDEX, name};
use crate::files;

/// Bytes of one entry: the offset in the stream and milliseconds since 1970, both little-endian.
const ENTRY: usize = 16;
/// Entries are at least this far apart, in milliseconds.
const APART: i64 = 10;
/// Entries that a segment may have before the bytes between them count.
const FREE: u64 = 64;
/// Later on, at most one entry for so many bytes: a slow ticker would else write more index than output.
const BYTES: u64 = 64;

/// Bytes from `offset` on came at `at` or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) offset: u64,
    pub(super) at: Timestamp,
}

/// The index of the segment that is being written. It serves `--since`; a failure costs only precision.
#[derive(Debug)]
pub(super) struct IndexWriter {
    file: Option<OwnedFd>,
    entries: u64,
    last: Option<i64>,
    /// The next byte gets an entry, however soon it comes.
    pub(super) due: bool,
}

impl IndexWriter {
    /// Opened by the first entry: a segment that stays empty needs none.
    pub(super) fn new() -> Self {
        Self {
            file: None,
            entries: 0,
            last: None,
            due: false,
        }
    }

    /// Notes that the byte at `offset`, behind the first `within` of the segment, comes `now`.
    pub(super) fn note(
        &mut self,
        directory: BorrowedFd<'_>,
        offset: u64,
        within: u64,
        now: Timestamp,
    ) {
        // A clock that was set back starts a new count.
        let soon = self
            .last
            .is_some_and(|last| (0..APART).contains(&(now.millis() - last)));
        if !self.due && (soon || self.entries > FREE + within / BYTES) {
            return;
        }
        if self.file.is_none() {
            self.file =
                files::create(directory, &(name(offset - within) + INDEX), OFlags::WRONLY).ok();
            let size = self
                .file
                .as_ref()
                .and_then(|file| rustix::fs::fstat(file).ok())
                .map_or(0, |stat| stat.st_size);
            self.entries = u64::try_from(size).unwrap_or(0) / ENTRY as u64;
        }
        let Some(file) = &self.file else { return };
        let mut entry = [0; ENTRY];
        entry[..8].copy_from_slice(&offset.to_le_bytes());
        entry[8..].copy_from_slice(&now.millis().to_le_bytes());
        if rustix::io::pwrite(file, &entry, self.entries * ENTRY as u64) == Ok(ENTRY) {
            self.entries += 1;
            self.last = Some(now.millis());
            self.due = false;
        }
    }
}

/// Bytes of a segment's index.
pub(super) fn size(directory: BorrowedFd<'_>, start: u64) -> u64 {
    let stat = rustix::fs::statat(directory, name(start) + INDEX, AtFlags::SYMLINK_NOFOLLOW);
    stat.ok()
        .and_then(|stat| u64::try_from(stat.st_size).ok())
        .unwrap_or(0)
}

/// All entries of a segment, none if it has no index.
pub(super) fn read(directory: BorrowedFd<'_>, start: u64) -> Vec<Entry> {
    let bytes = files::read(directory.as_fd(), &(name(start) + INDEX), 1 << 30)
        .ok()
        .flatten()
        .unwrap_or_default();
    let entry = |bytes: &[u8]| {
        let word = |at: usize| <[u8; 8]>::try_from(&bytes[at..at + 8]).unwrap_or_default();
        Entry {
            offset: u64::from_le_bytes(word(0)),
            at: Timestamp::from_millis(i64::from_le_bytes(word(8))),
        }
    };
    bytes.chunks_exact(ENTRY).map(entry).collect()
}
