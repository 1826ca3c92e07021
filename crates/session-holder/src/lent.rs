//! A terminal that a client lent: the little that a keystroke makes is written to it here, before the client has it.
//!
//! The client shows what it is sent; with nothing under way a byte on the terminal sooner is a process woken less. What
//! is written here goes to the client too, marked as shown, so that it knows the state its terminal is in.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags};

/// Longest output that is written here.
const LITTLE: usize = 512;
/// What the terminal may be ahead of the client by: one that is stopped has the terminal no longer.
const AHEAD: u64 = 1024;

/// A client's terminal, written to without ever waiting for it.
#[derive(Debug)]
pub(crate) struct Lent {
    terminal: OwnedFd,
    /// Everything up to here is on the terminal: what follows may be written. Unknown until the client says so.
    shown: Option<u64>,
    /// What the client said last …
    told: u64,
    /// … which counts if it is beyond this.
    behind: u64,
}

impl Lent {
    /// The terminal `handed`, on which the client shows what it is sent from `offset` on.
    pub(crate) fn new(handed: &OwnedFd, offset: u64) -> io::Result<Self> {
        if !rustix::termios::isatty(handed) {
            return Err(rustix::io::Errno::NOTTY.into());
        }
        // An open file of our own: its flags are nobody else's to change.
        let flags = OFlags::WRONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let path = format!("/proc/self/fd/{}", handed.as_fd().as_raw_fd());
        Ok(Self {
            terminal: rustix::fs::open(path, flags, Mode::empty())?,
            shown: None,
            told: offset,
            behind: offset,
        })
    }

    /// The client has something to show at `offset` that is not of the stream there: it must have shown more than that.
    pub(crate) fn wait(&mut self, offset: u64) {
        self.shown = None;
        self.behind = offset;
    }

    /// The client has shown everything below `offset`.
    pub(crate) fn credit(&mut self, offset: u64) {
        if offset > self.behind {
            self.told = offset;
            self.shown = Some(self.shown.unwrap_or(0).max(offset));
        }
    }

    /// Writes what is at `offset`, if it may: how much the terminal took.
    pub(crate) fn show(&mut self, offset: u64, parts: [&[u8]; 2]) -> usize {
        let len = parts[0].len() + parts[1].len();
        let ahead = offset + len as u64 - self.told;
        if self.shown != Some(offset) || len > LITTLE || ahead > AHEAD {
            return 0;
        }
        let parts = parts.map(io::IoSlice::new);
        // One that takes nothing now, or is gone, is the client's to deal with.
        let taken = rustix::io::writev(&self.terminal, &parts).unwrap_or(0);
        self.shown = Some(offset + taken as u64);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lent() -> (OwnedFd, OwnedFd, Lent) {
        let (master, slave) = session_sys::pty::open(24, 80).unwrap();
        let mut modes = rustix::termios::tcgetattr(&slave).unwrap();
        modes.make_raw();
        rustix::termios::tcsetattr(&slave, rustix::termios::OptionalActions::Now, &modes).unwrap();
        let lent = Lent::new(&slave, 10).unwrap();
        (master, slave, lent)
    }

    fn seen(master: &OwnedFd) -> Vec<u8> {
        let mut buffer = [0; 4096];
        let read = rustix::io::read(master, &mut buffer).unwrap_or(0);
        buffer[..read].to_vec()
    }

    #[test]
    fn nothing_is_written_before_the_client_has_shown_something_of_the_stream() {
        let (master, _slave, mut lent) = lent();
        assert_eq!(lent.show(10, [b"a", b""]), 0);
        lent.credit(10);
        assert_eq!(lent.show(10, [b"a", b""]), 0);
        lent.credit(11);
        assert_eq!(
            lent.show(12, [b"c", b""]),
            0,
            "it has yet to show what is before"
        );
        assert_eq!(lent.show(11, [b"b", b"c"]), 2);
        assert_eq!(seen(&master), b"bc");
        lent.wait(13);
        assert_eq!(lent.show(13, [b"d", b""]), 0);
        lent.credit(13);
        assert_eq!(
            lent.show(13, [b"d", b""]),
            0,
            "said before it had the screen"
        );
        lent.credit(14);
        assert_eq!(lent.show(14, [b"e", b""]), 1);
    }

    #[test]
    fn the_terminal_is_little_ahead_of_its_client() {
        let (_master, _slave, mut lent) = lent();
        lent.credit(11);
        assert_eq!(lent.show(11, [&[b'x'; LITTLE + 1], b""]), 0);
        let mut offset = 11;
        while lent.show(offset, [b"word", b""]) == 4 {
            offset += 4;
        }
        assert_eq!(offset - 11, AHEAD);
        lent.credit(offset);
        assert_eq!(lent.show(offset, [b"word", b""]), 4);
    }

    #[test]
    fn a_terminal_that_takes_nothing_is_not_waited_for() {
        let (_master, slave, mut lent) = lent();
        rustix::termios::tcflow(&slave, rustix::termios::Action::OOff).unwrap();
        lent.credit(11);
        assert_eq!(lent.show(11, [b"a", b""]), 0);
        rustix::termios::tcflow(&slave, rustix::termios::Action::OOn).unwrap();
        assert_eq!(lent.show(11, [b"a", b""]), 1);
    }

    #[test]
    fn only_a_terminal_is_taken() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        assert!(Lent::new(&writer.into(), 0).is_err());
    }
}
