//! Names of keys, as tmux has them, and what a terminal sends for each.

use std::fmt::Write as _;

/// Keys with a name of their own.
const NAMED: [(&str, &str); 36] = [
    ("Enter", "\r"),
    ("Tab", "\t"),
    ("BTab", "\x1b[Z"),
    ("Escape", "\x1b"),
    ("Esc", "\x1b"),
    ("Space", " "),
    ("BSpace", "\x7f"),
    ("Backspace", "\x7f"),
    ("Up", "\x1b[A"),
    ("Down", "\x1b[B"),
    ("Right", "\x1b[C"),
    ("Left", "\x1b[D"),
    ("Home", "\x1b[H"),
    ("End", "\x1b[F"),
    ("Insert", "\x1b[2~"),
    ("IC", "\x1b[2~"),
    ("Delete", "\x1b[3~"),
    ("DC", "\x1b[3~"),
    ("PageUp", "\x1b[5~"),
    ("PPage", "\x1b[5~"),
    ("PgUp", "\x1b[5~"),
    ("PageDown", "\x1b[6~"),
    ("NPage", "\x1b[6~"),
    ("PgDn", "\x1b[6~"),
    ("F1", "\x1bOP"),
    ("F2", "\x1bOQ"),
    ("F3", "\x1bOR"),
    ("F4", "\x1bOS"),
    ("F5", "\x1b[15~"),
    ("F6", "\x1b[17~"),
    ("F7", "\x1b[18~"),
    ("F8", "\x1b[19~"),
    ("F9", "\x1b[20~"),
    ("F10", "\x1b[21~"),
    ("F11", "\x1b[23~"),
    ("F12", "\x1b[24~"),
];

/// What the key called `name` sends: `Up`, `C-c`, `M-x`, `C-M-a`, `S-Left`, or a character itself. Cursor keys send
/// something else where the program has asked for it (DECCKM): `application`.
///
/// # Errors
/// The known names.
pub(crate) fn bytes(name: &str, application: bool) -> Result<Vec<u8>, String> {
    let mut rest = name;
    let (mut control, mut meta, mut shift) = (false, false, false);
    loop {
        // A lone "C-" has no key left behind it.
        let (held, behind) = match rest.as_bytes() {
            [b'C' | b'c', b'-', _, ..] | [b'^', _, ..] => (
                &mut control,
                &rest[if rest.starts_with('^') { 1 } else { 2 }..],
            ),
            [b'M' | b'm', b'-', _, ..] => (&mut meta, &rest[2..]),
            [b'S' | b's', b'-', _, ..] => (&mut shift, &rest[2..]),
            _ => break,
        };
        *held = true;
        rest = behind;
    }
    let unknown = || Err(unknown(name));
    let named = NAMED
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(rest));
    let mut sent = match (named, rest.chars().collect::<Vec<_>>().as_slice()) {
        (Some((_, sequence)), _) => match modified(sequence, control, meta, shift) {
            Some(sequence) => return Ok(sequence),
            None if control && *sequence == " " => vec![0],
            None if control || shift => return unknown(),
            // With Alt it has been given a parameter above.
            None => match sequence.strip_prefix("\x1b[") {
                Some(last @ ("A" | "B" | "C" | "D" | "H" | "F")) if application => {
                    format!("\x1bO{last}").into_bytes()
                }
                _ => sequence.as_bytes().to_vec(),
            },
        },
        (None, &[character]) if control => match character.to_ascii_lowercase() {
            letter @ ('a'..='z' | '@' | '[' | '\\' | ']' | '^' | '_') => vec![letter as u8 & 0x1f],
            '?' => vec![0x7f],
            _ => return unknown(),
        },
        (None, &[character]) if shift => character.to_uppercase().to_string().into_bytes(),
        (None, &[character]) => character.to_string().into_bytes(),
        (None, _) => return unknown(),
    };
    if meta {
        sent.insert(0, 0x1b);
    }
    Ok(sent)
}

/// Cursor and function keys carry what is held in a parameter; `None` for keys that do not, or if nothing is.
fn modified(sequence: &str, control: bool, meta: bool, shift: bool) -> Option<Vec<u8>> {
    let held = 1 + u8::from(shift) + 2 * u8::from(meta) + 4 * u8::from(control);
    if sequence == "\t" && shift && !control && !meta {
        return Some(b"\x1b[Z".to_vec());
    }
    let body = sequence
        .strip_prefix("\x1b[")
        .or_else(|| sequence.strip_prefix("\x1bO"))?;
    if held == 1 || body == "Z" {
        return None;
    }
    let mut sent = String::from("\x1b[");
    // Writing to a String cannot fail.
    let _ = match body.strip_suffix('~') {
        Some(number) => write!(sent, "{number};{held}~"),
        None => write!(sent, "1;{held}{body}"),
    };
    Some(sent.into_bytes())
}

fn unknown(name: &str) -> String {
    let names: Vec<&str> = NAMED.iter().map(|(name, _)| *name).collect();
    format!(
        "'{name}' is no key; use a character, C- M- S- and a key, or {}",
        names.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_send_what_a_terminal_sends() {
        for (name, sent) in [
            ("Enter", &b"\r"[..]),
            ("C-c", b"\x03"),
            ("^C", b"\x03"),
            ("c-C", b"\x03"),
            ("C-\\", b"\x1c"),
            ("C-Space", b"\0"),
            ("C-?", b"\x7f"),
            ("M-x", b"\x1bx"),
            ("C-M-a", b"\x1b\x01"),
            ("M-Enter", b"\x1b\r"),
            ("up", b"\x1b[A"),
            ("C-Left", b"\x1b[1;5D"),
            ("S-F5", b"\x1b[15;2~"),
            ("M-Delete", b"\x1b[3;3~"),
            ("C-F1", b"\x1b[1;5P"),
            ("S-Tab", b"\x1b[Z"),
            ("F12", b"\x1b[24~"),
            ("a", b"a"),
            ("-", b"-"),
            ("^", b"^"),
            ("\u{e9}", "\u{e9}".as_bytes()),
        ] {
            assert_eq!(bytes(name, false).as_deref(), Ok(sent), "{name}");
        }
    }

    #[test]
    fn cursor_keys_are_others_for_who_asked_for_that() {
        for (name, sent) in [
            ("Up", &b"\x1bOA"[..]),
            ("End", b"\x1bOF"),
            ("C-Up", b"\x1b[1;5A"),
            ("BTab", b"\x1b[Z"),
            ("PageUp", b"\x1b[5~"),
            ("C-c", b"\x03"),
        ] {
            assert_eq!(bytes(name, true).as_deref(), Ok(sent), "{name}");
        }
    }

    #[test]
    fn unknown_keys_are_refused_with_the_known_ones() {
        for name in ["", "Entr", "C-", "C-Enter", "C-\u{e9}", "F13", "ab"] {
            let error = bytes(name, false).unwrap_err();
            assert!(error.contains("PageUp"), "{error}");
        }
    }
}
