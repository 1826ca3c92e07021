//! What a terminal sends by itself: answers to what it is asked, and that it has the focus. Nobody typed it.

use crate::sequence::{Kind, Sequences};

/// Whether all of `input` was sent by the terminal itself. Where a key may send the same (F3 with Shift, as a cursor in
/// the first row), it was the key.
pub fn is_report(input: &[u8]) -> bool {
    let (mut sequences, mut at) = (Sequences::default(), 0);
    while let Some((kind, range)) = sequences.next(input, at) {
        at = range.end;
        let whole = sequences.whole(input, range).unwrap_or_default();
        let is_report = match kind {
            Kind::Command | Kind::Device | Kind::Part => true,
            Kind::Escape => whole == b"\x1b\\",
            Kind::Control => whole.get(2..).is_some_and(is_control),
            _ => false,
        };
        if !is_report {
            return false;
        }
    }
    !input.is_empty() && !sequences.is_inside()
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
        let endless = format!("\x1b[{}m", "1".repeat(9000));
        assert!(!is_report(endless.as_bytes()));
    }
}
