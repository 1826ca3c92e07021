//! Terse lines on standard error about what a client does, for who looks for a mistake: `SESS_DEBUG=1`.

use std::fmt::Display;
use std::io::{self, IsTerminal as _};

use crate::failure::eprint_line;

/// Says what happens, or nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trace(bool);

impl Trace {
    /// Nothing.
    pub(crate) const fn off() -> Self {
        Self(false)
    }

    /// As the variable `SESS_DEBUG` has it.
    pub(crate) fn from_environment() -> Self {
        Self(std::env::var_os("SESS_DEBUG").is_some_and(|value| value == "1"))
    }

    /// The client did something.
    pub(crate) fn client(self, what: impl Display) {
        self.line("sess-client", what);
    }

    /// The holder said something.
    pub(crate) fn holder(self, what: impl Display) {
        self.line("sess-daemon", what);
    }

    fn line(self, who: &str, what: impl Display) {
        if self.0 {
            // The terminal may be raw.
            let end = if io::stderr().is_terminal() { "\r" } else { "" };
            eprint_line(&format!("[{who}] {what}{end}"));
        }
    }
}
