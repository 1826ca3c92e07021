//! Python's `repr` of a list of strings: how an argument vector is shown, unambiguous and safe on a terminal.

use session_protocol::ByteString;

/// `['a', "it's", '\x1b']`; bytes that are not UTF-8 as Python's file system strings have them (`'\udcff'`).
pub fn repr(words: &[ByteString]) -> String {
    let words: Vec<String> = words.iter().map(|word| word_repr(&word.0)).collect();
    format!("[{}]", words.join(", "))
}

fn word_repr(bytes: &[u8]) -> String {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') {
        '"'
    } else {
        '\''
    };
    let mut shown = String::from(quote);
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\t' => shown.push_str("\\t"),
                '\n' => shown.push_str("\\n"),
                '\r' => shown.push_str("\\r"),
                c if c == '\\' || c == quote => shown.extend(['\\', c]),
                c if printable(c) => shown.push(c),
                c if c <= '\u{ff}' => shown.push_str(&format!("\\x{:02x}", c as u32)),
                c if c <= '\u{ffff}' => shown.push_str(&format!("\\u{:04x}", c as u32)),
                c => shown.push_str(&format!("\\U{:08x}", c as u32)),
            }
        }
        for byte in chunk.invalid() {
            shown.push_str(&format!("\\udc{byte:02x}"));
        }
    }
    shown.push(quote);
    shown
}

/// `str.isprintable`: the standard library's `escape_debug` leaves out the very same Unicode categories, but
/// in first place also escapes combining marks, hence the `a`.
fn printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    let mut text = String::from('a');
    text.push(c);
    text.escape_debug().eq(text.chars())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_shown_as_python_does() {
        // Each expectation is the output of CPython 3.11.
        for (bytes, shown) in [
            (
                &b"/usr/local/sbin/myserver"[..],
                "'/usr/local/sbin/myserver'",
            ),
            (b"", "''"),
            (b"it's", "\"it's\""),
            (b"it's \"x\"", "'it\\'s \"x\"'"),
            (b"\"x\"", "'\"x\"'"),
            (b"a\\b", "'a\\\\b'"),
            (b"\x1b\x00\x7f\t\r\n", "'\\x1b\\x00\\x7f\\t\\r\\n'"),
            ("é\u{301}ß".as_bytes(), "'é\u{301}ß'"),
            ("\u{301}".as_bytes(), "'\u{301}'"),
            ("\u{a0}\u{ad}\u{85}".as_bytes(), "'\\xa0\\xad\\x85'"),
            (
                "\u{202e}\u{feff}\u{2028}\u{3000}".as_bytes(),
                "'\\u202e\\ufeff\\u2028\\u3000'",
            ),
            (
                "\u{1f600}\u{e0001}\u{10ffff}".as_bytes(),
                "'\u{1f600}\\U000e0001\\U0010ffff'",
            ),
            (b"\xff\xc3(", "'\\udcff\\udcc3('"),
        ] {
            assert_eq!(repr(&[ByteString(bytes.to_vec())]), format!("[{shown}]"));
        }
        assert_eq!(repr(&["a".into(), "b c".into()]), "['a', 'b c']");
        assert_eq!(repr(&[]), "[]");
    }
}
