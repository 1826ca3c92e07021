//! What the parser has the terminal do.

use alacritty_terminal::term::TermMode;
use alacritty_terminal::vte::ansi::{
    Attr, CharsetIndex, ClearMode, CursorShape, CursorStyle, Handler, Hyperlink, KeyboardModes,
    KeyboardModesApplyBehavior, LineClearMode, Mode, ModifyOtherKeys, PrivateMode, Rgb,
    TabulationClearMode,
};

use super::{DEEPEST, Model, Noted};
use crate::bits::{self, BLINK};

impl Handler for Model {
    fn set_cursor_style(&mut self, style: Option<CursorStyle>) {
        self.noted.look.style = style;
        self.noted.look.blinking_is_later = false;
    }

    fn set_cursor_shape(&mut self, shape: CursorShape) {
        self.noted.look.style.get_or_insert_default().shape = shape;
    }

    fn input(&mut self, c: char) {
        self.print(c);
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
        self.term.grid_mut().cursor.input_needs_wrap = false;
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
        let (row, col) = self.at();
        if !self.wraps_back() {
            self.term.backspace();
        } else if std::mem::take(&mut self.term.grid_mut().cursor.input_needs_wrap) {
            // It was behind the last column, and is in it now.
        } else if col > 0 {
            self.put(row, col - 1);
        } else {
            self.wrap_back();
        }
    }

    fn carriage_return(&mut self) {
        self.term.carriage_return();
    }

    fn linefeed(&mut self) {
        self.index();
        if self.has(TermMode::LINE_FEED_NEW_LINE) {
            self.term.carriage_return();
        }
    }

    fn scroll_up(&mut self, lines: usize) {
        self.term.scroll_up(lines);
    }

    fn scroll_down(&mut self, lines: usize) {
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
        self.term.grid_mut().cursor.input_needs_wrap = false;
        let ((row, col), cols) = (self.at(), self.size().cols);
        self.clear_row(row, col, cols.min(col + count));
    }

    fn delete_chars(&mut self, count: usize) {
        self.term.grid_mut().cursor.input_needs_wrap = false;
        let (_, col) = self.at();
        self.term.delete_chars(count.min(self.size().cols - col));
        self.mend_here();
    }

    fn save_cursor_position(&mut self) {
        self.save_cursor();
    }

    fn restore_cursor_position(&mut self) {
        self.restore_cursor();
    }

    fn clear_line(&mut self, mode: LineClearMode) {
        let ((row, col), cols) = (self.at(), self.size().cols);
        match mode {
            // The cursor is behind what could be erased.
            LineClearMode::Right if self.grid().cursor.input_needs_wrap => {}
            LineClearMode::Right => self.clear_row(row, col, cols),
            LineClearMode::Left => self.clear_row(row, 0, col + 1),
            LineClearMode::All => self.clear_row(row, 0, cols),
        }
    }

    fn clear_screen(&mut self, mode: ClearMode) {
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
            ClearMode::Saved => {
                self.erased = true;
                self.term.clear_screen(mode);
            }
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
        self.term.grid_mut().cursor.input_needs_wrap = false;
        self.term.reverse_index();
    }

    fn terminal_attribute(&mut self, attr: Attr) {
        let flags = &mut self.term.grid_mut().cursor.template.flags;
        let overlined = bits::is_overlined(*flags);
        *flags = bits::without_overline(*flags);
        match attr {
            Attr::Reset => return self.term.terminal_attribute(attr),
            Attr::BlinkSlow | Attr::BlinkFast => flags.insert(BLINK),
            Attr::CancelBlink => flags.remove(BLINK),
            // The parser means SGR 21, which is a double underline (ECMA-48).
            Attr::CancelBold => self.term.terminal_attribute(Attr::DoubleUnderline),
            _ => self.term.terminal_attribute(attr),
        }
        if overlined {
            self.set_overline(true);
        }
    }

    fn set_mode(&mut self, mode: Mode) {
        self.term.set_mode(mode);
    }

    fn unset_mode(&mut self, mode: Mode) {
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
        self.noted.sets.shifted = index as usize;
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
        self.link(link);
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
