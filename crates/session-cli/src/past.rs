//! What of the past an attaching terminal is given: read from the log, made into lines, left to its own scrollback.

use std::io;
use std::os::fd::AsFd as _;

use session_protocol::{Channel, Size};
use session_store::log::{LogReader, ReadAt};
use session_store::{Restore, Session};
use session_terminal::{Quiet, Screen};

/// Output that lines are looked for in. Programs that paint write much of it and few lines.
const FARTHEST: u64 = 4 << 20;
/// Output that is shown again as it was.
const RAW: u64 = 256 << 10;
/// Bytes read at once.
const PIECE: usize = 64 << 10;

/// Of one session, for one terminal.
pub(crate) struct Past<'a> {
    session: &'a Session,
    restore: Restore,
}

impl<'a> Past<'a> {
    pub(crate) fn new(session: &'a Session, restore: Restore) -> Self {
        Self { session, restore }
    }

    /// Bytes for a terminal of this size, to be followed by what comes behind `until`; `screen` are those that draw the
    /// screen as it is there.
    pub(crate) fn shown(&self, until: u64, size: Size, screen: &[u8]) -> Vec<u8> {
        match self.restore {
            Restore::None => Vec::new(),
            // A log that cannot be read is no reason not to attach.
            Restore::Raw => self.raw(until).unwrap_or_default(),
            Restore::Screen => [&scrolled(&[], 0, size)[..], screen].concat(),
            Restore::Lines(lines) => {
                let (text, rows) = self.lines(until, lines, size).unwrap_or_default();
                [&scrolled(&text, rows, size)[..], screen].concat()
            }
        }
    }

    fn reader(&self) -> io::Result<Option<LogReader>> {
        LogReader::open(self.session.directory_fd().as_fd(), "main", Channel::Pty)
            .map_err(io::Error::other)
    }

    /// The last output as it was, but for what the terminal would answer.
    fn raw(&self, until: u64) -> io::Result<Vec<u8>> {
        let mut shown = Vec::new();
        if let Some(mut reader) = self.reader()? {
            let from = reader.start()?.max(until.saturating_sub(RAW));
            let mut quiet = Quiet::default();
            read(&mut reader, from, until, |bytes| {
                quiet.pass(bytes, |bytes| shown.extend_from_slice(bytes));
            })?;
            shown.extend(quiet.give_up());
        }
        Ok(shown)
    }

    /// The last lines that had scrolled off before `until`, and how many rows they take.
    fn lines(&self, until: u64, lines: u32, size: Size) -> io::Result<(Vec<u8>, usize)> {
        let Some(mut reader) = self.reader()?.filter(|_| lines > 0) else {
            return Ok(Default::default());
        };
        // Those on the screen are not among them.
        let wanted = u64::from(lines) + u64::from(Screen::size_for(size.rows, size.cols).0);
        let begin = reader.last_lines(wanted)?;
        let begin = begin.max(until.saturating_sub(FARTHEST));
        let mut past = replay(&mut reader, begin, until, size, lines as usize)?;
        // Whoever attached may be smaller itself.
        past.resize((size.rows, size.cols));
        Ok(past.text())
    }
}

/// The screen as it was at `until`, made from the output since the last mark before `from`, or since `from` where there is
/// none. `size` is what it is taken to be where nothing tells, and that of whom the lines are for, at most so many.
pub(crate) fn replay(
    reader: &mut LogReader,
    from: u64,
    until: u64,
    size: Size,
    lines: usize,
) -> io::Result<Scrolled> {
    let mut marks = reader.marks(from, until)?.into_iter().peekable();
    let known = marks.next_if(|mark| mark.offset == 0 || mark.screen.is_some());
    let (mut at, first, drawn) = match known {
        Some(mark) => (mark.offset, mark.size, mark.screen.unwrap_or_default()),
        None => {
            let farthest = until.saturating_sub(FARTHEST);
            let begin = from.min(farthest.max(reader.start()?));
            (begin, (size.rows, size.cols), Vec::new())
        }
    };
    let mut past = Scrolled::new(lines, first, size.cols);
    past.screen.feed(&drawn);
    loop {
        while let Some(mark) = marks.next_if(|mark| mark.offset <= at) {
            past.resize(mark.size);
        }
        let next = marks.peek().map_or(until, |mark| mark.offset.min(until));
        at = read(reader, at, next, |bytes| past.feed(bytes))?;
        if at >= until || at < next {
            break;
        }
    }
    // Whoever attached may have made it smaller.
    for mark in marks {
        past.resize(mark.size);
    }
    Ok(past)
}

/// Lines that scroll off a screen that is not always the same size.
pub(crate) struct Scrolled {
    pub(crate) screen: Screen,
    /// What scrolled off it before it was resized, and how many rows that takes.
    before: Vec<u8>,
    rows: usize,
    /// How many lines are wanted, for a terminal of so many columns.
    lines: usize,
    cols: u16,
}

impl Scrolled {
    fn new(lines: usize, (rows, cols): (u16, u16), wanted: u16) -> Self {
        Self {
            screen: Screen::with_history(rows, cols, lines),
            before: Vec::new(),
            rows: 0,
            lines,
            cols: wanted,
        }
    }

    fn feed(&mut self, output: &[u8]) {
        self.screen.feed(output);
        if self.screen.take_erased() {
            self.before.clear();
            self.rows = 0;
        }
    }

    /// The screen is another size. A larger one takes nothing back from its history, for the holder's has none: it would
    /// be neither here nor there.
    fn resize(&mut self, (rows, cols): (u16, u16)) {
        if self.screen.size() == Screen::size_for(rows, cols) {
            return;
        }
        let before = self.screen.size();
        let drawn = self.screen.snapshot();
        self.put_aside();
        self.screen = Screen::with_history(before.0, before.1, self.lines);
        self.screen.feed(&drawn);
        self.screen.resize(rows, cols);
    }

    /// Takes the history of the screen, which is not used any more.
    fn put_aside(&mut self) {
        // The alternate screen has none.
        self.screen.feed(b"\x18\x1b[?1047l");
        let (text, rows) = self.screen.history(self.lines, self.cols);
        self.before.extend_from_slice(&text);
        self.rows += rows;
        let lines = || self.before.split_inclusive(|byte| *byte == b'\n');
        let count = lines().filter(|line| line.ends_with(b"\n")).count();
        let over = count.saturating_sub(self.lines);
        if over > 0 {
            let len: usize = lines().take(over).map(<[u8]>::len).sum();
            self.before.drain(..len);
            // One at least for each line.
            self.rows -= over;
        }
    }

    fn text(mut self) -> (Vec<u8>, usize) {
        self.put_aside();
        (self.before, self.rows)
    }
}

/// Hands on the bytes from `at` to `until`; how far they went.
fn read(
    reader: &mut LogReader,
    mut at: u64,
    until: u64,
    mut each: impl FnMut(&[u8]),
) -> io::Result<u64> {
    let mut buffer = vec![0; PIECE];
    while at < until {
        let most = PIECE.min((until - at) as usize);
        match reader.read_at(at, &mut buffer[..most])? {
            ReadAt::Bytes(len) => {
                each(&buffer[..len]);
                at += len as u64;
            }
            ReadAt::Gap { next } => at = next,
            ReadAt::End => break,
        }
    }
    Ok(at)
}

/// What is on the terminal scrolls off, then `text`, which takes so many rows: both are found in its scrollback.
fn scrolled(text: &[u8], rows: usize, size: Size) -> Vec<u8> {
    let height = usize::from(size.rows.max(1));
    let down = |rows: usize| {
        let mut bytes = format!("\x1b[{height};1H").into_bytes();
        bytes.extend(std::iter::repeat_n(b'\n', rows));
        bytes
    };
    let mut bytes = b"\x1b[0m".to_vec();
    bytes.extend(down(height));
    bytes.extend_from_slice(b"\x1b[H");
    bytes.extend_from_slice(text);
    // The line behind the last one is empty.
    bytes.extend(down(rows.min(height - 1)));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_resize_does_to_the_screen_costs_no_line() {
        let mut past = Scrolled::new(100, (4, 10), 10);
        // As the holder has it: a screen without a history.
        let mut screen = Screen::new(4, 10);
        let mut said = 0;
        for size in [(4, 10), (8, 10), (3, 10), (9, 10), (4, 10)] {
            past.resize(size);
            screen.resize(size.0, size.1);
            for _ in 0..6 {
                said += 1;
                let line = format!("line {said}\r\n");
                past.screen.feed(line.as_bytes());
                screen.feed(line.as_bytes());
            }
            let drawn = past.screen.snapshot();
            assert_eq!(drawn, screen.snapshot(), "{size:?}");
            past.put_aside();
            past.screen = Screen::with_history(size.0, size.1, 100);
            past.screen.feed(&drawn);
            let all = [&past.before[..], &drawn].concat();
            let all = String::from_utf8_lossy(&all);
            for line in 1..=said {
                assert_eq!(
                    all.matches(&format!("line {line}\x1b")).count()
                        + all.matches(&format!("line {line}\r")).count(),
                    1,
                    "{line} {size:?} {all:?}"
                );
            }
        }
        let (text, rows) = past.text();
        assert_eq!(String::from_utf8_lossy(&text).matches('\n').count(), rows);
    }

    #[test]
    fn what_was_erased_does_not_come_back() {
        let mut past = Scrolled::new(100, (2, 10), 10);
        past.feed(b"one\r\ntwo\r\nthree\r\n");
        past.resize((3, 10));
        past.feed(b"four\x1b[H\x1b[2J\x1b[3Jfive\r\nsix\r\nseven\r\n");
        past.resize((2, 10));
        let (text, rows) = past.text();
        let text = String::from_utf8(text).unwrap().replace("\x1b[0m", "");
        assert_eq!((text.as_str(), rows), ("five\r\nsix\r\n", 2));
    }

    #[test]
    fn of_what_scrolled_off_before_a_resize_only_the_last_lines_are_kept() {
        let mut past = Scrolled::new(3, (2, 10), 10);
        for line in 0..9 {
            past.resize((2, 10 + line % 2));
            past.screen.feed(format!("line {line}\r\n").as_bytes());
        }
        let (text, rows) = past.text();
        let text = String::from_utf8(text).unwrap().replace("\x1b[0m", "");
        assert_eq!(text, "line 5\r\nline 6\r\nline 7\r\n");
        assert_eq!(rows, 3);
    }

    #[test]
    fn everything_scrolls_into_the_scrollback_and_nothing_twice() {
        let size = Size { rows: 4, cols: 10 };
        for count in [0, 1, 3, 4, 9] {
            let mut terminal = Screen::with_history(4, 10, 100);
            terminal.feed(b"shell\r\n$ attach");
            let text: String = (0..count).map(|line| format!("line {line}\r\n")).collect();
            terminal.feed(&scrolled(text.as_bytes(), count, size));
            terminal.feed(b"\x1b[H\x1b[Jscreen");
            let (history, _) = terminal.history(100, 10);
            let history = String::from_utf8(history).unwrap();
            let history = history.replace("\x1b[0m", "");
            let past: Vec<&str> = history.lines().filter(|line| !line.is_empty()).collect();
            let expected: Vec<String> = ["shell".to_owned(), "$ attach".to_owned()]
                .into_iter()
                .chain((0..count).map(|line| format!("line {line}")))
                .collect();
            assert_eq!(past, expected);
        }
    }
}
