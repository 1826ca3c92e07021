//! Names: what people call a session. The allowed set keeps them from acting as a path, option or shell word.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use session_protocol::ByteString;

/// Longest name in bytes.
const LIMIT: usize = 64;

/// One to 64 bytes of `[A-Za-z0-9._+@-]`, a letter or digit first; not `all`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What a session that runs `executable` is called: its file name, made fit.
    pub fn derived_from(executable: &OsStr) -> Self {
        let file = Path::new(executable)
            .file_name()
            .unwrap_or_default()
            .as_bytes();
        let text: String = file
            .iter()
            .map(|byte| if allowed(*byte) { *byte as char } else { '-' })
            .collect();
        let text = text.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        let text = text[..text.len().min(LIMIT)].trim_end_matches('-');
        text.parse().unwrap_or_else(|_| Self("session".to_owned()))
    }

    /// The same name with `n` behind it, shortened where that would be too long.
    pub fn numbered(&self, n: u32) -> Self {
        let number = n.to_string();
        let kept = self.0.len().min(LIMIT - number.len());
        Self(format!("{}{number}", &self.0[..kept]))
    }
}

fn allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._+@-".contains(&byte)
}

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// Nothing at all.
    #[error("a name cannot be empty")]
    Empty,
    /// Too long.
    #[error("the name '{0}' has {1} bytes; at most 64 are allowed")]
    Long(String, usize),
    /// A character outside of the set.
    #[error(
        "the name '{0}' is not allowed: letters, digits and . _ + @ - only, a letter or digit first"
    )]
    Character(String),
    /// It means something else.
    #[error("the name '{0}' is reserved")]
    Reserved(String),
}

impl FromStr for Name {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let bytes = text.as_bytes();
        if bytes.is_empty() {
            return Err(BadName::Empty);
        }
        if bytes.len() > LIMIT {
            return Err(BadName::Long(ByteString::from(text).brief(), bytes.len()));
        }
        if !bytes[0].is_ascii_alphanumeric() || !bytes.iter().copied().all(allowed) {
            return Err(BadName::Character(ByteString::from(text).escaped()));
        }
        if text == "all" {
            return Err(BadName::Reserved(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Name {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_set_is_allowed() {
        for good in [
            "a",
            "0",
            "123",
            "web-1.x_y+z@h",
            "create",
            "All",
            &"x".repeat(64),
        ] {
            assert_eq!(good.parse::<Name>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            ".",
            "..",
            ".a",
            "-a",
            "a/b",
            "~",
            "a:b",
            "a b",
            "a\n",
            "\x1b[2J",
            "a\u{202e}b",
            "é",
            "$(x)",
            "%n",
            "*",
            "a;b",
            "all",
            &"x".repeat(65),
        ] {
            let error = bad.parse::<Name>().unwrap_err().to_string();
            assert!(
                !error.chars().any(|c| c.is_control() || c == '\u{202e}'),
                "{error:?}"
            );
        }
        assert!(
            "x".repeat(1 << 20)
                .parse::<Name>()
                .unwrap_err()
                .to_string()
                .contains("at most 64")
        );
    }

    #[test]
    fn derived_names_are_always_names() {
        for (path, name) in [
            ("/bin/bash", "bash"),
            ("/opt/my server", "my-server"),
            ("./-x-", "x"),
            ("/", "session"),
            ("", "session"),
            ("/bin/[", "session"),
            ("all", "session"),
            ("/x/é", "session"),
            (".hidden", "hidden"),
        ] {
            assert_eq!(
                Name::derived_from(OsStr::new(path)).as_str(),
                name,
                "{path}"
            );
        }
        let long = Name::derived_from(OsStr::new(&"y".repeat(300)));
        assert_eq!(long.as_str().len(), 64);
        assert_eq!(long.numbered(4_000_000_000).as_str().len(), 64);
        assert_eq!(
            Name::derived_from(OsStr::new("bash")).numbered(2).as_str(),
            "bash2"
        );
    }
}
