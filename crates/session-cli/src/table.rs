//! Tables as people read them: columns as wide as what is in them, the last one cut to the terminal.

use unicode_width::UnicodeWidthStr;

/// Between two columns.
const GAP: usize = 2;

/// Rows of cells under a header.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new(header: &[&str]) -> Self {
        let header = header.iter().map(|&word| word.to_owned()).collect();
        Self { rows: vec![header] }
    }

    /// Adds a row; its cells must be safe to print.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The text, each line at most `width` columns wide as far as cutting its last cell can make it so.
    pub(crate) fn render(&self, width: Option<usize>) -> String {
        let columns = self.rows[0].len();
        let mut widths = vec![0; columns];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        let before: usize = widths[..columns - 1].iter().map(|width| width + GAP).sum();
        // A cell of which almost nothing would be left says more when the terminal wraps it.
        let last = width.map(|width| width.saturating_sub(before).max(8));
        let mut text = String::new();
        for row in &self.rows {
            for (index, cell) in row.iter().enumerate() {
                if index + 1 < columns {
                    text.push_str(cell);
                    let pad = widths[index] + GAP - cell.width();
                    text.extend(std::iter::repeat_n(' ', pad));
                } else {
                    push_cut(&mut text, cell, last);
                }
            }
            text.truncate(text.trim_end_matches(' ').len());
            text.push('\n');
        }
        text
    }
}

/// Adds `cell`, with an ellipsis where it is cut.
pub(crate) fn push_cut(text: &mut String, cell: &str, width: Option<usize>) {
    let Some(width) = width.filter(|width| cell.width() > *width) else {
        text.push_str(cell);
        return;
    };
    let mut used = 0;
    for c in cell.chars() {
        let mut buffer = [0; 4];
        let next = c.encode_utf8(&mut buffer).width();
        if used + next >= width {
            break;
        }
        used += next;
        text.push(c);
    }
    text.push('…');
}

/// The columns of the terminal on stdout; `None` if it is none, or does not know.
pub(crate) fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// A length of time in its two largest units: `12s`, `3m 5s`, `2h 10m`, `4d 3h`.
pub(crate) fn span(millis: u64) -> String {
    let seconds = millis / 1000;
    let units = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];
    let Some(first) = units.iter().position(|(unit, _)| seconds >= *unit) else {
        return "0s".to_owned();
    };
    let (unit, word) = units[first];
    let rest = seconds % unit;
    match units.get(first + 1) {
        Some((next, next_word)) if rest / next > 0 => {
            format!("{}{word} {}{next_word}", seconds / unit, rest / next)
        }
        _ => format!("{}{word}", seconds / unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["NAME", "PID", "COMMAND"]);
        table.row(vec!["web".into(), "77".into(), "sleep 1000000".into()]);
        table.row(vec!["日本".into(), "-".into(), "日本語日本語日本語".into()]);
        table
    }

    #[test]
    fn columns_are_as_wide_as_their_cells() {
        let text = "NAME  PID  COMMAND\nweb   77   sleep 1000000\n日本  -    日本語日本語日本語\n";
        assert_eq!(table().render(None), text);
    }

    #[test]
    fn the_last_column_is_cut_to_the_terminal() {
        let text = table().render(Some(21));
        assert_eq!(
            text,
            "NAME  PID  COMMAND\nweb   77   sleep 100…\n日本  -    日本語日…\n"
        );
        assert!(text.lines().all(|line| line.width() <= 21));
        assert!(table().render(Some(1)).contains("sleep 1…"));
    }

    #[test]
    fn an_empty_last_cell_leaves_no_blanks() {
        let mut table = Table::new(&["A", "B"]);
        table.row(vec!["x".into(), String::new()]);
        assert_eq!(table.render(None), "A  B\nx\n");
    }

    #[test]
    fn spans_have_two_units() {
        for (seconds, text) in [
            (0, "0s"),
            (12, "12s"),
            (60, "1m"),
            (185, "3m 5s"),
            (7800, "2h 10m"),
            (3605, "1h"),
            (356_400, "4d 3h"),
        ] {
            assert_eq!(span(seconds * 1000), text);
        }
    }
}
