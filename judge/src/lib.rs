//! The judge of tests: a second terminal emulator, which has nothing in common with Session's own, says what bytes leave
//! on a screen. It is xterm.js, driven by `judge.mjs`, whose head says what is asked and answered.

#![allow(
    clippy::unwrap_used,
    reason = "a tool of tests: a failed assumption is a failed test"
)]

mod difference;
mod state;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine as _;
use serde_json::{Value, json};

pub use difference::{Difference, differences};
pub use state::State;

/// What is fed to a terminal.
#[derive(Debug, Clone, Copy)]
pub enum Piece<'a> {
    /// Output of a program, from anywhere in the middle of a sequence on.
    Bytes(&'a [u8]),
    /// The window is another size from here on.
    Resize {
        /// Its columns.
        cols: u16,
        /// Its rows.
        rows: u16,
    },
}

/// A terminal that has seen nothing yet.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    /// Rows of the screen.
    pub rows: u16,
    /// Columns; two at least, as xterm.js has no fewer.
    pub cols: u16,
    /// Lines that are kept above the screen.
    pub scrollback: u32,
}

/// A running judge. It ends with its standard input.
pub struct Judge {
    process: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Judge {
    /// Starts one; `None`, said loudly, where there is no Node or where xterm.js is not installed.
    pub fn start() -> Option<Self> {
        let home = Path::new(env!("CARGO_MANIFEST_DIR"));
        if !home.join("node_modules/@xterm").is_dir() {
            eprintln!("SKIPPED: no second terminal emulator; `npm ci` in judge/ installs it");
            return None;
        }
        let mut node = Command::new("node");
        node.arg(home.join("judge.mjs"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = match node.spawn() {
            Ok(process) => process,
            Err(why) => {
                eprintln!("SKIPPED: no second terminal emulator: cannot run node: {why}");
                return None;
            }
        };
        let requests = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Some(Self {
            process,
            requests,
            answers,
        })
    }

    /// What a terminal shows that has seen `pieces`.
    pub fn state(&mut self, terminal: Terminal, pieces: &[Piece<'_>]) -> State {
        self.ask(terminal, pieces, "end");
        self.answer()
    }

    /// What it shows at first, and after each of `pieces`.
    pub fn states(&mut self, terminal: Terminal, pieces: &[Piece<'_>]) -> Vec<State> {
        self.ask(terminal, pieces, "each");
        (0..=pieces.len()).map(|_| self.answer()).collect()
    }

    fn ask(&mut self, terminal: Terminal, pieces: &[Piece<'_>], report: &str) {
        let feed: Vec<Value> = pieces
            .iter()
            .map(|piece| match *piece {
                Piece::Bytes(bytes) => base64::prelude::BASE64_STANDARD.encode(bytes).into(),
                Piece::Resize { cols, rows } => json!({ "resize": [cols, rows] }),
            })
            .collect();
        let mut request = json!({
            "rows": terminal.rows,
            "cols": terminal.cols,
            "scrollback": terminal.scrollback,
            "feed": feed,
            "report": report,
        })
        .to_string();
        request.push('\n');
        // It reads all of a request before it answers, so nobody waits for a full pipe.
        let requests = self.requests.as_mut().unwrap();
        requests.write_all(request.as_bytes()).unwrap();
    }

    fn answer(&mut self) -> State {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the judge has ended; see its last words");
        State::new(line)
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        drop(self.requests.take());
        let _ = self.process.wait();
    }
}
