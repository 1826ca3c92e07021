//! Line drawing with the DEC special graphics set, which the screen model takes for letters.
//!
//! curses programs draw their frames as `ESC ( 0` `lqqk` `ESC ( B`. Here the letters become the characters
//! they stand for, so that a frame in a snapshot is a frame.

/// What `` ` `` to `~` stand for.
const GRAPHICS: [&str; 31] = [
    "\u{25c6}", "\u{2592}", "\u{2409}", "\u{240c}", "\u{240d}", "\u{240a}", "\u{b0}", "\u{b1}",
    "\u{2424}", "\u{240b}", "\u{2518}", "\u{2510}", "\u{250c}", "\u{2514}", "\u{253c}", "\u{23ba}",
    "\u{23bb}", "\u{2500}", "\u{23bc}", "\u{23bd}", "\u{251c}", "\u{2524}", "\u{2534}", "\u{252c}",
    "\u{2502}", "\u{2264}", "\u{2265}", "\u{3c0}", "\u{2260}", "\u{a3}", "\u{b7}",
];

/// Which of the two sets that locking shifts choose from are graphics, and where in a sequence the output is.
#[derive(Debug, Default)]
pub(crate) struct Charset {
    graphics: [bool; 2],
    /// 0 after SI, 1 after SO.
    shifted: usize,
    at: At,
    unfinished: Vec<u8>,
    /// The sequence became too long to keep its beginning.
    endless: bool,
}

/// A string that goes on for longer than this is left to end by itself.
const LONGEST: usize = 4096;

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum At {
    #[default]
    Text,
    Escape,
    /// Behind `ESC (` or `ESC )`: which set is named next.
    Designation(usize),
    /// Behind `ESC` and another intermediate byte.
    Intermediate,
    Sequence,
    /// In an operating system command or device control string, ended by ST or BEL.
    Quoted,
    /// An ESC within such a string.
    QuotedEscape,
}

impl Charset {
    /// Hands `bytes` on in pieces, with graphics as the characters they are.
    pub(crate) fn translate(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) {
        let (mut from, mut begun) = (0, 0);
        for (index, &byte) in bytes.iter().enumerate() {
            if self.at == At::Text && self.graphics[self.shifted] && (0x60..0x7f).contains(&byte) {
                each(&bytes[from..index]);
                each(GRAPHICS[usize::from(byte - 0x60)].as_bytes());
                from = index + 1;
            } else {
                self.step(byte);
                if byte == 0x1b && self.at == At::Escape {
                    begun = index;
                    self.unfinished.clear();
                    self.endless = false;
                }
            }
        }
        each(&bytes[from..]);
        self.endless |= self.unfinished.len() + bytes.len() - begun > LONGEST;
        if self.at == At::Text || self.endless {
            self.unfinished.clear();
        } else {
            self.unfinished.extend_from_slice(&bytes[begun..]);
        }
    }

    /// Sequences that choose the sets again on a terminal that has none.
    pub(crate) fn restored(&self) -> &'static [u8] {
        match (self.graphics, self.shifted) {
            ([false, false], 0) => b"",
            ([true, false], 0) => b"\x1b(0",
            ([false, true], 0) => b"\x1b)0",
            ([true, true], 0) => b"\x1b(0\x1b)0",
            ([false, false], _) => b"\x0e",
            ([true, false], _) => b"\x1b(0\x0e",
            ([false, true], _) => b"\x1b)0\x0e",
            ([true, true], _) => b"\x1b(0\x1b)0\x0e",
        }
    }

    /// The sequence that the output ended in the middle of.
    pub(crate) fn unfinished(&self) -> &[u8] {
        &self.unfinished
    }

    fn step(&mut self, byte: u8) {
        self.at = match (self.at, byte) {
            (At::Quoted, 0x1b) => At::QuotedEscape,
            (At::Quoted, 0x07 | 0x18 | 0x1a) => At::Text,
            (At::Quoted, _) => At::Quoted,
            (At::QuotedEscape, b'\\') => At::Text,
            (_, 0x1b) => At::Escape,
            (_, 0x18 | 0x1a) => At::Text,
            (At::Text, 0x0e) => {
                self.shifted = 1;
                At::Text
            }
            (At::Text, 0x0f) => {
                self.shifted = 0;
                At::Text
            }
            (At::Escape | At::QuotedEscape, byte) => match byte {
                b'(' => At::Designation(0),
                b')' => At::Designation(1),
                b'[' => At::Sequence,
                b']' | b'P' | b'X' | b'^' | b'_' => At::Quoted,
                b'c' => {
                    *self = Self::default();
                    At::Text
                }
                0x20..0x30 => At::Intermediate,
                0x00..0x20 => self.at,
                _ => At::Text,
            },
            (At::Designation(set), 0x30..0x7f) => {
                self.graphics[set] = byte == b'0';
                At::Text
            }
            (At::Intermediate, 0x30..0x7f) | (At::Sequence, 0x40..0x7f) => At::Text,
            (at, _) => at,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(output: &[u8]) -> (String, &'static [u8]) {
        let (mut charset, mut seen) = (Charset::default(), Vec::new());
        for byte in output.chunks(1) {
            charset.translate(byte, |piece| seen.extend_from_slice(piece));
        }
        (String::from_utf8(seen).unwrap(), charset.restored())
    }

    #[test]
    fn only_text_in_the_graphics_set_changes() {
        assert_eq!(
            translated(b"q\x1b(0q\x1b[31mq\x1b]0;q\x07q\x1b(Bq").0,
            "q\x1b(0\u{2500}\x1b[31m\u{2500}\x1b]0;q\x07\u{2500}\x1b(Bq"
        );
        assert_eq!(
            translated(b"\x1b)0q\x0eq\x0fq").0,
            "\x1b)0q\x0e\u{2500}\x0fq"
        );
    }

    #[test]
    fn the_sets_in_force_are_chosen_again() {
        assert_eq!(translated(b"\x1b(0\x1b)0\x0e").1, b"\x1b(0\x1b)0\x0e");
        assert_eq!(translated(b"\x1b(0\x1b(B").1, b"");
        assert_eq!(translated(b"\x1b(0\x1bc").1, b"");
    }
}
