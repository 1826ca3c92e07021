//! What a session shows, on the caller's terminal: the screen as it is at first, then every byte as it comes.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use session_protocol::Size;
use session_terminal::{Quiet, Screen, Traces};

use crate::outlet::Outlet;
use crate::past::Past;

/// Bytes that may be on their way to this client.
pub(crate) const WINDOW: u64 = 1 << 20;
/// Consumed bytes are told in portions of this: each is a wake-up of the holder, which has better things to do.
const PORTION: u64 = 256 << 10;
/// Output that is a keystroke's: that it is shown is told at once, so that the holder may show the next itself …
const LITTLE: usize = 512;
/// … and of more once no more has come for so long.
pub(crate) const PAUSE: Duration = Duration::from_millis(10);
/// How long a terminal that takes nothing is waited for at the end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// Of what was shown, so much is kept: questions are shorter.
const TAIL: usize = 256;

/// The terminal's title is put aside, and had again at the end (XTWINOPS).
const KEEP_TITLE: &[u8] = b"\x1b[22;0t";
const TITLE_AGAIN: &[u8] = b"\x1b[23;0t";

/// One stream on one terminal.
pub(crate) struct Display<'a> {
    pub(crate) outlet: Outlet,
    size: Size,
    /// Shown with the first screen.
    past: Option<Past<'a>>,
    /// While another terminal answers what programs ask, this one must not be asked.
    quiet: Option<Quiet>,
    /// What was shown last while it was this one that answers.
    tail: Vec<u8>,
    /// Answers to what is asked in it.
    answers: usize,
    /// From which offset on it answers, or does not.
    turns: VecDeque<(u64, bool)>,
    /// Offset behind the last byte that came, and up to where the holder knows that it is consumed.
    next: u64,
    credited: u64,
    /// The holder may write to the terminal, too.
    lent: bool,
    /// Bytes that came since the last credit and were shown here.
    relayed: usize,
    /// Among those that the holder showed since was an escape sequence.
    acted: bool,
}

impl<'a> Display<'a> {
    /// On the terminal `terminal`, of a stream that begins at `from`. Its first screen is shown behind `past`. It
    /// `answers` what is asked, or somebody else does.
    pub(crate) fn new(
        terminal: impl AsFd,
        size: Size,
        from: u64,
        past: Option<Past<'a>>,
        answers: bool,
    ) -> io::Result<Self> {
        let mut display = Self {
            outlet: Outlet::borrowed(terminal)?,
            size,
            past,
            quiet: (!answers).then(Quiet::default),
            tail: Vec::new(),
            answers: 0,
            turns: VecDeque::new(),
            next: from,
            credited: from,
            lent: false,
            relayed: 0,
            acted: false,
        };
        display.outlet.offer(KEEP_TITLE)?;
        Ok(display)
    }

    /// Offset behind the last byte that came.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Another holder goes on: what the one before said of turns and credit is void.
    pub(crate) fn rejoin(&mut self, answers: bool) -> io::Result<()> {
        self.turns.clear();
        let held = self.quiet.take().map(|mut quiet| quiet.give_up());
        self.outlet.offer(&held.unwrap_or_default())?;
        self.quiet = (!answers).then(Quiet::default);
        self.credited = self.next;
        self.relayed = 0;
        Ok(())
    }

    /// The terminal has another size now.
    pub(crate) fn resize(&mut self, size: Size) {
        self.size = size;
    }

    /// From `offset` on this terminal is the one that answers, or is not.
    pub(crate) fn turn(&mut self, offset: u64, answers: bool) {
        self.turns.push_back((offset, answers));
    }

    /// Whether the terminal was asked something lately and has not answered.
    pub(crate) fn is_asked(&self) -> bool {
        self.quiet.is_none() && self.questions() > 0
    }

    /// The terminal has given so many answers.
    pub(crate) fn answered(&mut self, answers: usize) {
        self.answers += answers;
        if self.answers >= self.questions() {
            // What is there is settled; what comes is not.
            self.tail.clear();
            self.answers = 0;
        }
    }

    /// What was asked lately.
    fn questions(&self) -> usize {
        let (mut screen, mut questions) = (Screen::new(24, 80), 0);
        screen.answer(&self.tail, |_| questions += 1);
        questions
    }

    /// The holder may write to the terminal, too, whenever it was told that everything before is shown; or it does not.
    pub(crate) fn lend(&mut self, lent: bool) {
        self.lent = lent;
    }

    pub(crate) fn is_lent(&self) -> bool {
        self.lent
    }

    /// Output came that the holder has written to the terminal already.
    pub(crate) fn shown(&mut self, offset: u64, bytes: &[u8]) {
        self.next = offset + bytes.len() as u64;
        self.acted |= bytes.contains(&0x1b);
        self.outlet.watch(bytes);
        self.remember(bytes);
    }

    /// Output came.
    pub(crate) fn data(&mut self, offset: u64, mut bytes: &[u8]) -> io::Result<()> {
        self.next = offset + bytes.len() as u64;
        self.relayed += bytes.len();
        let mut at = offset;
        while let Some((turn, answers)) = self
            .turns
            .pop_front_if(|(turn, _)| *turn < at + bytes.len() as u64)
        {
            let (before, behind) = bytes.split_at((turn.saturating_sub(at)) as usize);
            self.pass(before)?;
            at = turn.max(at);
            bytes = behind;
            if answers {
                let held = self.quiet.take().map(|mut quiet| quiet.give_up());
                let held = held.unwrap_or_default();
                self.remember(&held);
                self.outlet.offer(&held)?;
            } else {
                let behind = || Quiet::behind(&std::mem::take(&mut self.tail));
                self.quiet.get_or_insert_with(behind);
            }
        }
        self.pass(bytes)
    }

    fn pass(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(quiet) = &mut self.quiet else {
            self.remember(bytes);
            return self.outlet.offer(bytes);
        };
        let mut shown = Vec::with_capacity(bytes.len());
        quiet.pass(bytes, |bytes| shown.extend_from_slice(bytes));
        self.outlet.offer(&shown)
    }

    /// The screen as it is at `offset`, where the stream goes on.
    pub(crate) fn screen(&mut self, offset: u64, size: Size, drawn: &[u8]) -> io::Result<()> {
        self.next = offset;
        self.credited = self.credited.max(offset);
        // What was not shown yet is on it.
        self.outlet.clear();
        let aside = self.outlet.traces().map(Traces::titles_again);
        let aside = aside.unwrap_or_default();
        if aside != TITLE_AGAIN {
            // Those that were put aside are on it, too. CAN ends what the terminal may be in the middle of.
            self.outlet
                .offer(&[b"\x18", &aside[..], KEEP_TITLE].concat())?;
        }
        while let Some((_, answers)) = self.turns.pop_front_if(|(turn, _)| *turn <= offset) {
            self.quiet = (!answers).then(Quiet::default);
        }
        if let Some(quiet) = &mut self.quiet {
            *quiet = Quiet::default();
        }
        self.tail.clear();
        let fitted;
        let mut drawn = drawn;
        if size != self.size {
            // Another terminal decides the size: what fits is shown.
            let mut screen = Screen::new(size.rows, size.cols);
            screen.feed(drawn);
            screen.resize(self.size.rows, self.size.cols);
            fitted = screen.snapshot();
            drawn = &fitted;
        }
        match self.past.take() {
            // It may end in the middle of a question.
            Some(past) => self.pass(&past.shown(offset, self.size, drawn)),
            None => self.pass(drawn),
        }
    }

    /// This is shown where everything is.
    fn remember(&mut self, bytes: &[u8]) {
        let last = &bytes[bytes.len().saturating_sub(TAIL)..];
        let most = TAIL - last.len();
        let gone = self.tail.len().saturating_sub(most);
        self.tail.drain(..gone);
        self.tail.extend_from_slice(last);
    }

    /// Up to where everything is consumed, if it is time to say so.
    pub(crate) fn credit(&mut self) -> Option<u64> {
        let consumed = self.next.saturating_sub(self.outlet.pending() as u64);
        let due = match self.relayed {
            _ if !self.is_lent_and_idle() => PORTION,
            // The holder goes on only so far, and behind a sequence not with another.
            0 if !self.acted => LITTLE as u64,
            ..=LITTLE => 1,
            _ => PORTION,
        };
        if consumed < self.credited + due {
            return None;
        }
        (self.relayed, self.acted) = (0, false);
        self.credited = consumed;
        Some(consumed)
    }

    /// Whether the holder is to be told that everything is shown, once no more has come for [`PAUSE`].
    pub(crate) fn is_owing(&self) -> bool {
        self.is_lent_and_idle() && self.relayed > LITTLE
    }

    /// No more has come for a while.
    pub(crate) fn pause(&mut self) {
        self.relayed = self.relayed.min(LITTLE);
    }

    fn is_lent_and_idle(&self) -> bool {
        self.lent && self.outlet.pending() == 0
    }

    /// Gives the terminal back: modes off, the cursor on a line of its own.
    pub(crate) fn leave(&mut self) {
        self.outlet.clear();
        let mut last = self.outlet.traces().map(Traces::leave).unwrap_or_default();
        // What is below is no longer what the session shows.
        last.extend_from_slice(b"\r\n\x1b[J");
        // A terminal that is gone needs nothing.
        let offered = self.outlet.offer(&last);
        let _ = offered.and_then(|()| self.outlet.drain(PATIENCE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn display(answers: bool) -> (std::os::fd::OwnedFd, Display<'static>, std::os::fd::OwnedFd) {
        let (master, slave) = session_sys::pty::open(24, 80).unwrap();
        let mut modes = rustix::termios::tcgetattr(&slave).unwrap();
        modes.make_raw();
        rustix::termios::tcsetattr(&slave, rustix::termios::OptionalActions::Now, &modes).unwrap();
        let display = Display::new(&slave, Size::default(), 0, None, answers).unwrap();
        (master, display, slave)
    }

    /// Everything that has come; a read gives a part of it.
    fn shown_on(master: &std::os::fd::OwnedFd) -> String {
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
    fn titles_that_a_program_put_aside_are_on_the_terminal_once() {
        let (master, mut display, _slave) = display(true);
        let aside = b"\x1b]2;one\x1b\\\x1b[22;0t\x1b]2;two\x1b\\";
        display.screen(8, Size::default(), aside).unwrap();
        display.screen(9, Size::default(), aside).unwrap();
        let aside = String::from_utf8_lossy(aside);
        let expected = format!("\x1b[22;0t{aside}\x18\x1b[23;0t\x1b[23;0t\x1b[22;0t{aside}");
        assert_eq!(shown_on(&master), expected);
        display.leave();
        assert!(shown_on(&master).ends_with("\x1b[23;0t\x1b[23;0t\r\n\x1b[J"));
    }

    #[test]
    fn the_screen_comes_first_and_new_output_is_itself() {
        let (master, mut display, _slave) = display(true);
        display.screen(8, Size::default(), b"drawn").unwrap();
        display.data(8, b"\x1b[6n").unwrap();
        assert_eq!(shown_on(&master), "\x1b[22;0tdrawn\x1b[6n");
    }

    #[test]
    fn a_screen_of_another_size_is_made_to_fit() {
        let (master, mut display, _slave) = display(true);
        let size = Size {
            rows: 50,
            cols: 132,
        };
        display
            .screen(8, size, b"\x1b[50;100Hfar\x1b[49;1Hbottom\x1b[50;1H")
            .unwrap();
        let mut terminal = Screen::new(24, 80);
        let drawn = shown_on(&master);
        terminal.feed(drawn.as_bytes());
        assert!(drawn.contains("bottom"), "{drawn:?}");
        assert!(!drawn.contains("\x1b[50;"), "{drawn:?}");
    }

    #[test]
    fn only_one_terminal_is_asked() {
        let (master, mut display, _slave) = display(false);
        display.data(0, b"a\x1b[6n\x1b[1mb").unwrap();
        display.turn(15, true);
        display.data(10, b"\x1b[c\x1b\x1b[6nc").unwrap();
        display.turn(22, false);
        display.data(22, b"\x1b[6nd").unwrap();
        assert_eq!(shown_on(&master), "\x1b[22;0ta\x1b[1mb\x1b\x1b[6ncd");
    }

    #[test]
    fn a_question_has_one_terminal_however_often_they_take_turns() {
        let (master, mut display, _slave) = display(false);
        display.turn(10, true);
        display.turn(20, false);
        let output = b"....\x1b[6n..\x1b[c.......\x1b[6nx";
        display.data(0, output).unwrap();
        assert_eq!(shown_on(&master), "\x1b[22;0t......\x1b[c.......x");
        display.turn(25, true);
        display.turn(29, false);
        display.data(25, b"y\x1b[6nz").unwrap();
        assert_eq!(shown_on(&master), "y\x1b[6\x18z");
    }

    #[test]
    fn a_terminal_is_asked_until_it_has_answered_everything() {
        let (_master, mut display, _slave) = display(true);
        display
            .screen(8, Size::default(), &Screen::new(24, 80).snapshot())
            .unwrap();
        display.data(8, b"\x1b[>4;1m\x1b[>1u\x1b[22;0t").unwrap();
        assert!(!display.is_asked(), "none of that is a question");
        display.data(26, b"\x1b[6n\x1b[c").unwrap();
        assert!(display.is_asked());
        display.answered(1);
        assert!(display.is_asked());
        display.answered(1);
        assert!(!display.is_asked());
        display.shown(33, b"\x1b[6n");
        assert!(display.is_asked());
        display.data(37, &[b'x'; TAIL]).unwrap();
        assert!(!display.is_asked(), "it is long ago");
    }

    #[test]
    fn what_the_terminal_never_got_is_not_undone_but_what_it_got_is() {
        let (master, mut display, slave) = display(true);
        display.data(0, b"\x1b[?1049h").unwrap();
        rustix::termios::tcflow(&slave, rustix::termios::Action::OOff).unwrap();
        display.data(8, b"\x1b[22;2t\x1b[?1049l").unwrap();
        rustix::termios::tcflow(&slave, rustix::termios::Action::OOn).unwrap();
        display.leave();
        let all = shown_on(&master);
        assert!(
            !all.contains("1049l") && all.contains("\x1b[?1047l"),
            "{all:?}"
        );
        assert!(!all.contains("\x1b[23;2t"), "{all:?}");
    }

    #[test]
    fn credit_comes_in_portions_of_what_is_shown() {
        let (master, mut display, _slave) = display(true);
        display.data(0, &[b'x'; 300_000]).unwrap();
        assert_eq!(display.credit(), None);
        while display.outlet.pending() > 0 {
            shown_on(&master);
            display.outlet.flush().unwrap();
        }
        assert_eq!(display.credit(), Some(300_000));
        assert_eq!(display.credit(), None);
    }

    #[test]
    fn the_holder_is_told_at_once_of_little_and_of_more_after_a_pause() {
        let (master, mut display, _slave) = display(true);
        display.data(0, b"unlent").unwrap();
        assert_eq!(display.credit(), None);
        display.lend(true);
        assert_eq!(display.credit(), Some(6));
        display.data(6, &[b'x'; LITTLE + 1]).unwrap();
        assert_eq!((display.credit(), display.is_owing()), (None, true));
        display.pause();
        let shown = 7 + LITTLE as u64;
        assert_eq!(display.credit(), Some(shown));
        // What the holder shows, it knows: it is told how far this client has come, now and then.
        display.shown(shown, b"text");
        assert_eq!((display.credit(), display.is_owing()), (None, false));
        display.shown(shown + 4, &[b'x'; LITTLE]);
        assert_eq!(display.credit(), Some(shown + 4 + LITTLE as u64));
        display.shown(1600, b"\x1b[m");
        assert_eq!(display.credit(), Some(1603));
        shown_on(&master);
        display.data(1603, &[b'x'; 20_000]).unwrap();
        assert!(display.outlet.pending() > 0, "the terminal is full");
        display.pause();
        assert_eq!((display.credit(), display.is_owing()), (None, false));
    }

    #[test]
    fn what_the_holder_shows_is_not_shown_again_but_known() {
        let (master, mut display, _slave) = display(true);
        display.shown(0, b"\x1b[?1049h\x1b[22;2t");
        display.leave();
        let all = shown_on(&master);
        assert!(
            !all.contains("1049h") && all.contains("\x1b[?1047l"),
            "{all:?}"
        );
        assert!(all.ends_with("\x1b[23;2t\x1b[23;0t\r\n\x1b[J"), "{all:?}");
    }
}
