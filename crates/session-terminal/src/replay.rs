//! Old output in, one redraw out.

use std::num::NonZeroU16;

use crate::charset::Charset;
use crate::modes::Modes;

/// Larger screens exist only as mistakes (a size of 65535 columns) and would cost gigabytes.
const LONGEST_SIDE: u16 = 1000;
/// How far into cut output a safe place to begin is looked for.
const PARTIAL: usize = 1024;

/// The screen that output leads to. Nothing it is fed ever reaches a terminal; only [`Replay::snapshot`] does.
pub struct Replay {
    parser: vt100::Parser<Modes>,
    charset: Charset,
    /// The first bytes of a character whose rest is still to come. The parser would take them, but vte 0.15
    /// loses the character behind them.
    held: Vec<u8>,
    /// The output may begin in the middle of a character or a sequence: how many bytes to search still.
    partial: usize,
}

impl Replay {
    /// A screen of this size. `whole` says that the first byte fed is the first that the program ever wrote;
    /// otherwise what may be the rest of a cut sequence is left out.
    pub fn new(rows: u16, cols: u16, whole: bool) -> Self {
        let (rows, cols) = clamp(rows, cols);
        Self {
            parser: vt100::Parser::new_with_callbacks(rows, cols, 0, Modes::default()),
            charset: Charset::default(),
            held: Vec::new(),
            partial: if whole { 0 } else { PARTIAL },
        }
    }

    /// Takes the next bytes of output.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while self.partial > 0 {
            match bytes.first() {
                None => return,
                Some(0x1b | b'\n' | b'\r') => self.partial = 0,
                Some(_) => {
                    self.partial -= 1;
                    bytes = &bytes[1..];
                }
            }
        }
        let joined;
        let mut bytes = bytes;
        if !self.held.is_empty() {
            self.held.extend_from_slice(bytes);
            joined = std::mem::take(&mut self.held);
            bytes = &joined;
        }
        let (bytes, held) = bytes.split_at(bytes.len() - incomplete(bytes));
        self.held.extend_from_slice(held);
        self.charset
            .translate(bytes, |piece| self.parser.process(piece));
    }

    /// Bytes that clear a terminal of this size and draw the screen, with the modes that keys and mouse depend
    /// on. They hold no query, no title, no clipboard and no bell.
    pub fn snapshot(&self) -> Vec<u8> {
        let screen = self.parser.screen();
        // ST first: the terminal may be inside a sequence that was cut.
        let mut drawn = b"\x1b\\\x1b[0m\x1b(B\x0f".to_vec();
        drawn.extend_from_slice(if screen.alternate_screen() {
            b"\x1b[?1049h"
        } else {
            crate::LEAVE_ALTERNATE
        });
        drawn.extend_from_slice(b"\x1b[r");
        drawn.extend_from_slice(screen.state_formatted().as_bytes());
        self.parser.callbacks().write(&mut drawn);
        drawn.extend_from_slice(self.charset.restored());
        // What comes next goes to the terminal as it is and may be the rest of these.
        drawn.extend_from_slice(self.charset.unfinished());
        drawn.extend_from_slice(&self.held);
        drawn
    }
}

/// How many bytes at the end begin a UTF-8 character that is not all there.
fn incomplete(bytes: &[u8]) -> usize {
    for (back, byte) in bytes.iter().rev().take(3).enumerate() {
        let len = match byte {
            0x80..0xc0 => continue,
            0xc2..0xe0 => 2,
            0xe0..0xf0 => 3,
            0xf0..0xf5 => 4,
            _ => 1,
        };
        return if len > back + 1 { back + 1 } else { 0 };
    }
    0
}

/// 0 by 0 is what a serial line says; 80 by 24 is what programs take it for.
fn clamp(rows: u16, cols: u16) -> (NonZeroU16, NonZeroU16) {
    let (rows, cols) = if rows == 0 || cols == 0 {
        (24, 80)
    } else {
        (rows.min(LONGEST_SIDE), cols.min(LONGEST_SIDE))
    };
    (
        NonZeroU16::new(rows).unwrap_or(NonZeroU16::MIN),
        NonZeroU16::new(cols).unwrap_or(NonZeroU16::MIN),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn replayed(output: &[u8]) -> Replay {
        let mut replay = Replay::new(24, 80, true);
        replay.feed(output);
        replay
    }

    /// What a terminal shows that had `before` on it and then got the snapshot of `output`.
    fn drawn(before: &[u8], output: &[u8]) -> vt100::Parser {
        let mut terminal = vt100::Parser::default();
        terminal.process(before);
        terminal.process(&replayed(output).snapshot());
        terminal
    }

    fn same(output: &[u8]) {
        let mut direct = vt100::Parser::default();
        direct.process(output);
        let terminal = drawn(b"old text\x1b[5;5Hmore\x1b[31m\x1b[?1049hother", output);
        let (left, right) = (terminal.screen(), direct.screen());
        assert_eq!(left.contents(), right.contents());
        assert_eq!(left.cursor_position(), right.cursor_position());
        assert_eq!(left.alternate_screen(), right.alternate_screen());
        assert_eq!(left.input_mode_formatted(), right.input_mode_formatted());
        assert_eq!(left.fgcolor(), right.fgcolor());
        assert_eq!(left.hide_cursor(), right.hide_cursor());
    }

    #[test]
    fn a_snapshot_leads_to_the_same_screen() {
        same(b"$ ls\r\na  b\r\n$ ");
        same(b"\x1b[31mred\x1b[3;4Hhere\x1b[?25l\x1b[?2004h\x1b[?1h\x1b=");
        same(b"shell$ vi\r\n\x1b[?1049h\x1b[2J\x1b[H~\r\n~\x1b[?1002h\x1b[?1006h");
        same("wide \u{4f60}\u{597d} e\u{301}\r\n".as_bytes());
        same(b"");
    }

    #[test]
    fn queries_and_side_effects_are_not_repeated() {
        let quiet = replayed(b"a\x1b[6n\x1b[c\x1b[>c\x1b[=c\x1b[5n\x1b[?2026$p\x1bP+q544e\x1b\\\x1b]11;?\x07\x1b]52;c;?\x07\x1b]52;c;eA==\x07\x1b[14t\x1b[18t\x1b[21t\x05\x07\x1b[?u\x1b[>q\x1b]0;title\x07b").snapshot();
        let shown = String::from_utf8_lossy(&quiet).into_owned();
        assert!(shown.contains("ab"), "{shown:?}");
        for query in [
            "\x1b[6n", "\x1b[c", "\x1b[>c", "\x1b[=c", "\x1b[5n", "$p", "\x1bP", "\x1b]", "\x07",
            "\x05", "t\x1b", "\x1b[?u", "\x1b[>q",
        ] {
            assert!(!shown.contains(query), "{query:?} in {shown:?}");
        }
    }

    #[test]
    fn the_rest_of_a_cut_sequence_is_not_shown() {
        let mut replay = Replay::new(24, 80, false);
        replay.feed(b"8;5;1");
        replay.feed(b"2mtext of a cut line\r\nwhole\x1b[1mbold");
        let contents = replay.parser.screen().contents();
        assert_eq!(contents, "\nwholebold");
    }

    #[test]
    fn lines_drawn_with_the_graphics_character_set_are_lines() {
        let screen = drawn(b"", b"\x1b(0lqqk\x1b[2;1Hx\x1b(B q")
            .screen()
            .contents();
        assert_eq!(screen, "\u{250c}\u{2500}\u{2500}\u{2510}\n\u{2502} q");
    }

    #[test]
    fn what_was_begun_can_be_finished_by_what_comes_live() {
        for (replayed, live, shown) in [
            (&b"a\x1b[3"[..], &b";4Hb"[..], "a\n\n   b"),
            (b"\xc3", b"\xa9", "\u{e9}"),
            (b"a\x1b]0;ti", b"tle\x07b", "ab"),
        ] {
            let mut terminal = drawn(b"", replayed);
            terminal.process(live);
            assert_eq!(terminal.screen().contents(), shown);
        }
    }

    #[test]
    fn modes_that_the_screen_does_not_know_are_set_again() {
        let snapshot = replayed(b"\x1b[?1004h\x1b[>1u\x1b[?7l\x1b[>4;2m").snapshot();
        let shown = String::from_utf8_lossy(&snapshot).into_owned();
        for mode in ["\x1b[?1004h", "\x1b[?7l", "\x1b[>1u", "\x1b[>4;2m"] {
            assert!(shown.contains(mode), "{mode:?} in {shown:?}");
        }
    }

    #[test]
    fn sizes_beyond_reason_are_clamped() {
        for (rows, cols, expected) in [
            (0, 0, (24, 80)),
            (0, 132, (24, 80)),
            (1, 1, (1, 1)),
            (u16::MAX, u16::MAX, (1000, 1000)),
        ] {
            let (rows, cols) = clamp(rows, cols);
            assert_eq!((rows.get(), cols.get()), expected);
        }
    }

    fn output() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..8),
            "\x1b\\[[0-9;?>]{0,12}[@-~]".prop_map(String::into_bytes),
            "[a-z\u{4f60}\u{1f600}\u{301}\r\n\t\x08]{0,40}".prop_map(String::into_bytes),
            prop_oneof![
                Just("\x1b[?1049h"),
                Just("\x1b[?1049l"),
                Just("\x1bM"),
                Just("\x1bc"),
                Just("\x1b(0"),
                Just("\x1b7"),
                Just("\x1b8")
            ]
            .prop_map(|text| text.as_bytes().to_vec()),
        ];
        proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn no_output_makes_it_panic(output in output(), rows in 0u16..6, cols in 0u16..6) {
            let mut replay = Replay::new(rows, cols, false);
            replay.feed(&output);
            let _ = replay.snapshot();
        }

        #[test]
        fn any_cut_leads_to_the_same_snapshot(output in output(), at in 0usize..400) {
            let at = at.min(output.len());
            let mut cut = Replay::new(24, 80, true);
            cut.feed(&output[..at]);
            cut.feed(&output[at..]);
            prop_assert_eq!(cut.snapshot(), replayed(&output).snapshot());
        }
    }
}
