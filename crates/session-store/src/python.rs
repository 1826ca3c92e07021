//! Python's `repr` of a list of strings: how an argument vector is shown, unambiguous and safe on a terminal, and
//! read again.

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

/// Reads what [`repr`] writes; `None` if `text` is something else.
pub(crate) fn parse(text: &str) -> Option<Vec<ByteString>> {
    let mut rest = text.trim().strip_prefix('[')?;
    let mut words = Vec::new();
    while !rest.starts_with(']') {
        if !words.is_empty() {
            rest = rest.strip_prefix(',')?;
        }
        let (word, behind) = parse_word(rest.trim_start())?;
        words.push(word);
        rest = behind.trim_start();
    }
    (rest == "]").then_some(words)
}

/// The word that `text` begins with, and what follows it.
fn parse_word(text: &str) -> Option<(ByteString, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let mut rest = text[1..].chars();
    let mut word = Vec::new();
    loop {
        match rest.next()? {
            c if c == quote => return Some((ByteString(word), rest.as_str())),
            '\\' => {
                let escape = rest.next()?;
                let digits = match escape {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    _ => 0,
                };
                let (number, behind) = rest.as_str().split_at_checked(digits)?;
                // A sign would be a number, too.
                if !number.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return None;
                }
                rest = behind.chars();
                match escape {
                    't' => word.push(b'\t'),
                    'n' => word.push(b'\n'),
                    'r' => word.push(b'\r'),
                    '\\' | '\'' | '"' => word.push(escape as u8),
                    _ => match u32::from_str_radix(number, 16).ok()? {
                        // A byte that is not UTF-8.
                        byte @ 0xdc80..=0xdcff => word.push(byte as u8),
                        code => push(&mut word, char::from_u32(code)?),
                    },
                }
            }
            c => push(&mut word, c),
        }
    }
}

fn push(word: &mut Vec<u8>, c: char) {
    word.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
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
            let words = [ByteString(bytes.to_vec()), "next".into()];
            let shown = format!("[{shown}, 'next']");
            assert_eq!(repr(&words), shown);
            assert_eq!(parse(&shown).as_deref(), Some(&words[..]));
        }
        assert_eq!(repr(&["a".into(), "b c".into()]), "['a', 'b c']");
        assert_eq!(repr(&[]), "[]");
    }

    #[test]
    fn only_lists_of_strings_are_read() {
        assert_eq!(
            parse(" [ 'a' , \"b\" ] ").unwrap(),
            ["a".into(), "b".into()]
        );
        assert_eq!(parse("[]"), Some(Vec::new()));
        for text in [
            "",
            "[",
            "['a'",
            "['a",
            "['a',]",
            "['a' 'b']",
            "[a]",
            "['a'] x",
            "'a'",
            r"['\q']",
            r"['\x1']",
            r"['\x+1']",
            r"['\ud800']",
            r"['\U00110000']",
            r"['\x\u{e9}']",
            "['\\x1\u{e9}']",
            r"['\'",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
