//! What is read of a log ahead of being given out, so that two streams can be merged by the times of their bytes.

use std::io;

use session_store::{LogReader, ReadAt};

/// What is read of a log at once.
const PIECE: usize = 64 << 10;

/// What is kept together when streams are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Merge {
    /// A line comes when it began, also what was added to it later: for who reads.
    Lines,
    /// A byte comes when it came: for who watches.
    Bytes,
}

/// What was read of a log and is not given out yet.
#[derive(Default)]
pub(crate) struct Ahead {
    bytes: Vec<u8>,
    given: usize,
    /// There are no bytes up to here.
    pub(crate) gap: Option<u64>,
}

impl Ahead {
    /// Reads on behind `next` where there is no whole line; false at the end.
    pub(crate) fn fill(&mut self, reader: &mut LogReader, next: u64) -> io::Result<bool> {
        let has_line = self.bytes[self.given..].contains(&b'\n');
        if self.gap.is_none() && !has_line && self.bytes.len() - self.given < PIECE {
            self.bytes.drain(..self.given);
            self.given = 0;
            let kept = self.bytes.len();
            self.bytes.resize(kept + PIECE, 0);
            let (read, gap) = match reader.read_at(next + kept as u64, &mut self.bytes[kept..])? {
                ReadAt::Bytes(read) => (read, None),
                ReadAt::Gap { next } => (0, Some(next)),
                ReadAt::End => (0, None),
            };
            self.bytes.truncate(kept + read);
            self.gap = gap.filter(|_| kept == 0);
        }
        Ok(self.gap.is_some() || self.given < self.bytes.len())
    }

    /// What begins within the next `len` bytes; there are some.
    pub(crate) fn begun(&mut self, len: u64, merge: Merge) -> &[u8] {
        let bytes = &self.bytes[self.given..];
        let begun = usize::try_from(len).map_or(bytes.len(), |len| len.min(bytes.len()));
        match merge {
            Merge::Bytes => self.give(begun),
            Merge::Lines => {
                // Those that are here whole, or else a part of one.
                let is_end = |byte: &u8| *byte == b'\n';
                let behind = bytes[begun - 1..].iter().position(is_end);
                let whole = behind.map(|behind| begun + behind);
                let whole = whole.or_else(|| Some(bytes.iter().rposition(is_end)? + 1));
                self.give(whole.unwrap_or(bytes.len()))
            }
        }
    }

    /// Everything.
    pub(crate) fn all(&mut self) -> &[u8] {
        self.give(self.bytes.len() - self.given)
    }

    fn give(&mut self, len: usize) -> &[u8] {
        let from = self.given;
        self.given += len;
        &self.bytes[from..self.given]
    }
}
