//! Bytes that are usually text: arguments, paths and environment need not be UTF-8, JSON must be.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Any bytes; in JSON a string where they are UTF-8, else `{"b64": "…"}`. Nothing is lost either way.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteString(pub Vec<u8>);

impl ByteString {
    /// As the kernel's strings are typed in Rust.
    pub fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(&self.0)
    }

    /// Readable on any terminal: what is not printable is shown escaped.
    pub fn escaped(&self) -> String {
        escape(&self.0)
    }

    /// The same for a message; of what is longer than any name, the beginning.
    pub fn brief(&self) -> String {
        if self.0.len() <= 64 {
            return self.escaped();
        }
        let mut end = 24;
        // Not in the middle of a character.
        while end > 20 && self.0[end] & 0xc0 == 0x80 {
            end -= 1;
        }
        format!("{}…", escape(&self.0[..end]))
    }
}

/// Whether a character does something to the text around it instead of being seen: control characters, line and
/// paragraph separators, marks of text direction, and what has no width.
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
        )
}

/// Shows `bytes` without a control character, a line break or a text direction mark in it.
pub(crate) fn escape(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                c if c.is_control() => shown.extend(c.escape_debug()),
                c if is_unseen(c) => shown.extend(c.escape_unicode()),
                c => shown.push(c),
            }
        }
        for byte in chunk.invalid() {
            shown.push_str(&format!("\\x{byte:02x}"));
        }
    }
    shown
}

impl fmt::Debug for ByteString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.escaped())
    }
}

impl From<&str> for ByteString {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<OsString> for ByteString {
    fn from(text: OsString) -> Self {
        Self(text.into_vec())
    }
}

impl Serialize for ByteString {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => Encoded {
                b64: STANDARD.encode(&self.0),
            }
            .serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ByteString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Form::deserialize(deserializer)? {
            Form::Text(text) => Ok(Self(text.into_bytes())),
            Form::Encoded(Encoded { b64 }) => {
                STANDARD.decode(b64).map(Self).map_err(D::Error::custom)
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Form {
    Text(String),
    Encoded(Encoded),
}

#[derive(Serialize, Deserialize)]
struct Encoded {
    b64: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_text_and_other_bytes_survive() {
        for bytes in [&b"plain"[..], b"", "h\u{e9}".as_bytes(), b"\xff\x00\xfe"] {
            let json = serde_json::to_string(&ByteString(bytes.to_vec())).unwrap();
            assert_eq!(serde_json::from_str::<ByteString>(&json).unwrap().0, bytes);
        }
        assert_eq!(
            serde_json::to_string(&ByteString::from("a")).unwrap(),
            "\"a\""
        );
    }

    #[test]
    fn a_message_holds_the_beginning_of_a_long_text() {
        let brief = |text: &str| ByteString::from(text).brief();
        assert_eq!(brief(&"x".repeat(64)), "x".repeat(64));
        assert_eq!(brief(&"x".repeat(65)), "x".repeat(24) + "…");
        assert_eq!(
            brief(&("x".to_owned() + &"€".repeat(99))),
            "x".to_owned() + &"€".repeat(7) + "…"
        );
    }

    #[test]
    fn shown_text_cannot_act_on_a_terminal() {
        let hostile = ByteString(b"a\x1b]0;x\x07\nb\xff\xe2\x80\xae\xc2\x9b\xd8\x9cc".to_vec());
        assert_eq!(
            hostile.escaped(),
            r"a\u{1b}]0;x\u{7}\nb\xff\u{202e}\u{9b}\u{61c}c"
        );
    }
}
