//! What a terminal must not keep once its client has gone.

use crate::titles::TitlesAside;

/// Back to the ordinary screen, if it is not shown already. Modes 1047 and 47 (which some know instead), not
/// 1049: that one also moves the cursor to a position that the program may never have saved.
pub const LEAVE_ALTERNATE: &[u8] = b"\x1b[?1047l\x1b[?47l";

/// Everything that programs commonly switch on, off: whatever it is in the middle of (CAN, for ST would complete half a
/// title or clipboard, and ST for who does not know CAN), synchronised output, mouse and
/// focus reports, bracketed paste, application keys, keyboard protocols, a hidden cursor and its shape,
/// colours, character sets, insert mode, missing auto-wrap. None of it moves the cursor.
pub(crate) const MODES: &[u8] = b"\x18\x1b\\\x1b[?2026l\x1b[?9l\x1b[?1000l\x1b[?1001l\x1b[?1002l\x1b[?1003l\
\x1b[?1004l\x1b[?1005l\x1b[?1006l\x1b[?1015l\x1b[?1016l\x1b[?2004l\x1b[?2031l\x1b[?2048l\x1b[?1l\x1b>\
\x1b[<9999u\x1b[>4;0m\x1b[4l\x1b[?7h\x1b[0m\x1b(B\x1b)B\x0f\x1b[0 q\x1b[?25h";

/// What a screen that is drawn has its own of: newline mode, reverse video and wraparound, missing repeat, tab stops, a link.
const REST: &[u8] = b"\x1b[20l\x1b[?5l\x1b[?45l\x1b[?8h\x1b[?5W\x1b]8;;\x1b\\";
/// A scroll region goes, the cursor stays: setting margins alone would send it home.
const MARGINS: &[u8] = b"\x1b7\x1b[r\x1b8";
/// The other screen keeps keyboard flags of its own, and its cursor may be anywhere.
const BACK: &[u8] = b"\x1b[<9999u";
/// Origin mode, which outlives margins. The cursor is lost with it.
const ORIGIN: &[u8] = b"\x1b[?6l";
const BOTTOM: &[u8] = b"\x1b[999;1H";

/// What of the output on a terminal must be known to give the terminal back.
#[derive(Debug, Default)]
pub struct Traces {
    modes: Modes,
    titles: TitlesAside,
}

impl Traces {
    /// Takes the next bytes that the terminal gets.
    pub fn watch(&mut self, bytes: &[u8]) {
        self.modes.watch(bytes);
        self.titles.watch(bytes);
    }

    /// Bytes that have the titles again that were put aside, the last one first.
    pub fn titles_again(&self) -> Vec<u8> {
        self.titles.again()
    }

    /// Bytes that give the terminal back.
    pub fn leave(&self) -> Vec<u8> {
        let Modes {
            alternate, origin, ..
        } = self.modes;
        let parts = [
            (true, MODES),
            (true, REST),
            (origin, ORIGIN),
            (true, MARGINS),
            (alternate, LEAVE_ALTERNATE),
            (alternate, BACK),
            (alternate || origin, BOTTOM),
        ];
        let needed = parts.iter().filter(|(needed, _)| *needed);
        let mut bytes: Vec<u8> = needed.flat_map(|(_, part)| *part).copied().collect();
        bytes.extend(self.titles.again());
        bytes
    }
}

/// Watches output for two things that cannot be undone unasked: which of the two screens is shown, for leaving it moves
/// the cursor of some, and where rows are counted from, for that moves it on all.
#[derive(Debug, Default)]
struct Modes {
    alternate: bool,
    /// It was set at some time.
    origin: bool,
    /// The start of a sequence that output ended in.
    begun: Vec<u8>,
}

impl Modes {
    /// Longest sequence of mode settings looked at.
    const LONGEST: usize = 48;

    fn watch(&mut self, mut bytes: &[u8]) {
        while !self.begun.is_empty() {
            let Some((&byte, rest)) = bytes.split_first() else {
                return;
            };
            if byte == 0x1b || self.begun.len() >= Self::LONGEST {
                self.begun.clear();
                break;
            }
            self.begun.push(byte);
            bytes = rest;
            if self.read(&self.begun.clone()).is_some() {
                self.begun.clear();
            }
        }
        // All output comes this way and hardly any of it is about the screens.
        let about = |sequence| memchr::memmem::find(bytes, sequence).is_some();
        if !about(b"\x1b[?") && !about(b"\x1bc") {
            let begins = [&b"\x1b["[..], b"\x1b"]
                .into_iter()
                .find(|begin| bytes.ends_with(begin));
            self.begun.extend_from_slice(begins.unwrap_or_default());
            return;
        }
        while let Some(start) = memchr::memchr(0x1b, bytes) {
            bytes = &bytes[start..];
            match self.read(bytes) {
                Some(len) => bytes = &bytes[len..],
                None => {
                    self.begun = bytes[..bytes.len().min(Self::LONGEST)].to_vec();
                    return;
                }
            }
        }
    }

    /// Reads the sequence that `bytes` begin with and says how long it is; `None` if it is not all there.
    fn read(&mut self, bytes: &[u8]) -> Option<usize> {
        match bytes {
            [_, b'[', b'?', params @ ..] => {
                let end = params
                    .iter()
                    .take(Self::LONGEST)
                    .position(|byte| !matches!(byte, b'0'..=b'9' | b';'));
                let Some(end) = end else {
                    return (params.len() >= Self::LONGEST).then_some(3);
                };
                if let on @ (b'h' | b'l') = params[end] {
                    for mode in params[..end].split(|byte| *byte == b';') {
                        match mode {
                            b"47" | b"1047" | b"1049" => self.alternate = on == b'h',
                            // Off again, it may come back with a cursor that was saved.
                            b"6" => self.origin |= on == b'h',
                            _ => {}
                        }
                    }
                }
                // An ESC that cuts the sequence short begins the next one.
                Some(3 + end + usize::from(params[end] != 0x1b))
            }
            [_, b'c', ..] => {
                (self.alternate, self.origin) = (false, false);
                Some(2)
            }
            [_] | [_, b'['] => None,
            _ => Some(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(output: &[u8]) -> Vec<u8> {
        let mut traces = Traces::default();
        traces.watch(output);
        [output, &traces.leave()].concat()
    }

    #[test]
    fn nothing_is_left_on() {
        let mut terminal = vt100::Parser::default();
        terminal.process(&left(b"\x1b[?1049h\x1b[?1003h\x1b[?1006h\x1b[?2004h\x1b[?1h\x1b=\x1b[?25l\x1b[31mx\x1b[3;5r\x1b]0;cut"));
        let screen = terminal.screen();
        let untouched = vt100::Parser::default();
        assert_eq!(
            screen.input_mode_formatted(),
            untouched.screen().input_mode_formatted()
        );
        assert!(!screen.hide_cursor());
        assert_eq!(screen.fgcolor(), vt100::Color::Default);
    }

    #[test]
    fn the_cursor_stays_where_the_program_left_it() {
        let mut terminal = vt100::Parser::default();
        terminal.process(&left(b"one\r\ntwo\r\nthree\x1b[2;9r\x1b[3;6H"));
        assert_eq!(terminal.screen().cursor_position(), (2, 5));
    }

    #[test]
    fn rows_are_counted_from_the_first_again() {
        let mut terminal = vt100::Parser::default();
        terminal.process(&left(b"\x1b[?6h\x1b[3;10r\x1b[?1;7h"));
        assert_eq!(terminal.screen().cursor_position(), (23, 0));
        terminal.process(b"\x1b[5;9r\x1b[2;2H");
        assert_eq!(terminal.screen().cursor_position(), (1, 1));
        let mut traces = Traces::default();
        traces.watch(b"\x1b[?6l\x1b[?6h\x1bc\x1b[?6l");
        assert_eq!(traces.leave(), Traces::default().leave());
    }

    #[test]
    fn half_a_title_is_none() {
        let mut screen = crate::Screen::new(3, 20);
        screen.feed(&left(b"\x1b]2;one\x07\x1b]2;tw"));
        assert_eq!(screen.title(), Some("one"));
    }

    #[test]
    fn the_screen_is_known_however_output_is_cut() {
        let steps: [(&[u8], bool); 7] = [
            (b"text\x1b[31m\x1b[?25l\x1b[?1;1049h", true),
            (b"\x1b[?2004h\x1b[?25h", true),
            (b"\x1b[?1049\x1b[?1049l", false),
            (b"\x1b[?47h", true),
            (b"\x1bc", false),
            (b"\x1b\x1b[?1047h", true),
            (b"\x1b[?1049;2004l", false),
        ];
        let mut whole = Modes::default();
        let mut cut = Modes::default();
        for (output, shown) in steps {
            whole.watch(output);
            output.chunks(1).for_each(|byte| cut.watch(byte));
            assert_eq!(
                (whole.alternate, cut.alternate),
                (shown, shown),
                "{output:?}"
            );
        }
    }

    #[test]
    fn endless_parameters_are_given_up() {
        let mut modes = Modes::default();
        modes.watch(b"\x1b[?");
        (0..1000).for_each(|_| modes.watch(b"1"));
        modes.watch(b"\x1b[?1049h");
        assert!(modes.alternate);
    }
}
