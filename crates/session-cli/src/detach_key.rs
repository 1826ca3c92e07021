//! The key that leaves a session running, found in whatever form the terminal sends it.
//!
//! Terminals send Ctrl with a letter as one byte, or, once a program asked for it, as an escape sequence of
//! kitty's or xterm's keyboard protocol. Pasted text is not typed: between the marks of a bracketed paste
//! nothing detaches.

use std::ops::Range;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// The environment's choice, below `--detach-key`.
pub(crate) const VARIABLE: &str = "SESSION_DETACH_KEY";
/// Keys of keyboards as most are, beside the one that has the character itself: which character they stand for with Ctrl,
/// whether or not Shift is held.
const STAND_FOR: [(u8, u8); 7] = [
    (b'-', b'_'),
    (b'/', b'_'),
    (b'7', b'_'),
    (b'6', b'^'),
    (b'2', b'@'),
    (b' ', b'@'),
    (b'`', b'@'),
];
/// Longest sequence that is looked at.
const LONGEST: usize = 32;
/// Input that comes without a longer pause, and more of it than keys are, is pasted.
const PAUSE: Duration = Duration::from_millis(50);
const PASTED: usize = 64;

/// Ctrl and a character, or no key at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DetachKey(Option<u8>);

impl Default for DetachKey {
    /// Ctrl-\
    fn default() -> Self {
        Self(Some(b'\\'))
    }
}

impl DetachKey {
    /// Ctrl-X
    pub(crate) const fn ctrl_x() -> Self {
        Self(Some(b'x'))
    }

    /// Every key is for the program.
    pub(crate) const fn none() -> Self {
        Self(None)
    }
}

impl FromStr for DetachKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        if lower == "none" {
            return Ok(Self(None));
        }
        let character = ["ctrl-", "ctrl+", "c-", "^"]
            .iter()
            .find_map(|prefix| lower.strip_prefix(prefix));
        match character.map(str::as_bytes) {
            Some([b'[' | b'i' | b'j' | b'm']) => Err(format!(
                "'{text}' is what Escape, Tab or Enter sends; choose another key"
            )),
            Some(&[character @ (b'a'..=b'z' | b'\\' | b']' | b'^' | b'_' | b'@')]) => {
                Ok(Self(Some(character)))
            }
            _ => Err(format!(
                "'{text}' is no detach key; use ctrl-a to ctrl-z, ctrl-\\, ctrl-], ctrl-^, ctrl-_, ctrl-@, or none"
            )),
        }
    }
}

/// Reads along with what is typed.
#[derive(Clone, Debug)]
pub(crate) struct Scanner {
    key: DetachKey,
    /// The key counts only if it comes by itself: what came last without a pause, and when.
    alone: Option<(usize, Instant)>,
    at: At,
    /// Parameters and final byte of the sequence so far.
    sequence: Vec<u8>,
    pasting: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    Text,
    Escape,
    Sequence,
}

impl Scanner {
    pub(crate) fn new(key: DetachKey) -> Self {
        Self {
            key,
            alone: None,
            at: At::Text,
            sequence: Vec::new(),
            pasting: false,
        }
    }

    /// For a key that programs want, too, and that is found in what is pasted without being marked as such: it counts only
    /// if it comes by itself. `now` is the time.
    pub(crate) fn alone(key: DetachKey, now: Instant) -> Self {
        Self {
            alone: Some((0, now)),
            ..Self::new(key)
        }
    }

    /// Where in what was `typed` at `now` the detach key is. What comes before it was typed for the program.
    pub(crate) fn heard(&mut self, typed: &[u8], now: Instant) -> Option<Range<usize>> {
        let Some((burst, last)) = &mut self.alone else {
            return self.scan(typed);
        };
        if now.saturating_duration_since(*last) > PAUSE {
            *burst = 0;
        }
        let is_pasted = *burst >= PASTED;
        (*burst, *last) = (burst.saturating_add(typed.len()), now);
        let key = self.scan(typed);
        // What follows one that does not count is looked at all the same.
        let mut end = key.as_ref().map_or(typed.len(), |key| key.end);
        while let Some(next) = self.scan(&typed[end..]) {
            end += next.end;
        }
        key.filter(|key| !is_pasted && *key == (0..typed.len()))
    }

    /// Where in `typed` the detach key is.
    fn scan(&mut self, typed: &[u8]) -> Option<Range<usize>> {
        // A sequence that an earlier read began has been passed on in part; its rest is cut here.
        let mut begun = 0;
        for (index, &byte) in typed.iter().enumerate() {
            if self.key.is_byte(byte) && !self.pasting {
                return Some(index..index + 1);
            }
            self.at = match (self.at, byte) {
                (_, 0x1b) => {
                    begun = index;
                    At::Escape
                }
                (At::Escape, b'[') => {
                    self.sequence.clear();
                    At::Sequence
                }
                (At::Sequence, 0x20..=0x3f) if self.sequence.len() < LONGEST => {
                    self.sequence.push(byte);
                    At::Sequence
                }
                (At::Sequence, 0x40..=0x7e) => {
                    self.sequence.push(byte);
                    match self.sequence.as_slice() {
                        b"200~" => self.pasting = true,
                        b"201~" => self.pasting = false,
                        sequence if !self.pasting && self.key.is_sequence(sequence) => {
                            return Some(begun..index + 1);
                        }
                        _ => {}
                    }
                    At::Text
                }
                _ => At::Text,
            };
        }
        None
    }
}

impl DetachKey {
    fn is_byte(self, byte: u8) -> bool {
        self.0.is_some_and(|key| byte == key & 0x1f)
    }

    /// `92;5u`, `92:124;5:1u` (kitty) or `27;5;92~` (xterm), with Caps Lock and Num Lock as they may be.
    fn is_sequence(self, sequence: &[u8]) -> bool {
        let Some(key) = self.0 else { return false };
        let Some((last, params)) = sequence.split_last() else {
            return false;
        };
        let Ok(params) = std::str::from_utf8(params) else {
            return false;
        };
        let params: Vec<Vec<u32>> = params
            .split(';')
            .map(|param| {
                param
                    .split(':')
                    .map(|part| part.parse().unwrap_or(0))
                    .collect()
            })
            .collect();
        let (code, modifiers) = match (last, params.as_slice()) {
            (b'u', [code, modifiers, ..]) => (code, modifiers),
            (b'~', [first, modifiers, code]) if first == &[27] => (code, modifiers),
            _ => return false,
        };
        const SHIFT: u32 = 1;
        const CONTROL: u32 = 4;
        const LOCKS: u32 = 64 | 128;
        let held = modifiers.first().map_or(0, |held| held.saturating_sub(1));
        let released = modifiers.get(1) == Some(&3);
        let Some(&code) = code.first() else {
            return false;
        };
        let stands_for = |(pressed, meant): (u8, u8)| meant == key && u32::from(pressed) == code;
        // A letter with Shift is another key.
        let shift = held & SHIFT > 0 && !key.is_ascii_lowercase();
        let held = held & !LOCKS & !(SHIFT * u32::from(shift));
        let is_meant = code == u32::from(key) || STAND_FOR.into_iter().any(stands_for);
        is_meant && held == CONTROL && !released
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(key: &str, reads: &[&[u8]]) -> Option<(usize, usize)> {
        let mut scanner = Scanner::new(key.parse().unwrap());
        reads
            .iter()
            .enumerate()
            .find_map(|(read, typed)| Some((read, scanner.scan(typed)?.start)))
    }

    #[test]
    fn keys_are_named_as_people_do() {
        for text in ["ctrl-x", "^x", "^X", "C-x", "Ctrl+X"] {
            assert_eq!(text.parse(), Ok(DetachKey(Some(b'x'))), "{text}");
        }
        assert_eq!("ctrl-\\".parse(), Ok(DetachKey::default()));
        assert_eq!("none".parse(), Ok(DetachKey(None)));
        for text in [
            "",
            "x",
            "ctrl-",
            "ctrl-xy",
            "^[",
            "ctrl-m",
            "alt-x",
            "ctrl-\u{e9}",
        ] {
            assert!(text.parse::<DetachKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn typed_text_up_to_the_key_is_the_programs() {
        assert_eq!(found("^\\", &[b"ls\r", b"a\x1cb"]), Some((1, 1)));
        assert_eq!(found("^\\", &[b"ls\r\x1b[A\x03\x04"]), None);
        assert_eq!(found("none", &[b"\x1c\x1b[92;5u"]), None);
        assert_eq!(found("^x", &[b"\x1c", b"\x18"]), Some((1, 0)));
        assert_eq!(
            found("^\\", &[b"\x1b\x1c"]),
            Some((0, 1)),
            "Escape, then the key"
        );
    }

    #[test]
    fn keyboard_protocols() {
        for typed in [
            &b"\x1b[92;5u"[..],
            b"\x1b[92;133u",
            b"\x1b[92:124;5:1u",
            b"\x1b[27;5;92~",
        ] {
            assert_eq!(found("^\\", &[b"a", typed]), Some((1, 0)), "{typed:?}");
        }
        for typed in [
            &b"\x1b[92;1u"[..],
            b"\x1b[92u",
            b"\x1b[92;5:3u",
            b"\x1b[93;5u",
            b"\x1b[92;7u",
        ] {
            assert_eq!(found("^\\", &[typed]), None, "{typed:?}");
        }
        assert_eq!(found("^\\", &[b"x\x1b[9", b"2;5u"]), Some((1, 0)));
        for (key, typed) in [
            ("^_", &b"\x1b[45;6u"[..]),
            ("^_", b"\x1b[45:95;6u"),
            ("^_", b"\x1b[47;5u"),
            ("^_", b"\x1b[27;6;95~"),
            ("^^", b"\x1b[54;6u"),
            ("^@", b"\x1b[50;6u"),
            ("^@", b"\x1b[32;5u"),
        ] {
            assert_eq!(found(key, &[typed]), Some((0, 0)), "{key} {typed:?}");
        }
        for (key, typed) in [
            ("^x", &b"\x1b[120;6u"[..]),
            ("^_", b"\x1b[45;2u"),
            ("^^", b"\x1b[45;6u"),
        ] {
            assert_eq!(found(key, &[typed]), None, "{key} {typed:?}");
        }
    }

    #[test]
    fn pasted_text_does_not_detach_however_it_is_cut() {
        let paste = b"\x1b[200~a\x1cb\x1b[92;5u\x1b[201~";
        assert_eq!(found("^\\", &[paste]), None);
        let bytes: Vec<&[u8]> = paste.chunks(1).collect();
        assert_eq!(found("^\\", &bytes), None);
        assert_eq!(found("^\\", &[paste, b"\x1c"]), Some((1, 0)));
    }

    #[test]
    fn a_key_that_must_come_alone_is_not_found_in_what_is_pasted() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let mut scanner = Scanner::alone("^x".parse().unwrap(), begun);
        let mut found = |typed: &[u8], ms| scanner.heard(typed, at(ms)).is_some();
        assert!(!found(b"a\x18", 0) && !found(b"\x18b", 0) && !found(b"\x18\x18", 0));
        assert!(found(b"\x18", 10), "typed fast");
        assert!(!found(&[b'x'; 100], 20) && !found(b"\x18", 30) && !found(b"\x18", 75));
        assert!(found(b"\x18", 200));
        assert!(found(b"\x1b[120;5u", 300) && !found(b"\x1b[120;5ux", 400));
        assert!(!found(b"\x1b[200~\x18\x18a", 500) && !found(b"\x18", 600));
        assert!(!found(b"\x18\x1b[201~", 700) && found(b"\x18", 800));
    }

    #[test]
    fn an_endless_sequence_ends() {
        let mut scanner = Scanner::new(DetachKey::default());
        scanner.scan(b"\x1b[");
        (0..100).for_each(|_| assert_eq!(scanner.scan(b"1111111111"), None));
        assert!(scanner.sequence.len() <= LONGEST);
        assert_eq!(scanner.scan(b"\x1c"), Some(0..1));
    }
}
