use proptest::prelude::*;

use super::*;

/// What is left of `output` cut into pieces of `cut` bytes, if `typed` had been typed where it says.
fn left(typed: &[(usize, &str, Shown)], output: &[u8], cut: usize) -> String {
    let mut memory = Typed::default();
    for (at, text, shown) in typed {
        memory.record(*at as u64, text.as_bytes(), *shown);
    }
    let mut echoes = Echoes::default();
    echoes.learn(&memory, 0);
    let mut left = Vec::new();
    let mut keep = |offset: u64, piece: &[u8]| {
        let offset = offset as usize;
        assert_eq!(&output[offset..offset + piece.len()], piece);
        left.extend_from_slice(piece);
    };
    for (index, piece) in output.chunks(cut).enumerate() {
        echoes.pass((index * cut) as u64, piece, &mut keep);
    }
    echoes.cut(&mut keep);
    String::from_utf8(left).unwrap()
}

#[track_caller]
fn leaves(typed: &[(usize, &str, Shown)], output: &str, expected: &str) {
    for cut in [1, 2, 3, 7, 10_000] {
        assert_eq!(
            left(typed, output.as_bytes(), cut),
            expected,
            "cut every {cut}"
        );
    }
}

const TERMINAL: Shown = Shown::ByTerminal;
const PROGRAM: Shown = Shown::ByProgram;
const READS: &str = "\x1b[?2004h";
const RESTS: &str = "\x1b[?2004l\r";

#[test]
fn the_terminals_echo_goes_and_the_answer_stays() {
    leaves(
        &[(0, "hello\r", TERMINAL)],
        "hello\r\nhello\r\n",
        "\r\nhello\r\n",
    );
    leaves(
        &[(2, "make; echo DONE\r", PROGRAM)],
        "$ make; echo DONE\r\nDONE\r\n$ ",
        "$ \r\nDONE\r\n$ ",
    );
}

#[test]
fn what_was_said_before_is_no_echo() {
    leaves(&[(6, "a\r", TERMINAL)], "a a a\na\r\n", "a a a\n\r\n");
}

#[test]
fn several_lines_are_masked_once_each_in_order() {
    let lines = "one\rtwo\rthree\r";
    leaves(
        &[(0, lines, TERMINAL)],
        "one\r\ntwo\r\nthree\r\none\r\ntwo\r\nthree\r\n",
        "\r\n\r\n\r\none\r\ntwo\r\nthree\r\n",
    );
    // Between them the program answers.
    leaves(
        &[(0, lines, PROGRAM)],
        "one\r\n1\r\n> two\r\ntwo\r\n> three\r\n",
        "\r\n1\r\n> \r\ntwo\r\n> \r\n",
    );
}

#[test]
fn one_line_may_begin_as_another() {
    let lines: &[_] = &[(0, "yes\ry\r", TERMINAL)];
    leaves(lines, "yes\r\ny\r\ny\r\n", "\r\n\r\ny\r\n");
    leaves(&[(0, "aab\r", TERMINAL)], "aaab\r\n", "a\r\n");
}

#[test]
fn wrapping_colours_and_blanks_do_not_count() {
    leaves(
        &[(0, "echo abcdef\r", PROGRAM)],
        "$ \x1b[32mecho\x1b[0m abc \rdef\r\nabcdef\r\n",
        "$ \x1b[32m\r\nabcdef\r\n",
    );
    leaves(&[(0, "a b\r", TERMINAL)], "a\x1b]0;x\x07 b\r\n", "\r\n");
    // zle draws the first character once more.
    leaves(&[(0, "echo\r", PROGRAM)], "% e\x08echo\r\n", "% \r\n");
    // Rubbed out, as the terminal shows it.
    leaves(&[(0, "lx\x7fs\r", TERMINAL)], "lx\x08 \x08s\r\n", "\r\n");
}

#[test]
fn an_echo_does_not_go_over_the_end_of_a_line() {
    leaves(&[(0, "ab\r", TERMINAL)], "a\nb\nab\n", "a\nb\n\n");
}

#[test]
fn what_was_typed_ahead_is_shown_twice_where_an_editor_reads_it() {
    let typed: &[_] = &[(0, "sleep 1\recho A\r", TERMINAL)];
    let output = format!(
        "sleep 1\r\necho A\r\n{READS}$ sleep 1\r\n{RESTS}{READS}$ echo A\r\n{RESTS}A\r\n{READS}$ "
    );
    let expected = format!("\r\n\r\n{READS}$ \r\n{RESTS}{READS}$ \r\n{RESTS}A\r\n{READS}$ ");
    leaves(typed, &output, &expected);
    // Where none does, the program says it.
    let output = "sleep 1\r\necho A\r\ngot sleep 1\r\n";
    leaves(typed, output, "\r\n\r\ngot sleep 1\r\n");
}

#[test]
fn an_answer_that_was_read_without_an_editor_is_kept_out_of_no_prompt() {
    let output = format!("go on? y\r\n{READS}my$ ");
    leaves(
        &[(7, "y\r", TERMINAL)],
        &output,
        &format!("go on? \r\n{READS}my$ "),
    );
}

#[test]
fn an_editor_that_tells_when_it_reads_shows_nothing_in_between() {
    // Both lines are typed at the first prompt; the first one's output names the second.
    let before = format!("{READS}$ ");
    let typed: &[_] = &[(before.len(), "cat x\rDONE\r", PROGRAM)];
    let output = format!("{before}cat x\r\n{RESTS}DONE\r\n{READS}$ DONE\r\n{RESTS}");
    let expected = format!("{before}\r\n{RESTS}DONE\r\n{READS}$ \r\n{RESTS}");
    leaves(typed, &output, &expected);
    // Also where its beginning was not seen.
    let typed: &[_] = &[(0, "cat x\rDONE\r", PROGRAM)];
    let output = format!("cat x\r\n{RESTS}DONE\r\n{READS}$ DONE\r\n{RESTS}");
    let expected = format!("\r\n{RESTS}DONE\r\n{READS}$ \r\n{RESTS}");
    leaves(typed, &output, &expected);
    // One that does not tell may show it any time.
    let output = format!("{READS}$ prog\r\n{RESTS}> DONE\r\n");
    let at = output.find("> ").unwrap();
    let expected = format!("{READS}$ prog\r\n{RESTS}> \r\n");
    leaves(&[(at, "DONE\r", PROGRAM)], &output, &expected);
}

#[test]
fn a_line_that_is_being_typed_grows() {
    let mut memory = Typed::default();
    let mut echoes = Echoes::default();
    let mut left = Vec::new();
    let mut offset = 0;
    for (key, shown) in [("l", "l"), ("s", "s"), ("\r", "\r\nls\r\n")] {
        memory.record(offset, key.as_bytes(), PROGRAM);
        echoes.learn(&memory, 0);
        echoes.pass(offset, shown.as_bytes(), |_, piece| {
            left.extend_from_slice(piece);
        });
        offset += shown.len() as u64;
    }
    assert_eq!(String::from_utf8(left).unwrap(), "\r\nls\r\n");
    assert!(echoes.expected.is_empty());
}

#[test]
fn what_follows_an_echo_that_never_came_is_masked_all_the_same() {
    leaves(
        &[
            (0, "iunseen\x1b", PROGRAM),
            (0, ":wq\r", PROGRAM),
            (4, "ls\r", PROGRAM),
        ],
        "~\r\n$ ls\r\nls :wq\r\n",
        "~\r\n$ \r\nls :wq\r\n",
    );
}

#[test]
fn nothing_is_held_for_ever() {
    let mut memory = Typed::default();
    memory.record(0, b"ab\r", TERMINAL);
    let mut echoes = Echoes::default();
    echoes.learn(&memory, 0);
    let mut given = 0;
    for index in 0..100 {
        let piece: &[u8] = if index == 0 { b"a" } else { &[b' '; 100] };
        echoes.pass(given + echoes.held.len() as u64, piece, |_, piece| {
            given += piece.len() as u64;
        });
    }
    assert!(given > 9000);
}

proptest! {
    /// However the output is cut, the same is left of it.
    #[test]
    fn cuts_change_nothing(
        typed in prop::collection::vec((0_usize..60, "[ab ]{0,4}\r?", any::<bool>()), 0..6),
        output in prop::collection::vec(
            prop::sample::select(vec![
                "a", "b", "ab", "ba", " ", "\r\n", " \r", "\x08", "\x1b[1m", READS, RESTS, "\x1b]0;a\x07", "é",
            ]),
            0..60,
        ),
        cuts in prop::collection::vec(1_usize..9, 1..8),
    ) {
        let mut typed: Vec<_> = typed;
        typed.sort();
        let mut memory = Typed::default();
        for (at, text, terminal) in &typed {
            let shown = if *terminal { TERMINAL } else { PROGRAM };
            memory.record(*at as u64, text.as_bytes(), shown);
        }
        let output = output.concat().into_bytes();
        let run = |cuts: &[usize]| {
            let mut echoes = Echoes::default();
            echoes.learn(&memory, 0);
            let mut left: Vec<(u64, u8)> = Vec::new();
            let mut keep = |offset: u64, piece: &[u8]| {
                left.extend((offset..).zip(piece.iter().copied()));
            };
            let (mut at, mut cuts) = (0, cuts.iter().cycle());
            while at < output.len() {
                let end = (at + cuts.next().unwrap()).min(output.len());
                echoes.pass(at as u64, &output[at..end], &mut keep);
                at = end;
            }
            echoes.cut(&mut keep);
            left
        };
        let whole = run(&[usize::MAX >> 1]);
        prop_assert_eq!(&run(&cuts), &whole);
        // What is left is in its place, and in order.
        for (offset, byte) in &whole {
            prop_assert_eq!(output[*offset as usize], *byte);
        }
        prop_assert!(whole.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
