//! What a session's log holds, in order: two streams are merged by the times of their bytes, read ahead for that.

use std::io;

use session_protocol::Channel;
use session_store::{LogReader, ReadAt};

use crate::failure::Failure;
use crate::follow::{Follow, Part};

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

impl Follow<'_> {
    /// Begins so that the log holds only the last `wanted` lines of all streams together.
    pub(crate) fn last_lines(&mut self, wanted: u64) -> Result<(), Failure> {
        if self.tracks.len() < 2 {
            return Ok(());
        }
        let starts: Vec<u64> = self.tracks.iter().map(|track| track.next).collect();
        let mut ends: Vec<(Channel, u64)> = Vec::new();
        // Of each stream, the line that goes on in its next part.
        let mut open: Vec<(Channel, usize)> = Vec::new();
        self.kept(&mut |_, part| -> Result<(), Failure> {
            if let Part::Bytes {
                channel,
                offset,
                bytes,
            } = part
            {
                let mut end = offset;
                for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                    end += line.len() as u64;
                    let begun = open.iter().position(|(of, _)| *of == channel);
                    let index = begun.map_or(ends.len(), |begun| open.swap_remove(begun).1);
                    match ends.get_mut(index) {
                        Some(known) => known.1 = end,
                        None => ends.push((channel, end)),
                    }
                    if !line.ends_with(b"\n") {
                        open.push((channel, index));
                    }
                }
            }
            Ok(())
        })?;
        for (track, start) in self.tracks.iter_mut().zip(starts) {
            track.next = start;
        }
        let surplus = ends
            .len()
            .saturating_sub(wanted.try_into().unwrap_or(usize::MAX));
        for (channel, end) in &ends[..surplus] {
            if let Some(track) = self.tracks.iter_mut().find(|it| it.channel == *channel) {
                track.next = *end;
            }
        }
        Ok(())
    }

    /// Gives out everything that the log holds now, streams of pipes merged by time.
    pub(crate) fn kept<E>(
        &mut self,
        each: &mut impl FnMut(&mut Self, Part<'_>) -> Result<(), E>,
    ) -> Result<(), Failure>
    where
        Failure: std::convert::From<E>,
    {
        let mut ahead: Vec<Ahead> = self.tracks.iter().map(|_| Ahead::default()).collect();
        while let Some((index, until)) = self.oldest(&mut ahead)? {
            let (track, ahead) = (&mut self.tracks[index], &mut ahead[index]);
            let (channel, offset) = (track.channel, track.next);
            if let Some(next) = ahead.gap.take() {
                track.next = next;
                let lost = next - offset;
                each(
                    self,
                    Part::Gap {
                        channel,
                        offset,
                        lost,
                    },
                )?;
                continue;
            }
            let bytes = match until {
                Some(until) => ahead.begun(until - offset, self.merge),
                None => ahead.all(),
            };
            track.next += bytes.len() as u64;
            each(
                self,
                Part::Bytes {
                    channel,
                    offset,
                    bytes,
                },
            )?;
        }
        Ok(())
    }

    /// The stream whose next byte is the oldest, and up to which offset it stays so for sure, unless it is the only
    /// one that is left; `None` if there is no more.
    fn oldest(&mut self, ahead: &mut [Ahead]) -> Result<Option<(usize, Option<u64>)>, Failure> {
        let mut left = Vec::new();
        for (index, track) in self.tracks.iter_mut().enumerate() {
            if let Some(reader) = &mut track.reader
                && ahead[index].fill(reader, track.next)?
            {
                left.push((index, reader, track.next));
            }
        }
        if let [(only, ..)] = left[..] {
            return Ok(Some((only, None)));
        }
        let times: io::Result<Vec<_>> = left
            .into_iter()
            .map(|(index, reader, next)| Ok((index, reader.time_of(next)?)))
            .collect();
        let oldest = times?.into_iter().min_by_key(|(_, (time, _))| *time);
        Ok(oldest.map(|(index, (_, until))| (index, Some(until))))
    }
}
