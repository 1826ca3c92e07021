//! What has to be true of a screen whatever it is fed, for tests and for the fuzzer.

use session_terminal::{Quiet, Screen, Traces, is_report};

/// Output never has this byte within a character; here it begins an instruction.
const INSTRUCTION: u8 = 0xff;
/// Rows that scroll off and are kept, where any are.
const HISTORY: usize = 40;
/// How often output comes that is to be long enough to be passed over.
const MANY: usize = 60;

/// Feeds `input` to screens; panics where something does not hold.
///
/// It begins with rows, columns, whether there is a history (1) and whether output comes many times (2), and the length of
/// the pieces that one of the screens gets. What follows is output. 0xff within and two bytes behind it are another size.
pub(crate) fn hold(input: &[u8]) {
    let [rows, cols, how, cut, output @ ..] = input else {
        return;
    };
    let (rows, cols) = (side(*rows), side(*cols));
    let history = if how & 1 > 0 { HISTORY } else { 0 };
    let times = if how & 2 > 0 { MANY } else { 1 };
    let mut screens = [(); 3].map(|()| Screen::with_history(rows, cols, history));
    let mut parts = output.split(|byte| *byte == INSTRUCTION);
    let first = parts.next().unwrap_or_default();
    go_on(&mut screens, &first.repeat(times), *cut);
    for part in parts {
        if let [rows, cols, output @ ..] = part {
            for screen in &mut screens {
                screen.resize(side(*rows), side(*cols));
            }
            go_on(&mut screens, &output.repeat(times), *cut);
        }
    }
}

/// Up to 40; the largest are as large as a terminal says it is.
fn side(byte: u8) -> u16 {
    match byte {
        0xfe => u16::MAX,
        0xfd => 1001,
        byte => u16::from(byte % 41),
    }
}

/// All at once, in pieces, and only what counts: it leads to the same.
fn go_on(screens: &mut [Screen; 3], output: &[u8], cut: u8) {
    let [whole, pieces, behind] = screens;
    let mut replies = 0;
    whole.answer(output, |reply| replies += reply.len());
    assert!(
        replies <= 16 * output.len() + 64,
        "{replies} bytes answer {}",
        output.len()
    );
    output
        .chunks(usize::from(cut).max(1))
        .for_each(|piece| pieces.feed(piece));
    behind.catch_up(output);
    let snapshot = whole.snapshot();
    same(&snapshot, &pieces.snapshot(), "in pieces");
    same(&snapshot, &behind.snapshot(), "without what does not count");
    let (rows, cols) = whole.size();
    let cells = usize::from(rows) * usize::from(cols);
    assert!(
        snapshot.len() <= 40_000 + 400 * cells + (4 << 20),
        "{} bytes for {cells} cells",
        snapshot.len()
    );
    let mut drawn = Screen::new(rows, cols);
    let asked = |_: &[u8]| panic!("a snapshot asks: {}", snapshot.escape_ascii());
    drawn.answer(&snapshot, asked);
    same(&snapshot, &drawn.snapshot(), "drawn");
    let (mut quiet, mut shown) = (Quiet::default(), Vec::new());
    let pieces = output.chunks(usize::from(cut).max(1));
    pieces.for_each(|piece| quiet.pass(piece, |bytes| shown.extend_from_slice(bytes)));
    let asked = |_: &[u8]| panic!("what is quiet asks: {}", shown.escape_ascii());
    Screen::new(rows, cols).answer(&shown, asked);
    let mut traces = Traces::default();
    traces.watch(output);
    let mut left = Screen::new(rows, cols);
    left.feed(output);
    left.feed(&traces.leave());
    let mut untouched = Screen::new(rows, cols).modes();
    // What is watched for is known in the form alone in which programs say it.
    untouched.origin = left.modes().origin;
    assert_eq!(left.modes(), untouched, "{}", output.escape_ascii());
    // As input it is nobody's.
    let _: bool = is_report(output);
    let (text, lines) = whole.history(usize::MAX, cols);
    assert!(lines <= HISTORY && text.len() <= 400 * HISTORY * usize::from(cols) + (4 << 20));
}

/// But for how links without a name are numbered.
fn same(one: &[u8], other: &[u8], what: &str) {
    if one != other {
        let [one, other] = [one, other].map(|it| renumbered(it).escape_ascii().to_string());
        assert_eq!(one, other, "{what}");
    }
}

fn renumbered(snapshot: &[u8]) -> Vec<u8> {
    const LINK: &[u8] = b"\x1b]8;id=session-";
    let (mut seen, mut out, mut rest): (Vec<&[u8]>, _, _) = (Vec::new(), Vec::new(), snapshot);
    while let Some(at) = rest.windows(LINK.len()).position(|bytes| bytes == LINK) {
        let (before, behind) = rest.split_at(at + LINK.len());
        let digits = behind
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let number = seen.iter().position(|known| *known == &behind[..digits]);
        let number = number.unwrap_or_else(|| {
            seen.push(&behind[..digits]);
            seen.len() - 1
        });
        out.extend_from_slice(before);
        out.extend_from_slice(number.to_string().as_bytes());
        rest = &behind[digits..];
    }
    out.extend_from_slice(rest);
    out
}
