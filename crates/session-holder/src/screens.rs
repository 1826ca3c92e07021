//! What a client would see of a process that lives on a terminal.

use serde_json::Value;
use session_protocol::{Code, Error, ProcessId};

use crate::holder::Holder;

impl Holder {
    /// What `process.screen` answers.
    pub(crate) fn screen(&mut self, id: ProcessId) -> Result<Value, Error> {
        let process = self.processes.get(&id);
        let process = process.ok_or_else(|| Error::new(Code::NotFound, "no such process"))?;
        if !process.is_pty() {
            return Err(self.no_terminal(id));
        }
        Err(Error::new(Code::Other, "screens are not kept yet"))
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
