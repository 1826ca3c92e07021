//! A terminal that a client lent: the little that a keystroke makes is written to it here, before the client has it.
//!
//! The client shows what it is sent; with nothing under way a byte on the terminal sooner is a process woken less. What
//! is written here goes to the client too, marked as shown, so that it knows the state its terminal is in.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags, fstat};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use crate::ring::Shown;

/// Longest output that is written here.
const LITTLE: usize = 512;
/// What the terminal may be ahead of the client by: one that is stopped has the terminal no longer.
const AHEAD: u64 = 1024;

/// Major number of the names that are not one terminal's own (admin-guide/devices.txt of the kernel).
const GENERIC: u32 = 5;

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
    /// Where it is noted, and for which client, what the terminal was given.
    noted: Option<(Shown, i32)>,
}

impl Lent {
    /// The terminal `handed`, on which the client shows what it is sent from `offset` on.
    pub(crate) fn new(handed: &OwnedFd, offset: u64) -> io::Result<Self> {
        if !rustix::termios::isatty(handed) {
            return Err(Errno::NOTTY.into());
        }
        // Opened again, a PTY's master is another PTY, and /dev/tty the terminal of who opens it (pty(7), tty(4)).
        if rustix::fs::major(fstat(handed)?.st_rdev) == GENERIC {
            return Err(Errno::NOTTY.into());
        }
        // An open file of our own: its flags are nobody else's to change.
        let flags = OFlags::WRONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let path = format!("/proc/self/fd/{}", handed.as_fd().as_raw_fd());
        let terminal = rustix::fs::open(path, flags, Mode::empty())?;
        // Without it everything works, without a descriptor for the next client nothing does.
        let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) / 2;
        if terminal.as_raw_fd() as u64 > most {
            return Err(Errno::MFILE.into());
        }
        Ok(Self {
            terminal,
            shown: None,
            told: offset,
            behind: offset,
            noted: None,
        })
    }

    /// What the terminal is given is noted there, as given to the client `pid`.
    pub(crate) fn note(&mut self, shown: Shown, pid: i32) {
        self.noted = Some((shown, pid));
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

    /// Writes what is at `offset`, if it may: how much the terminal took. `client` is the client's socket.
    pub(crate) fn show(&mut self, offset: u64, parts: [&[u8]; 2], client: impl AsFd) -> usize {
        if self.shown != Some(offset) || !self.may_show(offset, parts) || has_spoken(client) {
            return 0;
        }
        if let Some((noted, client)) = &self.noted {
            let len: usize = parts.iter().map(|part| part.len()).sum();
            noted.intend(*client, offset + len as u64);
        }
        let parts = parts.map(io::IoSlice::new);
        // One that takes nothing now, or is gone, is the client's to deal with.
        let taken = rustix::io::writev(&self.terminal, &parts).unwrap_or(0);
        self.shown = Some(offset + taken as u64);
        if let Some((noted, _)) = &self.noted {
            noted.done(offset + taken as u64);
        }
        taken
    }

    fn may_show(&self, offset: u64, parts: [&[u8]; 2]) -> bool {
        let len = parts.iter().map(|part| part.len()).sum::<usize>();
        let ahead = offset - self.told;
        // Text in front of a shell does little harm; questions and modes may.
        let acts = || parts.iter().any(|part| part.contains(&0x1b));
        len <= LITTLE && ahead + len as u64 <= AHEAD && (ahead == 0 || !acts())
    }
}

/// Whether the client has sent something, or is gone: it may be about to leave, and its terminal not its own any more.
fn has_spoken(client: impl AsFd) -> bool {
    let mut fds = [PollFd::new(&client, PollFlags::IN)];
    !matches!(
        rustix::event::poll(&mut fds, Some(&Timespec::default())),
        Ok(0)
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    /// A lent terminal with both its ends, and both of the client's socket.
    struct Lending {
        master: OwnedFd,
        slave: OwnedFd,
        lent: Lent,
        socket: OwnedFd,
        client: UnixStream,
    }

    impl Lending {
        /// From offset 10 on.
        fn new() -> Self {
            let (master, slave) = session_sys::pty::open(24, 80).unwrap();
            let mut modes = rustix::termios::tcgetattr(&slave).unwrap();
            modes.make_raw();
            let now = rustix::termios::OptionalActions::Now;
            rustix::termios::tcsetattr(&slave, now, &modes).unwrap();
            let lent = Lent::new(&slave, 10).unwrap();
            let (client, socket) = session_sys::socket::pair().unwrap();
            Self {
                master,
                slave,
                lent,
                socket,
                client,
            }
        }

        fn shows(&mut self, offset: u64, text: &[u8]) -> usize {
            let (before, behind) = text.split_at(text.len() / 2);
            self.lent.show(offset, [before, behind], &self.socket)
        }

        fn seen(&self) -> Vec<u8> {
            let mut buffer = [0; 4096];
            let read = rustix::io::read(&self.master, &mut buffer).unwrap_or(0);
            buffer[..read].to_vec()
        }
    }

    #[test]
    fn nothing_is_written_before_the_client_has_shown_something_of_the_stream() {
        let mut it = Lending::new();
        assert_eq!(it.shows(10, b"a"), 0);
        it.lent.credit(10);
        assert_eq!(it.shows(10, b"a"), 0);
        it.lent.credit(11);
        assert_eq!(it.shows(12, b"c"), 0, "it has yet to show what is before");
        assert_eq!(it.shows(11, b"bc"), 2);
        assert_eq!(it.seen(), b"bc");
        it.lent.wait(13);
        assert_eq!(it.shows(13, b"d"), 0);
        it.lent.credit(13);
        assert_eq!(it.shows(13, b"d"), 0, "said before it had the screen");
        it.lent.credit(14);
        assert_eq!(it.shows(14, b"e"), 1);
    }

    #[test]
    fn the_terminal_is_little_ahead_of_its_client() {
        let mut it = Lending::new();
        it.lent.credit(11);
        assert_eq!(it.shows(11, &[b'x'; LITTLE + 1]), 0);
        let mut offset = 11;
        while it.shows(offset, b"word") == 4 {
            offset += 4;
        }
        assert_eq!(offset - 11, AHEAD);
        it.lent.credit(offset);
        assert_eq!(it.shows(offset, b"word"), 4);
    }

    #[test]
    fn what_acts_on_a_terminal_waits_until_the_client_is_there() {
        let mut it = Lending::new();
        it.lent.credit(11);
        assert_eq!(it.shows(11, b"\x1b[6n"), 4);
        assert_eq!(it.shows(15, b"text"), 4);
        assert_eq!(it.shows(19, b"\x1b[6n"), 0);
        it.lent.credit(19);
        assert_eq!(it.shows(19, b"\x1b[6n"), 4);
    }

    #[test]
    fn a_client_that_has_said_something_or_is_gone_has_the_terminal_for_itself() {
        let mut it = Lending::new();
        it.lent.credit(11);
        it.client.write_all(b"leave").unwrap();
        assert_eq!(it.shows(11, b"a"), 0);
        let mut buffer = [0; 5];
        rustix::io::read(&it.socket, &mut buffer).unwrap();
        assert_eq!(it.shows(11, b"a"), 1);
        it.client.shutdown(std::net::Shutdown::Both).unwrap();
        assert_eq!(it.shows(12, b"b"), 0);
    }

    #[test]
    fn a_terminal_that_takes_nothing_is_not_waited_for() {
        let mut it = Lending::new();
        rustix::termios::tcflow(&it.slave, rustix::termios::Action::OOff).unwrap();
        it.lent.credit(11);
        assert_eq!(it.shows(11, b"a"), 0);
        rustix::termios::tcflow(&it.slave, rustix::termios::Action::OOn).unwrap();
        assert_eq!(it.shows(11, b"a"), 1);
    }

    #[test]
    fn only_a_terminal_is_taken() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        assert!(Lent::new(&writer.into(), 0).is_err());
        let master = Lending::new().master;
        assert!(Lent::new(&master, 0).is_err());
    }
}
