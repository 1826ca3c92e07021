//! What the 16 bits of a cell say: what the emulator keeps in them, blinking, and overlines.
//!
//! Of the five bits of underlines at most one is set, for a cell has one kind of them. Overlined, all five are turned
//! over: at least four are set.

use alacritty_terminal::term::cell::Flags;

/// Blinking text, in the bit that the emulator leaves free.
pub(crate) const BLINK: Flags = Flags::from_bits_retain(0x8000);

/// Whether there is a line above the text.
pub(crate) fn is_overlined(flags: Flags) -> bool {
    (flags & Flags::ALL_UNDERLINES).bits().count_ones() > 1
}

/// With the underlines as the emulator knows them, and no overline.
pub(crate) fn without_overline(flags: Flags) -> Flags {
    if is_overlined(flags) {
        flags ^ Flags::ALL_UNDERLINES
    } else {
        flags
    }
}

/// With an overline, or without.
pub(crate) fn overlined(flags: Flags, on: bool) -> Flags {
    let without = without_overline(flags);
    if on {
        without ^ Flags::ALL_UNDERLINES
    } else {
        without
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overline_leaves_every_underline_what_it_is() {
        for underline in [
            Flags::empty(),
            Flags::UNDERLINE,
            Flags::DOUBLE_UNDERLINE,
            Flags::DASHED_UNDERLINE,
        ] {
            let flags = underline | Flags::BOLD | BLINK;
            let both = overlined(flags, true);
            assert!(is_overlined(both) && !is_overlined(flags));
            assert_eq!(without_overline(both), flags);
            assert_eq!(overlined(both, true), both);
            assert_eq!(overlined(both, false), flags);
        }
    }
}
