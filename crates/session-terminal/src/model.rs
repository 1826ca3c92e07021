//! The terminal that output is shown to: `alacritty_terminal`'s grid, fed by a handler of our own.
//!
//! The crate keeps most of a terminal's state to itself and differs from xterm here and there. Both are mended by what it
//! is fed: everything that a redraw needs and that cannot be read back is noted on its way in ([`Noted`]), and what
//! it does otherwise than xterm (<https://invisible-island.net/xterm/ctlseqs/ctlseqs.html>) is done here, on its grid.
//! `docs/adr/0016-the-emulator.md` has the list.

use std::collections::BTreeMap;

use alacritty_terminal::event::VoidListener;
use alacritty_terminal::grid::{Cursor, Dimensions, Grid, Row};
use alacritty_terminal::index::{Column, Line, Point};
use alacritty_terminal::term::cell::{Cell, Flags};
use alacritty_terminal::term::{Config, Term, TermMode};
use alacritty_terminal::vte::ansi::{
    Attr, CharsetIndex, ClearMode, CursorShape, CursorStyle, Handler, Hyperlink, KeyboardModes,
    KeyboardModesApplyBehavior, LineClearMode, Mode, ModifyOtherKeys, NamedMode, NamedPrivateMode,
    PrivateMode, Rgb, StandardCharset, TabulationClearMode,
};
use unicode_width::UnicodeWidthChar as _;

/// Blinking text, in the bit of a cell that the emulator leaves free.
pub(crate) const BLINK: Flags = Flags::from_bits_retain(0x8000);
/// Combining characters in a cell. More are left out: a program that only sends these must not fill memory.
const MOST_COMBINING: usize = 16;
/// Titles and keyboard flags that may be pushed, as terminals have it.
const DEEPEST: usize = 16;
/// Bytes of a title, and of a link's target: as VTE has it.
const LONGEST_TEXT: usize = 2083;

/// Links that are given no name are named so, and numbered.
const LINK: &str = "session-";

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
    pub(crate) term: Term<VoidListener>,
    pub(crate) noted: Noted,
}

/// What the emulator does not tell.
#[derive(Clone, Debug)]
pub(crate) struct Noted {
    /// First and last row of the scroll region.
    pub(crate) region: (usize, usize),
    pub(crate) tabs: Vec<bool>,
    /// Which of G0 to G3 text is in.
    pub(crate) shifted: CharsetIndex,
    /// Beside each screen's saved cursor: the set text was in, and origin mode.
    pub(crate) saved: [(CharsetIndex, bool); 2],
    /// The main screen's saved cursor, which the emulator overwrites while the alternate screen is shown.
    pub(crate) main_saved: Option<Cursor<Cell>>,
    pub(crate) title: Option<String>,
    pub(crate) titles: Vec<Option<String>>,
    /// Flags of kitty's keyboard protocol, of each screen: in force, and pushed below.
    pub(crate) keyboard: [Keyboard; 2],
    /// Level of xterm's modifyOtherKeys.
    pub(crate) other_keys: u8,
    pub(crate) private: BTreeMap<u16, bool>,
    /// Which mouse events, 0 for none.
    pub(crate) mouse: u16,
    pub(crate) mouse_encoding: u16,
    pub(crate) cursor_style: Option<CursorStyle>,
    /// Links named so far.
    pub(crate) links: u32,
    /// The character printed last, if nothing came behind it: what REP repeats.
    pub(crate) last: Option<char>,
}

/// Keyboard flags of one screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keyboard {
    pub(crate) flags: u8,
    pub(crate) below: Vec<u8>,
}

impl Noted {
    fn new(size: Size) -> Self {
        Self {
            region: (0, size.rows - 1),
            tabs: (0..size.cols).map(|col| col % 8 == 0).collect(),
            shifted: CharsetIndex::default(),
            saved: Default::default(),
            main_saved: None,
            title: None,
            titles: Vec::new(),
            keyboard: Default::default(),
            other_keys: 0,
            private: BTreeMap::new(),
            mouse: 0,
            mouse_encoding: 0,
            cursor_style: None,
            links: 0,
            last: None,
        }
    }
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
            term: Term::new(config, &size, VoidListener),
            noted: Noted::new(size),
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

    /// Line feeds in the last row scroll the whole screen, and nothing keeps what scrolls off.
    pub(crate) fn scrolls_whole(&self) -> bool {
        let Size { rows, .. } = self.size();
        self.noted.region == (0, rows - 1)
            && !self.has(TermMode::ORIGIN)
            && self.term.history_size() == 0
    }

    /// The row the cursor is in.
    pub(crate) fn row(&self) -> usize {
        self.at().0
    }

    pub(crate) fn on_alternate(&self) -> bool {
        self.has(TermMode::ALT_SCREEN)
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
        if let Some(saved) = &mut self.noted.main_saved {
            let point = &mut saved.point;
            point.line = point.line.min(Line(size.rows as i32 - 1));
            point.column = point.column.min(Column(size.cols - 1));
        }
        // Reflow may leave what a narrower grid has no place for.
        let grid = self.term.grid_mut();
        for cursor in [&mut grid.cursor, &mut grid.saved_cursor] {
            cursor.point.line = cursor.point.line.clamp(Line(0), Line(size.rows as i32 - 1));
            cursor.point.column = cursor.point.column.min(Column(size.cols - 1));
        }
    }

    /// Shows the main screen to `look` although the alternate one is in use, and says what the main screen's saved
    /// cursor is.
    pub(crate) fn look_beneath<T>(
        &mut self,
        look: impl FnOnce(&Grid<Cell>, &Cursor<Cell>) -> T,
    ) -> T {
        let alternate = self.term.grid().clone();
        self.term.swap_alt();
        let main = self.term.grid();
        let saved = self.noted.main_saved.as_ref();
        let seen = look(main, saved.unwrap_or(&main.saved_cursor));
        self.term.swap_alt();
        *self.term.grid_mut() = alternate;
        seen
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
        for index in [
            CharsetIndex::G0,
            CharsetIndex::G1,
            CharsetIndex::G2,
            CharsetIndex::G3,
        ] {
            self.term.configure_charset(index, StandardCharset::Ascii);
        }
        self.term.set_active_charset(CharsetIndex::G0);
        self.noted.shifted = CharsetIndex::G0;
        let at = self.term.grid().cursor.point;
        self.set_region(0, self.size().rows - 1);
        self.term.grid_mut().cursor.point = at;
        self.term.grid_mut().saved_cursor = Cursor::default();
        self.noted.saved[usize::from(self.on_alternate())] = Default::default();
        self.noted.last = None;
    }

    /// Writes the last character again (REP), if nothing came behind it.
    pub(crate) fn repeat(&mut self, count: u16) {
        let Size { rows, cols } = self.size();
        if let Some(c) = self.noted.last {
            (0..usize::from(count).min(rows * cols)).for_each(|_| self.input(c));
        }
        self.noted.last = None;
    }

    fn cursor(&mut self) -> &mut Cursor<Cell> {
        self.noted.last = None;
        &mut self.term.grid_mut().cursor
    }

    fn at(&self) -> (usize, usize) {
        let point = self.term.grid().cursor.point;
        (point.line.0.max(0) as usize, point.column.0)
    }

    /// Moves the cursor within the screen.
    fn put(&mut self, row: usize, col: usize) {
        let size = self.size();
        let cursor = self.cursor();
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

    fn clear_row(&mut self, row: usize, from: usize, to: usize) {
        let background = self.term.grid().cursor.template.bg;
        for cell in &mut self.term.grid_mut()[Line(row as i32)][Column(from)..Column(to)] {
            *cell = background.into();
        }
        self.mend(row);
    }

    /// What is left of a wide character that was cut in two is a space; a row goes on in the next at its end alone.
    fn mend(&mut self, row: usize) {
        let cells = &mut self.term.grid_mut()[Line(row as i32)][..];
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

    fn mend_here(&mut self) {
        let (row, _) = self.at();
        self.mend(row);
    }

    fn clear_rows(&mut self, rows: std::ops::Range<usize>) {
        let cols = self.size().cols;
        rows.for_each(|row| self.clear_row(row, 0, cols));
    }

    /// Shows the alternate screen; `saving` the cursor as DECSC does.
    fn enter(&mut self, saving: bool) {
        self.noted.last = None;
        if self.on_alternate() {
            if saving {
                self.save_cursor_position();
            }
            return;
        }
        if saving {
            self.save_cursor_position();
        }
        self.noted.main_saved = Some(self.term.grid().saved_cursor.clone());
        self.term.swap_alt();
    }

    /// Shows the main screen again; the cursor stays where it is unless it is `restored`.
    fn leave(&mut self, restoring: bool) {
        self.noted.last = None;
        if self.on_alternate() {
            let cursor = self.term.grid().cursor.clone();
            // What the alternate screen keeps unseen, no redraw could bring back.
            self.term.grid_mut().saved_cursor = Cursor::default();
            self.noted.saved[1] = Default::default();
            self.noted.keyboard[1] = Keyboard::default();
            self.term.swap_alt();
            let grid = self.term.grid_mut();
            grid.cursor = cursor;
            if let Some(saved) = self.noted.main_saved.take() {
                grid.saved_cursor = saved;
            }
        }
        if restoring {
            self.restore_cursor_position();
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
        self.noted.last = None;
        let mode = named.raw();
        match mode {
            6 => {
                self.set_origin(on);
                self.address(0, 0);
            }
            12 => {
                let style = self.noted.cursor_style.get_or_insert_default();
                style.blinking = on;
            }
            47 | 1047 | 1049 if on => self.enter(mode == 1049),
            47 | 1047 | 1049 => self.leave(mode == 1049),
            1048 if on => self.save_cursor_position(),
            1048 => self.restore_cursor_position(),
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

    /// The cell that a combining character goes to.
    fn combining(&self) -> &Cell {
        let grid = self.term.grid();
        let cursor = &grid.cursor;
        let mut column = cursor.point.column.0;
        if !cursor.input_needs_wrap {
            column = column.saturating_sub(1);
        }
        let row = &grid[cursor.point.line];
        if row[Column(column)].flags.contains(Flags::WIDE_CHAR_SPACER) {
            column = column.saturating_sub(1);
        }
        &row[Column(column)]
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

fn text(text: &str) -> String {
    let mut end = text.len().min(LONGEST_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].chars().filter(|c| !c.is_control()).collect()
}

impl Handler for Model {
    fn set_title(&mut self, title: Option<String>) {
        self.noted.title = title.map(|title| text(&title));
    }

    fn push_title(&mut self) {
        if self.noted.titles.len() == DEEPEST {
            self.noted.titles.remove(0);
        }
        self.noted.titles.push(self.noted.title.clone());
    }

    fn pop_title(&mut self) {
        if let Some(title) = self.noted.titles.pop() {
            self.noted.title = title;
        }
    }

    fn set_cursor_style(&mut self, style: Option<CursorStyle>) {
        self.noted.cursor_style = style;
    }

    fn set_cursor_shape(&mut self, shape: CursorShape) {
        self.noted.cursor_style.get_or_insert_default().shape = shape;
    }

    #[inline]
    fn input(&mut self, c: char) {
        // Below, every character but DEL is one column wide.
        if c >= '\u{300}' || c == '\x7f' {
            match c.width() {
                None => return,
                Some(0) => {
                    let known = self.combining().zerowidth().map_or(0, <[char]>::len);
                    if known < MOST_COMBINING {
                        self.term.input(c);
                    }
                    self.noted.last = None;
                    return;
                }
                Some(2) if !self.has(TermMode::LINE_WRAP) => {
                    // It may not fit.
                    self.term.input(c);
                    self.noted.last = None;
                    return;
                }
                Some(_) => {}
            }
        }
        self.term.input(c);
        if self.has(TermMode::INSERT) {
            self.mend_here();
        }
        self.noted.last = Some(c);
    }

    fn goto(&mut self, line: i32, col: usize) {
        self.address(line, col);
    }

    fn goto_line(&mut self, line: i32) {
        let (_, col) = self.at();
        self.address(line, col);
    }

    fn goto_col(&mut self, col: usize) {
        let (row, _) = self.at();
        self.put(row, col);
    }

    fn insert_blank(&mut self, count: usize) {
        self.cursor().input_needs_wrap = false;
        self.term.insert_blank(count);
        self.mend_here();
    }

    fn move_up(&mut self, rows: usize) {
        let ((_, col), row) = (self.at(), self.up(rows));
        self.put(row, col);
    }

    fn move_down(&mut self, rows: usize) {
        let ((_, col), row) = (self.at(), self.down(rows));
        self.put(row, col);
    }

    fn move_forward(&mut self, cols: usize) {
        let (row, col) = self.at();
        self.put(row, col.saturating_add(cols));
    }

    fn move_backward(&mut self, cols: usize) {
        let (row, col) = self.at();
        self.put(row, col.saturating_sub(cols));
    }

    fn move_down_and_cr(&mut self, rows: usize) {
        let row = self.down(rows);
        self.put(row, 0);
    }

    fn move_up_and_cr(&mut self, rows: usize) {
        let row = self.up(rows);
        self.put(row, 0);
    }

    fn put_tab(&mut self, count: u16) {
        if self.term.grid().cursor.input_needs_wrap {
            return;
        }
        self.move_forward_tabs(count);
    }

    fn move_forward_tabs(&mut self, count: u16) {
        let (row, mut col) = self.at();
        let last = self.size().cols - 1;
        for _ in 0..usize::from(count).min(last) {
            let next = (col + 1..last).find(|col| self.noted.tabs[*col]);
            col = next.unwrap_or(last);
        }
        self.put(row, col);
    }

    fn move_backward_tabs(&mut self, count: u16) {
        let (row, mut col) = self.at();
        for _ in 0..usize::from(count).min(col) {
            let next = (0..col).rev().find(|col| self.noted.tabs[*col]);
            col = next.unwrap_or(0);
        }
        self.put(row, col);
    }

    fn set_horizontal_tabstop(&mut self) {
        let (_, col) = self.at();
        self.noted.tabs[col] = true;
    }

    fn clear_tabs(&mut self, mode: TabulationClearMode) {
        match mode {
            TabulationClearMode::Current => {
                let (_, col) = self.at();
                self.noted.tabs[col] = false;
            }
            TabulationClearMode::All => self.noted.tabs.fill(false),
        }
    }

    fn set_tabs(&mut self, interval: u16) {
        for (col, stop) in self.noted.tabs.iter_mut().enumerate() {
            *stop = col % usize::from(interval.max(1)) == 0;
        }
    }

    fn backspace(&mut self) {
        self.noted.last = None;
        self.term.backspace();
    }

    fn carriage_return(&mut self) {
        self.noted.last = None;
        self.term.carriage_return();
    }

    fn linefeed(&mut self) {
        self.noted.last = None;
        self.term.linefeed();
        self.term.grid_mut().cursor.input_needs_wrap = false;
        if self.has(TermMode::LINE_FEED_NEW_LINE) {
            self.term.carriage_return();
        }
    }

    fn scroll_up(&mut self, lines: usize) {
        self.noted.last = None;
        self.term.scroll_up(lines);
    }

    fn scroll_down(&mut self, lines: usize) {
        self.noted.last = None;
        self.term.scroll_down(lines);
    }

    fn insert_blank_lines(&mut self, lines: usize) {
        let ((row, _), (top, bottom)) = (self.at(), self.noted.region);
        if (top..=bottom).contains(&row) {
            self.term.insert_blank_lines(lines);
            self.put(row, 0);
        }
    }

    fn delete_lines(&mut self, lines: usize) {
        let ((row, _), (top, bottom)) = (self.at(), self.noted.region);
        if (top..=bottom).contains(&row) {
            self.shift_up(row, bottom, lines);
            self.put(row, 0);
        }
    }

    fn erase_chars(&mut self, count: usize) {
        self.cursor().input_needs_wrap = false;
        self.term.erase_chars(count);
        self.mend_here();
    }

    fn delete_chars(&mut self, count: usize) {
        self.cursor().input_needs_wrap = false;
        let (_, col) = self.at();
        self.term.delete_chars(count.min(self.size().cols - col));
        self.mend_here();
    }

    fn save_cursor_position(&mut self) {
        self.noted.last = None;
        self.term.save_cursor_position();
        let beside = (self.noted.shifted, self.has(TermMode::ORIGIN));
        self.noted.saved[usize::from(self.on_alternate())] = beside;
    }

    fn restore_cursor_position(&mut self) {
        self.noted.last = None;
        self.term.restore_cursor_position();
        let (shifted, origin) = self.noted.saved[usize::from(self.on_alternate())];
        self.set_active_charset(shifted);
        let at = self.term.grid().cursor.clone();
        self.set_origin(origin);
        let cursor = &mut self.term.grid_mut().cursor;
        *cursor = at;
        if origin {
            let (top, bottom) = self.noted.region;
            let row = cursor.point.line;
            cursor.point.line = row.clamp(Line(top as i32), Line(bottom as i32));
        }
    }

    fn clear_line(&mut self, mode: LineClearMode) {
        self.noted.last = None;
        self.term.clear_line(mode);
        self.mend_here();
    }

    fn clear_screen(&mut self, mode: ClearMode) {
        self.noted.last = None;
        let ((row, col), size) = (self.at(), self.size());
        match mode {
            ClearMode::Above => {
                self.clear_rows(0..row);
                self.clear_row(row, 0, col + 1);
            }
            ClearMode::Below => {
                self.clear_row(row, col, size.cols);
                self.clear_rows(row + 1..size.rows);
            }
            ClearMode::All => self.clear_rows(0..size.rows),
            ClearMode::Saved => self.term.clear_screen(mode),
        }
    }

    fn reset_state(&mut self) {
        self.term.reset_state();
        // A palette that was changed is the terminal's own again.
        for index in 0..alacritty_terminal::term::color::COUNT {
            self.term.reset_color(index);
        }
        self.noted = Noted::new(self.size());
    }

    fn reverse_index(&mut self) {
        self.cursor().input_needs_wrap = false;
        self.term.reverse_index();
    }

    fn terminal_attribute(&mut self, attr: Attr) {
        self.noted.last = None;
        let flags = &mut self.term.grid_mut().cursor.template.flags;
        match attr {
            Attr::BlinkSlow | Attr::BlinkFast => flags.insert(BLINK),
            Attr::CancelBlink => flags.remove(BLINK),
            // The parser means SGR 21, which is a double underline (ECMA-48).
            Attr::CancelBold => self.term.terminal_attribute(Attr::DoubleUnderline),
            _ => self.term.terminal_attribute(attr),
        }
    }

    fn set_mode(&mut self, mode: Mode) {
        self.noted.last = None;
        self.term.set_mode(mode);
    }

    fn unset_mode(&mut self, mode: Mode) {
        self.noted.last = None;
        self.term.unset_mode(mode);
    }

    fn set_private_mode(&mut self, mode: PrivateMode) {
        self.private(mode, true);
    }

    fn unset_private_mode(&mut self, mode: PrivateMode) {
        self.private(mode, false);
    }

    fn set_scrolling_region(&mut self, top: usize, bottom: Option<usize>) {
        let rows = self.size().rows;
        let (top, bottom) = (top.max(1), bottom.unwrap_or(rows).min(rows));
        // A region has two lines at least, if the screen has.
        if top < bottom || (top, bottom) == (1, rows) {
            self.set_region(top - 1, bottom - 1);
            self.address(0, 0);
        }
    }

    fn set_keypad_application_mode(&mut self) {
        self.term.set_keypad_application_mode();
    }

    fn unset_keypad_application_mode(&mut self) {
        self.term.unset_keypad_application_mode();
    }

    fn set_active_charset(&mut self, index: CharsetIndex) {
        self.noted.last = None;
        self.noted.shifted = index;
        self.term.set_active_charset(index);
    }

    fn configure_charset(&mut self, index: CharsetIndex, charset: StandardCharset) {
        self.noted.last = None;
        self.term.configure_charset(index, charset);
    }

    fn set_color(&mut self, index: usize, color: Rgb) {
        if index < alacritty_terminal::term::color::COUNT {
            self.term.set_color(index, color);
        }
    }

    fn reset_color(&mut self, index: usize) {
        if index < alacritty_terminal::term::color::COUNT {
            self.term.reset_color(index);
        }
    }

    fn decaln(&mut self) {
        self.term.decaln();
        let rows = self.size().rows;
        self.set_region(0, rows - 1);
        self.put(0, 0);
    }

    fn set_hyperlink(&mut self, link: Option<Hyperlink>) {
        let fits = |link: &Hyperlink| {
            link.uri.len() + link.id.as_ref().map_or(0, String::len) <= LONGEST_TEXT
        };
        let link = link.filter(fits).map(|link| {
            let number = |id: &String| id.strip_prefix(LINK)?.parse::<u32>().ok();
            let given = link.id.as_ref().and_then(number).unwrap_or(0);
            self.noted.links = self.noted.links.max(given);
            // The cells of a link belong together also where it is given no name.
            let id = link.id.unwrap_or_else(|| {
                self.noted.links = self.noted.links.wrapping_add(1);
                format!("{LINK}{}", self.noted.links)
            });
            Hyperlink {
                id: Some(id),
                ..link
            }
        });
        self.noted.last = None;
        self.term.set_hyperlink(link);
    }

    fn push_keyboard_mode(&mut self, mode: KeyboardModes) {
        let keyboard = self.keyboard_mut();
        if keyboard.below.len() == DEEPEST {
            keyboard.below.remove(0);
        }
        keyboard.below.push(keyboard.flags);
        keyboard.flags = mode.bits();
    }

    fn pop_keyboard_modes(&mut self, count: u16) {
        let keyboard = self.keyboard_mut();
        for _ in 0..usize::from(count).min(DEEPEST + 1) {
            keyboard.flags = keyboard.below.pop().unwrap_or(0);
        }
    }

    fn set_keyboard_mode(&mut self, mode: KeyboardModes, behavior: KeyboardModesApplyBehavior) {
        let keyboard = self.keyboard_mut();
        keyboard.flags = match behavior {
            KeyboardModesApplyBehavior::Replace => mode.bits(),
            KeyboardModesApplyBehavior::Union => keyboard.flags | mode.bits(),
            KeyboardModesApplyBehavior::Difference => keyboard.flags & !mode.bits(),
        };
    }

    fn set_modify_other_keys(&mut self, mode: ModifyOtherKeys) {
        self.noted.other_keys = mode as u8;
    }
}
