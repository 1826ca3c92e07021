//! What was typed lately: the texts whose echo is to be expected, and where in the output it can be at the earliest.

use std::collections::VecDeque;

/// So many lines are remembered, the newest …
const LINES: usize = 64;
/// … and so many bytes of them.
const BYTES: usize = 64 << 10;

/// Who shows what is typed, if anyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The terminal (ECHO in termios(3)), at once; a line editor that reads it later shows it once more.
    ByTerminal,
    /// The program, such as a line editor (neither ECHO nor ICANON), when it reads it.
    ByProgram,
    /// Nobody: ICANON without ECHO, as where a password is asked for.
    Not,
}

/// The last lines that were typed into one terminal, by anyone.
///
/// Of a line only what is seen of it is kept: no blanks, which wrapping adds, and no control characters.
#[derive(Clone, Debug, Default)]
pub struct Typed {
    lines: VecDeque<TypedLine>,
    bytes: usize,
    next: u64,
    keys: Keys,
}

/// One line, or the part of one between two keys that are no text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TypedLine {
    /// Counts from the first line ever typed.
    pub(crate) number: u64,
    /// Offset in the output before which it cannot be shown.
    pub(crate) at: u64,
    pub(crate) text: Vec<u8>,
    pub(crate) shown: Shown,
    pub(crate) end: End,
}

/// How a line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It may go on.
    Open,
    /// With Enter.
    Entered,
    /// With a key that is no text, or because what follows is shown in another way.
    Left,
}

/// Where in the sequence of a key the next byte is.
#[derive(Clone, Copy, Debug, Default)]
enum Keys {
    #[default]
    Ground,
    Escape,
    /// An arrow or function key, or the frame of a paste.
    Sequence,
    /// The same in its short form.
    Short,
}

impl Typed {
    /// `bytes` were given to the terminal when its output was at offset `at`.
    pub fn record(&mut self, at: u64, bytes: &[u8], shown: Shown) {
        for byte in bytes {
            self.key(at, *byte, shown);
        }
        while self.lines.len() > LINES || self.bytes > BYTES {
            let Some(line) = self.lines.pop_front() else {
                break;
            };
            self.bytes -= line.text.len();
        }
    }

    /// Where the oldest line that can be shown from `from` on was typed, if any was before `until`.
    pub(crate) fn first_between(&self, from: u64, until: u64) -> Option<u64> {
        let mut ats = self.lines.iter().map(|line| line.at);
        ats.find(|at| *at >= from).filter(|at| *at < until)
    }

    /// The lines, oldest first.
    pub(crate) fn lines(&self) -> impl DoubleEndedIterator<Item = &TypedLine> {
        self.lines.iter()
    }

    fn key(&mut self, at: u64, byte: u8, shown: Shown) {
        match (self.keys, byte) {
            (Keys::Ground, 0x1b) => {
                self.keys = Keys::Escape;
                self.end(End::Left);
            }
            (Keys::Ground, b'\r' | b'\n') if shown != Shown::Not => self.end(End::Entered),
            // Shown as blanks, which do not count.
            (Keys::Ground, b' ') => {}
            // What was rubbed out was shown before.
            (Keys::Ground, 8 | 21 | 23 | 0x7f) => {}
            (Keys::Ground, 0..0x20) => self.end(End::Left),
            (Keys::Ground, _) if shown == Shown::Not => self.end(End::Left),
            (Keys::Ground, _) => self.text(at, byte, shown),
            (Keys::Escape, b'[') => self.keys = Keys::Sequence,
            (Keys::Escape, b'O') => self.keys = Keys::Short,
            (Keys::Escape, 0x1b) | (Keys::Sequence, 0..0x40) => {}
            (Keys::Escape | Keys::Sequence | Keys::Short, _) => self.keys = Keys::Ground,
        }
    }

    fn text(&mut self, at: u64, byte: u8, shown: Shown) {
        let open = |line: &&mut TypedLine| line.end == End::Open;
        if self.lines.back().is_some_and(|line| line.shown != shown) {
            self.end(End::Left);
        }
        self.bytes += 1;
        match self.lines.back_mut().filter(open) {
            Some(line) => line.text.push(byte),
            None => {
                let number = self.next;
                self.next += 1;
                self.lines.push_back(TypedLine {
                    number,
                    at,
                    text: vec![byte],
                    shown,
                    end: End::Open,
                });
            }
        }
    }

    fn end(&mut self, end: End) {
        if let Some(line) = self.lines.back_mut().filter(|line| line.end == End::Open) {
            line.end = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(typed: &Typed) -> Vec<(u64, &str, End)> {
        let line = |line: &'_ TypedLine| (line.at, line.end);
        typed
            .lines
            .iter()
            .map(|it| {
                (
                    line(it).0,
                    std::str::from_utf8(&it.text).unwrap(),
                    line(it).1,
                )
            })
            .collect()
    }

    #[test]
    fn lines_are_put_together_from_keys() {
        let mut typed = Typed::default();
        for (at, key) in [
            (5, "l"),
            (6, "s"),
            (7, " "),
            (7, "-l"),
            (9, "\r"),
            (20, "x"),
        ] {
            typed.record(at, key.as_bytes(), Shown::ByProgram);
        }
        let expected = [(5, "ls-l", End::Entered), (20, "x", End::Open)];
        assert_eq!(lines(&typed), expected);
    }

    #[test]
    fn keys_are_not_text() {
        let mut typed = Typed::default();
        let keys =
            b"a\x1b[A\x1b[1;5Cb\x03\x1bOPc\x1b\x1b[3~\x1bxd\x7f\x7fe\n\n\t\x1b[200~f\x1b[201~\r";
        for byte in keys {
            typed.record(0, &[*byte], Shown::ByTerminal);
        }
        let texts: Vec<_> = lines(&typed)
            .into_iter()
            .map(|(_, text, end)| (text, end))
            .collect();
        use End::{Entered, Left};
        assert_eq!(
            texts,
            [
                ("a", Left),
                ("b", Left),
                ("c", Left),
                ("de", Entered),
                ("f", Left)
            ]
        );
    }

    #[test]
    fn a_password_is_not_remembered() {
        let mut typed = Typed::default();
        typed.record(0, b"user", Shown::ByTerminal);
        typed.record(1, b"secret\n", Shown::Not);
        typed.record(2, b"more", Shown::ByTerminal);
        assert_eq!(
            lines(&typed),
            [(0, "user", End::Left), (2, "more", End::Open)]
        );
    }

    #[test]
    fn memory_is_bounded() {
        let mut typed = Typed::default();
        for at in 0..1000 {
            typed.record(at, b"one\n", Shown::ByTerminal);
        }
        assert_eq!((typed.lines.len(), typed.lines[0].at), (LINES, 936));
        typed.record(1000, &[b'x'; BYTES + 1], Shown::ByTerminal);
        assert_eq!((typed.lines.len(), typed.bytes), (0, 0));
        assert_eq!(typed.first_between(0, 2000), None);
    }
}
