//! A terminal's state as bytes that bring any xterm-like terminal into it.
//!
//! They begin by undoing whatever the terminal was left in, draw the main screen, then the alternate one over it if it
//! is shown, and end with the cursor where text would go on, in the middle of the sequence that the output was cut in.
//! They ask nothing, ring nothing, and touch no clipboard.

use alacritty_terminal::grid::{Cursor, Dimensions, Grid};
use alacritty_terminal::index::{Column, Line};
use alacritty_terminal::term::TermMode;
use alacritty_terminal::term::cell::{Cell, Flags};
use alacritty_terminal::vte::ansi::{Color, NamedColor};

use crate::leave::{LEAVE_ALTERNATE, MODES};
use crate::model::{Keyboard, Model, Saved, Size};
use crate::pen::{Pen, same_style};
use crate::sets::Sets;
use crate::settings::{colours, keyboard, modes, tabs, titles};

/// What a terminal may have been left in beside what programs commonly switch on.
const UNCOMMON: &[u8] =
    b"\x1b[?6l\x1b[?5l\x1b[?45l\x1b[?66l\x1b[20l\x1b[r\x1b*B\x1b+B\x1b]8;;\x1b\\\x1b[?5W";
/// Unused cells that are written as spaces rather than stepped over.
const FEW: usize = 5;
/// The bytes, but for an unfinished sequence.
pub(crate) fn screen(model: &mut Model) -> Vec<u8> {
    model.forget_what_is_not_drawn();
    let mut pen = Pen::new(MODES.to_vec());
    // Either screen keeps keyboard flags of its own.
    for undone in [
        LEAVE_ALTERNATE,
        b"\x1b[<9999u",
        UNCOMMON,
        b"\x1b[H\x1b[J\x1b7",
    ] {
        pen.out.extend_from_slice(undone);
    }
    colours(&mut pen, model);
    let ([main, other], saved) = (model.noted.keyboard.clone(), model.noted.saved.clone());
    let (sets, region, size) = (model.noted.sets, model.noted.region, model.size());
    if model.on_alternate() {
        keyboard(&mut pen, &main);
        model.look_beneath(|grid| {
            // 1049 saves the cursor as it is; 1047 leaves alone what is saved.
            let entered = Saved {
                cursor: grid.cursor.clone(),
                sets,
                origin: false,
            };
            let enter: &[u8] = if saved[0] == entered {
                b"\x1b[?1049h"
            } else {
                pen.save(grid, &saved[0]);
                b"\x1b[?1047h"
            };
            pen.rows(grid);
            pen.cursor(grid, &grid.cursor, &sets);
            pen.out.extend_from_slice(enter);
        });
        pen.neutral();
        pen.out.extend_from_slice(b"\x1b[H\x1b[J\x1b7");
        keyboard(&mut pen, &other);
    } else {
        if other != Keyboard::default() || saved[1] != Saved::default() {
            // What the alternate screen has kept from when it was shown.
            pen.out.extend_from_slice(b"\x1b[?1047h");
            let blank = Grid::new(size.rows, size.cols, 0);
            pen.save(&blank, &saved[1]);
            keyboard(&mut pen, &other);
            pen.out.extend_from_slice(b"\x1b[?1047l");
        }
        keyboard(&mut pen, &main);
    }
    let grid = model.grid();
    pen.save(grid, model.saved());
    pen.rows(grid);
    tabs(&mut pen, model);
    modes(&mut pen, model);
    titles(&mut pen, &model.noted.icon, &model.noted.title);
    pen.region(size, region);
    pen.last(model);
    pen.out
}

/// The lines that have scrolled off, at most the last `most`, as a terminal of `cols` columns may take them into its own
/// scrollback, and how many rows they are there.
pub(crate) fn history(model: &Model, most: usize, cols: usize) -> (Vec<u8>, usize) {
    let grid = model.grid();
    let mut first = 0;
    let mut lines = 0;
    for row in 1..=grid.history_size() as i32 {
        if !wraps(grid, Line(-row - 1)) || row == grid.history_size() as i32 {
            first = row;
            lines += 1;
            if lines == most {
                break;
            }
        }
    }
    let (mut pen, mut rows, mut width) = (Pen::new(b"\x1b[0m".to_vec()), 0, 0);
    for line in (-first..0).map(Line) {
        let goes_on = wraps(grid, line) && line < Line(-1);
        width += pen.row(grid, line, goes_on, 0);
        if !goes_on {
            pen.plain();
            pen.out.extend_from_slice(b"\r\n");
            rows += width.max(1).div_ceil(cols.max(1));
            width = 0;
        }
    }
    (pen.out, rows)
}

/// A row that was too short for its text, which goes on in the next.
fn wraps(grid: &Grid<Cell>, line: Line) -> bool {
    line >= grid.topmost_line() && {
        let last = &grid[line][Column(grid.columns() - 1)];
        last.flags.contains(Flags::WRAPLINE)
    }
}

/// As every cell of a cleared screen is.
fn is_unused(cell: &Cell) -> bool {
    matches!(cell.c, ' ' | '\t' | '\0')
        && cell.fg == Color::Named(NamedColor::Foreground)
        && cell.bg == Color::Named(NamedColor::Background)
        && cell.extra.is_none()
        && (cell.flags - Flags::WRAPLINE - Flags::LEADING_WIDE_CHAR_SPACER).is_empty()
}

impl Pen {
    /// The visible rows, from a cleared screen with its cursor at home on.
    fn rows(&mut self, grid: &Grid<Cell>) {
        let rows = grid.screen_lines() as i32;
        // Where the cursor is, if that is the beginning of a row or right behind a full one.
        let mut joined = false;
        let mut at = 0;
        for row in (0..rows).map(Line) {
            let wrapping = wraps(grid, row);
            let end = used(grid, row);
            if !joined && !wrapping && end == 0 {
                continue;
            }
            if !joined {
                match row.0 - at {
                    0 if row.0 == 0 => {}
                    1 => self.out.extend_from_slice(b"\r\n"),
                    _ => self.write(format_args!("\x1b[{};1H", row.0 + 1)),
                }
            }
            self.row(grid, row, wrapping, usize::from(joined));
            (joined, at) = (wrapping, row.0);
        }
    }

    /// One row, its first `least` cells also if they are unused, all of it if it is to be `full`; how many columns it
    /// has.
    fn row(&mut self, grid: &Grid<Cell>, line: Line, full: bool, least: usize) -> usize {
        let row = &grid[line];
        let cols = grid.columns();
        let mut end = if full {
            cols
        } else {
            used(grid, line).max(least)
        };
        let last = &row[Column(cols - 1)];
        if full && last.c == ' ' {
            let below = &grid[line + 1i32][Column(0)];
            // The wide character below did not fit: it leaves this cell free when it is written. The emulator's own mark
            // of this goes when that one is written again.
            let is_left = below.flags.contains(Flags::WIDE_CHAR) && same_style(last, below);
            end -= usize::from(is_left);
        }
        let (mut col, mut skipped) = (0, 0);
        while col < end {
            let cell = &row[Column(col)];
            if is_unused(cell) && col >= least && !(full && col + 1 == end) {
                skipped += 1;
                col += 1;
                continue;
            }
            self.skip(std::mem::take(&mut skipped));
            let is_wide = cell.flags.contains(Flags::WIDE_CHAR);
            let fits = is_wide
                && col + 1 < cols
                && row[Column(col + 1)].flags.contains(Flags::WIDE_CHAR_SPACER);
            self.cell(cell, is_wide == fits);
            col += if fits { 2 } else { 1 };
        }
        end
    }

    fn skip(&mut self, cells: usize) {
        if cells > FEW {
            self.write(format_args!("\x1b[{cells}C"));
        } else if cells > 0 {
            self.plain();
            self.out.extend_from_slice(&b"     "[..cells]);
        }
    }

    /// One cell with its attributes; as a space if it is not `whole`: half of a wide character that was overwritten.
    fn cell(&mut self, cell: &Cell, whole: bool) {
        self.set(cell);
        let c = if whole && !cell.flags.contains(Flags::WIDE_CHAR_SPACER) && !cell.c.is_control() {
            cell.c
        } else {
            ' '
        };
        let mut bytes = [0; 4];
        self.out
            .extend_from_slice(c.encode_utf8(&mut bytes).as_bytes());
        for combining in cell.zerowidth().filter(|_| whole).into_iter().flatten() {
            self.out
                .extend_from_slice(combining.encode_utf8(&mut bytes).as_bytes());
        }
    }

    /// The cursor with its attributes and character sets.
    fn cursor(&mut self, grid: &Grid<Cell>, cursor: &Cursor<Cell>, sets: &Sets) {
        let (row, col) = (cursor.point.line, cursor.point.column.0);
        self.place(row.0, col);
        if cursor.input_needs_wrap {
            self.rewrite(grid, row, col);
        }
        self.set(&cursor.template);
        self.charsets(sets);
    }

    /// Has the terminal save a cursor, before its rows are drawn. The region is still the whole screen, so that rows
    /// are the same in origin mode.
    fn save(&mut self, grid: &Grid<Cell>, saved: &Saved) {
        if *saved == Saved::default() {
            return;
        }
        let origin: [&[u8]; 2] = if saved.origin {
            [b"\x1b[?6h", b"\x1b[?6l"]
        } else {
            [b"", b""]
        };
        self.out.extend_from_slice(origin[0]);
        self.cursor(grid, &saved.cursor, &saved.sets);
        self.out.extend_from_slice(b"\x1b7");
        self.out.extend_from_slice(origin[1]);
        self.neutral();
        self.out.extend_from_slice(b"\x1b[H");
    }

    /// The scroll region, unless it is the whole screen.
    fn region(&mut self, size: Size, (top, bottom): (usize, usize)) {
        if (top, bottom) != (0, size.rows - 1) {
            self.write(format_args!("\x1b[{};{}r", top + 1, bottom + 1));
        }
    }

    fn place(&mut self, row: i32, col: usize) {
        self.write(format_args!("\x1b[{};{}H", row - self.top + 1, col + 1));
    }

    /// Writes the character again that ends in column `col`, so that the cursor is right behind it.
    fn rewrite(&mut self, grid: &Grid<Cell>, row: Line, col: usize) {
        let (begin, cell) = ending(grid, row, col);
        self.place(row.0, begin);
        self.cell(cell, cell.flags.contains(Flags::WIDE_CHAR) == (begin < col));
    }

    /// The cursor as it is, at the end: everything that moves it was written before.
    fn last(&mut self, model: &Model) {
        let (grid, noted) = (model.grid(), &model.noted);
        let cursor = &grid.cursor;
        let (row, col) = (cursor.point.line, cursor.point.column.0);
        if model.has(TermMode::ORIGIN) {
            self.out.extend_from_slice(b"\x1b[?6h");
            self.top = noted.region.0 as i32;
        }
        let end = if cursor.input_needs_wrap {
            Some(col)
        } else {
            col.checked_sub(1)
        };
        let repeated = end.and_then(|end| {
            let (begin, cell) = ending(grid, row, end);
            let c = noted
                .last
                .filter(|c| noted.sets.current().shown(*c) == cell.c)?;
            (same_style(cell, &cursor.template)).then_some((begin, c))
        });
        self.set(&cursor.template);
        if let Some((begin, c)) = repeated {
            // Written last and by itself, it is also what REP repeats.
            self.charsets(&noted.sets);
            self.place(row.0, begin);
            if model.has(TermMode::INSERT) {
                // What follows would be moved away: it is moved up first.
                self.write(format_args!(
                    "\x1b[{}P",
                    end.map_or(1, |end| end - begin + 1)
                ));
            }
            let mut bytes = [0; 4];
            self.out
                .extend_from_slice(c.encode_utf8(&mut bytes).as_bytes());
            return;
        }
        self.place(row.0, col);
        if cursor.input_needs_wrap {
            self.rewrite(grid, row, col);
        }
        self.set(&cursor.template);
        self.charsets(&noted.sets);
        // Nothing of what was just written is REP's to repeat.
        self.write(format_args!(
            "\x1b[?25{}",
            if model.has(TermMode::SHOW_CURSOR) {
                'h'
            } else {
                'l'
            }
        ));
        match noted.sets.single {
            Some(3) => self.out.extend_from_slice(b"\x1bO"),
            Some(_) => self.out.extend_from_slice(b"\x1bN"),
            None => {}
        }
    }
}

/// The cell of the character that ends in this column, and where it begins.
fn ending(grid: &Grid<Cell>, row: Line, col: usize) -> (usize, &Cell) {
    let cells = &grid[row];
    let wide = col > 0
        && cells[Column(col)].flags.contains(Flags::WIDE_CHAR_SPACER)
        && cells[Column(col - 1)].flags.contains(Flags::WIDE_CHAR);
    let begin = if wide { col - 1 } else { col };
    (begin, &cells[Column(begin)])
}

/// How many columns of a row are used.
fn used(grid: &Grid<Cell>, line: Line) -> usize {
    let cells = &grid[line][..];
    cells
        .iter()
        .rposition(|cell| !is_unused(cell))
        .map_or(0, |last| last + 1)
}
