//! What a client would see of a process that lives on a terminal.

use serde_json::Value;
use session_protocol::{ByteString, Channel, Code, Error, ProcessId, ScreenResult, StreamId};
use session_terminal::Screen;

use crate::holder::Holder;
use crate::output::Piece;

/// Output that a screen is made from.
const TAIL: u64 = 1 << 20;

impl Holder {
    /// What `process.screen` answers.
    pub(crate) fn screen(&mut self, id: ProcessId) -> Result<Value, Error> {
        let missing = || Error::new(Code::NotFound, "no such process in this session");
        let no_terminal = self.no_terminal(id);
        let directory = self.owned.session().directory_fd();
        let process = self.processes.get_mut(&id).ok_or_else(missing)?;
        let (name, size) = (process.directory(), process.size);
        let output = process.output(StreamId::new(id, Channel::Pty));
        let output = output.ok_or(no_terminal)?;
        let mut screen = Screen::new(size.rows, size.cols);
        let head = output.head();
        let mut offset = output.begun.max(head.saturating_sub(TAIL));
        let mut buffer = Vec::new();
        loop {
            match output.piece(directory, &name, offset, 64 << 10, &mut buffer) {
                Piece::Ring(parts) => parts.into_iter().for_each(|part| {
                    screen.catch_up(part);
                    offset += part.len() as u64;
                }),
                Piece::Log(len) => {
                    screen.catch_up(&buffer[..len]);
                    offset += len as u64;
                }
                Piece::Gap(next) => offset = next,
                Piece::End => break,
            }
        }
        let (rows, cols) = screen.size();
        let result = ScreenResult {
            rows,
            cols,
            offset: head,
            snapshot: ByteString(screen.snapshot()),
        };
        Ok(serde_json::to_value(result).unwrap_or_default())
    }

    /// As `attach` has it.
    fn no_terminal(&self, id: ProcessId) -> Error {
        let name = &self.owned.record().name;
        let why = match id {
            ProcessId::MAIN => format!("session '{name}' runs without a terminal (pty=no)"),
            ProcessId(id) => format!("process {id} of session '{name}' runs without a terminal"),
        };
        Error::new(Code::Denied, why)
    }
}
