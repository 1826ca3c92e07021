//! Ids: what files are named by, so that a name can never act as a path.

use std::fmt;
use std::str::FromStr;

use rustix::rand::{GetRandomFlags, getrandom};
use serde::{Deserialize, Serialize};
use session_protocol::ByteString;

/// 64 random bits, written as 16 lowercase hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(u64);

impl Id {
    /// A new one.
    pub fn random() -> Self {
        let mut bytes = [0; 8];
        // 8 bytes come whole or not at all, and fail only where the kernel lacks the call (before 3.17).
        while getrandom(&mut bytes, GetRandomFlags::empty()) != Ok(bytes.len()) {}
        Self(u64::from_ne_bytes(bytes))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no id: 16 hexadecimal digits in lower case")]
pub struct BadId(String);

impl FromStr for Id {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let digits =
            text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match u64::from_str_radix(text, 16) {
            Ok(number) if digits => Ok(Self(number)),
            _ => Err(BadId(ByteString::from(text).escaped())),
        }
    }
}

impl TryFrom<String> for Id {
    type Error = BadId;

    fn try_from(text: String) -> Result<Self, BadId> {
        text.parse()
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sixteen_lowercase_digits_are_an_id() {
        let id = Id::random();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(
            "00000000000000ff".parse::<Id>().unwrap().to_string(),
            "00000000000000ff"
        );
        for text in [
            "",
            "ff",
            "00000000000000FF",
            "+0000000000000ff",
            "00000000000000ff0",
            "../../../etc/pass",
        ] {
            assert!(text.parse::<Id>().is_err(), "{text}");
        }
    }
}
