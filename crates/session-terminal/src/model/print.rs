//! Characters and control bytes onto the grid.

use alacritty_terminal::grid::Dimensions as _;
use alacritty_terminal::index::{Column, Line};
use alacritty_terminal::term::TermMode;
use alacritty_terminal::term::cell::{Cell, Flags};
use alacritty_terminal::vte::ansi::Handler as _;
use unicode_width::UnicodeWidthChar as _;

use super::{MOST_COMBINING, Model, Size};
use crate::scan;

impl Model {
    /// Characters and control bytes outside any sequence. A byte that is part of no character is U+FFFD.
    pub(crate) fn text(&mut self, bytes: &[u8]) {
        for chunk in bytes.utf8_chunks() {
            self.characters(chunk.valid());
            if !chunk.invalid().is_empty() {
                self.print(char::REPLACEMENT_CHARACTER);
            }
        }
    }

    fn characters(&mut self, text: &str) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let mut len = c.len_utf8();
            match c {
                '\0'..='\x1f' => self.control(c as u8),
                // C1 controls, which a terminal in UTF-8 need not know.
                '\u{80}'..='\u{9f}' => {}
                _ => match self.plain(rest.as_bytes()) {
                    0 => self.print(c),
                    written => len = written,
                },
            }
            rest = &rest[len..];
        }
    }

    /// Acts on a control byte, wherever it stands.
    pub(crate) fn control(&mut self, byte: u8) {
        self.noted.last = None;
        match byte {
            0x08 => self.backspace(),
            b'\t' => self.put_tab(1),
            b'\n' | 0x0b | 0x0c => self.linefeed(),
            b'\r' => self.carriage_return(),
            0x0e => self.noted.sets.shifted = 1,
            0x0f => self.noted.sets.shifted = 0,
            _ => {}
        }
    }

    /// Writes what `bytes` begin with, as far as it is ASCII that goes into this row like any other; how much that is.
    /// It does what the emulator's `input` does with these characters one by one.
    fn plain(&mut self, bytes: &[u8]) -> usize {
        if !self.noted.sets.is_plain() || self.has(TermMode::INSERT) {
            return 0;
        }
        let cols = self.term.columns();
        let grid = self.term.grid_mut();
        let Column(col) = grid.cursor.point.column;
        if grid.cursor.input_needs_wrap {
            return 0;
        }
        let len = scan::printable(&bytes[..bytes.len().min(cols - col)]);
        let (row, template) = (grid.cursor.point.line, grid.cursor.template.clone());
        let cells = &mut grid[row][Column(col)..Column(col + len)];
        let mut written = 0_usize;
        for (cell, &byte) in cells.iter_mut().zip(bytes) {
            if cell
                .flags
                .intersects(Flags::WIDE_CHAR | Flags::WIDE_CHAR_SPACER)
            {
                // The other half goes, too.
                break;
            }
            *cell = Cell {
                c: char::from(byte),
                extra: template.extra.clone(),
                ..template
            };
            written += 1;
        }
        if let Some(last) = written.checked_sub(1) {
            let at = col + written;
            grid.cursor.point.column = Column(at.min(cols - 1));
            grid.cursor.input_needs_wrap = at == cols;
            self.noted.last = Some(char::from(bytes[last]));
        }
        written
    }

    /// Writes one character.
    pub(super) fn print(&mut self, c: char) {
        let mut last = Some(c);
        let shown = match self.noted.sets.single.take() {
            Some(single) => {
                last = None;
                self.noted.sets.designated[single].shown(c)
            }
            None => self.noted.sets.current().shown(c),
        };
        // Below, every character but DEL is one column wide.
        if shown >= '\u{300}' || shown == '\x7f' {
            match shown.width() {
                None => return,
                Some(0) => {
                    let known = self.combining().zerowidth().map_or(0, <[char]>::len);
                    if known < MOST_COMBINING {
                        self.term.input(shown);
                    }
                    self.noted.last = None;
                    return;
                }
                // It may not fit.
                Some(2) if !self.has(TermMode::LINE_WRAP) => last = None,
                Some(_) => {}
            }
        }
        if self.has(TermMode::INSERT) {
            self.make_room(shown.width().unwrap_or(1));
            self.term.input(shown);
            self.mend_here();
        } else {
            self.term.input(shown);
        }
        self.noted.last = last;
    }

    /// Before a character is inserted: what goes out at the end of the row is nothing by then. The emulator brings these
    /// cells to the front and takes half a wide character in them for that of what it writes.
    fn make_room(&mut self, width: usize) {
        if self.grid().cursor.input_needs_wrap && self.has(TermMode::LINE_WRAP) {
            self.wrap();
        }
        let ((row, col), cols) = (self.at(), self.term.columns());
        if col + width < cols {
            self.term.grid_mut()[Line(row as i32)][Column(cols - width)..].fill(Cell::default());
        }
    }

    /// Text goes on in the next row, as the emulator has it when the next character comes.
    fn wrap(&mut self) {
        let ((row, _), (_, bottom)) = (self.at(), self.noted.region);
        self.term
            .grid_mut()
            .cursor_cell()
            .flags
            .insert(Flags::WRAPLINE);
        if row >= bottom {
            self.term.linefeed();
        } else {
            self.term.grid_mut().cursor.point.line += 1;
        }
        let cursor = &mut self.term.grid_mut().cursor;
        cursor.point.column = Column(0);
        cursor.input_needs_wrap = false;
    }

    /// Writes the last character again (REP), if nothing came behind it.
    pub(crate) fn repeat(&mut self, count: u16) {
        let Size { rows, cols } = self.size();
        let Some(c) = self.noted.last else {
            return;
        };
        let mut left = usize::from(count).min(rows * cols);
        let row = [c as u8; 64];
        let len = if c.is_ascii() { row.len() } else { 0 };
        while left > 0 {
            let written = self.plain(&row[..len.min(left)]);
            if written == 0 {
                self.print(c);
            }
            left -= written.max(1);
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

    /// A backspace in the first column goes to the end of the row above, if that one goes on in this one.
    pub(super) fn wrap_back(&mut self) {
        let ((row, _), (top, bottom)) = (self.at(), self.noted.region);
        if row <= top || row > bottom {
            return;
        }
        let mut col = self.term.columns() - 1;
        let end = &mut self.term.grid_mut()[Line(row as i32 - 1)][Column(col)];
        if end.flags.contains(Flags::WRAPLINE) {
            end.flags.remove(Flags::WRAPLINE);
            // A wide character did not fit there.
            col -= usize::from(end.flags.contains(Flags::LEADING_WIDE_CHAR_SPACER));
            self.put(row - 1, col);
        }
    }
}
