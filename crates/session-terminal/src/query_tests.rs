//! Every question is answered once, however it is cut, and none by a snapshot.

use crate::Screen;

/// Questions, and what a screen of 4 by 10 says with the cursor in its second row and third column.
const ASKED: [(&str, &str); 32] = [
    ("\x1b[c", "\x1b[?62;22c"),
    ("\x1b[0c", "\x1b[?62;22c"),
    ("\x1bZ", "\x1b[?62;22c"),
    ("\x1b[>c", "\x1b[>1;10;0c"),
    ("\x1b[=c", "\x1bP!|00000000\x1b\\"),
    ("\x1b[5n", "\x1b[0n"),
    ("\x1b[6n", "\x1b[2;3R"),
    ("\x1b[?6n", "\x1b[?2;3R"),
    ("\x1b[?25$p", "\x1b[?25;1$y"),
    ("\x1b[?2026$p", "\x1b[?2026;2$y"),
    ("\x1b[?9999$p", "\x1b[?9999;0$y"),
    ("\x1b[4$p", "\x1b[4;2$y"),
    ("\x1b[?u", "\x1b[?0u"),
    ("\x1b[?4m", "\x1b[>4;0m"),
    ("\x1b[18t", "\x1b[8;4;10t"),
    ("\x1b]10;?\x07", "\x1b]10;rgb:e5e5/e5e5/e5e5\x07"),
    ("\x1b]11;?\x1b\\", "\x1b]11;rgb:0000/0000/0000\x1b\\"),
    ("\x1b]4;1;?\x07", "\x1b]4;1;rgb:cdcd/0000/0000\x07"),
    (
        "\x1b]4;1;#102030;1;?\x07",
        "\x1b]4;1;rgb:1010/2020/3030\x07",
    ),
    ("\x1bP$qm\x1b\\", "\x1bP1$r0m\x1b\\"),
    (
        "\x1b[1;3;38;5;200;48;2;1;2;3m\x1bP$qm\x1b\\",
        "\x1bP1$r0;1;3;38:5:200;48:2::1:2:3m\x1b\\",
    ),
    ("\x1bP$q q\x1b\\", "\x1bP1$r2 q\x1b\\"),
    ("\x1b[5 q\x1bP$q q\x1b\\", "\x1bP1$r5 q\x1b\\"),
    ("\x1b[2;3r\x1bP$qr\x1b\\", "\x1bP1$r2;3r\x1b\\"),
    ("\x1bP$q\"p\x1b\\", "\x1bP1$r62;1\"p\x1b\\"),
    ("\x1bP$q\"q\x1b\\", "\x1bP0$r\x1b\\"),
    ("\x1bP+q544e\x1b\\", "\x1bP0+r\x1b\\"),
    // What is nobody's business is not answered, nor what was given up.
    ("\x1b]52;c;?\x07", ""),
    ("\x1b[21t", ""),
    ("\x1b]777;notify;t;b\x07", ""),
    ("\x1b[5\x18n", ""),
    ("\x1b]10;?\x1a", ""),
];

fn answers(output: &[u8], cut: usize) -> (String, Screen) {
    let mut screen = Screen::new(4, 10);
    let mut replies = Vec::new();
    for piece in output.chunks(cut) {
        screen.answer(piece, |reply| replies.extend_from_slice(reply));
    }
    (String::from_utf8(replies).unwrap(), screen)
}

#[test]
fn each_question_has_one_answer_however_it_is_cut() {
    for (question, answer) in ASKED {
        for cut in [1, 2, 3, 100] {
            let output = format!("ab\r\ncd{question}");
            assert_eq!(
                answers(output.as_bytes(), cut).0,
                answer,
                "{}",
                question.escape_debug()
            );
        }
    }
}

#[test]
fn a_snapshot_asks_nothing_wherever_the_output_is_cut() {
    let output: String = ASKED.iter().map(|(question, _)| *question).collect();
    let whole = answers(output.as_bytes(), 1).0;
    for cut in 1..output.len() {
        let (before, rest) = output.as_bytes().split_at(cut);
        let (mut told, mut screen) = answers(before, 7);
        let mut attached = Screen::new(4, 10);
        attached.answer(&screen.snapshot(), |reply| {
            panic!("{}", reply.escape_ascii())
        });
        // What began before the cut ends behind it, here as well as there.
        screen.answer(rest, |reply| told.push_str(str::from_utf8(reply).unwrap()));
        assert_eq!(told, whole, "cut at {cut}");
    }
}
