//! A screen as a drawing: text that can be read, searched and scaled, in the colours of its cells.

use std::fmt::Write as _;
use std::ops::Range;

use vt100::{Cell, Color, Screen};

/// Of one cell.
const WIDTH: f32 = 8.43;
const HEIGHT: f32 = 19.0;
const FONT: f32 = 14.0;
/// Around the text, and above it the bar with its three buttons.
const MARGIN: f32 = 20.0;
const BAR: f32 = 40.0;
/// Between two windows.
const GAP: f32 = 14.0;

const BACKGROUND: &str = "#14171c";
const FOREGROUND: &str = "#d5dae2";
/// The sixteen colours, dark ones first.
const PALETTE: [&str; 16] = [
    "#3b4252", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d5dae2",
    "#7f8794", "#ff7b86", "#b5e890", "#ffd68a", "#7cc4ff", "#dd92f5", "#70d7e3", "#ffffff",
];

/// What makes two neighbouring cells one piece of text.
#[derive(PartialEq)]
struct Style {
    color: String,
    background: Option<String>,
    is_bold: bool,
    is_dim: bool,
    is_underlined: bool,
}

impl Style {
    fn of(cell: &Cell) -> Self {
        let mut color = color(cell.fgcolor(), cell.bold());
        let mut background = color_or_none(cell.bgcolor());
        if cell.inverse() {
            let front = background.unwrap_or_else(|| BACKGROUND.to_owned());
            background = Some(std::mem::replace(&mut color, front));
        }
        Self {
            color,
            background,
            is_bold: cell.bold(),
            is_dim: cell.dim(),
            is_underlined: cell.underline(),
        }
    }
}

fn color(color: Color, is_bold: bool) -> String {
    match color {
        // As terminals do: bold text takes the bright one of the first eight colours.
        Color::Idx(index @ 0..8) if is_bold => PALETTE[usize::from(index) + 8].to_owned(),
        color => color_or_none(color).unwrap_or_else(|| FOREGROUND.to_owned()),
    }
}

fn color_or_none(color: Color) -> Option<String> {
    let (red, green, blue) = match color {
        Color::Default => return None,
        Color::Idx(index @ 0..16) => return Some(PALETTE[usize::from(index)].to_owned()),
        Color::Idx(index @ 232..) => {
            let gray = 8 + 10 * (index - 232);
            (gray, gray, gray)
        }
        Color::Idx(index) => {
            let level = |part: u8| if part == 0 { 0 } else { 55 + 40 * part };
            let cube = index - 16;
            (level(cube / 36), level(cube / 6 % 6), level(cube % 6))
        }
        Color::Rgb(red, green, blue) => (red, green, blue),
    };
    Some(format!("#{red:02x}{green:02x}{blue:02x}"))
}

/// A terminal as it is drawn.
pub(super) struct Window {
    pub(super) title: &'static str,
    pub(super) screen: Screen,
}

impl Window {
    fn width(&self) -> f32 {
        f32::from(self.screen.size().1.get()) * WIDTH + 2.0 * MARGIN
    }

    /// With the rows in use alone.
    fn height(&self) -> f32 {
        f32::from(self.screen.cursor_position().0 + 1) * HEIGHT + BAR + MARGIN
    }
}

/// Draws the windows one below the other.
pub(super) fn render(windows: &[Window]) -> String {
    let width = windows.iter().map(Window::width).fold(0.0, f32::max);
    let gaps = GAP * windows.len().saturating_sub(1) as f32;
    let height = windows.iter().map(Window::height).sum::<f32>() + gaps;
    // Writing to a string cannot fail.
    let mut svg = String::new();
    let _ = writeln!(
        svg,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0} {height:.0}" width="{width:.0}" height="{height:.0}" font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="{FONT}">"#,
    );
    let mut top = 0.0;
    for window in windows {
        let _ = writeln!(svg, r#"<g transform="translate(0 {top:.0})">"#);
        draw_window(&mut svg, window);
        svg.push_str("</g>\n");
        top += window.height() + GAP;
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw_window(svg: &mut String, window: &Window) {
    let (width, height) = (window.width(), window.height());
    let (columns, screen) = (window.screen.size().1.get(), &window.screen);
    let _ = writeln!(
        svg,
        r#"<rect width="{width:.0}" height="{height:.0}" rx="9" fill="{BACKGROUND}"/>
<circle cx="20" cy="17" r="5.5" fill="{}"/><circle cx="39" cy="17" r="5.5" fill="{}"/><circle cx="58" cy="17" r="5.5" fill="{}"/>
<text x="{:.0}" y="21" text-anchor="middle" font-family="sans-serif" font-size="12.5" fill="{}">{}</text>"#,
        PALETTE[1],
        PALETTE[3],
        PALETTE[2],
        width / 2.0,
        PALETTE[8],
        window.title,
    );
    let (row, column) = screen.cursor_position();
    for row in 0..=row {
        draw_row(svg, screen, row, columns);
    }
    let _ = writeln!(
        svg,
        r#"<rect x="{:.2}" y="{:.2}" width="{WIDTH}" height="{HEIGHT}" fill="{FOREGROUND}" opacity="0.8"/>"#,
        left(column),
        top(row),
    );
}

fn left(column: u16) -> f32 {
    MARGIN + f32::from(column) * WIDTH
}

fn top(row: u16) -> f32 {
    BAR + f32::from(row) * HEIGHT
}

fn draw_row(svg: &mut String, screen: &Screen, row: u16, columns: u16) {
    let mut column = 0;
    while column < columns {
        let start = column;
        let Some(style) = screen.cell(row, column).map(Style::of) else {
            return;
        };
        let (mut text, mut end) = (String::new(), start);
        while let Some(cell) = screen.cell(row, column) {
            if Style::of(cell) != style {
                break;
            }
            if !cell.is_wide_continuation() {
                text.push_str(if cell.has_contents() {
                    cell.contents()
                } else {
                    " "
                });
            }
            column += 1;
            if cell.has_contents() && cell.contents() != " " {
                end = column;
            }
        }
        if let Some(background) = &style.background {
            draw_background(svg, row, start..column, background);
        }
        if end > start {
            draw_text(svg, row, start..end, text.trim_end(), &style);
        }
    }
}

fn draw_background(svg: &mut String, row: u16, columns: Range<u16>, color: &str) {
    let _ = writeln!(
        svg,
        r#"<rect x="{:.2}" y="{:.2}" width="{:.2}" height="{HEIGHT}" fill="{color}"/>"#,
        left(columns.start),
        top(row),
        f32::from(columns.end - columns.start) * WIDTH,
    );
}

fn draw_text(svg: &mut String, row: u16, columns: Range<u16>, text: &str, style: &Style) {
    let mut extra = String::new();
    if style.is_bold {
        extra.push_str(r#" font-weight="bold""#);
    }
    if style.is_dim {
        extra.push_str(r#" opacity="0.65""#);
    }
    if style.is_underlined {
        extra.push_str(r#" text-decoration="underline""#);
    }
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    // The length keeps the columns in line in any font.
    let _ = writeln!(
        svg,
        r#"<text x="{:.2}" y="{:.2}" textLength="{:.2}" lengthAdjust="spacingAndGlyphs" xml:space="preserve" fill="{}"{extra}>{text}</text>"#,
        left(columns.start),
        top(row) + HEIGHT * 0.74,
        f32::from(columns.end - columns.start) * WIDTH,
        style.color,
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU16;

    #[test]
    fn text_keeps_its_place_and_colour_and_markup_is_escaped() {
        let cells = |count| NonZeroU16::new(count).unwrap();
        let mut screen = vt100::Parser::new(cells(3), cells(20), 0);
        screen.process(b"\x1b[32mok\x1b[m a<b&c\r\n\x1b[7mlast\x1b[m");
        let svg = render(&[Window {
            title: "a title",
            screen: screen.screen().clone(),
        }]);
        assert!(
            svg.contains(&format!(r#"fill="{}">ok</text>"#, PALETTE[2])),
            "{svg}"
        );
        assert!(svg.contains("a&lt;b&amp;c</text>"), "{svg}");
        assert!(
            svg.contains(&format!(r#"fill="{BACKGROUND}">last</text>"#)),
            "{svg}"
        );
        assert_eq!(color_or_none(Color::Idx(255)).unwrap(), "#eeeeee");
        assert_eq!(color_or_none(Color::Idx(231)).unwrap(), "#ffffff");
    }
}
