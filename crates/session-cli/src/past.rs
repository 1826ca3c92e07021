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
        let screen = replay(&mut reader, begin, until, size, lines as usize)?;
        Ok(screen.history(lines as usize, size.cols))
    }
}

/// The screen as it was at `until`, with so many lines that had scrolled off, made from the output since the last mark
/// before `from`, or since `from` where there is none. `size` is what it is taken to be where nothing tells.
pub(crate) fn replay(
    reader: &mut LogReader,
    from: u64,
    until: u64,
    size: Size,
    lines: usize,
) -> io::Result<Screen> {
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
    let mut screen = Screen::with_history(first.0, first.1, lines);
    screen.feed(&drawn);
    loop {
        while let Some(mark) = marks.next_if(|mark| mark.offset <= at) {
            screen.resize(mark.size.0, mark.size.1);
        }
        let next = marks.peek().map_or(until, |mark| mark.offset.min(until));
        at = read(reader, at, next, |bytes| screen.catch_up(bytes))?;
        if at >= until || at < next {
            return Ok(screen);
        }
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
