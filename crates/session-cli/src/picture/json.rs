//! A screen for programs: every cell by its row and column.

use serde::{Serialize, Serializer};
use session_protocol::Size;
use session_terminal::{Cell, Colour, Encoding, Modes, Mouse, Rgb, Screen, Shape, Underline};

/// The object that `--json` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Json {
    pub(crate) name: String,
    pub(crate) id: String,
    size: Size,
    pub(crate) offset: u64,
    title: Option<String>,
    cursor: CursorJson,
    alternate: bool,
    modes: ModesJson,
    lines: Vec<String>,
    cells: Vec<Vec<CellJson>>,
}

/// What of it is the screen's; whose it is is the caller's to add.
pub(crate) fn json(screen: &Screen, (name, id): (String, String), offset: u64) -> Json {
    let (rows, cols) = screen.size();
    let cursor = screen.cursor();
    Json {
        name,
        id,
        size: Size { rows, cols },
        offset,
        title: screen.title().map(str::to_owned),
        cursor: CursorJson {
            row: cursor.row,
            col: cursor.col,
            visible: cursor.visible,
            shape: match cursor.shape {
                Shape::Block => "block",
                Shape::Underline => "underline",
                Shape::Bar => "bar",
            },
            blinking: cursor.blinking,
        },
        alternate: screen.is_alternate(),
        modes: modes(&screen.modes()),
        lines: screen.lines().collect(),
        cells: screen
            .rows()
            .map(|cells| cells.into_iter().map(cell).collect())
            .collect(),
    }
}

#[derive(Debug, Serialize)]
struct CursorJson {
    row: u16,
    col: u16,
    visible: bool,
    shape: &'static str,
    blinking: bool,
}

#[derive(Debug, Serialize)]
struct ModesJson {
    application_cursor: bool,
    application_keypad: bool,
    bracketed_paste: bool,
    mouse: Option<&'static str>,
    mouse_encoding: Option<&'static str>,
    focus: bool,
    keyboard: u8,
    modify_other_keys: u8,
    autowrap: bool,
    insert: bool,
    origin: bool,
    newline: bool,
    reverse: bool,
}

fn modes(modes: &Modes) -> ModesJson {
    ModesJson {
        application_cursor: modes.application_cursor,
        application_keypad: modes.application_keypad,
        bracketed_paste: modes.bracketed_paste,
        mouse: modes.mouse.map(|mouse| match mouse {
            Mouse::Press => "press",
            Mouse::Click => "click",
            Mouse::Highlight => "highlight",
            Mouse::Drag => "drag",
            Mouse::Motion => "motion",
        }),
        mouse_encoding: modes.mouse_encoding.map(|encoding| match encoding {
            Encoding::Utf8 => "utf8",
            Encoding::Sgr => "sgr",
            Encoding::Urxvt => "urxvt",
            Encoding::SgrPixels => "sgr-pixels",
        }),
        focus: modes.focus,
        keyboard: modes.keyboard,
        modify_other_keys: modes.modify_other_keys,
        autowrap: modes.autowrap,
        insert: modes.insert,
        origin: modes.origin,
        newline: modes.newline,
        reverse: modes.reverse,
    }
}

/// Its text, and what of it is not plain: thousands of cells are, and they stay short.
#[derive(Debug, Serialize)]
struct CellJson {
    text: String,
    #[serde(skip_serializing_if = "is_one")]
    width: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    fg: Option<ColourJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bg: Option<ColourJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    underline: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    underline_color: Option<ColourJson>,
    #[serde(skip_serializing_if = "is_off")]
    bold: bool,
    #[serde(skip_serializing_if = "is_off")]
    dim: bool,
    #[serde(skip_serializing_if = "is_off")]
    italic: bool,
    #[serde(skip_serializing_if = "is_off")]
    blink: bool,
    #[serde(skip_serializing_if = "is_off")]
    inverse: bool,
    #[serde(skip_serializing_if = "is_off")]
    hidden: bool,
    #[serde(skip_serializing_if = "is_off")]
    strikeout: bool,
    #[serde(skip_serializing_if = "is_off")]
    overline: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

fn is_one(width: &u8) -> bool {
    *width == 1
}

fn is_off(attribute: &bool) -> bool {
    !attribute
}

fn cell(cell: Cell) -> CellJson {
    let style = cell.style;
    CellJson {
        text: cell.text,
        width: cell.width,
        fg: style.fg.map(ColourJson),
        bg: style.bg.map(ColourJson),
        underline: style.underline.map(|kind| match kind {
            Underline::Single => "single",
            Underline::Double => "double",
            Underline::Curly => "curly",
            Underline::Dotted => "dotted",
            Underline::Dashed => "dashed",
        }),
        underline_color: style.underline_colour.map(ColourJson),
        bold: style.bold,
        dim: style.dim,
        italic: style.italic,
        blink: style.blink,
        inverse: style.inverse,
        hidden: style.hidden,
        strikeout: style.strikeout,
        overline: style.overline,
        link: style.link,
    }
}

/// A number of the palette, or `#rrggbb`.
#[derive(Debug)]
struct ColourJson(Colour);

impl Serialize for ColourJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Colour::Indexed(index) => serializer.serialize_u8(index),
            Colour::Rgb(Rgb(r, g, b)) => {
                serializer.serialize_str(&format!("#{r:02x}{g:02x}{b:02x}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_says_what_is_not_plain() {
        let mut screen = Screen::new(2, 6);
        let output =
            "\x1b[1;31;48;2;1;2;255;4ma\x1b[m\u{4f60}\x1b]8;;http://x\x1b\\b\x1b]8;;\x1b\\";
        screen.feed(output.as_bytes());
        let whose = ("x".to_owned(), "0123".to_owned());
        let value = serde_json::to_value(json(&screen, whose, 7)).unwrap();
        let row = serde_json::json!([
            { "text": "a", "fg": 1, "bg": "#0102ff", "underline": "single", "bold": true },
            { "text": "\u{4f60}", "width": 2 },
            { "text": "", "width": 0 },
            { "text": "b", "link": "http://x" },
            { "text": " " },
            { "text": " " },
        ]);
        assert_eq!(value["cells"][0], row);
        assert_eq!(value["lines"], serde_json::json!(["a\u{4f60}b", ""]));
        assert_eq!(value["size"], serde_json::json!({ "rows": 2, "cols": 6 }));
        assert_eq!(value["cursor"]["col"], 4);
        assert_eq!(value["offset"], 7);
        assert!(value["title"].is_null() && value["modes"]["mouse"].is_null());
    }
}
