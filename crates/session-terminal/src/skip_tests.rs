//! Passing over output leads to the same screen as parsing every byte of it.

use proptest::prelude::*;

use super::*;
use crate::Screen;
use crate::screen::tests::{cases, state};

/// Lines as programs pour them out, with everything between them that may or may not be passed over.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => "[a-z ]{0,40}".prop_map(String::into_bytes),
        2 => "[\u{e4}\u{b0}\u{4f60}\u{1f600}\u{301}\t\x08\r\x07]{0,6}".prop_map(String::into_bytes),
        4 => "\x1b\\[(|0|0;1|1|31|4:3|48;5;9|38;2;1;2;3|22;39|7)m".prop_map(String::into_bytes),
        2 => "\x1b\\[[0-9]{0,2}[KXP@CDG`a]".prop_map(String::into_bytes),
        1 => "\x1b\\[[0-9]{0,2}[ABe]".prop_map(String::into_bytes),
        1 => "\x1b\\[\\?(1|7|25|1000|1006|2004|2026|5|12;25)[hl]".prop_map(String::into_bytes),
        1 => "\x1b\\[(4|20)[hl]".prop_map(String::into_bytes),
        1 => "\x1b\\](0|1|2|7|8;|9|133);[a-z]{0,9}(\x07|\x1b\\\\)".prop_map(String::into_bytes),
        // A shell's command of several lines as its title; as many numbers as nobody needs.
        1 => "\x1b\\](0|2|7|133);([a-z]\r?\n){1,9}(\x07|\x1b\\\\)".prop_map(String::into_bytes),
        1 => "\x1b\\[0(;[1347]){28,36}m".prop_map(String::into_bytes),
        1 => "\x1b(=|>|\\(0|\\(B|\\)0|\\\\)|\x0e|\x0f|\x1b\\[[0-6] q".prop_map(String::into_bytes),
        1 => "\x1b\\[[<>=][0-9]{1,2}u".prop_map(String::into_bytes),
    ];
    let rare = prop_oneof![
        "\x1b(\\[(c|6n|>0c|5n|[?]6n|[?]25[$]p|[?]u|18t)|\\]1[01];[?]\x07)"
            .prop_map(String::into_bytes),
        "\x1b\\[[0-9;]{0,5}[A-Za-z]".prop_map(String::into_bytes),
        "\x1b[78MDEHcZ]".prop_map(String::into_bytes),
        "\x1b\\[\\?(6|47|1047|1049)[hl]".prop_map(String::into_bytes),
        "\x1b\\[[1-4];[2-9]r".prop_map(String::into_bytes),
        "\x1bP[a-z$]{0,5}\x1b\\\\".prop_map(String::into_bytes),
        "\u{85}|\u{9b}3A|\x0b|\x0c|\x7f".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..4),
    ];
    (
        proptest::collection::vec(piece, 0..4),
        proptest::option::weighted(0.02, rare),
        prop_oneof![12 => Just(&b"\r\n"[..]), 1 => Just(&b"\n"[..]), 1 => Just(&b"\r"[..]), 1 => Just(&b""[..])],
    )
        .prop_map(|(pieces, rare, end)| [pieces.concat(), rare.unwrap_or_default(), end.to_vec()].concat())
}

fn lines(most: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(line(), 0..most).prop_map(|lines| lines.concat())
}

proptest! {
    #![proptest_config(cases(150))]
    #[test]
    fn what_is_passed_over_left_no_trace(
        before in lines(6), poured in lines(400), cut in 1usize..9000, rows in 1u16..9, cols in 2u16..30,
    ) {
        let (mut all, mut some) = (Screen::new(rows, cols), Screen::new(rows, cols));
        all.feed(&before);
        some.feed(&before);
        for piece in poured.chunks(cut) {
            let (mut asked, mut told) = (Vec::new(), Vec::new());
            all.answer_each(piece, |behind, reply| asked.push((behind, reply.to_vec())));
            some.catch_up_answering(piece, |behind, reply| told.push((behind, reply.to_vec())));
            prop_assert_eq!(state(&mut some), state(&mut all));
            prop_assert_eq!(told, asked);
        }
    }
}

#[test]
fn lines_are_passed_over() {
    let mut text = Vec::new();
    for number in 0..2000 {
        text.extend_from_slice(
            format!("\x1b[32m{number}\x1b[0m some text \u{e4}\x1b[K\r\n").as_bytes(),
        );
    }
    let mut plan = Plan::default();
    plan.make(&text, 0, 24);
    assert_eq!(plan.end(), text.len());
    let begin = plan.begin(&text, 24).unwrap();
    let behind = text[begin..].iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(behind, 24);
    assert_eq!(plan.state(begin).count(), 0);
    assert_eq!(plan.attributes(&text, begin).count(), 1, "the last reset");
}

#[test]
fn what_is_not_known_ends_the_stretch() {
    for (bytes, end) in [
        (&b"text\x1b[2J"[..], 4),
        (b"text\x1b[3", 4),
        (b"text\x1b]0;ti", 4),
        (b"ok\x0b", 2),
        (b"\x1b[6n", 0),
        (b"\x1b[?1049h", 0),
        (b"\x1b[1m\x1b[5;3H", 4),
        (b"\xc2", 0),
        (b"ok\x1b]0;two\r\nlines\x07", 2),
    ] {
        let mut plan = Plan::default();
        plan.make(bytes, 0, 3);
        assert_eq!((plan.end(), plan.begin(bytes, 3)), (end, None), "{bytes:?}");
    }
}
