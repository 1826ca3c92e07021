//! The terminal that output is shown to: `alacritty_terminal`'s grid, with text put onto it and sequences acted upon.
//!
//! The crate keeps most of a terminal's state to itself and differs from xterm here and there. Both are mended by what it
//! is fed: everything that a redraw needs and that cannot be read back is noted on its way in ([`Noted`]), and what
//! it does otherwise than xterm (<https://invisible-island.net/xterm/ctlseqs/ctlseqs.html>) is done here, on its grid.
//! `docs/adr/0016-the-emulator.md` has the list.

mod handler;
mod links;
mod noted;
mod print;

use alacritty_terminal::event::VoidListener;
use alacritty_terminal::grid::{Cursor, Dimensions, Grid, Row};
use alacritty_terminal::index::{Column, Line, Point};
use alacritty_terminal::term::cell::{Cell, Flags};
use alacritty_terminal::term::{Config, Term, TermMode};
use alacritty_terminal::vte::ansi::{Attr, Handler as _, NamedMode, NamedPrivateMode, PrivateMode};

use crate::bits;
use crate::sets::Sets;

pub(crate) use noted::{CursorLook, Keyboard, Noted, Saved, Title};

/// Combining characters in a cell. More are left out: a program that only sends these must not fill memory.
const MOST_COMBINING: usize = 16;
/// Keyboard flags that may be pushed, as terminals have it.
const DEEPEST: usize = 16;
/// Titles that may be pushed, as xterm has it.
const MOST_TITLES: usize = 10;
/// Bytes of a title, and of a link's target: as VTE has it.
const LONGEST_TEXT: usize = 2083;

/// Private modes that a redraw sets again as they are, beside those that are kept apart: reverse video, key repeat,
/// reverse wrap, alternate scroll, 8-bit keys, escape-prefixed meta keys, urgency hints, reports of the colour scheme
/// and of the size. What they are before a program sets them is up to the terminal's owner.
const KEPT: [u16; 10] = [5, 8, 45, 1007, 1034, 1036, 1039, 1042, 2031, 2048];
/// Which mouse events are reported: one of these at a time.
const MOUSE: [u16; 5] = [9, 1000, 1001, 1002, 1003];
/// How they are encoded: one of these at a time.
const MOUSE_ENCODING: [u16; 4] = [1005, 1006, 1015, 1016];

/// Rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
}

impl Dimensions for Size {
    fn total_lines(&self) -> usize {
        self.rows
    }
    fn screen_lines(&self) -> usize {
        self.rows
    }
    fn columns(&self) -> usize {
        self.cols
    }
}

/// Output's effect, character by character.
pub(crate) struct Model {
    /// The lines that had scrolled off were erased.
    pub(crate) erased: bool,
    pub(crate) term: Term<VoidListener>,
    pub(crate) noted: Noted,
    links: links::Links,
    keeps_history: bool,
}

impl Model {
    /// An empty terminal that keeps `history` lines scrolled off. At least one row and two columns.
    pub(crate) fn new(size: Size, history: usize) -> Self {
        let config = Config {
            scrolling_history: history,
            kitty_keyboard: false,
            ..Config::default()
        };
        Self {
            erased: false,
            term: Term::new(config, &size, VoidListener),
            noted: Noted::new(size),
            links: links::Links::default(),
            keeps_history: history > 0,
        }
    }

    pub(crate) fn size(&self) -> Size {
        Size {
            rows: self.term.screen_lines(),
            cols: self.term.columns(),
        }
    }

    pub(crate) fn grid(&self) -> &Grid<Cell> {
        self.term.grid()
    }

    pub(crate) fn has(&self, mode: TermMode) -> bool {
        self.term.mode().contains(mode)
    }

    /// Line feeds in the last row scroll the whole screen, nothing keeps what scrolls off, backspaces stay in their row,
    /// and the next character is one like any other.
    pub(crate) fn scrolls_whole(&self) -> bool {
        let Size { rows, .. } = self.size();
        self.noted.region == (0, rows - 1)
            && !self.has(TermMode::ORIGIN)
            && (!self.keeps_history || self.on_alternate())
            && !self.wraps_back()
            && self.noted.sets.single.is_none()
    }

    /// Reverse wraparound.
    fn wraps_back(&self) -> bool {
        self.noted.private.get(&45).copied().unwrap_or(false) && self.has(TermMode::LINE_WRAP)
    }

    /// The row the cursor is in.
    pub(crate) fn row(&self) -> usize {
        self.at().0
    }

    pub(crate) fn on_alternate(&self) -> bool {
        self.has(TermMode::ALT_SCREEN)
    }

    /// What DECSC has saved of the screen that is shown.
    pub(crate) fn saved(&self) -> &Saved {
        &self.noted.saved[usize::from(self.on_alternate())]
    }

    pub(crate) fn keyboard(&self) -> &Keyboard {
        &self.noted.keyboard[usize::from(self.on_alternate())]
    }

    fn keyboard_mut(&mut self) -> &mut Keyboard {
        &mut self.noted.keyboard[usize::from(self.term.mode().contains(TermMode::ALT_SCREEN))]
    }

    pub(crate) fn resize(&mut self, size: Size) {
        let old = self.size();
        if size == old {
            return;
        }
        self.term.resize(size);
        self.noted.region = (0, size.rows - 1);
        self.noted
            .tabs
            .extend((old.cols..size.cols.max(old.cols)).map(|col| col % 8 == 0));
        self.noted.tabs.truncate(size.cols);
        for saved in &mut self.noted.saved {
            settle(&mut saved.cursor, size);
        }
        resized(self.term.grid_mut());
        if self.on_alternate() {
            self.look_beneath(resized);
        }
    }

    /// Shows the main screen to `look` although the alternate one is in use.
    pub(crate) fn look_beneath<T>(&mut self, look: impl FnOnce(&mut Grid<Cell>) -> T) -> T {
        let alternate = self.term.grid().clone();
        self.term.swap_alt();
        let seen = look(self.term.grid_mut());
        // This one empties the alternate screen.
        self.term.swap_alt();
        *self.term.grid_mut() = alternate;
        seen
    }

    /// Gives up what no drawing can tell: that a row goes on below the last one, or in the next one although its end is
    /// yet to be written again. It only matters to a later resize.
    pub(crate) fn forget_what_is_not_drawn(&mut self) {
        if self.on_alternate() {
            self.look_beneath(|main| forget(main, false));
        }
        // What REP repeats is inserted once more, which moves the end of its row.
        let inserted = self.has(TermMode::INSERT) && self.noted.last.is_some();
        forget(self.term.grid_mut(), inserted);
    }

    /// Soft reset (DECSTR), which the parser of the emulator passes over.
    pub(crate) fn soft_reset(&mut self) {
        self.term
            .set_private_mode(NamedPrivateMode::ShowCursor.into());
        self.term
            .set_private_mode(NamedPrivateMode::LineWrap.into());
        self.term
            .unset_private_mode(NamedPrivateMode::CursorKeys.into());
        self.set_origin(false);
        self.term.unset_mode(NamedMode::Insert.into());
        self.term.unset_keypad_application_mode();
        self.term.terminal_attribute(Attr::Reset);
        self.noted.sets = Sets::default();
        let at = self.term.grid().cursor.point;
        self.set_region(0, self.size().rows - 1);
        self.term.grid_mut().cursor.point = at;
        let shown = usize::from(self.on_alternate());
        self.noted.saved[shown] = Saved::default();
    }

    /// IND: a line feed that never returns to the first column.
    pub(crate) fn index(&mut self) {
        self.term.linefeed();
        self.term.grid_mut().cursor.input_needs_wrap = false;
    }

    /// A line above what is written next, or none.
    pub(crate) fn set_overline(&mut self, on: bool) {
        let flags = &mut self.term.grid_mut().cursor.template.flags;
        *flags = bits::overlined(*flags, on);
    }

    fn save_cursor(&mut self) {
        let saved = Saved {
            cursor: self.term.grid().cursor.clone(),
            sets: Sets {
                single: None,
                ..self.noted.sets
            },
            origin: self.has(TermMode::ORIGIN),
        };
        let shown = usize::from(self.on_alternate());
        self.noted.saved[shown] = saved;
    }

    fn restore_cursor(&mut self) {
        let Saved {
            mut cursor,
            sets,
            origin,
        } = self.saved().clone();
        self.set_origin(origin);
        if origin {
            let (top, bottom) = self.noted.region;
            let row = cursor.point.line;
            cursor.point.line = row.clamp(Line(top as i32), Line(bottom as i32));
        }
        self.noted.sets = sets;
        self.term.grid_mut().cursor = cursor;
    }

    fn at(&self) -> (usize, usize) {
        let point = self.term.grid().cursor.point;
        (point.line.0.max(0) as usize, point.column.0)
    }

    /// Moves the cursor within the screen.
    fn put(&mut self, row: usize, col: usize) {
        let size = self.size();
        let cursor = &mut self.term.grid_mut().cursor;
        cursor.point = Point::new(
            Line(row.min(size.rows - 1) as i32),
            Column(col.min(size.cols - 1)),
        );
        cursor.input_needs_wrap = false;
    }

    /// Moves it to a row as programs count them, which may be from the region's top.
    fn address(&mut self, row: i32, col: usize) {
        let row = usize::try_from(row).unwrap_or(0);
        if self.has(TermMode::ORIGIN) {
            let (top, bottom) = self.noted.region;
            self.put((top + row).min(bottom), col);
        } else {
            self.put(row, col);
        }
    }

    fn up(&mut self, count: usize) -> usize {
        let (row, _) = self.at();
        let top = self.noted.region.0;
        let stop = if row >= top { top } else { 0 };
        row.saturating_sub(count).max(stop)
    }

    fn down(&mut self, count: usize) -> usize {
        let (row, _) = self.at();
        let bottom = self.noted.region.1;
        let stop = if row <= bottom {
            bottom
        } else {
            self.size().rows - 1
        };
        (row + count).min(stop)
    }

    fn set_region(&mut self, top: usize, bottom: usize) {
        self.noted.region = (top, bottom);
        // The emulator counts from 1, and homes the cursor.
        self.term.set_scrolling_region(top + 1, Some(bottom + 1));
    }

    /// Columns `from` to `to` of a row are as if never written, but for the background.
    fn clear_row(&mut self, row: usize, from: usize, to: usize) {
        let background = self.term.grid().cursor.template.bg;
        let cells = &mut self.term.grid_mut()[Line(row as i32)];
        for cell in &mut cells[Column(from)..Column(to)] {
            *cell = background.into();
        }
        // What is left of a wide character that was cut in two is a space.
        if from > 0 && cells[Column(from - 1)].flags.contains(Flags::WIDE_CHAR) {
            cells[Column(from - 1)].clear_wide();
        }
        if to < cells.len() {
            cells[Column(to)].flags.remove(Flags::WIDE_CHAR_SPACER);
        }
    }

    fn mend_here(&mut self) {
        let (row, _) = self.at();
        mend(&mut self.term.grid_mut()[Line(row as i32)][..]);
    }

    fn clear_rows(&mut self, rows: std::ops::Range<usize>) {
        let cols = self.size().cols;
        rows.for_each(|row| self.clear_row(row, 0, cols));
    }

    /// Shows the alternate screen; `saving` the cursor as DECSC does.
    fn enter(&mut self, saving: bool) {
        if saving {
            self.save_cursor();
        }
        if !self.on_alternate() {
            self.term.swap_alt();
        }
    }

    /// Shows the main screen again; the cursor stays where it is unless it is `restored`.
    fn leave(&mut self, restoring: bool) {
        if self.on_alternate() {
            let alternate = self.term.grid_mut();
            let cursor = alternate.cursor.clone();
            // It is empty when it is shown next; links and the like need not wait for that.
            alternate.reset_region(..);
            self.term.swap_alt();
            self.term.grid_mut().cursor = cursor;
        }
        if restoring {
            self.restore_cursor();
        }
    }

    fn set_origin(&mut self, on: bool) {
        let origin = NamedPrivateMode::Origin.into();
        if on {
            self.term.set_private_mode(origin);
        } else {
            self.term.unset_private_mode(origin);
        }
    }

    fn private(&mut self, named: PrivateMode, on: bool) {
        let mode = named.raw();
        match mode {
            6 => {
                self.set_origin(on);
                self.address(0, 0);
            }
            12 => {
                self.noted.look.blinking = Some(on);
                self.noted.look.blinking_is_later = true;
            }
            47 | 1047 | 1049 if on => self.enter(mode == 1049),
            47 | 1047 | 1049 => self.leave(mode == 1049),
            1048 if on => self.save_cursor(),
            1048 => self.restore_cursor(),
            66 if on => self.term.set_keypad_application_mode(),
            66 => self.term.unset_keypad_application_mode(),
            // 132 columns, which terminals refuse unless they are told to allow it.
            3 => {}
            _ if MOUSE.contains(&mode) => self.noted.mouse = if on { mode } else { 0 },
            _ if MOUSE_ENCODING.contains(&mode) => {
                if on || self.noted.mouse_encoding == mode {
                    self.noted.mouse_encoding = if on { mode } else { 0 };
                }
            }
            5 | 45 | 2031 | 2048 if !on => drop(self.noted.private.remove(&mode)),
            _ if KEPT.contains(&mode) => drop(self.noted.private.insert(mode, on)),
            _ if on => self.term.set_private_mode(named),
            _ => self.term.unset_private_mode(named),
        }
    }

    /// Rows `from` to `to` move up by `count` without any of them becoming history.
    fn shift_up(&mut self, from: usize, to: usize, count: usize) {
        let cols = self.size().cols;
        let grid = self.term.grid_mut();
        for row in from..=to {
            let below = row + count;
            let mut moved = Row::new(cols);
            if below <= to {
                std::mem::swap(&mut moved, &mut grid[Line(below as i32)]);
            }
            grid[Line(row as i32)] = moved;
        }
        self.clear_rows((to + 1 - count.min(to + 1 - from))..to + 1);
    }
}

fn forget(grid: &mut Grid<Cell>, inserted: bool) {
    let last = Column(grid.columns() - 1);
    let due = (grid.cursor.input_needs_wrap || inserted).then_some(grid.cursor.point.line);
    for line in due.into_iter().chain([grid.bottommost_line()]) {
        if grid[line][last].flags.contains(Flags::WRAPLINE) {
            grid[line][last].flags.remove(Flags::WRAPLINE);
        }
    }
}

/// Reflow may leave what a narrower grid has no place for.
fn resized(grid: &mut Grid<Cell>) {
    let size = Size {
        rows: grid.screen_lines(),
        cols: grid.columns(),
    };
    settle(&mut grid.cursor, size);
    for row in 0..size.rows as i32 {
        mend(&mut grid[Line(row)][..]);
    }
}

fn settle(cursor: &mut Cursor<Cell>, size: Size) {
    let (line, column) = (Line(size.rows as i32 - 1), Column(size.cols - 1));
    cursor.input_needs_wrap &= cursor.point.column == column;
    cursor.point.line = cursor.point.line.clamp(Line(0), line);
    cursor.point.column = cursor.point.column.min(column);
}

/// After cells were moved: what is left of a wide character that was cut in two is a space; a row goes on in the next at
/// its end alone.
fn mend(cells: &mut [Cell]) {
    let last = cells.len() - 1;
    for col in 0..=last {
        if col < last {
            cells[col].flags -= Flags::WRAPLINE | Flags::LEADING_WIDE_CHAR_SPACER;
        }
        let is_wide = |cell: &Cell| cell.flags.contains(Flags::WIDE_CHAR);
        let is_spacer = |cell: &Cell| cell.flags.contains(Flags::WIDE_CHAR_SPACER);
        if is_wide(&cells[col]) && !cells.get(col + 1).is_some_and(is_spacer) {
            cells[col].clear_wide();
        }
        if is_spacer(&cells[col]) && !(col > 0 && is_wide(&cells[col - 1])) {
            cells[col].flags.remove(Flags::WIDE_CHAR_SPACER);
        }
    }
}
