//! Which output need not be parsed, because nothing of it can be seen any more.
//!
//! A program that pours out lines scrolls nearly all of them off before anyone looks. If the cursor provably is in the
//! bottom row behind some `\r\n`, and at least as many line feeds as the screen has rows scroll it from there, then of
//! what came before only the state counts that outlives the text: attributes, modes, character sets, title. Those
//! sequences are fed, then everything behind that `\r\n`. The rules, and why they are exact:
//! `docs/adr/0017-what-need-not-be-parsed.md`. Whatever is not known here ends the stretch and is parsed.

use std::ops::Range;

use crate::scan::{self, find_escape, params, usual};

/// What to make of a stretch of output that begins outside any sequence. Kept to be made again, for its memory.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The stretch: up to the first sequence whose effect is not known here, or to one that is cut off at the end.
    end: usize,
    /// The sequences in it whose effect outlives the text, but for attributes.
    kept: Vec<Kept>,
    /// Those that set attributes and count at some place, the last one first.
    attributes: Vec<Range<usize>>,
    /// Where in it the cursor may be above the bottom row.
    above: Vec<Range<usize>>,
    /// Somewhere there is a byte in the text that has to be looked at by itself.
    suspicious: bool,
}

#[derive(Clone, Copy, Debug)]
struct Kept {
    start: u32,
    end: u32,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Only the last of each of these counts.
    Link,
    Names,
    Icon,
    Title,
    /// Everything else, in order.
    Mode,
}

/// What a sequence does, at most.
#[derive(Debug, PartialEq, Eq)]
enum Effect {
    /// Something in its row, or nothing.
    Local,
    Kept(Kind),
    /// SGR; with the terminal's own attributes first, so that what came before does not count.
    Attributes {
        reset: bool,
    },
    Up(usize),
    Down(usize),
    Unknown,
}

/// Sequences that memory is kept for from one stretch to the next.
const KEPT: usize = 1024;
/// Strings are looked at up to this length.
const LONGEST: usize = 2048;
/// A sequence that is known by one look.
const SHORT: usize = 2 + 16;

impl Plan {
    /// Looks at `bytes`, which come while the cursor is in `row` of `rows`, the whole screen scrolls, and rows are counted
    /// from its top.
    pub(crate) fn make(&mut self, bytes: &[u8], row: usize, rows: usize) {
        self.kept.clear();
        self.above.clear();
        self.suspicious = is_suspicious(bytes);
        let bottom = rows - 1;
        // The cursor is in this row or below, and since when it may be above the last one.
        let (mut bound, mut since) = (row.min(bottom), 0);
        let (mut at, mut unusual) = (0, 0);
        self.end = loop {
            let run = find_escape(bytes, at);
            if run >= unusual && bound == bottom && !self.suspicious {
                (at, unusual) = usual(bytes, run);
                if at > run {
                    continue;
                }
            }
            let stop = if self.suspicious {
                self.text(bytes, at..run)
            } else {
                run
            };
            if bound < bottom {
                let missing = bottom - bound;
                let mut feeds = memchr::memchr_iter(b'\n', &bytes[at..stop]);
                match feeds.clone().nth(missing - 1) {
                    // Not behind it: the row is the last one, but nothing scrolled.
                    Some(arrival) => {
                        bound = bottom;
                        self.above.push(since..at + arrival + 1);
                    }
                    None => bound += feeds.by_ref().count(),
                }
            }
            at = stop;
            if stop < run || at == bytes.len() {
                break at;
            }
            if let Some(len) = common(bytes, at) {
                at += len;
                continue;
            }
            let Some((len, effect)) = sequence(&bytes[at..]) else {
                break at;
            };
            match effect {
                Effect::Local | Effect::Attributes { .. } => {}
                Effect::Kept(kind) => self.keep(at, len, kind),
                Effect::Up(count) => {
                    if bound == bottom && count > 0 {
                        since = at;
                    }
                    bound = bound.saturating_sub(count);
                }
                Effect::Down(count) => {
                    if bound < bottom && bound + count >= bottom {
                        self.above.push(since..at + len);
                    }
                    bound = (bound + count).min(bottom);
                }
                Effect::Unknown => break at,
            }
            at += len;
        };
        if bound < bottom {
            self.above.push(since..self.end);
        }
    }

    /// The sequences before `begin` that set the attributes in force there, in order: those from the last reset on.
    pub(crate) fn attributes(
        &mut self,
        bytes: &[u8],
        begin: usize,
    ) -> impl Iterator<Item = Range<usize>> {
        self.attributes.clear();
        // In the stretch an ESC is the beginning of a sequence that is all there, or of an ST.
        for at in memchr::memrchr_iter(0x1b, &bytes[..begin]) {
            if let Some((len, Effect::Attributes { reset })) = sequence(&bytes[at..]) {
                self.attributes.push(at..at + len);
                if reset {
                    break;
                }
            }
        }
        self.attributes.iter().rev().cloned()
    }

    /// Gives back memory that an unusual stretch took.
    pub(crate) fn shrink(&mut self) {
        self.kept.clear();
        self.kept.shrink_to(KEPT);
        self.above.clear();
        self.above.shrink_to(KEPT);
        self.attributes.clear();
        self.attributes.shrink_to(KEPT);
    }

    /// Where the stretch ends.
    pub(crate) fn end(&self) -> usize {
        self.end
    }

    /// The latest place in the stretch from which on parsing is enough. The cursor is at the beginning of the last row
    /// there.
    pub(crate) fn begin(&self, bytes: &[u8], rows: usize) -> Option<usize> {
        let mut above = self.above.iter().rev().peekable();
        let mut scrolled = 0;
        for feed in memchr::memrchr_iter(b'\n', &bytes[..self.end]) {
            while above.next_if(|range| feed < range.start).is_some() {}
            if above.peek().is_some_and(|range| feed < range.end) {
                // The feed that arrives in the last row does not scroll, but it leads there.
                let arrives = above.peek().is_some_and(|range| feed + 1 == range.end);
                if scrolled >= rows && arrives && is_line_end(bytes, feed) {
                    return Some(feed + 1);
                }
                continue;
            }
            if scrolled >= rows && is_line_end(bytes, feed) {
                return Some(feed + 1);
            }
            scrolled += 1;
        }
        None
    }

    /// The other sequences before `begin` that still count there, in order.
    pub(crate) fn state(&self, begin: usize) -> impl Iterator<Item = Range<usize>> {
        let until = self
            .kept
            .partition_point(|kept| (kept.start as usize) < begin);
        let kept = &self.kept[..until];
        let last = |kind| kept.iter().rposition(move |kept| kept.kind == kind);
        let lasts = [Kind::Link, Kind::Names, Kind::Icon, Kind::Title].map(last);
        let counts = move |(index, kept): &(usize, &Kept)| match kept.kind {
            Kind::Mode => true,
            Kind::Link | Kind::Names | Kind::Icon | Kind::Title => lasts.contains(&Some(*index)),
        };
        let range = |(_, kept): (usize, &Kept)| kept.start as usize..kept.end as usize;
        kept.iter().enumerate().filter(counts).map(range)
    }

    fn keep(&mut self, at: usize, len: usize, kind: Kind) {
        self.kept.push(Kept {
            start: at as u32,
            end: (at + len) as u32,
            kind,
        });
    }

    /// Looks at characters outside sequences one by one, and says how far they are known.
    fn text(&mut self, bytes: &[u8], range: Range<usize>) -> usize {
        for at in range.clone() {
            match bytes[at] {
                // SO and SI.
                0x0e | 0x0f => self.keep(at, 1, Kind::Mode),
                // NUL, BEL, BS, HT, LF, CR.
                0x00 | 0x07..=0x0a | b'\r' => {}
                0x00..0x20 => return at,
                // The first byte of a C1 control, or of a character that looks like one as long as it is cut.
                0xc2 if bytes
                    .get(at + 1)
                    .is_none_or(|next| (0x80..0xa0).contains(next)) =>
                {
                    return at;
                }
                _ => {}
            }
        }
        range.end
    }
}

fn is_line_end(bytes: &[u8], feed: usize) -> bool {
    feed > 0 && bytes[feed - 1] == b'\r'
}

/// Whether there is any byte that has to be looked at by itself. Without branches, so that the compiler has many bytes
/// looked at in one instruction.
fn is_suspicious(bytes: &[u8]) -> bool {
    bytes.chunks(4096).any(|chunk| {
        let mut found = 0;
        for &byte in chunk {
            // Below 8, or from VT to SUB without CR, or what begins a C1 control.
            let control = (byte.wrapping_sub(0x0b) < 0x10) & (byte != b'\r');
            found |=
                u8::from((byte < 8) | control | (byte.wrapping_sub(0x1c) < 4) | (byte == 0xc2));
        }
        found != 0
    })
}

/// Most sequences in lines of output are SGR and EL: how long it is, if there is a short one of them at `at`.
#[inline]
fn common(bytes: &[u8], at: usize) -> Option<usize> {
    let &[_, b'[', first, ..] = bytes[at..].first_chunk::<SHORT>()? else {
        return None;
    };
    let len = scan::short_params(bytes, at + 2)?;
    let known = matches!(bytes[at + 2 + len], b'm' | b'K') && !matches!(first, b'<'..=b'?');
    known.then_some(len + 3)
}

/// The sequence that `bytes` begin with: its length and what it does. `None` if it is not all there.
fn sequence(bytes: &[u8]) -> Option<(usize, Effect)> {
    match *bytes.get(1)? {
        b'[' => control(bytes),
        b']' => command(bytes),
        b'=' | b'>' => Some((2, Effect::Kept(Kind::Mode))),
        b'(' | b')' => {
            let known = matches!(bytes.get(2)?, b'0' | b'B');
            Some((
                3,
                if known {
                    Effect::Kept(Kind::Mode)
                } else {
                    Effect::Unknown
                },
            ))
        }
        b'\\' => Some((2, Effect::Local)),
        _ => Some((2, Effect::Unknown)),
    }
}

fn control(bytes: &[u8]) -> Option<(usize, Effect)> {
    let count_params = params(bytes, 2)?;
    let (params, last) = (&bytes[2..2 + count_params], bytes[2 + count_params]);
    let len = 3 + count_params;
    let (prefix, params) = match params {
        [prefix @ b'<'..=b'?', params @ ..] => (*prefix, params),
        params => (0, params),
    };
    let effect = match (prefix, last) {
        (0, b'm') => Effect::Attributes {
            reset: match params {
                b"" | b"0" => true,
                // One of more than 32 numbers is none to the emulator.
                [b'0', b';', rest @ ..] => {
                    rest.len() <= SHORT && rest.iter().all(|byte| *byte < b'<')
                }
                _ => false,
            },
        },
        // EL, ECH, DCH, ICH, CUF, CUB, CHA, HPA, HPR.
        (0, b'K' | b'X' | b'P' | b'@' | b'C' | b'D' | b'G' | b'`' | b'a') => Effect::Local,
        (0, b'A') => count(params).map_or(Effect::Unknown, Effect::Up),
        (0, b'B' | b'e') => count(params).map_or(Effect::Unknown, Effect::Down),
        (0, b'h' | b'l') if matches!(params, b"4" | b"20") => Effect::Kept(Kind::Mode),
        (b'?', b'h' | b'l') if params.split(|byte| *byte == b';').all(is_plain_mode) => {
            Effect::Kept(Kind::Mode)
        }
        // Kitty's keyboard flags; modifyOtherKeys.
        (b'<' | b'=' | b'>', b'u') | (b'>', b'm') => Effect::Kept(Kind::Mode),
        // DECSCUSR.
        (0, b' ') => {
            let known = *bytes.get(len)? == b'q';
            return Some((
                len + 1,
                if known {
                    Effect::Kept(Kind::Mode)
                } else {
                    Effect::Unknown
                },
            ));
        }
        _ => Effect::Unknown,
    };
    Some((len, effect))
}

/// A mode that neither moves the cursor nor changes which cells there are.
fn is_plain_mode(params: &[u8]) -> bool {
    matches!(
        params,
        b"1" | b"7"
            | b"9"
            | b"12"
            | b"25"
            | b"66"
            | b"1000"
            | b"1001"
            | b"1002"
            | b"1003"
            | b"1004"
            | b"1005"
            | b"1006"
            | b"1007"
            | b"1015"
            | b"1016"
            | b"2004"
            | b"2026"
            | b"2031"
    )
}

/// The one number of a cursor movement; none and 0 are 1.
fn count(params: &[u8]) -> Option<usize> {
    if params.len() > 5 {
        return None;
    }
    let digit = |number: usize, byte: &u8| {
        byte.is_ascii_digit()
            .then(|| number * 10 + usize::from(byte - b'0'))
    };
    let number = params.iter().try_fold(0, digit)?;
    Some(number.max(1))
}

/// An operating system command, with the ST behind it.
fn command(bytes: &[u8]) -> Option<(usize, Effect)> {
    let body = &bytes[2..bytes.len().min(LONGEST)];
    let unknown = Some((2, Effect::Unknown));
    let Some(end) = body.iter().position(|byte| *byte < 0x20) else {
        return if bytes.len() >= LONGEST {
            unknown
        } else {
            None
        };
    };
    let len = match (body[end], body.get(end + 1)) {
        (0x07, _) => end + 3,
        (0x1b, Some(b'\\')) => end + 4,
        (0x1b, None) if bytes.len() < LONGEST => return None,
        _ => return unknown,
    };
    let code = body[..end]
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default();
    let effect = match code {
        b"0" => Effect::Kept(Kind::Names),
        b"1" => Effect::Kept(Kind::Icon),
        b"2" => Effect::Kept(Kind::Title),
        b"8" => Effect::Kept(Kind::Link),
        // Working directory, progress, marks of a shell's prompts: nothing of the screen.
        b"7" | b"9" | b"133" | b"633" => Effect::Local,
        _ => Effect::Unknown,
    };
    Some((len, effect))
}

#[cfg(test)]
#[path = "skip_tests.rs"]
mod tests;
