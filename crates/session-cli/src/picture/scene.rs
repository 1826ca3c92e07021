//! What is drawn of a screen: shapes in colours, on a grid of exact cells, in a window.

use session_terminal::{Cell, Rgb, Screen, Shape as CursorShape, Style, Underline};
use unicode_width::UnicodeWidthChar as _;

/// A cell, in units that a picture may scale. A monospaced character is 0.6 times as wide as its font is large, and with
/// this height the lines of boxes meet.
pub(super) const WIDTH: f32 = 9.0;
pub(super) const HEIGHT: f32 = 17.5;
pub(super) const FONT: f32 = 15.0;
/// From a cell's top to the line that its text stands on.
const BASELINE: f32 = 14.0;
/// Around the text, and above it the bar with the title and three buttons.
const MARGIN: f32 = 14.0;
const BAR: f32 = 34.0;
const TITLE: f32 = 13.0;
const RADIUS: f32 = 9.0;
const BUTTONS: [Rgb; 3] = [
    Rgb(0xe0, 0x6c, 0x75),
    Rgb(0xe5, 0xc0, 0x7b),
    Rgb(0x98, 0xc3, 0x79),
];

/// Shapes, those that are below first.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(super) width: f32,
    pub(super) height: f32,
    pub(super) shapes: Vec<Shape>,
}

/// One of them.
#[derive(Debug, PartialEq)]
pub(super) enum Shape {
    Rect(Rect),
    Text(Text),
    Line(Line),
}

#[derive(Debug, PartialEq)]
pub(super) struct Rect {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) width: f32,
    pub(super) height: f32,
    pub(super) radius: f32,
    pub(super) fill: Rgb,
}

#[derive(Debug, PartialEq)]
pub(super) struct Text {
    pub(super) x: f32,
    pub(super) baseline: f32,
    pub(super) width: f32,
    /// One character with what combines with it, to be centred; else a character for each column.
    pub(super) centred: bool,
    pub(super) text: String,
    pub(super) size: f32,
    pub(super) bold: bool,
    pub(super) italic: bool,
    pub(super) fill: Rgb,
}

#[derive(Debug, PartialEq)]
pub(super) struct Line {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) width: f32,
    pub(super) kind: Underline,
    pub(super) stroke: Rgb,
}

impl Line {
    /// Half a wave of a curly line.
    pub(super) const WAVE: f32 = WIDTH / 2.0;

    /// Where its half waves end, and where the middle of each bends to.
    pub(super) fn waves(&self) -> impl Iterator<Item = (f32, f32)> + use<> {
        let (x, count) = (self.x, (self.width / Self::WAVE).round() as usize);
        let bend = |number: usize| if number.is_multiple_of(2) { 3.0 } else { -3.0 };
        (0..count).map(move |number| (x + (number + 1) as f32 * Self::WAVE, bend(number)))
    }
}

impl Scene {
    /// The screen in a window with this title.
    pub(crate) fn new(screen: &Screen, title: &str) -> Self {
        let (rows, cols) = screen.size();
        let mut scene = Self {
            width: f32::from(cols) * WIDTH + 2.0 * MARGIN,
            height: f32::from(rows) * HEIGHT + BAR + MARGIN,
            shapes: Vec::new(),
        };
        let colours = Colours::of(screen);
        scene.window(&colours, title);
        let cursor = screen.cursor();
        for (row, cells) in screen.rows().enumerate() {
            scene.row(&colours, row, &cells);
            if cursor.visible && row == usize::from(cursor.row) {
                scene.cursor(&colours, &cells);
            }
        }
        scene
    }

    fn window(&mut self, colours: &Colours<'_>, title: &str) {
        let (back, front) = (colours.background, colours.foreground);
        let (width, height) = (self.width, self.height);
        // One in the other: an edge that shows where the page is as dark.
        let edge = mixed(back, front, 0.25);
        self.rect(0.0, 0.0, width, height, RADIUS, edge);
        self.rect(1.0, 1.0, width - 2.0, height - 2.0, RADIUS - 1.0, back);
        let middle = BAR / 2.0;
        for (number, fill) in BUTTONS.into_iter().enumerate() {
            let x = MARGIN + number as f32 * 18.0;
            self.rect(x, middle - 5.5, 11.0, 11.0, 5.5, fill);
        }
        let advance = WIDTH * TITLE / FONT;
        // As wide as is free on both sides of the middle.
        let most = ((width - 2.0 * (MARGIN + 60.0)) / advance).max(0.0) as usize;
        let title = fitted(title, most);
        let cols = columns(&title);
        let place = Place {
            x: (width - cols as f32 * advance) / 2.0,
            baseline: middle + TITLE * 0.33,
            size: TITLE,
        };
        // What is how wide, a screen knows.
        let mut line = Screen::new(1, u16::try_from(cols + 1).unwrap_or(u16::MAX));
        line.feed(title.as_bytes());
        let front = mixed(back, front, 0.6);
        for cells in line.rows() {
            let look = Look {
                front,
                ..colours.look(&Style::default())
            };
            let same =
                |one: usize, other: usize| is_regular(&cells[one]) && is_regular(&cells[other]);
            for (from, to) in runs(&cells, same) {
                self.text(place, from, &cells[from..to], &look);
            }
        }
    }

    fn rect(&mut self, x: f32, y: f32, width: f32, height: f32, radius: f32, fill: Rgb) {
        self.shapes.push(Shape::Rect(Rect {
            x,
            y,
            width,
            height,
            radius,
            fill,
        }));
    }

    fn row(&mut self, colours: &Colours<'_>, row: usize, cells: &[Cell]) {
        let looks: Vec<Look> = cells.iter().map(|cell| colours.look(&cell.style)).collect();
        for (from, to) in runs(cells, |one, other| looks[one].back == looks[other].back) {
            if looks[from].back != colours.background {
                let width = left(to) - left(from);
                self.rect(left(from), top(row), width, HEIGHT, 0.0, looks[from].back);
            }
        }
        let same = |one: usize, other: usize| {
            looks[one] == looks[other] && is_regular(&cells[one]) && is_regular(&cells[other])
        };
        for (from, to) in runs(cells, same) {
            self.text(Place::of(row), from, &cells[from..to], &looks[from]);
        }
        let same = |one: usize, other: usize| looks[one].lines() == looks[other].lines();
        for (from, to) in runs(cells, same) {
            self.lines(row, from..to, &looks[from]);
        }
    }

    /// Cells of one look: one, or regular ones.
    fn text(&mut self, place: Place, col: usize, cells: &[Cell], look: &Look) {
        let mut text: String = cells.iter().map(|cell| cell.text.as_str()).collect();
        if look.hidden || text.trim_matches(' ').is_empty() {
            return;
        }
        text.truncate(text.trim_end_matches(' ').len());
        let blank = text.len() - text.trim_start_matches(' ').len();
        let text = text.split_off(blank);
        let col = col + blank;
        let centred = !is_regular(&cells[0]);
        let cols = if centred {
            cells[0].width.into()
        } else {
            text.chars().count()
        };
        let advance = WIDTH * place.size / FONT;
        self.shapes.push(Shape::Text(Text {
            x: place.x + col as f32 * advance,
            baseline: place.baseline,
            width: cols as f32 * advance,
            centred,
            text,
            size: place.size,
            bold: look.bold,
            italic: look.italic,
            fill: look.front,
        }));
    }

    fn lines(&mut self, row: usize, cols: std::ops::Range<usize>, look: &Look) {
        let (x, width) = (left(cols.start), left(cols.end) - left(cols.start));
        let baseline = top(row) + BASELINE;
        let of_text = |y: f32, stroke: Option<Rgb>| (y, stroke.map(|it| (Underline::Single, it)));
        for (y, line) in [
            (baseline + 2.0, look.underline),
            of_text(baseline - 4.5, look.strikeout),
            of_text(top(row) + 1.0, look.overline),
        ] {
            if let Some((kind, stroke)) = line {
                self.shapes.push(Shape::Line(Line {
                    x,
                    y,
                    width,
                    kind,
                    stroke,
                }));
            }
        }
    }

    fn cursor(&mut self, colours: &Colours<'_>, cells: &[Cell]) {
        let cursor = colours.screen.cursor();
        let (row, mut col) = (usize::from(cursor.row), usize::from(cursor.col));
        if col > 0 && cells[col].width == 0 {
            col -= 1;
        }
        let cell = &cells[col];
        let width = f32::from(cell.width.max(1)) * WIDTH;
        let (x, y, fill) = (left(col), top(row), colours.screen.cursor_colour());
        match cursor.shape {
            CursorShape::Block => {
                self.rect(x, y, width, HEIGHT, 0.0, fill);
                let look = Look {
                    front: colours.background,
                    ..colours.look(&cell.style)
                };
                self.text(Place::of(row), col, std::slice::from_ref(cell), &look);
            }
            CursorShape::Underline => self.rect(x, y + HEIGHT - 2.0, width, 2.0, 0.0, fill),
            CursorShape::Bar => self.rect(x, y, 2.0, HEIGHT, 0.0, fill),
        }
    }
}

/// Where a row of text begins, and how large it is.
#[derive(Clone, Copy)]
struct Place {
    x: f32,
    baseline: f32,
    size: f32,
}

impl Place {
    fn of(row: usize) -> Self {
        Self {
            x: left(0),
            baseline: top(row) + BASELINE,
            size: FONT,
        }
    }
}

fn left(col: usize) -> f32 {
    MARGIN + col as f32 * WIDTH
}

fn top(row: usize) -> f32 {
    BAR + row as f32 * HEIGHT
}

/// A character that every monospaced font has, in the width of all: several of these are one text. Others may come from
/// another font, and are placed by themselves.
fn is_regular(cell: &Cell) -> bool {
    let mut text = cell.text.chars();
    cell.width == 1
        && text
            .next()
            .is_some_and(|c| matches!(c, ' '..='\u{4ff}' | '\u{2500}'..='\u{259f}'))
        && text.next().is_none()
}

/// Where cells begin and end that are `same`.
fn runs(cells: &[Cell], same: impl Fn(usize, usize) -> bool) -> Vec<(usize, usize)> {
    let mut runs = Vec::new();
    let mut from = 0;
    for at in 1..=cells.len() {
        if at == cells.len() || !same(from, at) {
            runs.push((from, at));
            from = at;
        }
    }
    runs
}

/// A title that is too long ends in an ellipsis.
fn fitted(title: &str, most: usize) -> String {
    let mut title: String = title.chars().filter(|c| !c.is_control()).collect();
    if columns(&title) > most {
        while columns(&title) >= most && title.pop().is_some() {}
        title.push_str(if most > 0 { "\u{2026}" } else { "" });
    }
    title
}

/// As terminals have it: character by character.
fn columns(text: &str) -> usize {
    text.chars().filter_map(|c| c.width()).sum()
}

/// A cell's attributes as they are drawn.
#[derive(Debug, PartialEq)]
struct Look {
    front: Rgb,
    back: Rgb,
    bold: bool,
    italic: bool,
    hidden: bool,
    underline: Option<(Underline, Rgb)>,
    strikeout: Option<Rgb>,
    overline: Option<Rgb>,
}

impl Look {
    fn lines(&self) -> (Option<(Underline, Rgb)>, Option<Rgb>, Option<Rgb>) {
        (self.underline, self.strikeout, self.overline)
    }
}

/// The colours of one screen.
struct Colours<'a> {
    screen: &'a Screen,
    foreground: Rgb,
    background: Rgb,
}

impl<'a> Colours<'a> {
    fn of(screen: &'a Screen) -> Self {
        let (mut foreground, mut background) = (screen.foreground(), screen.background());
        if screen.modes().reverse {
            std::mem::swap(&mut foreground, &mut background);
        }
        Self {
            screen,
            foreground,
            background,
        }
    }

    fn look(&self, style: &Style) -> Look {
        use session_terminal::Colour::Indexed;
        let fg = match style.fg {
            // As xterm does: bold text takes the bright one of the first eight colours.
            Some(Indexed(index @ 0..8)) if style.bold => Some(Indexed(index + 8)),
            fg => fg,
        };
        let mut front = fg.map_or(self.foreground, |fg| self.screen.rgb(fg));
        let mut back = style.bg.map_or(self.background, |bg| self.screen.rgb(bg));
        if style.inverse {
            std::mem::swap(&mut front, &mut back);
        }
        if style.dim {
            front = mixed(back, front, 0.6);
        }
        let line = style
            .underline_colour
            .map_or(front, |colour| self.screen.rgb(colour));
        let seen = !style.hidden;
        Look {
            front,
            back,
            bold: style.bold,
            italic: style.italic,
            hidden: style.hidden,
            underline: style.underline.filter(|_| seen).map(|kind| (kind, line)),
            strikeout: (style.strikeout && seen).then_some(front),
            overline: (style.overline && seen).then_some(front),
        }
    }
}

/// So much of `front` over `back`.
fn mixed(Rgb(r, g, b): Rgb, Rgb(r2, g2, b2): Rgb, part: f32) -> Rgb {
    let mix = |back: u8, front: u8| {
        (f32::from(back) + (f32::from(front) - f32::from(back)) * part).round() as u8
    };
    Rgb(mix(r, r2), mix(g, g2), mix(b, b2))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::picture) fn scene(output: &str) -> Scene {
        let mut screen = Screen::new(3, 12);
        screen.feed(output.as_bytes());
        Scene::new(&screen, "a title")
    }

    fn texts(output: &str) -> Vec<(String, f32, bool)> {
        // Behind the window, which is too narrow for a title.
        let shapes = scene(output).shapes.into_iter().skip(5);
        let text = |shape| match shape {
            Shape::Text(text) => Some((text.text, (text.x - MARGIN) / WIDTH, text.centred)),
            _ => None,
        };
        shapes.filter_map(text).collect()
    }

    #[test]
    fn every_text_is_at_its_column() {
        let text = |text: &str, col, centred| (text.to_owned(), col, centred);
        assert_eq!(
            texts("\x1b[?25l ab  c \u{4f60}\u{1f600}e\u{301}"),
            [
                text("ab  c", 1.0, false),
                text("\u{4f60}", 7.0, true),
                text("\u{1f600}", 9.0, true),
                text("e\u{301}", 11.0, true),
            ]
        );
        assert_eq!(
            texts("\x1b[?25la\x1b[31mb\x1b[8mc"),
            [text("a", 0.0, false), text("b", 1.0, false)]
        );
    }

    #[test]
    fn a_title_is_in_the_middle() {
        let screen = Screen::new(1, 80);
        let scene = Scene::new(&screen, "t \u{4f60}");
        let texts = scene.shapes.iter().filter_map(|shape| match shape {
            Shape::Text(text) => Some((text.text.as_str(), text.x + text.width)),
            _ => None,
        });
        let texts: Vec<_> = texts.collect();
        let (middle, advance) = (scene.width / 2.0, WIDTH * TITLE / FONT);
        assert_eq!(texts[0].0, "t");
        assert_eq!(texts[1].0, "\u{4f60}");
        assert!((texts[0].1 - (middle - advance)).abs() < 0.01, "{texts:?}");
        assert!(
            (texts[1].1 - (middle + 2.0 * advance)).abs() < 0.01,
            "{texts:?}"
        );
    }

    #[test]
    fn attributes_become_colours() {
        let scene = scene("\x1b[?25l\x1b[7;31mx\x1b[0;9;53;4;58:5:2my");
        let red = Rgb(0xcd, 0, 0);
        let rects = scene
            .shapes
            .iter()
            .filter(|shape| matches!(shape, Shape::Rect(rect) if rect.fill == red));
        assert_eq!(rects.count(), 1);
        let of = |text: &str| {
            scene.shapes.iter().find_map(|shape| match shape {
                Shape::Text(found) if found.text == text => Some(found.fill),
                _ => None,
            })
        };
        assert_eq!(of("x"), Some(Rgb(0, 0, 0)));
        let lines = scene.shapes.iter().filter_map(|shape| match shape {
            Shape::Line(line) => Some((line.kind, line.stroke)),
            _ => None,
        });
        let lines: Vec<_> = lines.collect();
        assert_eq!(
            lines,
            [
                (Underline::Single, Rgb(0, 0xcd, 0)),
                (Underline::Single, Rgb(0xe5, 0xe5, 0xe5)),
                (Underline::Single, Rgb(0xe5, 0xe5, 0xe5))
            ]
        );
    }

    #[test]
    fn a_block_cursor_shows_what_is_under_it() {
        let drawn = texts("ab\x1b[1G");
        assert_eq!(
            drawn,
            [("ab".to_owned(), 0.0, false), ("a".to_owned(), 0.0, false)]
        );
        assert_eq!(texts("ab\x1b[1G\x1b[6 q").len(), 1);
    }

    #[test]
    fn a_title_that_is_too_long_is_cut() {
        assert_eq!(fitted("a title", 7), "a title");
        assert_eq!(fitted("a title", 4), "a t\u{2026}");
        assert_eq!(
            fitted("\u{4f60}\u{4f60}\u{4f60}", 5),
            "\u{4f60}\u{4f60}\u{2026}"
        );
        assert_eq!(fitted("a title", 0), "");
    }
}
