//! The variables that say where a person sits: which display, which agent, which connection. A session outlives each
//! of those, so its holder keeps what the client that attached last had, for `session env` to ask.

use std::collections::BTreeMap;
use std::ffi::OsString;

use serde::{Deserialize, Serialize};

use crate::ByteString;

/// Those that are handed on, and no other: what tmux updates (`update-environment`), and what its users add for Wayland,
/// D-Bus, ssh and colours. TERM is not one of them: it belongs to the terminal inside.
pub const FOLLOWED: [&str; 18] = [
    "COLORTERM",
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "KRB5CCNAME",
    "SSH_AGENT_PID",
    "SSH_ASKPASS",
    "SSH_AUTH_SOCK",
    "SSH_CLIENT",
    "SSH_CONNECTION",
    "SSH_TTY",
    "TERM_PROGRAM",
    "TERM_PROGRAM_VERSION",
    "WAYLAND_DISPLAY",
    "WINDOWID",
    "XAUTHORITY",
    "XDG_CURRENT_DESKTOP",
    "XDG_SESSION_ID",
    "XDG_SESSION_TYPE",
];

/// The longest value, in bytes: that of a path.
const LONGEST: usize = 4096;

/// Some of [`FOLLOWED`] with their values.
pub type Variables = BTreeMap<String, ByteString>;

/// What `session.environment` answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Each of [`FOLLOWED`]; null is one that the client did not have.
    pub variables: BTreeMap<String, Option<ByteString>>,
}

/// Those of `variables` that are [`FOLLOWED`] and fit.
pub fn followed(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Variables {
    let known = variables.into_iter().filter_map(|(key, value)| {
        let key = key.into_string().ok()?;
        Some((key, value.into()))
    });
    known.filter(|(key, value)| fits(key, value)).collect()
}

impl Environment {
    /// Of what a client sent, which may be anything.
    pub fn of(variables: &Variables) -> Self {
        let of = |key: &str| variables.get(key).filter(|value| fits(key, value)).cloned();
        let variables = FOLLOWED.map(|key| (key.to_owned(), of(key)));
        Self {
            variables: variables.into(),
        }
    }
}

fn fits(key: &str, value: &ByteString) -> bool {
    FOLLOWED.contains(&key) && value.0.len() <= LONGEST && !value.0.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_on_the_list_and_fits_is_handed_on() {
        let long = "x".repeat(LONGEST + 1);
        let given = [
            ("DISPLAY", ":1"),
            ("PATH", "/bin"),
            ("SECRET", "s3cr3t"),
            ("XAUTHORITY", long.as_str()),
            ("SSH_TTY", ""),
            ("TERM", "xterm"),
        ];
        let expected = [("DISPLAY", ":1"), ("SSH_TTY", "")]
            .map(|(key, value)| (key.to_owned(), ByteString::from(value)));
        let sent = followed(given.map(|(key, value)| (key.into(), value.into())));
        assert_eq!(sent, expected.clone().into());
        // A holder takes no more than that either.
        let mut given: Variables = given
            .map(|(key, value)| (key.to_owned(), value.into()))
            .into();
        given.insert("WINDOWID".to_owned(), "a\0b".into());
        let kept = Environment::of(&given);
        assert_eq!(kept.variables.len(), FOLLOWED.len());
        let present = kept.variables.into_iter();
        let present: Variables = present
            .filter_map(|(key, value)| Some((key, value?)))
            .collect();
        assert_eq!(present, expected.into());
    }
}
