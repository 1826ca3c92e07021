//! What the emulator does not tell of a terminal's state, and a redraw needs.

use std::collections::BTreeMap;

use alacritty_terminal::grid::Cursor;
use alacritty_terminal::term::cell::Cell;
use alacritty_terminal::vte::ansi::CursorStyle;

use super::{LONGEST_TEXT, MOST_TITLES, Size};
use crate::sets::Sets;

/// What the emulator does not tell.
#[derive(Clone, Debug)]
pub(crate) struct Noted {
    /// First and last row of the scroll region.
    pub(crate) region: (usize, usize),
    pub(crate) tabs: Vec<bool>,
    /// Character sets; the emulator is given what characters look like in them.
    pub(crate) sets: Sets,
    /// What DECSC has saved of each screen.
    pub(crate) saved: [Saved; 2],
    pub(crate) title: Title,
    pub(crate) icon: Title,
    /// Flags of kitty's keyboard protocol, of each screen: in force, and pushed below.
    pub(crate) keyboard: [Keyboard; 2],
    /// Level of xterm's modifyOtherKeys.
    pub(crate) other_keys: u8,
    pub(crate) private: BTreeMap<u16, bool>,
    /// Which mouse events, 0 for none.
    pub(crate) mouse: u16,
    pub(crate) mouse_encoding: u16,
    pub(crate) look: CursorLook,
    /// Links named so far.
    pub(crate) links: u32,
    /// The character printed last, if nothing came behind it: what REP repeats.
    pub(crate) last: Option<char>,
}

/// What DECSC saves, and DECRC restores.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Saved {
    /// Position, attributes, and whether a wrap is due.
    pub(crate) cursor: Cursor<Cell>,
    pub(crate) sets: Sets,
    /// Rows are counted from the region's top.
    pub(crate) origin: bool,
}

/// A window's title, or its icon's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Title {
    /// `None` until a program sets one.
    pub(crate) now: Option<String>,
    /// Those that were pushed, the last one on top.
    pub(crate) below: Vec<Option<String>>,
}

impl Title {
    pub(crate) fn set(&mut self, text: &str) {
        let mut end = text.len().min(LONGEST_TEXT);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.now = Some(text[..end].chars().filter(|c| !c.is_control()).collect());
    }

    pub(crate) fn push(&mut self) {
        if self.below.len() == MOST_TITLES {
            self.below.remove(0);
        }
        self.below.push(self.now.clone());
    }

    pub(crate) fn pop(&mut self) {
        if let Some(title) = self.below.pop() {
            self.now = title;
        }
    }
}

/// What the cursor looks like; it is the terminal owner's choice until a program has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CursorLook {
    /// By DECSCUSR.
    pub(crate) style: Option<CursorStyle>,
    /// By mode 12.
    pub(crate) blinking: Option<bool>,
    /// Mode 12 was set or reset behind the last DECSCUSR.
    pub(crate) blinking_is_later: bool,
}

/// Keyboard flags of one screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keyboard {
    pub(crate) flags: u8,
    pub(crate) below: Vec<u8>,
}

impl Noted {
    pub(super) fn new(size: Size) -> Self {
        Self {
            region: (0, size.rows - 1),
            tabs: (0..size.cols).map(|col| col % 8 == 0).collect(),
            sets: Sets::default(),
            saved: Default::default(),
            title: Title::default(),
            icon: Title::default(),
            keyboard: Default::default(),
            other_keys: 0,
            private: BTreeMap::new(),
            mouse: 0,
            mouse_encoding: 0,
            look: CursorLook::default(),
            links: 0,
            last: None,
        }
    }
}
