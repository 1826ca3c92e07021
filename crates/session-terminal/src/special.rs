//! Sequences that are not the emulator's: what it does not know, does otherwise than xterm, or is not told enough about.
//!
//! Source: xterm's control sequences (<https://invisible-island.net/xterm/ctlseqs/ctlseqs.html>).

use crate::model::{Model, Title};
use crate::query::{self, Query};
use crate::sequence::Kind;
use crate::sets::Set;

/// One of these.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Special {
    /// DECSTR.
    SoftReset,
    /// REP, which the parser would do for any character that ever was, and as often as it is told to.
    Repeat(u16),
    /// IND, which the parser takes for a line feed.
    Index,
    /// SCS: which of G0 to G3 is which set.
    Designate(usize, Option<Set>),
    /// LS2, LS3.
    Shift(usize),
    /// SS2, SS3.
    Single(usize),
    /// SGR 53 and 55, beside whatever else is in the sequence.
    Overline(bool),
    /// OSC 0, 1 and 2.
    Name(Names, String),
    /// XTWINOPS 22.
    Push(Names),
    /// XTWINOPS 23.
    Pop(Names),
    Ask(Query),
}

/// The icon's name, the window's title, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    Both,
    Icon,
    Title,
}

/// What `whole`, a finished sequence, is; `None` for what the emulator sees to.
pub(crate) fn special(kind: Kind, whole: &[u8]) -> Option<Special> {
    match (kind, whole) {
        (Kind::Control, [_, _, body @ .., last]) => control(body, *last),
        (Kind::Escape, [_, last]) => Some(match last {
            b'D' => Special::Index,
            b'N' => Special::Single(2),
            b'O' => Special::Single(3),
            b'n' => Special::Shift(2),
            b'o' => Special::Shift(3),
            _ => return query::escape(*last).map(Special::Ask),
        }),
        (Kind::Escape, [_, which @ b'('..=b'+', set]) => Some(Special::Designate(
            usize::from(which - b'('),
            Set::named(*set),
        )),
        (Kind::Command, [_, _, body @ ..]) => {
            let bell = body.last() == Some(&0x07);
            command(body.strip_suffix(b"\x07").unwrap_or(body), bell)
        }
        (Kind::Device, _) => query::device(whole).map(Special::Ask),
        _ => None,
    }
}

fn control(body: &[u8], last: u8) -> Option<Special> {
    match last {
        b'm' if !matches!(body, [b'<'..=b'?', ..]) => overline(body).map(Special::Overline),
        b'b' if body.iter().all(|byte| matches!(byte, b'0'..=b';')) => {
            Some(Special::Repeat(number(body)?.max(1)))
        }
        b'p' if body == b"!" => Some(Special::SoftReset),
        b't' => {
            let mut params = body.split(|byte| *byte == b';');
            let what = number(params.next()?)?;
            let names = match number(params.next().unwrap_or_default())? {
                0 => Names::Both,
                1 => Names::Icon,
                2 => Names::Title,
                _ => return None,
            };
            match what {
                22 => Some(Special::Push(names)),
                23 => Some(Special::Pop(names)),
                _ => query::control(body, last).map(Special::Ask),
            }
        }
        b'c' | b'm' | b'n' | b'p' | b'q' | b'u' => query::control(body, last).map(Special::Ask),
        _ => None,
    }
}

/// Whether these attributes end with a line above the text, or without; `None` if they say nothing about it.
fn overline(params: &[u8]) -> Option<bool> {
    // Nearly always there is none.
    if !params.windows(2).any(|pair| pair == b"53" || pair == b"55") {
        return None;
    }
    let mut overline = None;
    let mut params = params.split(|byte| *byte == b';');
    while let Some(param) = params.next() {
        match number(param) {
            Some(0) => overline = Some(false),
            Some(53) => overline = Some(true),
            Some(55) => overline = Some(false),
            // A colour takes what follows: 5 and an index, or 2 and three parts.
            Some(38 | 48 | 58) if !param.contains(&b':') => {
                let taken = match params.next().and_then(number) {
                    Some(5) => 1,
                    Some(2) => 3,
                    _ => 0,
                };
                params.by_ref().take(taken).for_each(drop);
            }
            _ => {}
        }
    }
    overline
}

fn command(body: &[u8], bell: bool) -> Option<Special> {
    let (names, text) = match body {
        [b'0', b';', text @ ..] => (Names::Both, text),
        [b'1', b';', text @ ..] => (Names::Icon, text),
        [b'2', b';', text @ ..] => (Names::Title, text),
        _ => return query::command(body, bell).map(Special::Ask),
    };
    Some(Special::Name(
        names,
        String::from_utf8_lossy(text).into_owned(),
    ))
}

/// The number that a parameter begins with, 0 if it is left out; a larger one than 65535 is that.
pub(crate) fn number(param: &[u8]) -> Option<u16> {
    let digits = param
        .split(|byte| matches!(byte, b';' | b':'))
        .next()
        .unwrap_or_default();
    digits.iter().try_fold(0u16, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        Some(number.saturating_mul(10).saturating_add(digit.into()))
    })
}

impl Special {
    /// Whether the emulator is to have the sequence before.
    pub(crate) fn is_the_emulators_too(&self) -> bool {
        matches!(self, Self::Overline(_) | Self::Ask(Query::Colours { .. }))
    }

    /// Does it, or answers it.
    pub(crate) fn act(self, model: &mut Model, reply: impl FnMut(&[u8])) {
        let sets = &mut model.noted.sets;
        match self {
            Self::SoftReset => model.soft_reset(),
            Self::Repeat(count) => model.repeat(count),
            Self::Index => model.index(),
            Self::Designate(which, Some(set)) => sets.designated[which] = set,
            Self::Designate(_, None) => {}
            Self::Shift(which) => sets.shifted = which,
            Self::Single(which) => sets.single = Some(which),
            Self::Overline(on) => model.set_overline(on),
            Self::Name(names, text) => names.of(model).for_each(|title| title.set(&text)),
            Self::Push(names) => names.of(model).for_each(Title::push),
            Self::Pop(names) => names.of(model).for_each(Title::pop),
            Self::Ask(query) => query.answer(model, reply),
        }
    }
}

impl Names {
    fn of(self, model: &mut Model) -> impl Iterator<Item = &mut Title> {
        let (icon, title) = (&mut model.noted.icon, &mut model.noted.title);
        let icon = (self != Self::Title).then_some(icon);
        let title = (self != Self::Icon).then_some(title);
        icon.into_iter().chain(title)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overline_is_told_from_a_colour() {
        for (params, line) in [
            (&b"53"[..], Some(true)),
            (b"1;53;31", Some(true)),
            (b"53;55", Some(false)),
            (b"0;53", Some(true)),
            (b"53;0", Some(false)),
            (b"53;", Some(false)),
            (b"38;5;53", None),
            (b"38;2;53;55;53;53", Some(true)),
            (b"38:5:53", None),
            (b"153", None),
            (b"", None),
        ] {
            assert_eq!(overline(params), line, "{}", params.escape_ascii());
        }
    }

    #[test]
    fn numbers_end_at_the_largest() {
        assert_eq!(number(b"12;3"), Some(12));
        assert_eq!(number(b""), Some(0));
        assert_eq!(number(b"99999999999999999999"), Some(u16::MAX));
        assert_eq!(number(b"?1"), None);
    }
}
