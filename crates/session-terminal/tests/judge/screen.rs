//! The screen that is judged.

pub(crate) use session_terminal::Screen;
