//! A snapshot leads to the same screen, whatever the output and wherever it is cut.

use alacritty_terminal::Grid;
use alacritty_terminal::grid::{Cursor, Dimensions as _};
use alacritty_terminal::index::{Column, Line};
use alacritty_terminal::term::cell::{Cell, Flags};
use proptest::prelude::*;

use super::*;
use crate::model::Saved;

fn shown(rows: u16, cols: u16, output: &[u8]) -> Screen {
    let mut screen = Screen::new(rows, cols);
    screen.feed(output);
    screen
}

/// Everything a screen is, as text that can be compared and read.
pub(crate) fn state(screen: &mut Screen) -> String {
    let on_alternate = screen.model.on_alternate();
    // How links without a name are told apart does not matter; saved cursors are shown below.
    let noted = crate::model::Noted {
        links: 0,
        saved: Default::default(),
        ..screen.model.noted.clone()
    };
    let mut text = format!("{:?}\n{:?}", noted, screen.model.term.mode());
    text.push_str(&grid(screen.model.grid()));
    if on_alternate {
        text.push_str(&screen.model.look_beneath(|main| grid(main)));
    }
    for Saved {
        cursor: kept,
        sets,
        origin,
    } in &screen.model.noted.saved
    {
        text.push_str(&format!("{} {sets:?} {origin}", cursor(kept)));
    }
    text + &format!(
        "\n{:?}",
        String::from_utf8_lossy(screen.sequences.unfinished())
    )
}

fn grid(grid: &Grid<Cell>) -> String {
    let rows = (0..grid.screen_lines() as i32).map(|row| {
        let cells = grid[Line(row)][..].iter().map(cell).collect::<String>();
        format!("\n{row}: {cells}")
    });
    format!("\nat {}{}", cursor(&grid.cursor), rows.collect::<String>())
}

fn cursor(cursor: &Cursor<Cell>) -> String {
    let (row, col) = (cursor.point.line, cursor.point.column);
    format!(
        "\n({row}, {col}) {} {}",
        cell(&cursor.template),
        cursor.input_needs_wrap
    )
}

fn cell(cell: &Cell) -> String {
    // Half of a wide character that was overwritten is drawn as a space.
    let c = if cell.c == '\t' { ' ' } else { cell.c };
    let mut text = format!("{c:?}");
    if (cell.fg, cell.bg) != (Cell::default().fg, Cell::default().bg) {
        text.push_str(&format!("{:?}/{:?}", cell.fg, cell.bg));
    }
    // That a wide character did not fit here is a mark for a later resize, and goes when that one is written again.
    let flags = cell.flags - Flags::LEADING_WIDE_CHAR_SPACER;
    if !flags.is_empty() {
        text.push_str(&format!("{flags:?}"));
    }
    let extra = (
        cell.zerowidth().unwrap_or_default(),
        cell.underline_color(),
        cell.hyperlink().map(|link| link.uri().to_owned()),
    );
    if extra != (&[], None, None) {
        text.push_str(&format!("{extra:?}"));
    }
    text.push(' ');
    text
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        2 => proptest::collection::vec(any::<u8>(), 0..8),
        6 => "\x1b\\[[0-9;]{0,6}[@-~]".prop_map(String::into_bytes),
        2 => "\x1b\\[[0-9;:?>=< !$]{0,9}[@-~]".prop_map(String::into_bytes),
        6 => "[a-z\u{4f60}\u{1f600}\u{301}\r\n\t\x08 ]{0,30}".prop_map(String::into_bytes),
        3 => "\x1b\\[(0|1|2|4|5|7|9|21|4:3|31|48;5;9|38;2;1;2;3|58:5:3|)m".prop_map(String::into_bytes),
        3 => "\x1b\\[\\?(1|5|6|7|25|47|1047|1048|1049|1000|1003|1006|2004)[hl]".prop_map(String::into_bytes),
        2 => "\x1b\\[[1-5];[1-9]r".prop_map(String::into_bytes),
        2 => "\x1b\\][0248];[a-z;]{0,9}(\x07|\x1b\\\\)".prop_map(String::into_bytes),
        3 => "\x1b(7|8|M|D|E|H|c|=|>|\\(0|\\)0|\\(B|Z|#8)".prop_map(String::into_bytes),
        1 => "\x1b\\[[>=<]([0-9]{1,2})u".prop_map(String::into_bytes),
        1 => Just(vec![0x0e]), 1 => Just(vec![0x0f]),
    ]
}

fn output() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(piece(), 0..40).prop_map(|pieces| pieces.concat())
}

/// `PROPTEST_CASES`, or as many as fit between two commits.
pub(crate) fn cases(usual: u32) -> ProptestConfig {
    let wanted = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|wanted| wanted.parse().ok());
    // What is found becomes a test of its own.
    ProptestConfig {
        cases: wanted.unwrap_or(usual),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(300))]
    #[test]
    fn a_snapshot_leads_to_the_same_screen(output in output(), rest in output(), rows in 1u16..7, cols in 2u16..12) {
        let mut screen = shown(rows, cols, &output);
        let snapshot = screen.snapshot();
        let mut drawn = shown(rows, cols, b"old\x1b[31;44m\x1b[?1049h\x1b[2;3rother\x1b[?6h\x1b[4h\x1b[?1003h\x1b]8;;cut");
        drawn.feed(&snapshot);
        prop_assert_eq!(state(&mut drawn), state(&mut screen), "by {:?}", String::from_utf8_lossy(&snapshot));
        screen.feed(&rest);
        drawn.feed(&rest);
        prop_assert_eq!(state(&mut drawn), state(&mut screen), "later, by {:?}", String::from_utf8_lossy(&snapshot));
    }

    #[test]
    fn any_cut_leads_to_the_same_screen(output in output(), cut in 1usize..9) {
        let mut whole = shown(5, 9, &output);
        let mut cut_up = Screen::new(5, 9);
        output.chunks(cut).for_each(|chunk| cut_up.feed(chunk));
        prop_assert_eq!(state(&mut cut_up), state(&mut whole));
    }

    #[test]
    fn no_size_and_no_output_makes_it_panic(
        output in output(), sizes in proptest::collection::vec((0u16..12, 0u16..12), 1..6), more in output(),
    ) {
        let mut screen = Screen::with_history(3, 4, 5);
        for (rows, cols) in sizes {
            screen.feed(&output);
            screen.resize(rows, cols);
            let _ = screen.snapshot();
            let _ = screen.history(3, 7);
            screen.feed(&more);
        }
    }
}

/// What the properties have found.
#[test]
fn rows_that_went_on_below_the_last_one_are_the_same_later() {
    let mut screen = shown(4, 10, "\t\t😀\n\t你  \x1b[T".as_bytes());
    let mut drawn = shown(4, 10, &screen.snapshot());
    assert_eq!(state(&mut drawn), state(&mut screen));
    let rest = "\x1b[1;4r\t你aa😀 你😀\n\t😀\n".as_bytes();
    screen.feed(rest);
    drawn.feed(rest);
    assert_eq!(state(&mut drawn), state(&mut screen));
}

#[test]
fn a_wide_character_is_inserted_where_another_one_goes_out() {
    let mut screen = shown(1, 5, "\x1b[4h a你你\r你你".as_bytes());
    assert_eq!(screen.model.grid()[Line(0)][Column(2)].c, '你');
    assert_eq!(
        state(&mut shown(1, 5, &screen.snapshot())),
        state(&mut screen)
    );
}

#[test]
fn a_sequence_whose_last_byte_comes_alone_is_one() {
    let mut replies = Vec::new();
    let mut screen = Screen::new(2, 9);
    for piece in [
        &b"\x1b[5"[..],
        b"n",
        b"\x1b]0;one",
        b"\x18a\x1b[!",
        b"p\x1b[1\x18",
        b"m",
    ] {
        screen.answer(piece, |reply| replies.extend_from_slice(reply));
    }
    assert_eq!(replies, b"\x1b[0n");
    assert_eq!(screen.model.noted.title.now, None);
    assert_eq!(state(&mut screen), state(&mut shown(2, 9, b"am")));
}
