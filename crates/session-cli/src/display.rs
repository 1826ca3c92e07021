//! What a session shows, on the caller's terminal: replayed output as one redraw, the rest byte for byte.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use session_protocol::Size;
use session_terminal::{AlternateScreen, Replay};

use crate::outlet::Outlet;

/// Bytes that may be on their way to this client.
pub(crate) const WINDOW: u64 = 1 << 20;
/// Consumed bytes are told in portions of this: each is a wake-up of the holder, which has better things to do.
const PORTION: u64 = 256 << 10;
/// Old output that a screen is drawn from. A client far behind may be sent more, whose reading would put it
/// behind again.
pub(crate) const REPLAY: u64 = 64 << 10;
/// How long a terminal that takes nothing is waited for at the end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// One stream on one terminal.
pub(crate) struct Display {
    pub(crate) outlet: Outlet,
    screen: AlternateScreen,
    size: Size,
    /// The output before `head`, which is old.
    replay: Option<(Replay, u64)>,
    /// Offset behind the last byte that came, and up to where the holder knows that it is consumed.
    next: u64,
    credited: u64,
}

impl Display {
    /// On the terminal `terminal`, of a stream that begins at `from`; what lies before `head` is old.
    pub(crate) fn new(terminal: impl AsFd, size: Size, from: u64, head: u64) -> io::Result<Self> {
        let mut display = Self {
            outlet: Outlet::new(terminal)?,
            screen: AlternateScreen::default(),
            size,
            replay: None,
            next: from,
            credited: from,
        };
        display.begin(from, head)?;
        Ok(display)
    }

    fn begin(&mut self, from: u64, head: u64) -> io::Result<()> {
        let whole = from == 0 && head <= REPLAY;
        let replay = Replay::new(self.size.rows, self.size.cols, whole);
        self.next = from;
        self.credited = self.credited.max(from);
        self.replay = Some((replay, head));
        self.draw()
    }

    /// The terminal has another size now.
    pub(crate) fn resize(&mut self, size: Size) {
        self.size = size;
    }

    /// Output came.
    pub(crate) fn data(&mut self, offset: u64, mut bytes: &[u8]) -> io::Result<()> {
        self.next = offset + bytes.len() as u64;
        if let Some((replay, head)) = &mut self.replay {
            // A piece is at most a frame long.
            let old = (head.saturating_sub(offset).min(bytes.len() as u64)) as usize;
            let skipped = head.saturating_sub(REPLAY).saturating_sub(offset);
            replay.feed(&bytes[old.min(skipped as usize)..old]);
            bytes = &bytes[old..];
            self.draw()?;
        }
        self.show(bytes)
    }

    /// The stream goes on at `offset`; what lies before `head` is old.
    pub(crate) fn reset(&mut self, offset: u64, head: u64) -> io::Result<()> {
        // What was not shown yet is as old as what the holder left out.
        self.outlet.clear();
        self.begin(offset, head)
    }

    fn draw(&mut self) -> io::Result<()> {
        match self.replay.take_if(|(_, head)| self.next >= *head) {
            Some((replay, _)) => self.show(&replay.snapshot()),
            None => Ok(()),
        }
    }

    fn show(&mut self, bytes: &[u8]) -> io::Result<()> {
        let offered = self.outlet.offer(bytes);
        self.screen.watch(bytes);
        offered
    }

    /// Up to where everything is consumed, if it is time to say so.
    pub(crate) fn credit(&mut self) -> Option<u64> {
        let consumed = self.next.saturating_sub(self.outlet.pending() as u64);
        if consumed < self.credited + PORTION {
            return None;
        }
        self.credited = consumed;
        Some(consumed)
    }

    /// Gives the terminal back: modes off, the cursor on a line of its own.
    pub(crate) fn leave(&mut self) {
        self.outlet.clear();
        let mut last = session_terminal::leave(self.screen.is_shown());
        last.extend_from_slice(b"\r\n");
        // A terminal that is gone needs nothing.
        let offered = self.outlet.offer(&last);
        let _ = offered.and_then(|()| self.outlet.drain(PATIENCE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn display(from: u64, head: u64) -> (std::os::fd::OwnedFd, Display, std::os::fd::OwnedFd) {
        let (master, slave) = session_sys::pty::open(24, 80).unwrap();
        let mut modes = rustix::termios::tcgetattr(&slave).unwrap();
        modes.make_raw();
        rustix::termios::tcsetattr(&slave, rustix::termios::OptionalActions::Now, &modes).unwrap();
        let display = Display::new(&slave, Size::default(), from, head).unwrap();
        (master, display, slave)
    }

    /// Everything that has come; a read gives a part of it.
    fn shown(master: &std::os::fd::OwnedFd) -> String {
        let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            match rustix::io::read(master, &mut buffer) {
                Ok(read) => all.extend_from_slice(&buffer[..read]),
                Err(rustix::io::Errno::AGAIN) => return String::from_utf8_lossy(&all).into_owned(),
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn old_output_is_one_redraw_and_new_output_is_itself() {
        let (master, mut display, _slave) = display(0, 8);
        display.data(0, b"old\x1b[6").unwrap();
        assert_eq!(shown(&master), "");
        display.data(6, b"n!\x1b[6n").unwrap();
        let drawn = shown(&master);
        let (old, new) = drawn.split_at(drawn.len() - 4);
        assert!(
            old.contains("old!") && !old.contains("\x1b[6n"),
            "{drawn:?}"
        );
        assert_eq!(new, "\x1b[6n");
    }

    #[test]
    fn falling_behind_is_a_redraw() {
        let (master, mut display, _slave) = display(0, 0);
        assert!(
            shown(&master).contains("\x1b[H\x1b[J"),
            "a clear screen first"
        );
        display.data(0, b"live").unwrap();
        assert_eq!(shown(&master), "live");
        display.reset(100, 110).unwrap();
        display.data(100, b"\r\nmissed..").unwrap();
        assert!(shown(&master).contains("missed.."));
    }

    #[test]
    fn a_screen_is_drawn_from_the_last_of_much_old_output() {
        let (master, mut display, _slave) = display(0, REPLAY + 3000);
        display.data(0, &[b'x'; 2000]).unwrap();
        display.data(2000, &[b'y'; REPLAY as usize]).unwrap();
        let mut last = vec![b'\n'; 1000];
        last[900..].fill(b'z');
        display.data(2000 + REPLAY, &last).unwrap();
        let drawn = shown(&master);
        assert!(drawn.contains('z') && !drawn.contains('x'), "{drawn:?}");
    }

    #[test]
    fn credit_comes_in_portions_of_what_is_shown() {
        let (_master, mut display, _slave) = display(0, u64::MAX);
        assert_eq!(display.credit(), None);
        display.data(0, &[b'x'; 300_000]).unwrap();
        assert_eq!(display.credit(), Some(300_000));
        assert_eq!(display.credit(), None);
    }
}
