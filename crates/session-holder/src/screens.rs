//! Whose terminal answers what a program asks, and what the holder does for screens between two events.
//!
//! A question (device attributes, cursor position, colours) has exactly one answer: that of the terminal that was typed at
//! last, of the one attached first while none was, or, with none, the holder's own. Who it is when a byte comes decides.

use std::cmp::Reverse;
use std::time::Duration;

use serde_json::Value;
use session_protocol::{ByteString, Code, Error, Notice, ProcessId, ScreenResult, StreamId};

use crate::holder::Holder;
use crate::screen::Snapshot;

/// Less output than this at once is what a person or a question makes: it is seen to as soon as no more comes, …
const LITTLE: u64 = 4096;
/// … and what is poured out once it has paused for so long.
const PAUSE: Duration = Duration::from_millis(4);

/// A stream that was just written to.
pub(crate) struct Unsettled {
    stream: StreamId,
    /// The round of the loop in which its last byte came.
    turn: u64,
    /// How long the next round waits for more: what a program pours out pauses now and then, to no purpose.
    pub(crate) pause: Duration,
}

impl Holder {
    /// Output came, `bytes` of it, and was sent: the log gets it, and the screen follows if it has to.
    pub(crate) fn keep_up(&mut self, stream: StreamId, bytes: u64, goes_on: bool) {
        let id = stream.process();
        let Some(process) = self.processes.get_mut(&id) else {
            return;
        };
        let asked = process.answerer.is_none();
        let Some(output) = process.output(stream) else {
            return;
        };
        let pours = bytes >= LITTLE;
        // Two pipes are one log to who reads both: it has the order of their bytes from when it got them.
        if pours && goes_on && output.screen.is_some() {
            output.journal_pieces();
        } else {
            output.journal();
        }
        let mut reply = Vec::new();
        if output.is_behind() {
            let directory = self.owned.session().directory_fd();
            output.catch_up_with_log((directory, &crate::process::directory(id)));
            if asked {
                reply = output.unanswered();
            }
        }
        let asked = asked && output.screen.is_some();
        self.unsettled.retain(|it| it.stream != stream);
        if asked || output.unjournaled() > 0 {
            // A program that asks stops talking: until then nothing is looked at.
            let turn = self.turn;
            let pause = if pours { PAUSE } else { Duration::ZERO };
            self.unsettled.push(Unsettled {
                stream,
                turn,
                pause,
            });
        }
        self.type_reply(id, &reply);
    }

    /// Sees to output of which no more comes at once: the log gets the rest of it, and what is asked in it an answer, if
    /// nobody is attached who gives one.
    pub(crate) fn settle_output(&mut self) {
        let turn = self.turn;
        while let Some(index) = self.unsettled.iter().position(|it| it.turn < turn) {
            let Unsettled { stream, .. } = self.unsettled.swap_remove(index);
            let id = stream.process();
            let Some(process) = self.processes.get_mut(&id) else {
                continue;
            };
            let asked = process.answerer.is_none();
            let Some(output) = process.output(stream) else {
                continue;
            };
            output.journal();
            if asked && output.may_ask() {
                self.reply(id);
            }
        }
    }

    /// Has the screen of the process take in what there is, and types the answers to what is asked in it that no terminal
    /// was sent.
    fn reply(&mut self, id: ProcessId) {
        // A screen that is in use is packed again once all is quiet.
        self.not_quiet();
        let directory = self.owned.session().directory_fd();
        let Some(process) = self.processes.get_mut(&id) else {
            return;
        };
        let (name, mut reply) = (process.directory(), Vec::new());
        for output in &mut process.outputs {
            output.catch_up((directory, &name));
            reply.extend(output.unanswered());
        }
        self.type_reply(id, &reply);
    }

    /// Types what the holder answers in a terminal's place.
    pub(crate) fn type_reply(&self, id: ProcessId, reply: &[u8]) {
        let run = self.processes.get(&id).and_then(|it| it.run.as_ref());
        if let Some(input) = run.and_then(|run| run.input.as_ref())
            && !reply.is_empty()
        {
            // A program that does not read its input does not wait for an answer.
            let _ = rustix::io::write(input, reply);
        }
    }

    /// What `process.screen` answers.
    pub(crate) fn screen(&mut self, id: ProcessId) -> Result<Value, Error> {
        if self
            .processes
            .get(&id)
            .is_some_and(|it| it.answerer.is_none())
        {
            self.reply(id);
        }
        let directory = self.owned.session().directory_fd();
        let process = self.processes.get_mut(&id);
        let process = process.ok_or_else(|| {
            let why = format!("no process {} in this session", id.0);
            Error::new(Code::NotFound, why)
        })?;
        let name = process.directory();
        let mut outputs = process.outputs.iter_mut();
        let Some(snapshot) = outputs.find_map(|output| output.snapshot((directory, &name))) else {
            return Err(self.no_terminal(id));
        };
        let Snapshot {
            offset,
            size,
            drawn,
        } = snapshot;
        let result = ScreenResult {
            rows: size.rows,
            cols: size.cols,
            offset,
            snapshot: ByteString(drawn),
        };
        // It is packed again once all is quiet.
        self.not_quiet();
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

    /// Whether this client's terminal answers what the process asks.
    pub(crate) fn answers(&self, number: u64, id: ProcessId) -> bool {
        self.processes
            .get(&id)
            .is_some_and(|it| it.answerer == Some(number))
    }

    /// Somebody came, went or typed: decides whose terminal answers from now on. One whose person is elsewhere may be one
    /// that nothing comes back from.
    pub(crate) fn elect(&mut self, id: ProcessId) {
        let Some(process) = self.processes.get(&id) else {
            return;
        };
        let before = process.answerer;
        let answering = self.connections.iter().filter_map(|(number, connection)| {
            let mut inputs = connection.inputs.iter();
            let input = inputs.find(|input| input.process == id && input.interactive)?;
            // The lowest number came first.
            Some((input.typed, Reverse(*number)))
        });
        let elected = answering.max().map(|(_, Reverse(number))| number);
        if before == elected || !process.is_pty() {
            return;
        }
        // What has come is answered by who was to answer it; what that was not sent yet it will not be asked.
        self.reply(id);
        let Some(process) = self.processes.get_mut(&id) else {
            return;
        };
        process.answerer = elected;
        let Some(output) = process.outputs.first_mut() else {
            return;
        };
        let (sent, head) = output.turn();
        for (number, answers, from) in [(before, false, sent), (elected, true, head)] {
            if let Some(number) = number.filter(|_| before.is_some()) {
                let connection = self.connections.get_mut(&number);
                let attachments = connection.into_iter().flat_map(|it| &mut it.attachments);
                for attachment in attachments.filter(|it| it.stream.process() == id) {
                    // What it held back of a question comes first.
                    attachment.wait(from);
                }
                let notice = Notice::Answering {
                    process: id,
                    from,
                    answers,
                };
                self.tell(number, &notice);
            }
        }
    }
}
