//! What a process was given lately: who waits for its answer is not to be told of the echo
//! (`docs/adr/0015-the-echo-is-not-the-answer.md`). It stays in memory, and little of it.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::time::Instant;

use rustix::termios::{LocalModes, tcgetattr};
use session_terminal::{Shown, Typed};

use crate::output::Output;

/// So many positions of standard error are remembered.
const POSITIONS: usize = 64;

/// The input of the recent past.
#[derive(Default)]
pub(crate) struct Given {
    /// When the process took input last.
    pub(crate) last: Option<Instant>,
    /// On a terminal: the texts.
    pub(crate) typed: Typed,
    /// On pipes: where standard output and standard error were when input came, newest first. A caller knows the
    /// former only.
    positions: VecDeque<(u64, u64)>,
}

impl Given {
    /// Input comes as a call; the offset in the output that it is answered with.
    pub(crate) fn mark(&mut self, outputs: &[Output]) -> u64 {
        let mut heads = outputs.iter().map(Output::head);
        let first = heads.next().unwrap_or(0);
        if let Some(second) = heads.next() {
            self.positions.truncate(POSITIONS - 1);
            self.positions.push_front((first, second));
        }
        first
    }

    /// Where a stream other than the first was when the first was at `offset`, as far as is remembered.
    pub(crate) fn beside(&self, offset: u64) -> Option<u64> {
        let mut positions = self.positions.iter();
        positions
            .find(|(first, _)| *first <= offset)
            .map(|(_, second)| *second)
    }
}

/// Who shows what is typed into this terminal now.
pub(crate) fn shown(terminal: impl AsFd) -> Shown {
    match tcgetattr(terminal).map(|modes| modes.local_modes) {
        Ok(modes) if modes.contains(LocalModes::ECHO) => Shown::ByTerminal,
        Ok(modes) if modes.contains(LocalModes::ICANON) => Shown::Not,
        Ok(_) => Shown::ByProgram,
        // Then it cannot be told apart from a password.
        Err(_) => Shown::Not,
    }
}
