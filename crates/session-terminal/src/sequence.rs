//! Where the sequences in output begin and end, however the output is cut.
//!
//! The states are those of the DEC ANSI parser (<https://vt100.net/emu/dec_ansi_parser>), as `vte` runs them. What a
//! sequence means is left to the emulator; this knows only enough to hold one back, to leave one out, and to carry an
//! unfinished one over to a terminal that attaches in its middle.

use std::ops::Range;

use crate::scan;

/// Bytes of a sequence that are kept: a palette's worth. A longer one goes on, but nobody is told what is in it.
pub(crate) const LONGEST: usize = 8192;

/// Follows output and says what each piece of it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sequences {
    state: State,
    /// The bytes of the sequence that is being read, from its ESC on; at most [`LONGEST`].
    read: Vec<u8>,
    /// It became longer than that.
    endless: bool,
    /// The sequence that ended last lay in the output in one piece and was not copied.
    in_place: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// Behind ESC.
    Escape,
    /// Behind ESC and bytes from 0x20 to 0x2f.
    Intermediate,
    /// In a control sequence.
    Control,
    /// In an operating system command, ended by BEL or ESC.
    Command,
    /// In a device control string.
    Device,
    /// In a string that terminals ignore.
    Ignored,
}

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Characters and control bytes outside any sequence. Text that lies in one piece may come in several.
    Text,
    /// Part of a sequence that is not finished.
    Part,
    /// A control byte within a sequence, which terminals act on at once.
    Embedded,
    /// The last part of `ESC …`.
    Escape,
    /// The last part of `ESC [ …`.
    Control,
    /// The end of `ESC ] …`. If ESC ended it, that ESC belongs to the next sequence and is not in the piece.
    Command,
    /// The end of `ESC P …`, likewise.
    Device,
    /// The end of another string, or of a sequence that was given up.
    Other,
}

impl Sequences {
    /// The next piece of `bytes` from `at` on, at least one byte long but for the end of a string at an ESC; `None` at
    /// the end.
    pub(crate) fn next(&mut self, bytes: &[u8], at: usize) -> Option<(Kind, Range<usize>)> {
        if at >= bytes.len() {
            return None;
        }
        if self.state == State::Ground {
            let escape = scan::find_escape(bytes, at);
            if escape > at {
                return Some((Kind::Text, at..escape));
            }
            if let Some(end) = control(bytes, at) {
                self.in_place = true;
                return Some((Kind::Control, at..end));
            }
            self.begin();
            return Some((Kind::Part, at..at + 1));
        }
        let mut end = at;
        while let Some(&byte) = bytes.get(end) {
            if self.is_in_string() {
                // What began it is a piece of its own.
                let begun = end > at;
                return Some(if begun {
                    (Kind::Part, at..end)
                } else {
                    self.string(bytes, end)
                });
            }
            if matches!(byte, 0x00..=0x17 | 0x19 | 0x1c..=0x1f) {
                if end > at {
                    return Some((Kind::Part, at..end));
                }
                return Some((Kind::Embedded, at..at + 1));
            }
            end += 1;
            if byte == 0x1b {
                // Within another sequence: that one is given up.
                self.begin();
                continue;
            }
            self.keep(byte);
            if let Some(kind) = self.step(byte) {
                self.state = State::Ground;
                return Some((kind, at..end));
            }
        }
        Some((Kind::Part, at..end))
    }

    /// The whole of the sequence that ended with the last piece, `range` of `bytes`, from its ESC on; `None` if it was
    /// too long.
    pub(crate) fn whole<'a>(&'a self, bytes: &'a [u8], range: Range<usize>) -> Option<&'a [u8]> {
        if self.in_place {
            return Some(&bytes[range]);
        }
        (!self.endless).then_some(&self.read)
    }

    /// What a terminal has to be sent to be in the middle of the same sequence; empty outside any.
    pub(crate) fn unfinished(&self) -> &[u8] {
        if self.state == State::Ground {
            b""
        } else if self.endless {
            // A string that every terminal ignores: half a picture or a clipboard is worse than none. One that BEL may
            // end has to be one that BEL ends.
            match self.state {
                State::Command => b"\x1b]9999;",
                _ => b"\x1b^",
            }
        } else {
            &self.read
        }
    }

    /// Whether the last byte lies in a sequence.
    pub(crate) fn is_inside(&self) -> bool {
        self.state != State::Ground
    }

    /// Whether the sequence that is being read has more bytes than are kept.
    pub(crate) fn is_endless(&self) -> bool {
        self.is_inside() && self.endless
    }

    fn begin(&mut self) {
        self.state = State::Escape;
        self.read.clear();
        self.read.push(0x1b);
        self.read.shrink_to(64);
        self.endless = false;
        self.in_place = false;
    }

    /// Goes on in a string, which may be long: a picture.
    fn string(&mut self, bytes: &[u8], at: usize) -> (Kind, Range<usize>) {
        let rest = &bytes[at..];
        let mut len = memchr::memchr3(0x1b, 0x18, 0x1a, rest).unwrap_or(rest.len());
        if self.state == State::Command
            && let Some(bell) = memchr::memchr(0x07, &rest[..len])
        {
            len = bell;
        }
        // What an ESC begins is read next; anything else that ends the string is part of it.
        let part = &rest[..(len + usize::from(rest.get(len).is_some_and(|end| *end != 0x1b)))];
        let room = LONGEST - self.read.len();
        self.read.extend_from_slice(&part[..part.len().min(room)]);
        self.endless |= part.len() > room;
        let kind = match (rest.get(len), self.state) {
            (None, _) => return (Kind::Part, at..bytes.len()),
            (Some(0x1b | 0x07), State::Command) => Kind::Command,
            (Some(0x1b), State::Device) => Kind::Device,
            _ => Kind::Other,
        };
        self.state = State::Ground;
        (kind, at..at + part.len())
    }

    fn keep(&mut self, byte: u8) {
        if byte >= 0x7f {
            // DEL is nothing within a sequence, and to the parser of the emulator neither is what is not ASCII.
        } else if self.read.len() < LONGEST {
            self.read.push(byte);
        } else {
            self.endless = true;
        }
    }

    fn is_in_string(&self) -> bool {
        matches!(self.state, State::Command | State::Device | State::Ignored)
    }

    /// Acts on a byte that is neither ESC nor an embedded control; the kind of sequence it ends.
    fn step(&mut self, byte: u8) -> Option<Kind> {
        if matches!(byte, 0x18 | 0x1a) {
            return Some(Kind::Other);
        }
        let (next, ended) = match (self.state, byte) {
            (State::Escape, b'[') => (State::Control, None),
            (State::Escape, b']') => (State::Command, None),
            (State::Escape, b'P') => (State::Device, None),
            (State::Escape, b'X' | b'^' | b'_') => (State::Ignored, None),
            (State::Escape | State::Intermediate, 0x20..=0x2f) => (State::Intermediate, None),
            (State::Escape | State::Intermediate, 0x30..=0x7e) => {
                (State::Ground, Some(Kind::Escape))
            }
            (State::Control, 0x40..=0x7e) => (State::Ground, Some(Kind::Control)),
            (state, _) => (state, None),
        };
        self.state = next;
        ended
    }
}

/// Where a control sequence ends that begins at `at` and lies in `bytes` as a whole.
fn control(bytes: &[u8], at: usize) -> Option<usize> {
    if *bytes.get(at + 1)? != b'[' {
        return None;
    }
    let mut end = at + 2 + scan::params(bytes, at + 2)?;
    while matches!(bytes.get(end)?, 0x20..=0x2f) {
        end += 1;
    }
    // Anything else is for the states to see.
    (matches!(bytes[end], 0x40..=0x7e) && end - at < LONGEST).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every piece, with text in one piece and parts joined to the sequence they belong to.
    fn read(output: &[u8], cut: usize) -> Vec<(Kind, Vec<u8>)> {
        let mut sequences = Sequences::default();
        let mut pieces: Vec<(Kind, Vec<u8>)> = Vec::new();
        for chunk in output.chunks(cut.max(1)) {
            let mut at = 0;
            while let Some((kind, range)) = sequences.next(chunk, at) {
                at = range.end;
                let bytes = match kind {
                    Kind::Part => continue,
                    Kind::Text | Kind::Embedded => chunk[range].to_vec(),
                    _ => sequences.whole(chunk, range).unwrap_or_default().to_vec(),
                };
                match pieces.last_mut() {
                    Some((Kind::Text, text)) if kind == Kind::Text => text.extend(bytes),
                    _ => pieces.push((kind, bytes)),
                }
            }
        }
        pieces
    }

    #[test]
    fn each_kind_of_sequence_is_found_however_it_is_cut() {
        let output = b"a\x1b[1;2mb\x1b]0;t\x07c\x1b]8;;u\x1b\\d\x1bP1$qm\x1b\\\x1b(0\x1b_x\x1b\\e\x1b[3\nm\x1b\x7f[1\x7f2H\x1b[4\x18f";
        let expected: Vec<(Kind, &[u8])> = vec![
            (Kind::Text, b"a"),
            (Kind::Control, b"\x1b[1;2m"),
            (Kind::Text, b"b"),
            (Kind::Command, b"\x1b]0;t\x07"),
            (Kind::Text, b"c"),
            (Kind::Command, b"\x1b]8;;u"),
            (Kind::Escape, b"\x1b\\"),
            (Kind::Text, b"d"),
            (Kind::Device, b"\x1bP1$qm"),
            (Kind::Escape, b"\x1b\\"),
            (Kind::Escape, b"\x1b(0"),
            (Kind::Other, b"\x1b_x"),
            (Kind::Escape, b"\x1b\\"),
            (Kind::Text, b"e"),
            (Kind::Embedded, b"\n"),
            (Kind::Control, b"\x1b[3m"),
            (Kind::Control, b"\x1b[12H"),
            (Kind::Other, b"\x1b[4\x18"),
            (Kind::Text, b"f"),
        ];
        for cut in [1, 2, 3, 7, 100] {
            let read = read(output, cut);
            let shown: Vec<(Kind, &[u8])> = read
                .iter()
                .map(|(kind, bytes)| (*kind, &bytes[..]))
                .collect();
            assert_eq!(shown, expected, "cut every {cut}");
        }
    }

    #[test]
    fn what_is_unfinished_is_kept_up_to_a_length() {
        let mut sequences = Sequences::default();
        let mut feed = |bytes: &[u8]| {
            let mut at = 0;
            while let Some((_, range)) = sequences.next(bytes, at) {
                at = range.end;
            }
            (
                sequences.unfinished().to_vec(),
                sequences.is_inside() && sequences.endless,
            )
        };
        assert_eq!(feed(b"text\x1b[3"), (b"\x1b[3".to_vec(), false));
        assert_eq!(feed(b"1m"), (Vec::new(), false));
        assert_eq!(
            feed(&[b"\x1b]52;c;", &[b'A'; LONGEST][..]].concat()),
            (b"\x1b]9999;".to_vec(), true)
        );
        assert_eq!(feed(b"\x07"), (Vec::new(), false));
        assert_eq!(
            feed(&[b"\x1bPq", &[b'~'; LONGEST][..]].concat()),
            (b"\x1b^".to_vec(), true)
        );
        assert_eq!(feed(b"\x07\x1b\\"), (Vec::new(), false));
    }

    /// What `vte` says: the final byte of each control sequence, the number of each command.
    #[derive(Default)]
    struct Seen(Vec<String>);

    impl alacritty_terminal::vte::Perform for Seen {
        fn csi_dispatch(
            &mut self,
            _: &alacritty_terminal::vte::Params,
            _: &[u8],
            _: bool,
            action: char,
        ) {
            self.0.push(format!("CSI {action}"));
        }
        fn esc_dispatch(&mut self, _: &[u8], _: bool, byte: u8) {
            self.0.push(format!("ESC {byte}"));
        }
        fn osc_dispatch(&mut self, _: &[&[u8]], _: bool) {
            self.0.push("OSC".to_owned());
        }
        fn unhook(&mut self) {
            self.0.push("DCS".to_owned());
        }
    }

    proptest! {
        #![proptest_config(crate::screen::tests::cases(1000))]
        #[test]
        fn it_agrees_with_the_parser_of_the_emulator(
            output in proptest::collection::vec(prop_oneof![
                4 => Just(0x1b), 2 => Just(b'['), 2 => Just(b']'), 1 => Just(b'P'), 1 => Just(b'\\'),
                1 => Just(0x07), 1 => Just(0x18), 4 => 0x20u8..0x7f,
                // The parser ends a device control string at any byte 0x9c, also within a character.
                1 => any::<u8>().prop_filter("", |byte| *byte != 0x9c),
            ], 0..60),
            cut in 1usize..8,
        ) {
            let mut parser = alacritty_terminal::vte::Parser::new();
            let mut seen = Seen::default();
            parser.advance(&mut seen, &output);
            // A control sequence that the parser ignores ends for it, too, but in silence.
            let ours: Vec<String> = read(&output, cut).into_iter().filter_map(|(kind, bytes)| Some(match kind {
                Kind::Control => format!("CSI {}", *bytes.last()? as char),
                Kind::Escape => format!("ESC {}", bytes.last()?),
                Kind::Command => "OSC".to_owned(),
                Kind::Device => "DCS".to_owned(),
                // What CAN or SUB ends is given up; the parser takes it for complete.
                Kind::Other if bytes.starts_with(b"\x1b]") => "OSC".to_owned(),
                Kind::Other if bytes.starts_with(b"\x1bP") => "DCS".to_owned(),
                _ => return None,
            })).collect();
            let mut theirs = seen.0.iter();
            // Theirs is ours without the ignored ones.
            let mut left = theirs.next();
            for one in &ours {
                if Some(one) == left {
                    left = theirs.next();
                } else {
                    prop_assert!(one.starts_with("CSI") || one == "DCS", "{one} of {ours:?}, not {left:?}");
                }
            }
            prop_assert_eq!(left, None, "of {:?}", ours);
        }
    }
}
