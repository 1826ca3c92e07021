//! The pen that screens are drawn with: sequences for what changes from one cell to the next, and no others.

use std::io::Write as _;

use alacritty_terminal::term::cell::{Cell, Flags};
use alacritty_terminal::vte::ansi::{Color, Hyperlink, NamedColor};

use crate::bits::{self, BLINK};
use crate::sets::{Set, Sets};

/// Underlines, of which a cell has one.
const UNDERLINES: [(Flags, &str); 5] = [
    (Flags::UNDERLINE, "4"),
    (Flags::DOUBLE_UNDERLINE, "21"),
    (Flags::UNDERCURL, "4:3"),
    (Flags::DOTTED_UNDERLINE, "4:4"),
    (Flags::DASHED_UNDERLINE, "4:5"),
];
const ATTRIBUTES: [(Flags, &str); 7] = [
    (Flags::BOLD, "1"),
    (Flags::DIM, "2"),
    (Flags::ITALIC, "3"),
    (BLINK, "5"),
    (Flags::INVERSE, "7"),
    (Flags::HIDDEN, "8"),
    (Flags::STRIKEOUT, "9"),
];

/// Attributes as they are in force in the terminal that is drawn to.
pub(crate) struct Pen {
    pub(crate) out: Vec<u8>,
    fg: Color,
    bg: Color,
    flags: Flags,
    underline: Option<Color>,
    link: Option<Hyperlink>,
    /// Character sets other than ASCII are chosen.
    shifted: bool,
    /// The row that rows are counted from.
    pub(crate) top: i32,
}

type Link = alacritty_terminal::term::cell::Hyperlink;

impl Pen {
    pub(crate) fn new(out: Vec<u8>) -> Self {
        let plain = Cell::default();
        Self {
            out,
            fg: plain.fg,
            bg: plain.bg,
            flags: Flags::empty(),
            underline: None,
            link: None,
            shifted: false,
            top: 0,
        }
    }

    /// As before anything is drawn: attributes and character sets of their own.
    pub(crate) fn neutral(&mut self) {
        self.plain();
        if std::mem::take(&mut self.shifted) {
            self.out.extend_from_slice(b"\x1b(B\x1b)B\x1b*B\x1b+B\x0f");
        }
    }

    /// The terminal's own attributes.
    pub(crate) fn plain(&mut self) {
        self.set(&Cell::default());
    }

    /// The attributes of `cell`.
    pub(crate) fn set(&mut self, cell: &Cell) {
        let (flags, underline) = (cell.flags & shown_flags(), cell.underline_color());
        if (self.fg, self.bg, self.flags, self.underline) != (cell.fg, cell.bg, flags, underline) {
            (self.fg, self.bg, self.flags, self.underline) = (cell.fg, cell.bg, flags, underline);
            self.out.extend_from_slice(b"\x1b[");
            attributes(&mut self.out, cell, Colours::Semicolons);
        }
        let link = cell.extra.as_ref().and_then(|_| cell.hyperlink());
        self.link(link);
    }

    fn link(&mut self, link: Option<Link>) {
        let link = link.map(|link| Hyperlink {
            id: Some(link.id().to_owned()),
            uri: link.uri().to_owned(),
        });
        if self.link != link {
            match &link {
                Some(Hyperlink { id, uri }) => {
                    let id = id.as_deref().unwrap_or_default();
                    self.out
                        .extend_from_slice(format!("\x1b]8;id={id};{uri}\x1b\\").as_bytes());
                }
                None => self.out.extend_from_slice(b"\x1b]8;;\x1b\\"),
            }
            self.link = link;
        }
    }

    pub(crate) fn write(&mut self, text: std::fmt::Arguments<'_>) {
        // A Vec takes everything.
        let _ = self.out.write_fmt(text);
    }

    pub(crate) fn charsets(&mut self, sets: &Sets) {
        for (set, which) in sets.designated.iter().zip(b'('..) {
            if *set != Set::Ascii {
                self.out.extend_from_slice(&[0x1b, which, set.name()]);
            }
        }
        self.out
            .extend_from_slice([&b""[..], b"\x0e", b"\x1bn", b"\x1bo"][sets.shifted]);
        self.shifted |= *sets != Sets::default();
    }
}

/// How the numbers of a colour are told apart: terminals understand the first, ISO 8613-6 has the second.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colours {
    Semicolons,
    Colons,
}

/// The parameters of the SGR that sets the attributes of `cell` alone, and its `m`.
pub(crate) fn attributes(out: &mut Vec<u8>, cell: &Cell, colours: Colours) {
    let mut write = |text: std::fmt::Arguments<'_>| {
        // A Vec takes everything.
        let _ = out.write_fmt(text);
    };
    write(format_args!("0"));
    let drawn = bits::without_overline(cell.flags);
    for (flag, code) in ATTRIBUTES.iter().chain(&UNDERLINES) {
        if drawn.contains(*flag) {
            write(format_args!(";{code}"));
        }
    }
    if bits::is_overlined(cell.flags) {
        write(format_args!(";53"));
    }
    let sides = [
        (cell.fg, 30, NamedColor::Foreground),
        (cell.bg, 40, NamedColor::Background),
    ];
    for (colour, base, own) in sides {
        match (colour, colours) {
            (Color::Named(named), _) if named == own => {}
            (Color::Named(named), _) => {
                let index = named as u8;
                let bright = if index < 8 { 0 } else { 60 };
                write(format_args!(";{}", base + bright + index % 8));
            }
            (Color::Indexed(index), Colours::Semicolons) => {
                write(format_args!(";{};5;{index}", base + 8))
            }
            (Color::Indexed(index), Colours::Colons) => {
                write(format_args!(";{}:5:{index}", base + 8))
            }
            (Color::Spec(rgb), Colours::Semicolons) => {
                write(format_args!(
                    ";{};2;{};{};{}",
                    base + 8,
                    rgb.r,
                    rgb.g,
                    rgb.b
                ));
            }
            (Color::Spec(rgb), Colours::Colons) => {
                write(format_args!(
                    ";{}:2::{}:{}:{}",
                    base + 8,
                    rgb.r,
                    rgb.g,
                    rgb.b
                ));
            }
        }
    }
    match cell.underline_color() {
        Some(Color::Indexed(index)) => write(format_args!(";58:5:{index}")),
        Some(Color::Spec(rgb)) => write(format_args!(";58:2::{}:{}:{}", rgb.r, rgb.g, rgb.b)),
        Some(Color::Named(named)) => write(format_args!(";58:5:{}", named as u8)),
        None => {}
    }
    write(format_args!("m"));
}

/// Attributes that a pen sets.
fn shown_flags() -> Flags {
    let attributes = ATTRIBUTES.iter().map(|(flag, _)| *flag);
    Flags::ALL_UNDERLINES | attributes.collect::<Flags>()
}

pub(crate) fn same_style(one: &Cell, other: &Cell) -> bool {
    let style = |cell: &Cell| {
        (
            cell.fg,
            cell.bg,
            cell.flags & shown_flags(),
            cell.underline_color(),
        )
    };
    style(one) == style(other)
        && one.hyperlink() == other.hyperlink()
        && one.zerowidth().is_none_or(<[char]>::is_empty)
}
