//! One output, cut at every byte.

use std::fmt;

use crate::corpus::Output;
use crate::screen::Screen;
use session_judge::{Difference, Judge, Piece, State, Terminal, differences};

/// How often the rest of an output did not lead to where it should, and the first such cut.
pub(crate) struct Verdict {
    pub(crate) name: String,
    pub(crate) failed: usize,
    cuts: usize,
    first: String,
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            failed,
            cuts,
            first,
        } = self;
        write!(out, "{name}: {failed} of {cuts} cuts; {first}")
    }
}

/// Whether a row goes on from the one above is felt in a resize alone, and terminals tell it by different rules.
const NEVER_COMPARED: [&str; 2] = ["wrapped", "scrollback"];
/// Differences shown of one cut.
const SHOWN: usize = 4;

/// Cuts `output` at every byte: a terminal that gets the snapshot there has to be like one that has watched, then and at
/// the end, and the snapshot must not make it answer.
pub(crate) fn judge(judge: &mut Judge, output: &Output) -> Verdict {
    let terminal = Terminal {
        rows: output.rows,
        cols: output.cols,
        scrollback: 0,
    };
    let bytes = &output.bytes;
    let single: Vec<_> = bytes.chunks(1).map(Piece::Bytes).collect();
    let watched = judge.states(terminal, &single);
    let mut verdict = Verdict {
        name: output.name.clone(),
        failed: 0,
        cuts: bytes.len() + 1,
        first: String::new(),
    };
    let mut screen = Screen::new(output.rows, output.cols);
    for cut in 0..=bytes.len() {
        let (before, rest) = bytes.split_at(cut);
        let snapshot = screen.snapshot();
        let attached = judge.states(terminal, &[Piece::Bytes(&snapshot), Piece::Bytes(rest)]);
        if let Some(wrong) = wrong(output, &watched[cut..], &attached[1..]) {
            verdict.failed += 1;
            if verdict.first.is_empty() {
                verdict.first = format!(
                    "first behind {:?}: {wrong}\n    snapshot {:?}",
                    tail(before),
                    tail(&snapshot)
                );
            }
        }
        screen.feed(&rest[..rest.len().min(1)]);
    }
    verdict
}

/// `watched`: the states at the cut and after every further byte; `attached`: behind the snapshot and at the end.
fn wrong(output: &Output, watched: &[State], attached: &[State]) -> Option<String> {
    let (at_cut, at_end) = (&watched[0], &watched[watched.len() - 1]);
    let (snapshot, end) = (&attached[0], &attached[1]);
    if !snapshot.is_silent() {
        let answered = snapshot.replies().escape_ascii().to_string();
        return Some(format!(
            "the snapshot provokes {answered:?} {}",
            snapshot.effects()
        ));
    }
    if let Some(told) = told(output, at_cut, snapshot) {
        return Some(format!("at once {told}"));
    }
    if let Some(told) = told(output, at_end, end) {
        return Some(format!("at the end {told}"));
    }
    let replies: Vec<u8> = watched[1..].iter().flat_map(State::replies).collect();
    if replies != end.replies() && !output.except.iter().any(|part| part == "replies") {
        let [watched, attached] = [replies, end.replies()].map(|it| it.escape_ascii().to_string());
        return Some(format!("answers {watched:?} became {attached:?}"));
    }
    None
}

fn told(output: &Output, watched: &State, attached: &State) -> Option<String> {
    let is_compared = |found: &Difference| {
        let excepted = |part: &str| {
            let rest = found.part.strip_prefix(part);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        !NEVER_COMPARED.iter().any(|part| excepted(part))
            && !output.except.iter().any(|part| excepted(part))
    };
    let mut found = differences(watched, attached);
    found.retain(is_compared);
    let shown: Vec<_> = found
        .iter()
        .take(SHOWN)
        .map(|it| format!("\n    {it}"))
        .collect();
    let more = found.len().saturating_sub(SHOWN);
    let more = if more > 0 {
        format!("\n    and {more} more")
    } else {
        String::new()
    };
    (!found.is_empty()).then(|| format!("{}{more}", shown.concat()))
}

/// The last bytes, readable.
fn tail(bytes: &[u8]) -> String {
    let from = bytes.len().saturating_sub(300);
    bytes[from..].escape_ascii().to_string()
}
