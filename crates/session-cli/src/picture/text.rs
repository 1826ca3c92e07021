//! A screen as text.

use session_terminal::Screen;

/// A line for each row, without the empty ones at the end.
pub(crate) fn text(screen: &Screen) -> String {
    let mut text = String::new();
    let mut empty = 0;
    for line in screen.lines() {
        empty += 1;
        if !line.is_empty() {
            text.push_str(&"\n".repeat(std::mem::take(&mut empty) - 1));
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_rows_at_the_end_are_left_out() {
        for (output, expected) in [
            ("", ""),
            ("\r\n\r\n  ", ""),
            ("one  \r\n\r\ntwo\r\n", "one\n\ntwo\n"),
            ("\r\n\u{4f60}\u{597d}!", "\n\u{4f60}\u{597d}!\n"),
        ] {
            let mut screen = Screen::new(5, 20);
            screen.feed(output.as_bytes());
            assert_eq!(text(&screen), expected, "{output:?}");
        }
    }
}
