//! The last bytes of one output stream, in memory: what an attached client is served from, and how they get there.
//!
//! The memory has a descriptor, of which the keeper has a copy: a holder that is killed leaves its ring behind. So that
//! no byte is lost and none comes twice whatever the instant, bytes pass through a pipe that the keeper has copies of
//! too. Only the holder fills it, so the kernel knows how much of what was noted has been taken out of it, which nothing
//! in memory could: a process that is killed in read(2) leaves bytes behind whose number nobody knows.
//!
//! | step | after a kill here, the next holder finds |
//! | --- | --- |
//! | splice(2) from the process into the pipe | bytes in the pipe, none noted: it notes them and goes on |
//! | note how far the head is to come | as many in the pipe as are missing |
//! | read(2) from the pipe into the ring | as many in the pipe as are still missing, perhaps none |
//! | move the head there | nothing to do |
//!
//! The pages go back when the stream is quiet (`docs/adr/0004-ring-and-log.md`): an idle session keeps none of them.
//! Then nothing is noted either, and the head is where the log ends.

use std::borrow::Cow;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags};
use session_protocol::Channel;
use session_sys::memory::{Shared, Words};

/// Bytes kept in memory, a stream. A power of two.
pub(crate) const CAPACITY: usize = 256 << 10;

/// What one read of a terminal brings at most (N_TTY_BUF_SIZE). A splice of more would have the kernel allocate as many
/// pages each time.
const TERMINAL: usize = 4096;

/// The words of the memory.
const NOTED: usize = 0;
const HEAD: usize = 1;
const TARGET: usize = 2;
const START: usize = 3;

/// From this word on: what was written to terminals that clients lent, three words each.
const SHOWN: usize = 8;
/// Clients that this is noted of. Two that share a place at once would have to be so many apart.
const PLACES: u64 = 128;

/// What the first word says while the others count: how they are to be read.
const LAYOUT: u64 = 1;

/// Where it is noted how much of a stream a client's terminal was given.
///
/// Whoever is killed after it wrote to a terminal and before it told the client leaves the client to believe that this
/// is still to be shown.
#[derive(Debug)]
pub(crate) struct Shown {
    words: Words,
    place: usize,
}

impl Shown {
    /// Bytes up to `end` are about to be written.
    pub(crate) fn intend(&self, client: i32, end: u64) {
        let word = |index| self.words.word(self.place + index);
        word(0).store(client as u64, Ordering::Release);
        word(1).store(end, Ordering::Release);
    }

    /// Everything up to `end` is written.
    pub(crate) fn done(&self, end: u64) {
        self.words
            .word(self.place + 2)
            .store(end, Ordering::Release);
        self.words
            .word(self.place + 1)
            .store(end, Ordering::Release);
    }
}

/// A ring over absolute offsets: byte `n` of the stream lies at `n % CAPACITY`.
pub(crate) struct Ring {
    memory: Shared,
    /// Both ends of the pipe.
    taken: OwnedFd,
    fill: OwnedFd,
    /// Offset of the oldest byte still here.
    start: u64,
    /// Offset behind the newest.
    head: u64,
    /// The words say so too.
    noted: bool,
    /// The most that one read brings.
    most: usize,
    /// The kernel does not splice from this source: its bytes are read as they are, and a kill may lose some.
    plain: bool,
}

impl Ring {
    /// An empty ring whose next byte has offset 0. No page is touched yet.
    pub(crate) fn new(channel: Channel) -> io::Result<Self> {
        let (taken, fill) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let memory = match Shared::new("session-ring", CAPACITY) {
            // A limit on the length of files: it works, but nobody can take over what is in it.
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Shared::alone(CAPACITY),
            memory => memory,
        }?;
        Ok(Self::of(channel, memory, taken, fill))
    }

    fn of(channel: Channel, memory: Shared, taken: OwnedFd, fill: OwnedFd) -> Self {
        Self {
            memory,
            taken,
            fill,
            start: 0,
            head: 0,
            noted: false,
            most: match channel {
                Channel::Pty => TERMINAL,
                _ => CAPACITY,
            },
            plain: false,
        }
    }

    /// The ring that a holder left behind, every byte of it that the process has written included. `end` is where the log
    /// ends.
    pub(crate) fn adopt(channel: Channel, parts: [OwnedFd; 3], end: u64) -> io::Result<Self> {
        let [memory, taken, fill] = parts;
        let mut ring = Self::of(channel, Shared::of(memory, CAPACITY)?, taken, fill);
        let word = |index| ring.memory.word(index).load(Ordering::Acquire);
        if word(NOTED) != LAYOUT {
            ring.begin(end);
            return Ok(ring);
        }
        let (head, target) = (word(HEAD), word(TARGET).max(word(HEAD)));
        (ring.head, ring.start, ring.noted) = (head, word(START).min(head), true);
        let left = rustix::io::ioctl_fionread(&ring.taken)?;
        let target = if target > head { target } else { head + left };
        if target - head < left || target - head > CAPACITY as u64 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        ring.note(target);
        ring.take(target - left, target)?;
        ring.arrive(target);
        Ok(ring)
    }

    /// The next byte has this offset.
    pub(crate) fn begin(&mut self, head: u64) {
        (self.start, self.head) = (head, head);
    }

    /// What the keeper has copies of: memory and both ends of the pipe.
    pub(crate) fn parts(&self) -> [BorrowedFd<'_>; 3] {
        [self.memory.as_fd(), self.taken.as_fd(), self.fill.as_fd()]
    }

    /// Where to note what the terminal of connection `number` was given.
    pub(crate) fn shown(&self, number: u64) -> io::Result<Shown> {
        let place = SHOWN + (number % PLACES) as usize * 3;
        let words = self.memory.words()?;
        (0..3).for_each(|index| words.word(place + index).store(0, Ordering::Release));
        Ok(Shown { words, place })
    }

    /// What the terminal of this client was given up to, as an earlier holder noted; an error if it may have been given more.
    pub(crate) fn was_shown(&self, client: i32) -> Result<u64, ()> {
        let word = |index| self.memory.word(index).load(Ordering::Acquire);
        let mut end = 0;
        for place in (0..PLACES as usize).map(|place| SHOWN + place * 3) {
            if client > 0 && word(place) == client as u64 {
                let (intended, done) = (word(place + 1), word(place + 2));
                if intended > done {
                    // It is drawn anew, and that settles it.
                    self.memory.word(place).store(0, Ordering::Release);
                    return Err(());
                }
                end = end.max(done);
            }
        }
        Ok(end)
    }

    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// One read of at most `max` bytes, to the end of the memory at most: the kernel copies what a terminal says in
    /// pieces of 64 bytes, which takes longer into two parts. 0 is end of file.
    pub(crate) fn read_from(&mut self, source: impl AsFd, max: usize) -> io::Result<usize> {
        let at = (self.head % CAPACITY as u64) as usize;
        let room = max.min(CAPACITY - at);
        if self.plain {
            return self.read_plainly(source, at, room);
        }
        if !self.noted {
            self.note(self.head);
            self.arrive(self.head);
            self.memory.word(NOTED).store(LAYOUT, Ordering::Release);
            self.noted = true;
        }
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        let most = room.min(self.most);
        let read = match rustix::pipe::splice(&source, None, &self.fill, None, most, flags) {
            Ok(read) => read,
            Err(Errno::INVAL) => {
                self.plain = true;
                return self.read_plainly(source, at, room);
            }
            Err(errno) => return Err(errno.into()),
        };
        if read > 0 {
            let target = self.head + read as u64;
            self.note(target);
            self.take(self.head, target)?;
            self.arrive(target);
        }
        Ok(read)
    }

    fn read_plainly(&mut self, source: impl AsFd, at: usize, room: usize) -> io::Result<usize> {
        let read = rustix::io::read(source, &mut self.memory.bytes_mut()[at..at + room])?;
        let head = self.head + read as u64;
        self.note(head);
        self.arrive(head);
        Ok(read)
    }

    /// The head is to come to `target`; what has to make room for it does so first.
    fn note(&mut self, target: u64) {
        let oldest = target.saturating_sub(CAPACITY as u64);
        self.start = self.start.max(oldest);
        self.memory.word(START).store(self.start, Ordering::Release);
        self.memory.word(TARGET).store(target, Ordering::Release);
    }

    /// Takes the bytes from `from` to `to` out of the pipe, to where they belong.
    fn take(&mut self, mut from: u64, to: u64) -> io::Result<()> {
        while from < to {
            let at = (from % CAPACITY as u64) as usize;
            let end = CAPACITY.min(at + (to - from) as usize);
            let bytes = &mut self.memory.bytes_mut()[at..end];
            match rustix::io::read(&self.taken, bytes) {
                // What was put in cannot have gone elsewhere.
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => from += read as u64,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// Everything below `head` is here.
    fn arrive(&mut self, head: u64) {
        self.head = head;
        self.memory.word(HEAD).store(head, Ordering::Release);
    }

    /// The bytes from `from` on, at most `max` of them, in two parts; the second is usually empty.
    pub(crate) fn slices(&self, from: u64, max: usize) -> [&[u8]; 2] {
        let from = from.clamp(self.start, self.head);
        let len = ((self.head - from) as usize).min(max);
        let at = (from % CAPACITY as u64) as usize;
        let straight = len.min(CAPACITY - at);
        let bytes = self.memory.bytes();
        [&bytes[at..at + straight], &bytes[..len - straight]]
    }

    /// Forgets what is kept and gives the pages back to the kernel. The log has everything, and ends where this does.
    pub(crate) fn release(&mut self) {
        if self.memory.release().is_ok() {
            self.noted = false;
            self.start = self.head;
        }
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
        let mut ring = Ring::new(Channel::Pty).unwrap();
        ring.begin(CAPACITY as u64 - 3);
        put(&mut ring, b"abcdefgh");
        assert_eq!(text(&ring, ring.start(), 100), b"abcdefgh");
        assert_eq!(text(&ring, CAPACITY as u64 - 1, 4), b"cdef");
        assert_eq!(text(&ring, ring.head(), 4), b"");
    }

    #[test]
    fn the_oldest_bytes_make_room() {
        let mut ring = Ring::new(Channel::Pty).unwrap();
        for round in 0..9 {
            put(&mut ring, &[round; 40_000]);
        }
        assert_eq!(ring.head() - ring.start(), CAPACITY as u64);
        assert_eq!(text(&ring, 0, 1), [ring.start().div_euclid(40_000) as u8]);
        ring.release();
        assert_eq!((ring.start(), text(&ring, 0, 10)), (360_000, vec![]));
    }

    /// What the next holder has of a ring whose owner was killed.
    fn adopted(ring: &Ring, end: u64) -> Ring {
        let parts = ring.parts().map(|fd| fd.try_clone_to_owned().unwrap());
        Ring::adopt(Channel::Pty, parts, end).unwrap()
    }

    #[test]
    fn a_kill_between_any_two_steps_loses_nothing_and_doubles_nothing() {
        let fill = |ring: &Ring, bytes: &[u8]| {
            assert_eq!(rustix::io::write(&ring.fill, bytes).unwrap(), bytes.len());
        };
        // The second half crosses the edge of the memory.
        for begin in [0, CAPACITY as u64 - 10] {
            for step in 0..4 {
                let mut ring = Ring::new(Channel::Pty).unwrap();
                ring.begin(begin);
                put(&mut ring, b"before ");
                let (head, target) = (ring.head, ring.head + 8);
                fill(&ring, b"adoption");
                if step > 0 {
                    ring.note(target);
                }
                if step > 1 {
                    // Half of them were taken.
                    ring.take(head, head + 4).unwrap();
                }
                if step > 2 {
                    ring.take(head + 4, target).unwrap();
                }
                // Whoever adopts may be killed as well.
                for _ in 0..3 {
                    let next = adopted(&ring, 77);
                    assert_eq!(text(&next, begin, 100), b"before adoption", "step {step}");
                    ring = next;
                }
                put(&mut ring, b" after");
                assert_eq!(text(&ring, begin, 100), b"before adoption after");
            }
        }
    }

    #[test]
    fn a_quiet_ring_goes_on_where_the_log_ends() {
        let mut ring = Ring::new(Channel::Pty).unwrap();
        put(&mut ring, b"all of this is in the log");
        ring.release();
        let mut next = adopted(&ring, 25);
        assert_eq!((next.start(), next.head()), (25, 25));
        put(&mut next, b"more");
        assert_eq!(text(&adopted(&next, 25), 25, 100), b"more");
    }

    #[test]
    fn what_a_lent_terminal_was_given_is_known_to_the_next_holder() {
        let ring = Ring::new(Channel::Pty).unwrap();
        let (one, other) = (ring.shown(1).unwrap(), ring.shown(2 + PLACES).unwrap());
        one.intend(77, 20);
        one.done(15);
        other.intend(78, 30);
        assert_eq!(ring.was_shown(77), Ok(15));
        assert_eq!(ring.was_shown(78), Err(()));
        assert_eq!(ring.was_shown(79), Ok(0));
        assert_eq!(adopted(&ring, 0).was_shown(77), Ok(15));
    }

    #[test]
    fn what_no_holder_can_have_left_is_refused() {
        let mut ring = Ring::new(Channel::Pty).unwrap();
        put(&mut ring, b"some");
        rustix::io::write(&ring.fill, b"more than noted").unwrap();
        ring.note(ring.head + 3);
        let parts = ring.parts().map(|fd| fd.try_clone_to_owned().unwrap());
        assert!(Ring::adopt(Channel::Pty, parts, 0).is_err());
    }
}
