//! What the screen was where a segment begins, and how large it was: beside each segment a list of marks, so that
//! output can be read as it looked from any segment on, whatever was dropped before it.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Mode, OFlags};

use super::segments::{self, MARKS, name};
use crate::files;

/// Bytes before a screen: offset, rows, columns and the screen's length, all little-endian.
const HEADER: usize = 16;
/// A file of marks is read up to this size.
const MOST: u64 = 64 << 20;
/// Bytes of marks in one segment; further ones are left out, and what they would have said is lost.
const LIMIT: u64 = 32 << 20;

/// The size of the screen from an offset on, and what was on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Offset in the stream.
    pub offset: u64,
    /// Rows and columns.
    pub size: (u16, u16),
    /// Bytes that draw the screen; `None` where only the size is told.
    pub screen: Option<Vec<u8>>,
}

impl Mark {
    fn encode(&self) -> Vec<u8> {
        let screen = self.screen.as_deref();
        let mut bytes = self.offset.to_le_bytes().to_vec();
        bytes.extend_from_slice(&self.size.0.to_le_bytes());
        bytes.extend_from_slice(&self.size.1.to_le_bytes());
        // No screen is drawn by no bytes.
        bytes.extend_from_slice(&(screen.map_or(0, <[u8]>::len) as u32).to_le_bytes());
        bytes.extend_from_slice(screen.unwrap_or_default());
        bytes
    }
}

/// Appends to the marks of the segment that starts at `start`. A failure costs the past's looks alone.
pub(super) fn write(directory: BorrowedFd<'_>, start: u64, mark: &Mark) {
    let flags =
        OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o600);
    let Ok(file) = rustix::fs::openat(directory, name(start) + MARKS, flags, mode) else {
        return;
    };
    let size = rustix::fs::fstat(&file).map_or(0, |stat| stat.st_size);
    let bytes = mark.encode();
    if u64::try_from(size).unwrap_or(0) + bytes.len() as u64 > LIMIT {
        return;
    }
    match rustix::io::write(&file, &bytes) {
        Ok(written) if written == bytes.len() => {}
        // A part would make what follows unreadable.
        _ => drop(rustix::fs::ftruncate(
            &file,
            u64::try_from(size).unwrap_or(0),
        )),
    }
}

/// All marks of a segment, none if it has none; what is cut off or makes no sense ends them.
pub(super) fn read(directory: BorrowedFd<'_>, start: u64) -> Vec<Mark> {
    let bytes = files::read(directory.as_fd(), &(name(start) + MARKS), MOST);
    let bytes = bytes.ok().flatten().unwrap_or_default();
    let mut marks = Vec::new();
    let mut rest = &bytes[..];
    while let Some((header, behind)) = rest.split_first_chunk::<HEADER>() {
        let [
            o0,
            o1,
            o2,
            o3,
            o4,
            o5,
            o6,
            o7,
            r0,
            r1,
            c0,
            c1,
            l0,
            l1,
            l2,
            l3,
        ] = *header;
        let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let Some((screen, next)) = behind.split_at_checked(len) else {
            break;
        };
        marks.push(Mark {
            offset: u64::from_le_bytes([o0, o1, o2, o3, o4, o5, o6, o7]),
            size: (u16::from_le_bytes([r0, r1]), u16::from_le_bytes([c0, c1])),
            screen: (len > 0).then(|| screen.to_vec()),
        });
        rest = next;
    }
    marks
}

/// The last screen at or before `from` and the changes of its size since, up to `until`, of the segments that begin at
/// `starts`.
pub(super) fn between(
    directory: BorrowedFd<'_>,
    starts: &[u64],
    from: u64,
    until: u64,
) -> Vec<Mark> {
    let mut behind: Vec<Mark> = Vec::new();
    let last = starts.partition_point(|start| *start <= until);
    for start in starts[..last].iter().rev() {
        let mut marks = read(directory, *start);
        marks.retain(|mark| mark.offset <= until);
        let later = marks.iter_mut().filter(|mark| mark.offset > from);
        later.for_each(|mark| mark.screen = None);
        let screen = marks.iter().rposition(|mark| mark.screen.is_some());
        marks.drain(..screen.unwrap_or(0));
        marks.append(&mut behind);
        behind = marks;
        if screen.is_some() {
            break;
        }
    }
    behind
}

/// Whether this is the name of the marks of a segment; which one.
pub(super) fn owner(entry: &str) -> Option<u64> {
    entry.strip_suffix(MARKS).and_then(segments::start_of)
}
