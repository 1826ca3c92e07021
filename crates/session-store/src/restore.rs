//! The attribute `restore`: what of the past an attaching terminal is given.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::record::number;

/// The client that attaches makes them, in its own memory: about 2 KB each.
const MOST_LINES: u32 = 100_000;

/// What of the past an attaching terminal is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Restore {
    /// The screen.
    Screen,
    /// The last lines that scrolled off, for its own scrollback, and the screen.
    Lines(u32),
    /// The last output as it was, but for what would be answered.
    Raw,
    /// Nothing.
    None,
}

impl Default for Restore {
    fn default() -> Self {
        Self::Lines(1000)
    }
}

impl Restore {
    /// The default is not written: a record without it is that of an earlier version.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Restore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Screen => f.write_str("screen"),
            Self::Lines(lines) => write!(f, "lines {lines}"),
            Self::Raw => f.write_str("raw"),
            Self::None => f.write_str("none"),
        }
    }
}

/// Nothing of the kind.
#[derive(Debug, PartialEq, Eq)]
pub struct BadRestore;

impl fmt::Display for BadRestore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is screen, lines and a number up to 100000, raw or none")
    }
}

impl FromStr for Restore {
    type Err = BadRestore;

    fn from_str(text: &str) -> Result<Self, BadRestore> {
        Ok(match text {
            "screen" => Self::Screen,
            "raw" => Self::Raw,
            "none" => Self::None,
            text => {
                let lines = text
                    .strip_prefix("lines ")
                    .and_then(|lines| number(lines.trim()));
                let lines = lines.and_then(|lines| u32::try_from(lines).ok());
                let lines = lines.filter(|lines| *lines <= MOST_LINES);
                Self::Lines(lines.ok_or(BadRestore)?)
            }
        })
    }
}

impl TryFrom<String> for Restore {
    type Error = BadRestore;

    fn try_from(text: String) -> Result<Self, BadRestore> {
        text.parse()
    }
}

impl From<Restore> for String {
    fn from(restore: Restore) -> Self {
        restore.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_is_shown() {
        for text in ["screen", "lines 0", "lines 1000", "raw", "none"] {
            assert_eq!(text.parse::<Restore>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "Screen",
            "lines",
            "lines ",
            "lines -1",
            "lines 100001",
            "lines 5000000000",
            "1000",
        ] {
            assert_eq!(text.parse::<Restore>(), Err(BadRestore), "{text}");
        }
    }
}
