//! What a terminal keeps beside its text, as the sequences that set it.

use alacritty_terminal::term::TermMode;
use alacritty_terminal::vte::ansi::{CursorShape, CursorStyle, NamedColor};

use crate::model::{CursorLook, Keyboard, Model, Title};
use crate::pen::Pen;

pub(crate) fn colours(pen: &mut Pen, model: &Model) {
    let colours = model.term.colors();
    for index in 0..256 {
        if let Some(rgb) = colours[index] {
            pen.write(format_args!(
                "\x1b]4;{index};rgb:{:02x}/{:02x}/{:02x}\x1b\\",
                rgb.r, rgb.g, rgb.b
            ));
        }
    }
    for (code, named) in [
        (10, NamedColor::Foreground),
        (11, NamedColor::Background),
        (12, NamedColor::Cursor),
    ] {
        if let Some(rgb) = colours[named] {
            pen.write(format_args!(
                "\x1b]{code};rgb:{:02x}/{:02x}/{:02x}\x1b\\",
                rgb.r, rgb.g, rgb.b
            ));
        }
    }
}

pub(crate) fn keyboard(pen: &mut Pen, keyboard: &Keyboard) {
    let flags = keyboard.below.iter().chain([&keyboard.flags]);
    for (depth, flags) in flags.enumerate() {
        match (depth, flags) {
            (0, 0) => {}
            (0, flags) => pen.write(format_args!("\x1b[={flags}u")),
            (_, flags) => pen.write(format_args!("\x1b[>{flags}u")),
        }
    }
}

pub(crate) fn tabs(pen: &mut Pen, model: &Model) {
    let tabs = &model.noted.tabs;
    if tabs
        .iter()
        .enumerate()
        .any(|(col, stop)| *stop != (col % 8 == 0))
    {
        pen.out.extend_from_slice(b"\x1b[3g");
        for col in (0..tabs.len()).filter(|col| tabs[*col]) {
            pen.write(format_args!("\x1b[{}G\x1bH", col + 1));
        }
    }
}

pub(crate) fn modes(pen: &mut Pen, model: &Model) {
    for (mode, sequence) in [
        (TermMode::APP_CURSOR, &b"\x1b[?1h"[..]),
        (TermMode::APP_KEYPAD, b"\x1b="),
        (TermMode::BRACKETED_PASTE, b"\x1b[?2004h"),
        (TermMode::FOCUS_IN_OUT, b"\x1b[?1004h"),
        (TermMode::LINE_FEED_NEW_LINE, b"\x1b[20h"),
        (TermMode::INSERT, b"\x1b[4h"),
    ] {
        if model.has(mode) {
            pen.out.extend_from_slice(sequence);
        }
    }
    for (mode, sequence) in [
        (TermMode::LINE_WRAP, &b"\x1b[?7l"[..]),
        (TermMode::SHOW_CURSOR, &b"\x1b[?25l"[..]),
    ] {
        if !model.has(mode) {
            pen.out.extend_from_slice(sequence);
        }
    }
    let noted = &model.noted;
    for (mode, on) in &noted.private {
        pen.write(format_args!("\x1b[?{mode}{}", if *on { 'h' } else { 'l' }));
    }
    for mode in [noted.mouse, noted.mouse_encoding] {
        if mode > 0 {
            pen.write(format_args!("\x1b[?{mode}h"));
        }
    }
    if noted.other_keys > 0 {
        pen.write(format_args!("\x1b[>4;{}m", noted.other_keys));
    }
    cursor_look(pen, &noted.look);
}

/// The number of DECSCUSR.
pub(crate) fn decscusr(CursorStyle { shape, blinking }: CursorStyle) -> u8 {
    let steady = match shape {
        CursorShape::Underline => 4,
        CursorShape::Beam => 6,
        _ => 2,
    };
    steady - u8::from(blinking)
}

fn cursor_look(pen: &mut Pen, look: &CursorLook) {
    let style = |pen: &mut Pen| {
        if let Some(style) = look.style {
            pen.write(format_args!("\x1b[{} q", decscusr(style)));
        }
    };
    // Whichever came last holds in a terminal that has one state for both.
    if look.blinking_is_later {
        style(pen);
    }
    if let Some(blinking) = look.blinking {
        pen.write(format_args!("\x1b[?12{}", if blinking { 'h' } else { 'l' }));
    }
    if !look.blinking_is_later {
        style(pen);
    }
}

/// Pushed ones, where both were pushed together as is usual, then those in force.
pub(crate) fn titles(pen: &mut Pen, icon: &Title, title: &Title) {
    let set = |pen: &mut Pen, icon: Option<&Option<String>>, title: Option<&Option<String>>| {
        let (icon, title) = (
            icon.and_then(Option::as_ref),
            title.and_then(Option::as_ref),
        );
        if let Some(both) = icon.filter(|_| icon == title) {
            return pen.write(format_args!("\x1b]0;{both}\x1b\\"));
        }
        for (code, name) in [(1, icon), (2, title)] {
            if let Some(name) = name {
                pen.write(format_args!("\x1b]{code};{name}\x1b\\"));
            }
        }
    };
    let deepest = icon.below.len().max(title.below.len());
    for depth in (0..deepest).rev() {
        // Counted from the top.
        let at = |title: &Title| title.below.len().checked_sub(depth + 1);
        let pushed = (
            at(icon).map(|at| &icon.below[at]),
            at(title).map(|at| &title.below[at]),
        );
        set(pen, pushed.0, pushed.1);
        pen.out.extend_from_slice(match pushed {
            (Some(_), None) => b"\x1b[22;1t",
            (None, Some(_)) => b"\x1b[22;2t",
            _ => b"\x1b[22;0t",
        });
    }
    set(pen, Some(&icon.now), Some(&title.now));
}
