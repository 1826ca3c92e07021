//! The checks of `session doctor`. Each gives one line, and none stops the others.

mod machine;
mod state;

use std::fmt;

use serde::Serialize;
use session_protocol::ByteString;

pub(crate) use machine::machine;
pub(crate) use state::state;

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// As it should be.
    Ok,
    /// Something works less well than it could, or wants a look.
    Warn,
    /// Something does not work.
    Fail,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    pub(crate) level: Level,
    pub(crate) what: String,
    pub(crate) detail: String,
}

impl Check {
    fn new(level: Level, what: &str, detail: impl fmt::Display) -> Self {
        Self {
            level,
            what: what.to_owned(),
            detail: ByteString::from(detail.to_string().as_str()).escaped(),
        }
    }

    fn ok(what: &str, detail: impl fmt::Display) -> Self {
        Self::new(Level::Ok, what, detail)
    }

    fn warn(what: &str, detail: impl fmt::Display) -> Self {
        Self::new(Level::Warn, what, detail)
    }

    fn fail(what: &str, detail: impl fmt::Display) -> Self {
        Self::new(Level::Fail, what, detail)
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fail => "fail",
        };
        write!(f, "{level:<4}  {}: {}", self.what, self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_one_line() {
        let check = Check::warn("records", "a\n\u{1b}b");
        assert_eq!(check.to_string(), r"warn  records: a\n\u{1b}b");
        assert_eq!(serde_json::to_value(check).unwrap()["level"], "warn");
    }
}
