//! A screen as lines with their attributes, each of them complete in itself: for `cat`, and for another terminal's scrollback.

use session_terminal::{Cell, Colour, Rgb, Screen, Style, Underline};

/// A line for each row, without the empty ones at the end. What is hidden stays, as hidden.
pub(crate) fn ansi(screen: &Screen) -> String {
    let (mut lines, mut used) = (String::new(), 0);
    for cells in screen.rows() {
        if line(&mut lines, &cells) {
            used = lines.len() + 1;
        }
        lines.push('\n');
    }
    lines.truncate(used);
    lines
}

/// Writes one row; false if there is nothing on it.
fn line(out: &mut String, cells: &[Cell]) -> bool {
    let plain = Style::default();
    let is_blank = |cell: &Cell| cell.text == " " && cell.style == plain;
    let end = cells.iter().rposition(|cell| !is_blank(cell));
    let Some(end) = end else {
        return false;
    };
    let mut set = &plain;
    for cell in &cells[..=end] {
        change(out, set, &cell.style);
        set = &cell.style;
        out.push_str(&cell.text);
    }
    change(out, set, &plain);
    true
}

fn change(out: &mut String, from: &Style, to: &Style) {
    if from.link != to.link {
        let target = to.link.as_deref().unwrap_or_default();
        out.push_str(&format!("\x1b]8;;{target}\x1b\\"));
    }
    let attributes = attributes(to);
    if attributes == self::attributes(from) {
        return;
    }
    // What is plain is written short.
    let parameters: String = attributes.iter().map(|it| format!(";{it}")).collect();
    let zero = if parameters.is_empty() { "" } else { "0" };
    out.push_str(&format!("\x1b[{zero}{parameters}m"));
}

/// The parameters of SGR that lead from plain text to this style.
fn attributes(style: &Style) -> Vec<String> {
    let mut parameters = Vec::new();
    for (is_set, code) in [
        (style.bold, "1"),
        (style.dim, "2"),
        (style.italic, "3"),
        (style.blink, "5"),
        (style.inverse, "7"),
        (style.hidden, "8"),
        (style.strikeout, "9"),
        (style.overline, "53"),
    ] {
        if is_set {
            parameters.push(code.to_owned());
        }
    }
    if let Some(kind) = style.underline {
        let code = match kind {
            Underline::Single => "4",
            Underline::Double => "21",
            Underline::Curly => "4:3",
            Underline::Dotted => "4:4",
            Underline::Dashed => "4:5",
        };
        parameters.push(code.to_owned());
    }
    for (colour, base) in [(style.fg, 30), (style.bg, 40)] {
        match colour {
            None => {}
            Some(Colour::Indexed(index @ 0..8)) => parameters.push(format!("{}", base + index)),
            Some(Colour::Indexed(index @ 8..16)) => {
                parameters.push(format!("{}", base + 60 + index - 8));
            }
            Some(Colour::Indexed(index)) => parameters.push(format!("{};5;{index}", base + 8)),
            Some(Colour::Rgb(Rgb(r, g, b))) => {
                parameters.push(format!("{};2;{r};{g};{b}", base + 8));
            }
        }
    }
    match style.underline_colour {
        None => {}
        // Parts of one parameter: terminals that do not know it pass over all of it.
        Some(Colour::Indexed(index)) => parameters.push(format!("58:5:{index}")),
        Some(Colour::Rgb(Rgb(r, g, b))) => parameters.push(format!("58:2::{r}:{g}:{b}")),
    }
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(output: &str) -> Screen {
        let mut screen = Screen::new(4, 20);
        screen.feed(output.as_bytes());
        screen
    }

    #[test]
    fn each_line_is_complete_in_itself() {
        let screen = shown("\x1b[31;1mone\r\ntwo\x1b[m x\x1b[44m \r\n");
        let expected = "\x1b[0;1;31mone\x1b[m\n\x1b[0;1;31mtwo\x1b[m x\x1b[0;44m \x1b[m\n";
        assert_eq!(ansi(&screen), expected);
        let link = shown("\x1b]8;;http://a\x1b\\a\x1b[1mb\x1b[m\x1b]8;;\x1b\\c");
        let expected = "\x1b]8;;http://a\x1b\\a\x1b[0;1mb\x1b]8;;\x1b\\\x1b[mc\n";
        assert_eq!(ansi(&link), expected);
        assert_eq!(ansi(&shown("")), "");
    }

    #[test]
    fn what_it_shows_is_the_screen() {
        let output = "\x1b[2;3;5;7;8;9;53;4:3;38;5;200;48;2;1;2;3;58:5:9ma\x1b[0;21;97;101mb\x1b[0;4:4mc\x1b[0;4:5md\r\n\
            \x1b[7m  \x1b[m\u{4f60}e\u{301}\r\n\r\nlast row, and full!!";
        let screen = shown(output);
        let copy = shown(&ansi(&screen).trim_end_matches('\n').replace('\n', "\r\n"));
        assert!(copy.rows().eq(screen.rows()), "{:?}", ansi(&screen));
    }
}
