//! Appending to a stream's segments: normally one system call an append, whatever the disk says.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;
use session_protocol::{Channel, Timestamp};

use super::index::IndexWriter;
use super::marks::{self, Mark};
use super::segments::{self, INDEX, MARKS, name};
use crate::{Error, Result, files};

/// Smallest limit, in bytes.
pub const MIN_LIMIT: u64 = 64 << 10;
/// Smallest segment, in bytes.
const MIN_SEGMENT: u64 = 16 << 10;
/// What is written in pieces of this, each at a multiple of it, costs the page cache least: half of what 50,000 bytes at
/// a time cost, a quarter of 4,096 (ext4, Linux 6.18, `pwrite` alone).
pub const PIECE: u64 = 64 << 10;
/// Parts of one call; the kernel's IOV_MAX is 1024.
const PARTS: usize = 64;

/// The only writer of a stream.
#[derive(Debug)]
pub struct LogWriter {
    place: Place,
    /// Made for the first byte: many a command never says one, and its session is created without.
    directory: Option<OwnedFd>,
    limit: u64,
    /// Largest file that may be written (RLIMIT_FSIZE of a user who cannot raise it), once that is known.
    largest: u64,
    /// Closed segments, oldest first: start and size.
    closed: std::collections::VecDeque<(u64, u64)>,
    /// Sum of their sizes.
    closed_size: u64,
    current: Option<Segment>,
    /// Of an offset at which no segment begins yet.
    early: Option<Mark>,
    end: u64,
    lost: u64,
}

/// Which stream it is, of which session.
#[derive(Debug)]
struct Place {
    session: OwnedFd,
    process: String,
    channel: Channel,
}

#[derive(Debug)]
struct Segment {
    file: OwnedFd,
    start: u64,
    size: u64,
    index: IndexWriter,
}

impl LogWriter {
    /// Opens the stream of `process` (`main`, `p3`) to go on where it ended; at most `limit` bytes are kept.
    pub fn open(
        session: BorrowedFd<'_>,
        process: &str,
        channel: Channel,
        limit: u64,
    ) -> Result<Self> {
        // One that is there is looked at level by level, as one that is made.
        let directory = match segments::open(session, process, channel)? {
            Some(_) => Some(segments::make(session, process, channel)?),
            None => None,
        };
        let closed = match &directory {
            Some(directory) => kept(directory.as_fd())
                .map_err(|errno| Error::io("read", files::path_of(directory.as_fd()), errno))?,
            None => std::collections::VecDeque::new(),
        };
        let place = Place {
            session: rustix::io::fcntl_dupfd_cloexec(session, 3)
                .map_err(|errno| Error::io("open", files::path_of(session), errno))?,
            process: process.to_owned(),
            channel,
        };
        let end = closed.back().map_or(0, |(start, size)| start + size);
        let closed_size = closed.iter().map(|(_, size)| size).sum();
        let limit = limit.max(MIN_LIMIT);
        let mut writer = Self {
            place,
            directory,
            limit,
            largest: u64::MAX,
            closed,
            closed_size,
            current: None,
            early: None,
            end,
            lost: 0,
        };
        writer.make_room(0);
        if let Some((start, size)) = writer
            .closed
            .back()
            .copied()
            .filter(|(_, size)| *size < writer.segment())
            && let Some(directory) = &writer.directory
        {
            let file = files::open(directory.as_fd(), &name(start), OFlags::WRONLY);
            // One that cannot be opened stays closed, and the next append starts another.
            if let Ok(file) = file {
                let index = IndexWriter::new();
                writer.closed.pop_back();
                writer.closed_size -= size;
                writer.current = Some(Segment {
                    file,
                    start,
                    size,
                    index,
                });
            }
        }
        Ok(writer)
    }

    /// Offset behind the last byte appended, kept or lost.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Whether the next writer will find the same end: not where the disk did not even take the mark of a loss.
    pub fn tells_its_end(&self) -> bool {
        let current = self.current.as_ref().map(|it| it.start + it.size);
        let closed = self.closed.back().map(|(start, size)| start + size);
        current.or(closed).unwrap_or(0) == self.end
    }

    /// Offset of the oldest byte kept.
    pub fn start(&self) -> u64 {
        let oldest = self.closed.front().map(|(start, _)| *start);
        oldest
            .or(self.current.as_ref().map(|current| current.start))
            .unwrap_or(self.end)
    }

    /// Bytes that could not be written since this was opened.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// What comes next is another run's: its first byte gets an entry of its own in the index of times. A segment that
    /// is begun anew has one anyway.
    pub fn begin_run(&mut self) {
        if let Some(current) = &mut self.current {
            current.index.due = true;
        }
    }

    /// Keeps at most `limit` bytes from now on.
    pub fn set_limit(&mut self, limit: u64) {
        self.limit = limit.max(MIN_LIMIT);
        self.make_room(0);
    }

    /// Appends `parts` as one piece that came `now`. Afterwards [`LogWriter::end`] is behind all of it in any
    /// case: on an error the part that could not be written is lost and counted, and the next append tries anew.
    pub fn append(&mut self, parts: &[&[u8]], now: Timestamp) -> io::Result<()> {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        let mut done = 0;
        while done < total {
            match self.write_some(parts, done, total - done, now) {
                Ok(written) => {
                    done += written;
                    self.end += written as u64;
                }
                Err(Errno::INTR) => {}
                // No file may be longer (getrlimit(2)): the log is one of shorter segments.
                Err(Errno::FBIG) if self.current.as_ref().is_some_and(|it| it.size > 0) => {
                    self.largest = self.current.as_ref().map_or(u64::MAX, |it| it.size);
                    self.close();
                }
                Err(errno) => {
                    self.skip((total - done) as u64);
                    return Err(errno.into());
                }
            }
        }
        Ok(())
    }

    /// How many of the next `pending` bytes end where a piece of the file does that the kernel can keep as one.
    pub fn whole(&self, pending: usize) -> usize {
        let at = self.current.as_ref().map_or(0, |current| current.size);
        let end = (at + pending as u64) / PIECE * PIECE;
        end.saturating_sub(at) as usize
    }

    /// Where the next segment behind `offset` begins, of those that there are.
    pub fn next_start(&self, offset: u64) -> Option<u64> {
        let behind = self.closed.partition_point(|(start, _)| *start <= offset);
        let closed = self.closed.get(behind).map(|(start, _)| *start);
        let current = self.current.as_ref().map(|current| current.start);
        closed.or(current.filter(|start| *start > offset))
    }

    /// Keeps a mark with the segment in which its offset lies, if that is still there. Where the stream has no segment
    /// yet, the last one waits for it.
    pub fn mark(&mut self, mark: &Mark) {
        let current = self.current.as_ref().map(|current| current.start);
        let closed = self
            .closed
            .partition_point(|(start, _)| *start <= mark.offset);
        let start = current.filter(|start| *start <= mark.offset).or_else(|| {
            let last = closed.checked_sub(1)?;
            self.closed.get(last).map(|(start, _)| *start)
        });
        if let (Some(start), Some(directory)) = (start, &self.directory) {
            marks::write(directory.as_fd(), start, mark);
        } else if mark.offset == self.end {
            self.early = Some(mark.clone());
        }
    }

    /// Counts `bytes` of the stream as lost: what comes next starts a segment behind them.
    pub fn skip(&mut self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        self.end += bytes;
        self.lost += bytes;
        // An empty file with the new name makes the end known to readers and to the next writer; while the disk
        // is full it costs one rename a time.
        let renamed = match (&mut self.current, &self.directory) {
            (Some(current), Some(directory)) if current.size == 0 => {
                let (old, new) = (name(current.start), name(self.end));
                let marks = [old.clone() + MARKS, new.clone() + MARKS];
                let moved = rustix::fs::renameat(directory, old, directory, new).is_ok();
                if moved {
                    current.start = self.end;
                    // None, mostly.
                    let _ = rustix::fs::renameat(directory, &marks[0], directory, &marks[1]);
                }
                moved
            }
            _ => false,
        };
        if !renamed {
            self.close();
            self.current = self.start_segment().ok();
        }
    }

    /// Writes up to `rest` bytes of `parts` from `done` on, as much as the current segment takes.
    fn write_some(
        &mut self,
        parts: &[&[u8]],
        done: usize,
        rest: usize,
        now: Timestamp,
    ) -> rustix::io::Result<usize> {
        let segment = self.segment();
        if self
            .current
            .as_ref()
            .is_some_and(|current| current.size >= segment)
        {
            self.close();
        }
        let mut current = match self.current.take() {
            Some(current) => current,
            None => self.start_segment()?,
        };
        let room = usize::try_from(segment - current.size)
            .unwrap_or(usize::MAX)
            .min(rest);
        self.make_room(current.size + room as u64);
        let mut slices = Vec::with_capacity(parts.len().min(PARTS));
        let (mut skip, mut left) = (done, room);
        for part in parts {
            let rest = &part[skip.min(part.len())..];
            let piece = &rest[..rest.len().min(left)];
            if !piece.is_empty() && slices.len() < PARTS {
                slices.push(IoSlice::new(piece));
            }
            left -= piece.len();
            skip = skip.saturating_sub(part.len());
        }
        let written = rustix::io::pwritev(&current.file, &slices, current.size);
        if let Ok(written) = written {
            if let Some(directory) = &self.directory {
                let (end, size) = (self.end, current.size);
                current.index.note(directory.as_fd(), end, size, now);
            }
            current.size += written as u64;
        }
        self.current = Some(current);
        match written {
            Ok(0) => Err(Errno::NOSPC),
            written => written,
        }
    }

    fn segment(&self) -> u64 {
        (self.limit / 8).max(MIN_SEGMENT).min(self.largest)
    }

    fn start_segment(&mut self) -> rustix::io::Result<Segment> {
        let directory = match self.directory.take() {
            Some(directory) => directory,
            None => self.place.make()?,
        };
        let directory = self.directory.insert(directory);
        let file = files::create(directory.as_fd(), &name(self.end), OFlags::WRONLY)?;
        if let Some(mark) = self.early.take() {
            marks::write(directory.as_fd(), self.end, &mark);
        }
        Ok(Segment {
            file,
            start: self.end,
            size: 0,
            index: IndexWriter::new(),
        })
    }

    fn close(&mut self) {
        if let Some(current) = self.current.take() {
            self.closed.push_back((current.start, current.size));
            self.closed_size += current.size;
        }
    }

    /// Drops the oldest closed segments until `current` more bytes are within the limit.
    fn make_room(&mut self, current: u64) {
        let current = current.max(self.current.as_ref().map_or(0, |current| current.size));
        while self.closed_size + current > self.limit {
            let Some((start, size)) = self.closed.pop_front() else {
                break;
            };
            self.closed_size -= size;
            for name in [name(start), name(start) + INDEX, name(start) + MARKS] {
                if let Some(directory) = &self.directory {
                    let _ = rustix::fs::unlinkat(directory, name, AtFlags::empty());
                }
            }
        }
    }
}

impl Place {
    fn make(&self) -> rustix::io::Result<OwnedFd> {
        segments::make(self.session.as_fd(), &self.process, self.channel)
            // What is in the way cannot be written through; the errors of the kernel are its own.
            .map_err(|error| match error {
                Error::Io { source, .. } => Errno::from_io_error(&source).unwrap_or(Errno::IO),
                _ => Errno::NOTDIR,
            })
    }
}

/// Start and size of each segment in `directory`, oldest first; indices without a segment are removed.
fn kept(directory: BorrowedFd<'_>) -> rustix::io::Result<std::collections::VecDeque<(u64, u64)>> {
    let mut kept = std::collections::VecDeque::new();
    for start in segments::list(directory)? {
        kept.push_back((start, segments::size(directory, start)?));
    }
    for (entry, _) in files::entries(directory)? {
        let owner = entry.strip_suffix(INDEX).and_then(segments::start_of);
        let owner = owner.or_else(|| marks::owner(&entry));
        if owner.is_some_and(|start| !kept.iter().any(|(known, _)| *known == start)) {
            let _ = rustix::fs::unlinkat(directory, entry, AtFlags::empty());
        }
    }
    Ok(kept)
}
