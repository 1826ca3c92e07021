//! What programs ask their terminal, and what a terminal that is not there answers.
//!
//! Sources: xterm's control sequences (<https://invisible-island.net/xterm/ctlseqs/ctlseqs.html>) and kitty's keyboard
//! protocol (<https://sw.kovidgoyal.net/kitty/keyboard-protocol/>).

use alacritty_terminal::term::TermMode;
use alacritty_terminal::term::cell::Cell;
use alacritty_terminal::vte::ansi::{CursorShape, CursorStyle, Rgb};

use crate::model::{CursorLook, Model};
use crate::pen::{Colours, attributes};
use crate::settings::decscusr;
use crate::special::number;

/// A question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Query {
    /// One that is answered with these bytes, whatever the screen.
    Fixed(&'static [u8]),
    /// DSR 6, and DECXCPR.
    Position { private: bool },
    /// DECRQM.
    Mode { private: bool, mode: u16 },
    /// XTVERSION.
    Version,
    /// OSC 4, 10, 11, 12 with `?`: what precedes each colour in the reply, and its index.
    Colours {
        asked: Vec<(String, usize)>,
        bell: bool,
    },
    /// Kitty's `CSI ? u`.
    Keyboard,
    /// XTQMODKEYS.
    OtherKeys,
    /// XTWINOPS 18: the size in characters.
    Size,
    /// DECRQSS.
    Setting(Setting),
}

/// What is set by a sequence with parameters, named after it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    Sgr,
    Decscusr,
    Decstbm,
    Decscl,
}

/// A VT220 with colours.
const ATTRIBUTES: &[u8] = b"\x1b[?62;22c";
const SECONDARY: &[u8] = b"\x1b[>1;10;0c";
const TERTIARY: &[u8] = b"\x1bP!|00000000\x1b\\";

/// `ESC last`: DECID.
pub(crate) fn escape(last: u8) -> Option<Query> {
    (last == b'Z').then_some(Query::Fixed(ATTRIBUTES))
}

/// A device control string. XTGETTCAP: not a known capability.
pub(crate) fn device(whole: &[u8]) -> Option<Query> {
    match whole {
        [_, _, b'$', b'q', setting @ ..] => Some(match setting {
            b"m" => Query::Setting(Setting::Sgr),
            b" q" => Query::Setting(Setting::Decscusr),
            b"r" => Query::Setting(Setting::Decstbm),
            b"\"p" => Query::Setting(Setting::Decscl),
            _ => Query::Fixed(b"\x1bP0$r\x1b\\"),
        }),
        [_, _, b'+', b'q', ..] => Some(Query::Fixed(b"\x1bP0+r\x1b\\")),
        _ => None,
    }
}

/// `ESC [ body last`.
pub(crate) fn control(body: &[u8], last: u8) -> Option<Query> {
    let prefix = body
        .iter()
        .take_while(|byte| matches!(byte, 0x3c..=0x3f))
        .count();
    let (prefix, rest) = body.split_at(prefix);
    let middle = rest
        .iter()
        .rev()
        .take_while(|byte| matches!(byte, 0x20..=0x2f))
        .count();
    let (params, middle) = rest.split_at(rest.len() - middle);
    let first = number(params)?;
    let private = prefix == b"?";
    match (prefix, middle, last) {
        (b"", b"", b'c') if first == 0 => Some(Query::Fixed(ATTRIBUTES)),
        (b">", b"", b'c') if first == 0 => Some(Query::Fixed(SECONDARY)),
        (b"=", b"", b'c') if first == 0 => Some(Query::Fixed(TERTIARY)),
        (b"" | b"?", b"", b'n') => match first {
            5 => Some(Query::Fixed(b"\x1b[0n")),
            6 => Some(Query::Position { private }),
            _ => None,
        },
        (b"" | b"?", b"$", b'p') => Some(Query::Mode {
            private,
            mode: first,
        }),
        (b">", b"", b'q') if first == 0 => Some(Query::Version),
        (b"?", b"", b'u') => Some(Query::Keyboard),
        (b"?", b"", b'm') if first == 4 => Some(Query::OtherKeys),
        (b"", b"", b't') if first == 18 => Some(Query::Size),
        _ => None,
    }
}

/// `ESC ] body`, ended by `bell` or ST.
pub(crate) fn command(body: &[u8], bell: bool) -> Option<Query> {
    let mut params = body.split(|byte| *byte == b';');
    let code = number(params.next()?)?;
    let mut asked = Vec::new();
    match code {
        4 => {
            let params: Vec<&[u8]> = params.collect();
            for pair in params.chunks_exact(2).filter(|pair| pair[1] == b"?") {
                let index = usize::from(number(pair[0])?);
                asked.push((format!("4;{index}"), index));
            }
        }
        10..=12 => {
            // Several values are those of the next codes.
            for (code, value) in (code..=12).zip(params) {
                if value == b"?" {
                    asked.push((code.to_string(), 256 + usize::from(code) - 10));
                }
            }
        }
        _ => {}
    }
    asked.retain(|(_, index)| *index < 259);
    (!asked.is_empty()).then_some(Query::Colours { asked, bell })
}

impl Query {
    /// Answers it as a terminal with this state would.
    pub(crate) fn answer(&self, model: &Model, mut reply: impl FnMut(&[u8])) {
        let text = match self {
            Self::Fixed(bytes) => return reply(bytes),
            Self::Position { private } => {
                let point = model.grid().cursor.point;
                let top = if model.has(TermMode::ORIGIN) {
                    model.noted.region.0
                } else {
                    0
                };
                let (row, col) = (point.line.0 - top as i32 + 1, point.column.0 + 1);
                format!("\x1b[{}{row};{col}R", if *private { "?" } else { "" })
            }
            Self::Mode { private, mode } => {
                let state = match state(model, *private, *mode) {
                    Some(true) => 1,
                    Some(false) => 2,
                    None => 0,
                };
                format!("\x1b[{}{mode};{state}$y", if *private { "?" } else { "" })
            }
            Self::Version => format!("\x1bP>|session {}\x1b\\", env!("CARGO_PKG_VERSION")),
            Self::Colours { asked, bell } => {
                let end = if *bell { "\x07" } else { "\x1b\\" };
                let colour = |(code, index): &(String, usize)| {
                    let Rgb { r, g, b } =
                        model.term.colors()[*index].unwrap_or_else(|| own(*index));
                    format!("\x1b]{code};rgb:{r:02x}{r:02x}/{g:02x}{g:02x}/{b:02x}{b:02x}{end}")
                };
                asked.iter().map(colour).collect()
            }
            Self::Keyboard => format!("\x1b[?{}u", model.keyboard().flags),
            Self::OtherKeys => format!("\x1b[>4;{}m", model.noted.other_keys),
            Self::Size => {
                let size = model.size();
                format!("\x1b[8;{};{}t", size.rows, size.cols)
            }
            Self::Setting(setting) => {
                let now = match setting {
                    Setting::Sgr => sgr(&model.grid().cursor.template),
                    Setting::Decscusr => format!("{} q", cursor_style(&model.noted.look)),
                    Setting::Decstbm => {
                        let (top, bottom) = model.noted.region;
                        format!("{};{}r", top + 1, bottom + 1)
                    }
                    Setting::Decscl => "62;1\"p".to_owned(),
                };
                format!("\x1bP1$r{now}\x1b\\")
            }
        };
        reply(text.as_bytes());
    }
}

/// With colons, by which a program tells whether colours of 24 bits are understood.
fn sgr(cell: &Cell) -> String {
    let mut sgr = Vec::new();
    attributes(&mut sgr, cell, Colours::Colons);
    String::from_utf8(sgr).unwrap_or_default()
}

/// A block, if it was never chosen.
fn cursor_style(look: &CursorLook) -> u8 {
    let shape = look.style.map_or(CursorShape::Block, |style| style.shape);
    let blinking = blinks(look);
    decscusr(CursorStyle { shape, blinking })
}

/// Whether the cursor blinks: it does not, if that was never chosen.
fn blinks(look: &CursorLook) -> bool {
    let style = look.style.map(|style| style.blinking);
    let style = style.filter(|_| !look.blinking_is_later);
    style.or(look.blinking).unwrap_or(false)
}

/// Whether a mode is set; `None` if it is not known.
fn state(model: &Model, private: bool, mode: u16) -> Option<bool> {
    let noted = &model.noted;
    let has = |flag| Some(model.has(flag));
    if !private {
        return match mode {
            4 => has(TermMode::INSERT),
            20 => has(TermMode::LINE_FEED_NEW_LINE),
            _ => None,
        };
    }
    match mode {
        1 => has(TermMode::APP_CURSOR),
        6 => has(TermMode::ORIGIN),
        7 => has(TermMode::LINE_WRAP),
        12 => Some(blinks(&noted.look)),
        25 => has(TermMode::SHOW_CURSOR),
        47 | 1047 | 1049 => has(TermMode::ALT_SCREEN),
        66 => has(TermMode::APP_KEYPAD),
        1004 => has(TermMode::FOCUS_IN_OUT),
        2004 => has(TermMode::BRACKETED_PASTE),
        2026 => Some(false),
        9 | 1000..=1003 => Some(noted.mouse == mode),
        1005 | 1006 | 1015 | 1016 => Some(noted.mouse_encoding == mode),
        5 | 45 | 1007 => Some(noted.private.get(&mode).copied().unwrap_or(false)),
        8 => Some(noted.private.get(&mode).copied().unwrap_or(true)),
        _ => None,
    }
}

/// xterm's colours, on a dark background.
pub(crate) fn own(index: usize) -> Rgb {
    const BASE: [u32; 16] = [
        0x00_0000, 0xcd_0000, 0x00_cd00, 0xcd_cd00, 0x00_00ee, 0xcd_00cd, 0x00_cdcd, 0xe5_e5e5,
        0x7f_7f7f, 0xff_0000, 0x00_ff00, 0xff_ff00, 0x5c_5cff, 0xff_00ff, 0x00_ffff, 0xff_ffff,
    ];
    let level = |step: usize| if step == 0 { 0 } else { 55 + 40 * step as u8 };
    match index {
        0..=15 => {
            let [_, r, g, b] = BASE[index].to_be_bytes();
            Rgb { r, g, b }
        }
        16..=231 => {
            let cube = index - 16;
            Rgb {
                r: level(cube / 36),
                g: level(cube / 6 % 6),
                b: level(cube % 6),
            }
        }
        232..=255 => {
            let grey = 8 + 10 * (index - 232) as u8;
            Rgb {
                r: grey,
                g: grey,
                b: grey,
            }
        }
        257 => Rgb { r: 0, g: 0, b: 0 },
        _ => Rgb {
            r: 0xe5,
            g: 0xe5,
            b: 0xe5,
        },
    }
}

#[cfg(test)]
#[path = "query_tests.rs"]
mod tests;
