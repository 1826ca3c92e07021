//! The last bytes of one output stream, in memory: what an attached client is served from.
//!
//! The pages come from mmap and go back when the stream is quiet (`docs/adr/0004-ring-and-log.md`): an idle
//! session keeps none of them.

use std::borrow::Cow;
use std::io;
use std::os::fd::AsFd;

use session_sys::memory::Mapping;

/// Bytes kept in memory, a stream. A power of two.
pub(crate) const CAPACITY: usize = 256 << 10;

/// A ring over absolute offsets: byte `n` of the stream lies at `n % CAPACITY`.
pub(crate) struct Ring {
    memory: Mapping,
    /// Offset of the oldest byte still here.
    start: u64,
    /// Offset behind the newest.
    head: u64,
}

impl Ring {
    /// An empty ring whose next byte has offset `head`. No page is touched yet.
    pub(crate) fn new(head: u64) -> io::Result<Self> {
        Ok(Self {
            memory: Mapping::new(CAPACITY)?,
            start: head,
            head,
        })
    }

    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// One `read` of at most `max` bytes, to the end of the memory at most: the kernel copies what a terminal says in
    /// pieces of 64 bytes, which takes longer into two parts. 0 is end of file.
    pub(crate) fn read_from(&mut self, source: impl AsFd, max: usize) -> io::Result<usize> {
        let at = (self.head % CAPACITY as u64) as usize;
        let end = CAPACITY.min(at + max);
        let read = rustix::io::read(source, &mut self.memory[at..end])?;
        self.head += read as u64;
        self.start = self.start.max(self.head.saturating_sub(CAPACITY as u64));
        Ok(read)
    }

    /// The bytes from `from` on, at most `max` of them, in two parts; the second is usually empty.
    pub(crate) fn slices(&self, from: u64, max: usize) -> [&[u8]; 2] {
        let from = from.clamp(self.start, self.head);
        let len = ((self.head - from) as usize).min(max);
        let at = (from % CAPACITY as u64) as usize;
        let straight = len.min(CAPACITY - at);
        [
            &self.memory[at..at + straight],
            &self.memory[..len - straight],
        ]
    }

    /// Forgets what is kept and gives the pages back to the kernel.
    pub(crate) fn release(&mut self) {
        self.memory.release();
        self.start = self.head;
    }

    /// Takes `len` bytes, in as many reads as it needs.
    #[cfg(test)]
    pub(crate) fn put(&mut self, source: impl AsFd, len: usize) {
        let until = self.head + len as u64;
        while self.head < until {
            self.read_from(&source, (until - self.head) as usize)
                .unwrap();
        }
    }
}

/// Two parts as one, copied only where there are two.
pub(crate) fn joined(parts: [&[u8]; 2]) -> Cow<'_, [u8]> {
    match parts {
        [all, []] => Cow::Borrowed(all),
        parts => Cow::Owned(parts.concat()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(ring: &mut Ring, bytes: &[u8]) {
        let (read, write) = rustix::pipe::pipe().unwrap();
        rustix::io::write(&write, bytes).unwrap();
        ring.put(&read, bytes.len());
    }

    fn text(ring: &Ring, from: u64, max: usize) -> Vec<u8> {
        ring.slices(from, max).concat()
    }

    #[test]
    fn bytes_are_found_by_their_offset_across_the_edge() {
        let mut ring = Ring::new(CAPACITY as u64 - 3).unwrap();
        put(&mut ring, b"abcdefgh");
        assert_eq!(text(&ring, ring.start(), 100), b"abcdefgh");
        assert_eq!(text(&ring, CAPACITY as u64 - 1, 4), b"cdef");
        assert_eq!(text(&ring, ring.head(), 4), b"");
    }

    #[test]
    fn the_oldest_bytes_make_room() {
        let mut ring = Ring::new(0).unwrap();
        for round in 0..9 {
            put(&mut ring, &[round; 40_000]);
        }
        assert_eq!(ring.head() - ring.start(), CAPACITY as u64);
        assert_eq!(text(&ring, 0, 1), [ring.start().div_euclid(40_000) as u8]);
        ring.release();
        assert_eq!((ring.start(), text(&ring, 0, 10)), (360_000, vec![]));
    }
}
