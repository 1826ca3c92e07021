//! The screen under test: what `Screen` is to be, over what there is.

use session_terminal::Replay;

pub(crate) struct Screen(Replay);

impl Screen {
    pub(crate) fn new(rows: u16, cols: u16) -> Self {
        Self(Replay::new(rows, cols, true))
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.0.feed(bytes);
    }

    pub(crate) fn snapshot(&self) -> Vec<u8> {
        self.0.snapshot()
    }
}
