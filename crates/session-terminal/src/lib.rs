//! What a raw tail of terminal output leaves on the screen, how a terminal is left as it was found, and what lines
//! of text are in it.
//!
//! A client that attaches gets the last bytes of a session's output. Written straight to the terminal they
//! would scroll by, start in the middle of a sequence and repeat every query that a program once asked, whose
//! answers the terminal would then type. [`Replay`] reads them instead and says what they lead to.
//!
//! A program that drives another reads lines: [`Cleaner`] makes them, [`Search`] looks for a [`Pattern`] in them, and
//! [`Echoes`] takes out what only repeats [`Typed`] input (`docs/adr/0015-the-echo-is-not-the-answer.md`).

mod bits;
mod charset;
mod cleaner;
mod draw;
mod echoes;
mod leave;
mod model;
mod modes;
mod query;
mod replay;
mod scan;
mod screen;
mod search;
mod sequence;
mod sets;
mod skip;
mod special;
mod typed;

pub use cleaner::{Cleaner, Line};
pub use echoes::Echoes;
pub use leave::{AlternateScreen, LEAVE_ALTERNATE, leave};
pub use replay::Replay;
pub use screen::Screen;
pub use search::{Found, Pattern, Search};
pub use typed::{Shown, Typed};
