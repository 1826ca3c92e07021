//! The judge itself: what it sees, and that it can tell.

#![allow(clippy::unwrap_used, reason = "a failed assumption is a failed test")]

use serde_json::json;
use session_judge::{Judge, Piece, Terminal, differences};

const TERMINAL: Terminal = Terminal {
    rows: 3,
    cols: 10,
    scrollback: 100,
};

#[test]
fn cells_modes_and_answers_are_seen() {
    let Some(mut judge) = Judge::start() else {
        return;
    };
    let output = b"hi\x1b[31mr\x1b[4:3;58:2::1:2:3mx\x1b[?1049h\x1b[>1u\x1b[?1007hw\x1b[c\x07";
    let state = judge.state(TERMINAL, &[Piece::Bytes(output)]);
    let value = state.value();
    assert_eq!(value["screen"], "alternate");
    assert_eq!(
        value["normal"][0],
        json!([
            false,
            ["h", 1, ""],
            ["i", 1, ""],
            ["r", 1, "fg=1"],
            ["x", 1, "fg=1 underline=3 line=#010203"]
        ])
    );
    assert_eq!(value["keyboard"]["kitty"]["alternate"], json!([0, 1]));
    assert_eq!(value["modes"]["private"], json!([1007]));
    assert_eq!(state.replies(), b"\x1b[?1;2c");
    assert_eq!(state.effects(), r#"["bell"]"#);
}

#[test]
fn a_sequence_may_come_in_pieces_and_the_window_may_change() {
    let Some(mut judge) = Judge::start() else {
        return;
    };
    let (cols, rows) = (20, 4);
    let whole = [Piece::Bytes(b"\x1b[1;7mword"), Piece::Resize { cols, rows }];
    let pieces = [Piece::Bytes(b"\x1b[1"), Piece::Bytes(b";7mword"), whole[1]];
    let states = judge.states(TERMINAL, &pieces);
    assert_eq!(states.len(), 4);
    assert!(states[3].is_like(&judge.state(TERMINAL, &whole)));
    assert!(states[0].is_like(&states[1]) && !states[1].is_like(&states[2]));
}

#[test]
fn a_difference_names_its_place() {
    let Some(mut judge) = Judge::start() else {
        return;
    };
    let mut told = |left: &[u8], right: &[u8]| {
        let [left, right] = [left, right].map(|it| judge.state(TERMINAL, &[Piece::Bytes(it)]));
        let found = differences(&left, &right);
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(told(b"a b", b"a\x1b[Cb"), Vec::<String>::new());
    assert_eq!(
        told(b"\r\na\x1b[1mb", b"\r\na\x1b[1mc"),
        [r#"rows row 1 column 1: "b" bold became "c" bold"#]
    );
    assert_eq!(
        told(b"\x1b[?2004h", b"\x1b[2;3r\x1b[3g"),
        [
            "margins: [0,2] became [1,2]",
            "modes.bracketedPaste: true became false",
            "tabs: [0,8] became []",
        ]
    );
}
