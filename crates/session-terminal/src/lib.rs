//! What output makes of a terminal, and how another is brought there, or left as it was found.
//!
//! [`Screen`] takes output in and has bytes that make another terminal look the same: a client that attaches is not sent
//! the past itself, which would scroll by, start in the middle of a sequence and repeat every query that a program
//! once asked. [`asks`] tells whether output may ask something, [`Quiet`] leaves such things out.
//!
//! [`Screen`] is that screen kept: bytes in, and out the bytes that rebuild it, or its cells to be read ([`Cell`]).
//!
//! A program that drives another reads lines: [`Cleaner`] makes them, [`Search`] looks for a [`Pattern`] in them, and
//! [`Echoes`] takes out what only repeats [`Typed`] input (`docs/adr/0015-the-echo-is-not-the-answer.md`).

mod asks;
mod bits;
mod cleaner;
mod draw;
mod echoes;
mod leave;
mod model;
mod pen;
mod query;
mod quiet;
mod report;
mod scan;
mod screen;
mod search;
mod sequence;
mod sets;
mod settings;
mod skip;
mod special;
mod titles;
mod typed;
mod view;

pub use asks::{Asked, LONGEST_QUESTION, asks};
pub use cleaner::{Cleaner, Line};
pub use echoes::Echoes;
pub use leave::{LEAVE_ALTERNATE, Traces};
pub use quiet::Quiet;
pub use report::{answers, is_report};
pub use screen::Screen;
pub use search::{Found, Pattern, Search};
pub use typed::{Shown, Typed};
pub use view::{Cell, Colour, Cursor, Encoding, Modes, Mouse, Rgb, Shape, Style, Underline};
