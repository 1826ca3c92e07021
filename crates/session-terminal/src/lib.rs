//! What a raw tail of terminal output leaves on the screen, and how a terminal is left as it was found.
//!
//! A client that attaches gets the last bytes of a session's output. Written straight to the terminal they
//! would scroll by, start in the middle of a sequence and repeat every query that a program once asked, whose
//! answers the terminal would then type. [`Replay`] reads them instead and says what they lead to.

mod charset;
mod draw;
mod leave;
mod model;
mod modes;
mod query;
mod replay;
mod screen;
mod sequence;
mod skip;

pub use leave::{AlternateScreen, LEAVE_ALTERNATE, leave};
pub use replay::Replay;
pub use screen::Screen;
