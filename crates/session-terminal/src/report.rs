//! What a terminal sends by itself: answers to what it is asked, and that it has the focus. Nobody typed it.

use crate::sequence::{Kind, Sequences};

/// Whether all of `input` was sent by the terminal itself. Where a key may send the same (F3 with Shift, as a cursor in
/// the first row), it was the key.
pub fn is_report(input: &[u8]) -> bool {
    count(input, is_control).is_some()
}

/// How many answers `input` is if it is nothing else, from a terminal that was asked: then it was not the key.
pub fn answers(input: &[u8]) -> Option<usize> {
    count(input, |body| is_control(body) || is_position(body))
}

fn count(input: &[u8], is_control: impl Fn(&[u8]) -> bool) -> Option<usize> {
    let (mut sequences, mut at, mut count) = (Sequences::default(), 0, 0);
    while let Some((kind, range)) = sequences.next(input, at) {
        at = range.end;
        let whole = sequences.whole(input, range).unwrap_or_default();
        let body = whole.get(2..);
        let is_report = match kind {
            Kind::Command | Kind::Device | Kind::Part => true,
            Kind::Escape => whole == b"\x1b\\",
            Kind::Control => body.is_some_and(&is_control),
            _ => false,
        };
        if !is_report {
            return None;
        }
        // Nobody asks for the focus.
        let answers = match kind {
            Kind::Command | Kind::Device => true,
            Kind::Control => !matches!(body, Some(b"I" | b"O")),
            _ => false,
        };
        count += usize::from(answers);
    }
    (!input.is_empty() && !sequences.is_inside()).then_some(count)
}

/// CPR, of any row.
fn is_position(body: &[u8]) -> bool {
    body.strip_suffix(b"R")
        .is_some_and(|params| params.contains(&b';'))
}

fn is_control(body: &[u8]) -> bool {
    let Some((last, params)) = body.split_last() else {
        return false;
    };
    let private = params
        .first()
        .is_some_and(|byte| (b'<'..=b'?').contains(byte));
    match last {
        // Focus.
        b'I' | b'O' => params.is_empty(),
        b'c' | b'u' | b'm' => private && params[0] != b'<',
        b'n' | b't' => true,
        b'y' => params.ends_with(b"$"),
        b'R' => params.contains(&b';') && !params.starts_with(b"1;"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_focus_are_not_keys() {
        for report in [
            "\x1b[?62;22c",
            "\x1b[>1;10;0c",
            "\x1b[24;80R",
            "\x1b[?1;3R",
            "\x1b[0n",
            "\x1b[?2026;2$y",
            "\x1b[?0u",
            "\x1b[>4;2m",
            "\x1b[8;24;80t",
            "\x1b[I",
            "\x1b[O",
            "\x1b]11;rgb:0000/0000/0000\x07",
            "\x1b]10;rgb:e5e5/e5e5/e5e5\x1b\\",
            "\x1bP1$r0m\x1b\\",
            "\x1bP>|xterm(390)\x1b\\\x1b[?62c\x1b[I",
        ] {
            assert!(is_report(report.as_bytes()), "{report:?}");
        }
        for typed in [
            "",
            "q",
            "\r",
            "\x1b",
            "\x1b[A",
            "\x1bOP",
            "\x1b[1;2R",
            "\x1b[97;5u",
            "\x1b[<0;5;5M",
            "\x1b[<0;5;5m",
            "\x1b[200~text\x1b[201~",
            "\x1b[15~",
            "\x1b[?62cq",
            "\x1b[?62",
        ] {
            assert!(!is_report(typed.as_bytes()), "{typed:?}");
        }
        assert_eq!(answers(b"\x1b[1;9R\x1b[I\x1b[0n"), Some(2));
        assert_eq!(answers(b"\x1b]11;rgb:0/0/0\x1b\\\x1bP1$r0m\x1b\\"), Some(2));
        assert_eq!(answers(b"\x1b[1;9Rx"), None);
        assert_eq!(answers(b"\x1b[1;9"), None);
        let endless = format!("\x1b[{}m", "1".repeat(9000));
        assert!(!is_report(endless.as_bytes()));
    }
}
