//! A screen to be read: its cells, its cursor and its modes, whatever emulator is behind it.

use alacritty_terminal::grid::Dimensions as _;
use alacritty_terminal::index::Line;
use alacritty_terminal::term::TermMode;
use alacritty_terminal::term::cell::{self, Flags};
use alacritty_terminal::vte::ansi::{self, CursorShape, NamedColor};

use crate::bits::{BLINK, is_overlined, without_overline};
use crate::query;
use crate::screen::Screen;

/// One cell of a screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// A character and what combines with it; a space where nothing was written, and nothing where the character
    /// before is wide.
    pub text: String,
    /// Columns the text takes: 1, 2, or 0 behind a wide character.
    pub width: u8,
    /// How it looks.
    pub style: Style,
}

/// How a cell looks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Of the text; `None` is the terminal's own.
    pub fg: Option<Colour>,
    /// Behind the text; `None` is the terminal's own.
    pub bg: Option<Colour>,
    /// Line under the text.
    pub underline: Option<Underline>,
    /// Of that line; `None` is the text's.
    pub underline_colour: Option<Colour>,
    /// Bold or bright.
    pub bold: bool,
    /// Faint.
    pub dim: bool,
    /// Slanted.
    pub italic: bool,
    /// Blinking.
    pub blink: bool,
    /// Colours of text and background exchanged.
    pub inverse: bool,
    /// Not to be seen.
    pub hidden: bool,
    /// Crossed out.
    pub strikeout: bool,
    /// A line above the text.
    pub overline: bool,
    /// Where a click leads; without control characters.
    pub link: Option<String>,
}

/// A colour as the program named it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// One of the palette's 256.
    Indexed(u8),
    /// Itself.
    Rgb(Rgb),
}

/// Red, green and blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rgb(pub u8, pub u8, pub u8);

/// Kinds of line under text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Underline {
    /// One line.
    Single,
    /// Two lines.
    Double,
    /// A wave.
    Curly,
    /// Dots.
    Dotted,
    /// Dashes.
    Dashed,
}

/// Where the cursor is, and how it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Row, from 0.
    pub row: u16,
    /// Column, from 0.
    pub col: u16,
    /// Shown at all.
    pub visible: bool,
    /// Its form.
    pub shape: Shape,
    /// Going on and off.
    pub blinking: bool,
}

/// Forms of cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The whole cell.
    Block,
    /// A line under it.
    Underline,
    /// A line before it.
    Bar,
}

/// What the program switched on: how input must look, and how output acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    /// Cursor keys send SS3 sequences (DECCKM).
    pub application_cursor: bool,
    /// The keypad sends sequences (DECKPAM).
    pub application_keypad: bool,
    /// Pasted text is framed.
    pub bracketed_paste: bool,
    /// Which mouse events are told.
    pub mouse: Option<Mouse>,
    /// How they are told; `None` is X10's way.
    pub mouse_encoding: Option<Encoding>,
    /// Gaining and losing the focus is told.
    pub focus: bool,
    /// Flags of kitty's keyboard protocol in force.
    pub keyboard: u8,
    /// Level of xterm's modifyOtherKeys.
    pub modify_other_keys: u8,
    /// Text goes on in the next row at the right margin (DECAWM).
    pub autowrap: bool,
    /// Text moves what is behind it (IRM).
    pub insert: bool,
    /// Rows are counted from the region's top (DECOM).
    pub origin: bool,
    /// A line feed begins a row (LNM).
    pub newline: bool,
    /// The terminal's own colours are exchanged (DECSCNM).
    pub reverse: bool,
}

/// Mouse events that are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mouse {
    /// Presses (mode 9).
    Press,
    /// Presses and releases (1000).
    Click,
    /// These within a range that the program highlights (1001).
    Highlight,
    /// These and motion while a button is held (1002).
    Drag,
    /// These and all motion (1003).
    Motion,
}

/// Ways to tell mouse events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Coordinates as UTF-8 (mode 1005).
    Utf8,
    /// SGR (1006).
    Sgr,
    /// urxvt's (1015).
    Urxvt,
    /// SGR in pixels (1016).
    SgrPixels,
}

impl Screen {
    /// The rows of the screen that is shown, the main or the alternate one, from the top; a cell for each column.
    pub fn rows(&self) -> impl Iterator<Item = Vec<Cell>> + '_ {
        let grid = self.model.grid();
        (0..grid.screen_lines() as i32).map(move |line| row(&grid[Line(line)][..]))
    }

    /// The rows as text, without trailing spaces and what is hidden.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.rows().map(|cells| {
            let seen = |cell: &Cell| {
                if cell.style.hidden {
                    " ".repeat(cell.width.into())
                } else {
                    cell.text.clone()
                }
            };
            let text: String = cells.iter().map(seen).collect();
            text.trim_end_matches(' ').to_owned()
        })
    }

    /// The cursor.
    pub fn cursor(&self) -> Cursor {
        let point = self.model.grid().cursor.point;
        let look = &self.model.noted.look;
        let style = look.style.unwrap_or_default();
        let later = look
            .blinking
            .filter(|_| look.style.is_none() || look.blinking_is_later);
        Cursor {
            row: point.line.0.max(0) as u16,
            col: point.column.0 as u16,
            visible: self.model.has(TermMode::SHOW_CURSOR),
            shape: match style.shape {
                CursorShape::Underline => Shape::Underline,
                CursorShape::Beam => Shape::Bar,
                _ => Shape::Block,
            },
            blinking: later.unwrap_or(style.blinking),
        }
    }

    /// What the program calls its window.
    pub fn title(&self) -> Option<&str> {
        self.model.noted.title.now.as_deref()
    }

    /// Whether the alternate screen is shown.
    pub fn is_alternate(&self) -> bool {
        self.model.on_alternate()
    }

    /// The modes.
    pub fn modes(&self) -> Modes {
        let has = |mode| self.model.has(mode);
        let noted = &self.model.noted;
        Modes {
            application_cursor: has(TermMode::APP_CURSOR),
            application_keypad: has(TermMode::APP_KEYPAD),
            bracketed_paste: has(TermMode::BRACKETED_PASTE),
            mouse: match noted.mouse {
                9 => Some(Mouse::Press),
                1000 => Some(Mouse::Click),
                1001 => Some(Mouse::Highlight),
                1002 => Some(Mouse::Drag),
                1003 => Some(Mouse::Motion),
                _ => None,
            },
            mouse_encoding: match noted.mouse_encoding {
                1005 => Some(Encoding::Utf8),
                1006 => Some(Encoding::Sgr),
                1015 => Some(Encoding::Urxvt),
                1016 => Some(Encoding::SgrPixels),
                _ => None,
            },
            focus: has(TermMode::FOCUS_IN_OUT),
            keyboard: self.model.keyboard().flags,
            modify_other_keys: noted.other_keys,
            autowrap: has(TermMode::LINE_WRAP),
            insert: has(TermMode::INSERT),
            origin: has(TermMode::ORIGIN),
            newline: has(TermMode::LINE_FEED_NEW_LINE),
            reverse: noted.private.get(&5).copied().unwrap_or(false),
        }
    }

    /// What a colour is here: the program's if it changed the palette, else xterm's.
    pub fn rgb(&self, colour: Colour) -> Rgb {
        match colour {
            Colour::Indexed(index) => self.palette(index.into()),
            Colour::Rgb(rgb) => rgb,
        }
    }

    /// The terminal's own colour of text, as xterm has it on a dark background unless the program changed it.
    pub fn foreground(&self) -> Rgb {
        self.palette(NamedColor::Foreground as usize)
    }

    /// The terminal's own background.
    pub fn background(&self) -> Rgb {
        self.palette(NamedColor::Background as usize)
    }

    /// The cursor's colour.
    pub fn cursor_colour(&self) -> Rgb {
        self.palette(NamedColor::Cursor as usize)
    }

    fn palette(&self, index: usize) -> Rgb {
        let ansi::Rgb { r, g, b } =
            self.model.term.colors()[index].unwrap_or_else(|| query::own(index));
        Rgb(r, g, b)
    }
}

fn row(cells: &[cell::Cell]) -> Vec<Cell> {
    let has = |col: usize, flag| cells.get(col).is_some_and(|cell| cell.flags.contains(flag));
    let wide = |col: usize| has(col, Flags::WIDE_CHAR) && has(col + 1, Flags::WIDE_CHAR_SPACER);
    let read = |(col, cell): (usize, &cell::Cell)| {
        let (text, width) = if wide(col) {
            (text(cell), 2)
        } else if col > 0 && wide(col - 1) {
            (String::new(), 0)
        } else if cell
            .flags
            .intersects(Flags::WIDE_CHAR | Flags::WIDE_CHAR_SPACER)
        {
            // Half of a wide character that was overwritten.
            (" ".to_owned(), 1)
        } else {
            (text(cell), 1)
        };
        Cell {
            text,
            width,
            style: style(cell),
        }
    };
    cells.iter().enumerate().map(read).collect()
}

fn text(cell: &cell::Cell) -> String {
    let c = if cell.c.is_control() { ' ' } else { cell.c };
    let combining = cell.zerowidth().into_iter().flatten();
    std::iter::once(&c).chain(combining).collect()
}

fn style(cell: &cell::Cell) -> Style {
    let flags = without_overline(cell.flags);
    let has = |flag| flags.contains(flag);
    let underline = [
        (Flags::UNDERLINE, Underline::Single),
        (Flags::DOUBLE_UNDERLINE, Underline::Double),
        (Flags::UNDERCURL, Underline::Curly),
        (Flags::DOTTED_UNDERLINE, Underline::Dotted),
        (Flags::DASHED_UNDERLINE, Underline::Dashed),
    ];
    let link = cell.extra.as_ref().and_then(|_| cell.hyperlink());
    Style {
        fg: colour(cell.fg),
        bg: colour(cell.bg),
        underline: underline
            .into_iter()
            .find_map(|(flag, kind)| has(flag).then_some(kind)),
        underline_colour: cell.underline_color().and_then(colour),
        bold: has(Flags::BOLD),
        dim: has(Flags::DIM),
        italic: has(Flags::ITALIC),
        blink: has(BLINK),
        inverse: has(Flags::INVERSE),
        hidden: has(Flags::HIDDEN),
        strikeout: has(Flags::STRIKEOUT),
        overline: is_overlined(cell.flags),
        link: link.map(|link| link.uri().chars().filter(|c| !c.is_control()).collect()),
    }
}

/// `None` for the terminal's own.
fn colour(colour: ansi::Color) -> Option<Colour> {
    match colour {
        ansi::Color::Named(named) if (named as usize) < 16 => Some(Colour::Indexed(named as u8)),
        ansi::Color::Named(_) => None,
        ansi::Color::Indexed(index) => Some(Colour::Indexed(index)),
        ansi::Color::Spec(ansi::Rgb { r, g, b }) => Some(Colour::Rgb(Rgb(r, g, b))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(output: &str) -> Screen {
        let mut screen = Screen::new(3, 10);
        screen.feed(output.as_bytes());
        screen
    }

    fn first(output: &str) -> Vec<Cell> {
        shown(output).rows().next().unwrap()
    }

    #[test]
    fn there_is_a_cell_for_each_column() {
        let cells = first("a\u{4f60}e\u{301}");
        let read: Vec<_> = cells
            .iter()
            .map(|cell| (cell.text.as_str(), cell.width))
            .collect();
        let begin = [
            ("a", 1),
            ("\u{4f60}", 2),
            ("", 0),
            ("e\u{301}", 1),
            (" ", 1),
        ];
        assert_eq!(read[..5], begin);
        assert_eq!(read.len(), 10);
        // The second half goes, and the first with it.
        let cells = first("\u{4f60}\x1b[2Gx");
        assert_eq!((cells[0].text.as_str(), cells[0].width), (" ", 1));
    }

    #[test]
    fn lines_are_what_is_seen() {
        let screen = shown("one  \r\n\x1b[8mtwo\x1b[m!\x1b[41m  ");
        assert_eq!(screen.lines().collect::<Vec<_>>(), ["one", "   !", ""]);
    }

    #[test]
    fn attributes_and_colours_are_read() {
        let cells =
            first("\x1b[31;48;5;9ma\x1b[0;92;48;2;1;2;3mb\x1b[0;5;7mc\x1b[0;4:3;58:5:3md\x1b[0me");
        let styles: Vec<Style> = cells.into_iter().map(|cell| cell.style).collect();
        let plain = Style::default;
        let [fg, bg] = [Some(Colour::Indexed(1)), Some(Colour::Indexed(9))];
        assert_eq!(styles[0], Style { fg, bg, ..plain() });
        let [fg, bg] = [Some(Colour::Indexed(10)), Some(Colour::Rgb(Rgb(1, 2, 3)))];
        assert_eq!(styles[1], Style { fg, bg, ..plain() });
        assert_eq!(
            styles[2],
            Style {
                blink: true,
                inverse: true,
                ..plain()
            }
        );
        let (underline, underline_colour) = (Some(Underline::Curly), Some(Colour::Indexed(3)));
        assert_eq!(
            styles[3],
            Style {
                underline,
                underline_colour,
                ..plain()
            }
        );
        assert_eq!(styles[4], plain());
    }

    #[test]
    fn links_lead_where_they_were_set_to() {
        let cells = first("\x1b]8;id=1;https://example.org/a\u{9b}b\x1b\\x\x1b]8;;\x1b\\y");
        assert_eq!(
            cells[0].style.link.as_deref(),
            Some("https://example.org/ab")
        );
        assert_eq!(cells[1].style.link, None);
    }

    #[test]
    fn cursor_title_and_modes_are_read() {
        let screen =
            shown("\x1b]2;a title\x07\x1b[2;4H\x1b[5 q\x1b[?25l\x1b[?1;1003;1006;2004h\x1b[>5u");
        let cursor = Cursor {
            row: 1,
            col: 3,
            visible: false,
            shape: Shape::Bar,
            blinking: true,
        };
        assert_eq!(screen.cursor(), cursor);
        assert_eq!(screen.title(), Some("a title"));
        let modes = screen.modes();
        assert!(modes.application_cursor && modes.bracketed_paste && modes.autowrap);
        assert!(!modes.insert && !modes.focus && !screen.is_alternate());
        let mouse = (Some(Mouse::Motion), Some(Encoding::Sgr));
        assert_eq!(
            (modes.mouse, modes.mouse_encoding, modes.keyboard),
            (mouse.0, mouse.1, 5)
        );
    }

    #[test]
    fn a_changed_palette_counts() {
        let screen = shown("\x1b]4;1;rgb:10/20/30\x07\x1b]11;#ffffff\x07");
        assert_eq!(screen.rgb(Colour::Indexed(1)), Rgb(0x10, 0x20, 0x30));
        assert_eq!(screen.rgb(Colour::Indexed(2)), Rgb(0, 0xcd, 0));
        assert_eq!(screen.background(), Rgb(255, 255, 255));
    }

    #[test]
    fn the_alternate_screen_is_what_is_read_while_it_is_shown() {
        let screen = shown("main\x1b[?1049h\x1b[Hother");
        assert!(screen.is_alternate());
        assert_eq!(screen.lines().next().unwrap(), "other");
    }
}
