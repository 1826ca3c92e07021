//! JSON as it is printed: a terminal may be what reads it, and nothing in it may act there.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};
use session_protocol::is_unseen;

/// A value in one line; what would not be seen as itself is escaped, so every reader gets the same text.
pub(crate) fn line(value: &impl Serialize) -> serde_json::Result<String> {
    let mut line = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut line, Visible))?;
    String::from_utf8(line).map_err(serde::ser::Error::custom)
}

/// serde_json escapes what JSON demands: C0 control characters, quotes and backslashes.
struct Visible;

impl Formatter for Visible {
    fn write_string_fragment<W: Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut written = 0;
        for (at, c) in fragment.char_indices().filter(|(_, c)| is_unseen(*c)) {
            CompactFormatter.write_string_fragment(writer, &fragment[written..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            written = at + c.len_utf8();
        }
        CompactFormatter.write_string_fragment(writer, &fragment[written..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_seen_and_read_as_it_was() {
        let text = "a\x1b\"\u{7f}\u{9b}2J\u{61c}\u{200e}\u{2028}\u{202e}\u{2066}é\u{1f600}";
        let value = serde_json::json!({ text: [text] });
        let printed = line(&value).unwrap();
        assert!(!printed.chars().any(is_unseen), "{printed:?}");
        assert!(printed.contains(r"\u009b2J\u061c") && printed.contains("é\u{1f600}"));
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&printed).unwrap(),
            value
        );
    }
}
