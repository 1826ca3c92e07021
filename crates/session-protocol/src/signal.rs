//! Signals by name and number (signal(7)); the numbers are those of Linux on x86-64 and aarch64.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A signal number from 1 to 64; in JSON and to people its name, such as `SIGTERM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Signal(i32);

const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

impl Signal {
    /// Terminal hang-up.
    pub const HUP: Self = Self(1);
    /// Interrupt from the keyboard.
    pub const INT: Self = Self(2);
    /// Cannot be caught.
    pub const KILL: Self = Self(9);
    /// Polite request to end.
    pub const TERM: Self = Self(15);
    /// SIGUSR1.
    pub const USR1: Self = Self(10);
    /// A child ended or stopped.
    pub const CHLD: Self = Self(17);
    /// Go on after a stop.
    pub const CONT: Self = Self(18);
    /// Cannot be caught; stops the process.
    pub const STOP: Self = Self(19);

    /// The signal with this number, if there is one.
    pub const fn new(number: i32) -> Option<Self> {
        if number >= 1 && number <= 64 {
            Some(Self(number))
        } else {
            None
        }
    }

    /// Its number.
    pub const fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match usize::try_from(self.0 - 1)
            .ok()
            .and_then(|index| NAMES.get(index))
        {
            Some(name) => write!(f, "SIG{name}"),
            None => write!(f, "SIG{}", self.0),
        }
    }
}

/// The text names no signal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no signal; use a name such as TERM, HUP, USR1, or a number from 1 to 64")]
pub struct UnknownSignal(String);

impl FromStr for Signal {
    type Err = UnknownSignal;

    fn from_str(text: &str) -> Result<Self, UnknownSignal> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let number = match NAMES.iter().position(|known| *known == name) {
            Some(index) => Some(index as i32 + 1),
            None => name.parse().ok(),
        };
        number
            .and_then(Self::new)
            .ok_or_else(|| UnknownSignal(crate::bytestring::escape(text.as_bytes())))
    }
}

impl TryFrom<String> for Signal {
    type Error = UnknownSignal;

    fn try_from(text: String) -> Result<Self, UnknownSignal> {
        text.parse()
    }
}

impl From<Signal> for String {
    fn from(signal: Signal) -> Self {
        signal.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_numbers_and_nonsense() {
        for (text, signal) in [
            ("TERM", Signal::TERM),
            ("sigterm", Signal::TERM),
            ("15", Signal::TERM),
            ("9", Signal::KILL),
        ] {
            assert_eq!(text.parse(), Ok(signal));
        }
        assert_eq!("31".parse::<Signal>().unwrap().to_string(), "SIGSYS");
        assert_eq!("34".parse::<Signal>().unwrap().to_string(), "SIG34");
        for text in ["", "0", "65", "-1", "TERMX", "SIG"] {
            assert!(text.parse::<Signal>().is_err(), "{text}");
        }
    }
}
