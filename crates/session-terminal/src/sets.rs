//! Character sets: which are chosen, and what a character is in them.

use alacritty_terminal::vte::ansi::StandardCharset;

/// A set that can be designated as one of G0 to G3. Others want national modes that a terminal in UTF-8 has not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Set {
    #[default]
    Ascii,
    /// DEC special graphics: letters are lines.
    Graphics,
    /// ASCII with a pound sign.
    British,
}

impl Set {
    /// By the final byte of the sequence that designates it.
    pub(crate) fn named(by: u8) -> Option<Self> {
        match by {
            b'B' => Some(Self::Ascii),
            b'0' => Some(Self::Graphics),
            b'A' => Some(Self::British),
            _ => None,
        }
    }

    /// That byte.
    pub(crate) fn name(self) -> u8 {
        match self {
            Self::Ascii => b'B',
            Self::Graphics => b'0',
            Self::British => b'A',
        }
    }

    /// What `c` looks like in it.
    pub(crate) fn shown(self, c: char) -> char {
        match self {
            Self::Graphics => StandardCharset::SpecialCharacterAndLineDrawing.map(c),
            Self::British if c == '#' => '\u{a3}',
            _ => c,
        }
    }
}

/// G0 to G3, and which of them text is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sets {
    pub(crate) designated: [Set; 4],
    /// By SI, SO, LS2 or LS3.
    pub(crate) shifted: usize,
    /// By SS2 or SS3, for one character.
    pub(crate) single: Option<usize>,
}

impl Sets {
    /// The set that text is in.
    pub(crate) fn current(&self) -> Set {
        self.designated[self.shifted]
    }

    /// Characters are what they are.
    pub(crate) fn is_plain(&self) -> bool {
        self.current() == Set::Ascii && self.single.is_none()
    }
}
