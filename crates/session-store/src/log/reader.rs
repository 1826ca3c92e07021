//! Reading a stream's segments while they are written and dropped by another process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::io::Errno;
use session_protocol::{Channel, Timestamp};

use super::index::{self, Entry};
use super::marks::{self, Mark};
use super::segments;
use crate::{Error, Result, files};

/// Bytes looked at in one step towards the beginning.
const STEP: usize = 16 << 10;

/// One reader of a stream; any number may read.
#[derive(Debug)]
pub struct LogReader {
    directory: OwnedFd,
    starts: Vec<u64>,
    /// The directory's modification time when it was listed, once that is a safe while ago.
    listed: Option<(i64, i64)>,
    open: Option<(u64, OwnedFd)>,
    /// The index read last: its segment, its size in bytes and its entries.
    index: Option<(u64, u64, Vec<Entry>)>,
}

/// What is at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadAt {
    /// So many bytes, at least one.
    Bytes(usize),
    /// Bytes that are gone, dropped or lost; the stream goes on at `next`.
    Gap {
        /// The next offset with bytes, or the end.
        next: u64,
    },
    /// Nothing yet.
    End,
}

impl LogReader {
    /// Opens the stream of `process` (`main`, `p3`); `None` if nothing was ever written.
    pub fn open(session: BorrowedFd<'_>, process: &str, channel: Channel) -> Result<Option<Self>> {
        let Some(directory) = segments::open(session, process, channel)? else {
            return Ok(None);
        };
        let mut reader = Self {
            directory,
            starts: Vec::new(),
            listed: None,
            open: None,
            index: None,
        };
        match reader.list() {
            Ok(()) => Ok(Some(reader)),
            Err(error) => Err(Error::io(
                "read",
                files::path_of(reader.directory.as_fd()),
                error,
            )),
        }
    }

    /// Offset of the oldest byte kept.
    pub fn start(&mut self) -> io::Result<u64> {
        self.refresh()?;
        Ok(self.starts.first().copied().unwrap_or(0))
    }

    /// Offset behind the last byte.
    pub fn end(&mut self) -> io::Result<u64> {
        self.refresh()?;
        match self.starts.last().copied() {
            Some(start) => Ok(start + self.size(start)?),
            None => Ok(0),
        }
    }

    /// Reads bytes from `offset` on into `buffer`, as many as lie in one segment.
    pub fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<ReadAt> {
        let mut fresh = false;
        loop {
            let after = self.starts.partition_point(|start| *start <= offset);
            let next = self.starts.get(after).copied();
            if let Some(start) = after.checked_sub(1).map(|index| self.starts[index]) {
                // A segment never reaches into the next.
                let most = next.map_or(u64::MAX, |next| next - offset);
                let most = buffer
                    .len()
                    .min(usize::try_from(most).unwrap_or(usize::MAX));
                match self.segment(start)? {
                    Some(file) => {
                        match rustix::io::pread(file, &mut buffer[..most], offset - start)? {
                            0 => {}
                            read => return Ok(ReadAt::Bytes(read)),
                        }
                    }
                    None if !fresh => {
                        fresh = true;
                        self.list()?;
                        continue;
                    }
                    None => {}
                }
            }
            // Before a gap is reported or the end, a look at what there is now.
            if !fresh {
                fresh = true;
                if self.refresh()? {
                    continue;
                }
            }
            return Ok(next.map_or(ReadAt::End, |next| ReadAt::Gap { next }));
        }
    }

    /// Where the last `lines` lines begin. A line that is not ended yet counts as one.
    pub fn last_lines(&mut self, lines: u64) -> io::Result<u64> {
        let (start, end) = (self.start()?, self.end()?);
        let (mut at, mut left) = (end, lines);
        let mut buffer = vec![0; STEP];
        if lines == 0 {
            return Ok(end);
        }
        while at > start {
            // The piece before `at`, within one segment; what is gone in between is stepped over.
            let Some(segment) = self.starts.iter().copied().rfind(|start| *start < at) else {
                break;
            };
            let stop = (segment + self.size(segment)?).min(at);
            let from = segment.max(stop.saturating_sub(STEP as u64));
            let read = self.read_exact(from, &mut buffer[..(stop - from) as usize])?;
            for (index, byte) in buffer[..read].iter().enumerate().rev() {
                let behind = from + index as u64 + 1;
                if *byte == b'\n' && behind != end {
                    left -= 1;
                    if left == 0 {
                        return Ok(behind);
                    }
                }
            }
            at = from;
        }
        Ok(start)
    }

    /// What the screen was at or before `from`: the last mark with a screen, if one is kept, then the changes of its size
    /// up to `until`.
    pub fn marks(&mut self, from: u64, until: u64) -> io::Result<Vec<Mark>> {
        self.refresh()?;
        let directory = self.directory.as_fd();
        Ok(marks::between(directory, &self.starts, from, until))
    }

    /// Where output that came at `moment` or later begins; the end if there is none.
    pub fn since(&mut self, moment: Timestamp) -> io::Result<u64> {
        self.refresh()?;
        for start in self.starts.clone() {
            if let Some(entry) = self.entries(start).iter().find(|entry| entry.at >= moment) {
                return Ok(entry.offset);
            }
        }
        self.end()
    }

    /// When the byte at `offset` came, to the precision of the index (`None` if that is not known), and the offset of
    /// the next byte whose time may be another.
    pub fn time_of(&mut self, offset: u64) -> io::Result<(Option<Timestamp>, u64)> {
        if self.starts.last().is_none_or(|start| offset >= *start) {
            self.refresh()?;
        }
        let after = self.starts.partition_point(|start| *start <= offset);
        let mut until = self.starts.get(after).copied().unwrap_or(u64::MAX);
        for at in (0..after).rev() {
            let entries = self.entries(self.starts[at]);
            let behind = entries.partition_point(|entry| entry.offset <= offset);
            if let Some(next) = entries.get(behind) {
                until = until.min(next.offset);
            }
            if let Some(last) = behind.checked_sub(1) {
                return Ok((Some(entries[last].at), until));
            }
        }
        Ok((None, until))
    }

    /// The index of a segment, read again only if it grew: `logs --timestamps` asks for every line.
    fn entries(&mut self, start: u64) -> &[Entry] {
        let size = index::size(self.directory.as_fd(), start);
        match &mut self.index {
            Some((known, read, _)) if (*known, *read) == (start, size) => {}
            index => *index = Some((start, size, index::read(self.directory.as_fd(), start))),
        }
        self.index.as_ref().map_or(&[], |(_, _, entries)| entries)
    }

    fn read_exact(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match self.read_at(offset + done as u64, &mut buffer[done..])? {
                ReadAt::Bytes(read) => done += read,
                ReadAt::Gap { .. } | ReadAt::End => break,
            }
        }
        Ok(done)
    }

    /// The open file of a segment; `None` if it was dropped.
    fn segment(&mut self, start: u64) -> io::Result<Option<&OwnedFd>> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != start) {
            self.open = match files::open(
                self.directory.as_fd(),
                &segments::name(start),
                OFlags::RDONLY,
            ) {
                Ok(file) => Some((start, file)),
                Err(Errno::NOENT) => None,
                Err(errno) => return Err(errno.into()),
            };
        }
        Ok(self.open.as_ref().map(|(_, file)| file))
    }

    fn size(&mut self, start: u64) -> io::Result<u64> {
        Ok(segments::size(self.directory.as_fd(), start)?)
    }

    /// Lists the directory if it changed since it was listed last; tells whether it was listed.
    fn refresh(&mut self) -> io::Result<bool> {
        let stat = rustix::fs::fstat(&self.directory)?;
        if self.listed == Some((stat.st_mtime, stat.st_mtime_nsec as i64)) {
            return Ok(false);
        }
        self.list()?;
        Ok(true)
    }

    fn list(&mut self) -> io::Result<()> {
        let stat = rustix::fs::fstat(&self.directory)?;
        self.starts = segments::list(self.directory.as_fd())?;
        if self
            .open
            .as_ref()
            .is_some_and(|(start, _)| !self.starts.contains(start))
        {
            self.open = None;
        }
        // Times of files are those of the last tick: a change right after this would not move them.
        let changed =
            Timestamp::from_millis(stat.st_mtime * 1000 + stat.st_mtime_nsec as i64 / 1_000_000);
        let settled = Timestamp::now().millis() - changed.millis() > 100;
        self.listed = settled.then_some((stat.st_mtime, stat.st_mtime_nsec as i64));
        Ok(())
    }
}
