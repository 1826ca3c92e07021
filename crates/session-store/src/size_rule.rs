//! The attribute `size`: whose terminal decides the size of the session's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use session_protocol::Size;

/// Whose terminal decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SizeRule {
    /// That of the client that typed last.
    #[default]
    Leader,
    /// So that it fits on every client's.
    Smallest,
    /// That of the client that came last or whose size changed last.
    Latest,
    /// Nobody's.
    Fixed(Size),
}

impl SizeRule {
    /// The default is not written: a record without it is that of an earlier version.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for SizeRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leader => f.write_str("leader"),
            Self::Smallest => f.write_str("smallest"),
            Self::Latest => f.write_str("latest"),
            Self::Fixed(size) => write!(f, "fixed {size}"),
        }
    }
}

/// No rule.
#[derive(Debug, PartialEq, Eq)]
pub struct BadSizeRule;

impl fmt::Display for BadSizeRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is leader, smallest, latest, or fixed and a size such as 120x40")
    }
}

impl FromStr for SizeRule {
    type Err = BadSizeRule;

    fn from_str(text: &str) -> Result<Self, BadSizeRule> {
        Ok(match text {
            "leader" => Self::Leader,
            "smallest" => Self::Smallest,
            "latest" => Self::Latest,
            text => {
                let size = text.strip_prefix("fixed ").ok_or(BadSizeRule)?;
                Self::Fixed(size.trim().parse().map_err(|_| BadSizeRule)?)
            }
        })
    }
}

impl TryFrom<String> for SizeRule {
    type Error = BadSizeRule;

    fn try_from(text: String) -> Result<Self, BadSizeRule> {
        text.parse()
    }
}

impl From<SizeRule> for String {
    fn from(rule: SizeRule) -> Self {
        rule.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_as_they_are_shown() {
        for text in [
            "leader",
            "smallest",
            "latest",
            "fixed 120x40",
            "fixed 1x65535",
        ] {
            assert_eq!(text.parse::<SizeRule>().unwrap().to_string(), text);
        }
        let fixed: SizeRule = "fixed 120x40".parse().unwrap();
        assert_eq!(
            fixed,
            SizeRule::Fixed(Size {
                rows: 40,
                cols: 120
            })
        );
        for text in [
            "",
            "Leader",
            "fixed",
            "fixed ",
            "120x40",
            "fixed 0x40",
            "fixed 120x0",
            "fixed 120",
            "fixed 65536x1",
            "fixed -1x5",
            "fixed 1x2x3",
            "fixed x",
            "fixed +1x2",
        ] {
            assert_eq!(text.parse::<SizeRule>(), Err(BadSizeRule), "{text}");
        }
    }
}
