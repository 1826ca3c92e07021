//! Output for a terminal that must not answer: one that only looks on, or is shown the past.

use crate::sequence::{Kind, Sequences};
use crate::special::{Special, number, special};

/// Leaves out what a terminal answers, and what reaches beyond its screen: questions, the clipboard, notifications.
#[derive(Debug, Default)]
pub struct Quiet {
    sequences: Sequences,
    /// Of the sequence that is being read.
    held: Vec<u8>,
    /// So much of it is on the terminal already.
    begun: usize,
    /// It is too long to be held; whether the rest is passed on.
    endless: Option<bool>,
    /// A string is shown that the ESC of what comes next ends.
    open: bool,
}

/// Ends what a terminal is in the middle of, to no effect.
const CANCEL: &[u8] = b"\x18";
/// Ends a string that is all there.
const ST: &[u8] = b"\x1b\\";

impl Quiet {
    /// For a terminal that was shown everything so far, `shown` last: it may be in the middle of a question.
    pub fn behind(shown: &[u8]) -> Self {
        let mut quiet = Self::default();
        if let Some(escape) = memchr::memrchr(0x1b, shown) {
            quiet.pass(&shown[escape..], |_| ());
            quiet.begun = quiet.held.len();
        }
        quiet
    }

    /// Hands on what may be shown of `bytes`. A sequence is held back until it is known.
    pub fn pass(&mut self, bytes: &[u8], mut show: impl FnMut(&[u8])) {
        let mut at = 0;
        while let Some((kind, range)) = self.sequences.next(bytes, at) {
            at = range.end;
            let piece = &bytes[range.clone()];
            match kind {
                // ENQ asks, too.
                Kind::Text | Kind::Embedded => piece
                    .split(|byte| *byte == 0x05)
                    .filter(|part| !part.is_empty())
                    .for_each(&mut show),
                Kind::Part => self.hold(piece, &mut show),
                _ => {
                    self.hold(piece, &mut show);
                    let whole = self.sequences.whole(bytes, range);
                    let shown = whole.is_none_or(|whole| !must_not_repeat(kind, whole));
                    let by_escape = bytes.get(at) == Some(&0x1b) && !piece.ends_with(b"\x07");
                    if self.endless.is_none() {
                        self.decide(shown, &mut show);
                    }
                    self.open = self.endless.unwrap_or(shown) && by_escape && is_string(kind);
                    self.endless = None;
                }
            }
        }
    }

    /// Gives up what is held back, to be shown as the beginning of what comes next.
    pub fn give_up(&mut self) -> Vec<u8> {
        let quiet = std::mem::take(self);
        match quiet.endless {
            None => quiet.held[quiet.begun..].to_vec(),
            Some(true) => Vec::new(),
            // The rest of it is not to be seen either.
            Some(false) => quiet.sequences.unfinished().to_vec(),
        }
    }

    /// What is held back is shown, or is not.
    fn decide(&mut self, shown: bool, show: &mut impl FnMut(&[u8])) {
        let held = std::mem::take(&mut self.held);
        let begun = std::mem::take(&mut self.begun);
        if shown {
            show(&held[begun..]);
        } else if begun > 0 {
            show(CANCEL);
        } else if self.open {
            show(ST);
        }
        self.open = false;
    }

    fn hold(&mut self, piece: &[u8], show: &mut impl FnMut(&[u8])) {
        match self.endless {
            Some(true) => show(piece),
            Some(false) => {}
            None => {
                self.held.extend_from_slice(piece);
                if self.sequences.is_endless() {
                    // Only a string is that long: a picture may be shown, the clipboard is not ours to write.
                    let shown =
                        !self.held.starts_with(b"\x1b]") && !self.held.starts_with(b"\x1b_");
                    self.endless = Some(shown);
                    self.decide(shown, show);
                }
            }
        }
    }
}

fn is_string(kind: Kind) -> bool {
    matches!(kind, Kind::Command | Kind::Device | Kind::Other)
}

/// Whether the sequence makes a terminal say something, or touches what is not the screen's.
fn must_not_repeat(kind: Kind, whole: &[u8]) -> bool {
    if let Some(Special::Ask(_)) = special(kind, whole) {
        return true;
    }
    match (kind, whole) {
        (Kind::Control, [_, _, body @ .., last]) => match last {
            // Every device attributes, status and mode request; windows' titles and sizes (XTWINOPS 11 to 21).
            b'c' | b'n' => !body.starts_with(b">") || *last == b'c',
            b't' => {
                let first = body.split(|byte| *byte == b';').next();
                first
                    .and_then(number)
                    .is_some_and(|first| (11..=21).contains(&first))
            }
            // DECREQTPARM, DECRQCRA, DECRQPSR.
            b'x' => !body.ends_with(b"$") && !body.ends_with(b"*"),
            b'y' | b'w' => body.ends_with(b"*") || body.ends_with(b"$"),
            // XTSMGRAPHICS, XTQMODKEYS.
            b'S' | b'm' => body.starts_with(b"?"),
            _ => false,
        },
        // Clipboard, notifications, progress; anything that asks.
        (Kind::Command, [_, _, body @ ..]) => {
            let code = body.split(|byte| !byte.is_ascii_digit()).next();
            let code = code.and_then(number);
            // Kitty asks for colours by name: OSC 21 ; foreground=?.
            matches!(code, Some(9 | 50 | 52 | 60 | 99 | 777 | 1337 | 5522))
                || body.windows(2).any(|pair| matches!(pair, b";?" | b"=?"))
        }
        // Sixel pictures may be repeated; questions may not, nor what tmux passes through.
        (Kind::Device, [_, _, body @ ..]) => {
            body.starts_with(b"$q") || body.starts_with(b"+") || body.starts_with(b"tmux;")
        }
        // Kitty's pictures are answered.
        (Kind::Other, [_, b'_', ..]) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(output: &[u8], cut: usize) -> String {
        let (mut quiet, mut all) = (Quiet::default(), Vec::new());
        for piece in output.chunks(cut) {
            quiet.pass(piece, |shown| all.extend_from_slice(shown));
        }
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn questions_and_the_clipboard_are_left_out_however_they_are_cut() {
        let output = b"a\x1b[6nb\x1b[1mc\x1b]52;c;eA==\x07d\x1b]0;title\x07e\x1b]11;?\x1b\\f\x05g\x1bP$qm\x1b\\h\x1b[21ti\x1b[3;4Hj\x1b[?1mk\x1b]21;foreground=?\x07l";
        for cut in [1, 2, 5, 1000] {
            let expected = "ab\x1b[1mcd\x1b]0;title\x07e\x1b\\fg\x1b\\hi\x1b[3;4Hjkl";
            assert_eq!(shown(output, cut), expected, "cut every {cut}");
        }
    }

    #[test]
    fn what_is_left_out_ends_what_it_would_have_ended() {
        for (output, expected) in [
            ("\x1b]10\x1b]11;?\x07;?\x07", "\x1b]10\x1b\\;?\x07"),
            ("\x1b]2;one\x1b[6ntwo", "\x1b]2;one\x1b\\two"),
            ("\x1b]2;one\x07\x1b[6ntwo", "\x1b]2;one\x07two"),
            ("\x1b]2;one\x1b\\\x1b[6ntwo", "\x1b]2;one\x1b\\two"),
            ("\x1b]11;?\x1b\\\x1b[6ntwo", "\x1b\\two"),
            ("\x1b[3\x1b[6ntwo", "two"),
        ] {
            for cut in [1, 3, 100] {
                assert_eq!(shown(output.as_bytes(), cut), expected, "{output:?}");
            }
        }
    }

    #[test]
    fn endless_pictures_are_shown_and_an_endless_clipboard_is_not() {
        let picture = [b"\x1bPq", &[b'~'; 9000][..], b"\x1b\\x"].concat();
        assert_eq!(shown(&picture, 700).into_bytes(), picture);
        let clipboard = [b"\x1b]52;c;", &[b'A'; 9000][..], b"\x07x"].concat();
        assert_eq!(shown(&clipboard, 700), "x");
    }

    #[test]
    fn what_is_held_back_can_be_had() {
        let mut quiet = Quiet::default();
        quiet.pass(b"a\x1b[3", |_| ());
        assert_eq!(quiet.give_up(), b"\x1b[3");
        assert_eq!(quiet.give_up(), b"");
    }

    #[test]
    fn a_question_that_was_begun_is_not_finished() {
        for (before, rest, expected) in [
            ("a\x1b[6", "nb", "\x18b"),
            ("a\x1b[6", "Hb", "Hb"),
            ("a\x1b]11", ";?\x1b\\b", "\x18\x1b\\b"),
            ("a\x1b]0;ti", "tle\x07b", "tle\x07b"),
            ("a\x1b[1mb", "\x1b[6nc", "c"),
            ("a\x1b[6\x18", "nb", "nb"),
            ("", "\x1b[6nc", "c"),
        ] {
            for cut in [1, 100] {
                let (mut quiet, mut all) = (Quiet::behind(before.as_bytes()), Vec::new());
                for piece in rest.as_bytes().chunks(cut) {
                    quiet.pass(piece, |shown| all.extend_from_slice(shown));
                }
                assert_eq!(all, expected.as_bytes(), "{before:?} {rest:?}");
            }
        }
        let mut quiet = Quiet::behind(b"\x1b[6");
        quiet.pass(b"1", |_| ());
        assert_eq!(quiet.give_up(), b"1");
    }

    #[test]
    fn the_rest_of_an_endless_clipboard_is_not_seen_either() {
        let mut quiet = Quiet::default();
        quiet.pass(&[b"\x1b]52;c;", &[b'A'; 9000][..]].concat(), |_| ());
        assert_eq!(quiet.give_up(), b"\x1b]9999;");
    }
}
