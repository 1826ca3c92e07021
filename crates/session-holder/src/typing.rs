//! What clients type: from their DATA frames into the process, acknowledged as it is taken; and whose terminal
//! decides the size.

use std::io;
use std::os::fd::AsFd;
use std::time::Instant;

use rustix::event::epoll::{self, EventFlags};
use serde_json::Value;
use session_protocol::{Channel, Code, Error, INPUT_WINDOW, ProcessId, Size, StreamId, Written};
use session_store::SizeRule;

use crate::connection::{Connection, Input};
use crate::given;
use crate::holder::Holder;
use crate::output::Output;
use crate::process::Process;
use crate::sizing::{Say, choose};
use crate::token::Token;

/// Batches of output that are taken before input is marked as coming behind them.
const MOST_TURNS: usize = 4;
/// Input is acknowledged in portions of this: a quarter of what a client may send ahead.
const ACKNOWLEDGED: u64 = INPUT_WINDOW / 4;

/// A `process.write` whose bytes the process has not taken yet.
#[derive(Debug)]
pub(crate) struct Unanswered {
    /// It is answered when so many bytes of the connection were taken in all, …
    until: u64,
    pub(crate) id: Value,
    /// … with the offset in the output at which it came.
    offset: u64,
}

/// The end-of-file character of a terminal, Ctrl-D unless the program chose another (termios(3)).
fn end_of_file(terminal: impl AsFd) -> u8 {
    rustix::termios::tcgetattr(terminal).map_or(4, |modes| {
        modes.special_codes[rustix::termios::SpecialCodeIndex::VEOF]
    })
}

impl Input {
    /// Nothing typed yet into `process`.
    pub(crate) fn new(process: ProcessId) -> Self {
        Self {
            process,
            stream: StreamId::new(process, Channel::In),
            queue: std::collections::VecDeque::new(),
            received: 0,
            told: 0,
            size: None,
            typed: 0,
            sized: 0,
            waiting: std::collections::VecDeque::new(),
            interactive: false,
        }
    }
}

impl Connection {
    /// What this client types into `process`, if it may.
    pub(crate) fn input(&mut self, process: ProcessId) -> Option<&mut Input> {
        self.inputs
            .iter_mut()
            .find(|input| input.process == process)
    }
}

impl Holder {
    /// Bytes for a process came from a client.
    pub(crate) fn typed(&mut self, number: u64, stream: StreamId, offset: u64, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let process = stream.process();
        let known = connection
            .inputs
            .iter_mut()
            .find(|input| input.stream == stream);
        let Some(input) = known else {
            // It ended while they were on their way, or the client is read-only.
            return;
        };
        if offset != input.received {
            let expected = input.received;
            return connection.goaway(&format!(
                "input at offset {offset} where {expected} was expected"
            ));
        }
        if input.queue.len() + bytes.len() > INPUT_WINDOW as usize {
            return connection.goaway("more input than was granted");
        }
        input.received += bytes.len() as u64;
        input.queue.extend(bytes);
        // A terminal that answers or has the focus is not therefore typed at.
        if !session_terminal::is_report(bytes) {
            self.lead(number, process);
        }
        self.give_input(process);
    }

    /// The client `number` typed: its terminal may lead the size from now on.
    fn lead(&mut self, number: u64, process: ProcessId) {
        let now = self.moment();
        if let Some(input) = self
            .connections
            .get_mut(&number)
            .and_then(|connection| connection.input(process))
        {
            input.typed = now;
        }
        if !self.answers(number, process) {
            self.elect(process);
        }
        self.size_process(process);
    }

    /// The next of the moments that are compared.
    pub(crate) fn moment(&mut self) -> u64 {
        self.moments += 1;
        self.moments
    }

    /// Input that came as a call; it is answered once the process took all of it.
    pub(crate) fn write(
        &mut self,
        number: u64,
        process: ProcessId,
        data: &[u8],
        id: Option<Value>,
    ) {
        let alive = self
            .processes
            .get(&process)
            .and_then(|it| it.run.as_ref())
            .is_some_and(|run| run.input.is_some());
        if !alive {
            let error = Error::new(
                Code::NotRunning,
                "the process does not run, or its input is closed",
            );
            return self.respond(number, id, Err(error));
        }
        let offset = self.mark(process);
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        if connection.input(process).is_none() {
            connection.inputs.push(Input::new(process));
        }
        let Some(input) = connection.input(process) else {
            return;
        };
        if input.queue.len() > INPUT_WINDOW as usize {
            let why = "the process has not taken what was sent before";
            return connection.respond(id, Err(Error::new(Code::Limit, why)));
        }
        input.received += data.len() as u64;
        input.queue.extend(data);
        if let Some(id) = id {
            let until = input.received;
            input.waiting.push_back(Unanswered { until, id, offset });
        }
        if input.interactive && !session_terminal::is_report(data) {
            self.lead(number, process);
        }
        self.give_input(process);
    }

    /// Where the output is before input that comes now.
    fn mark(&mut self, process: ProcessId) -> u64 {
        // What was said already is no answer to it.
        let sources = self.sources.iter();
        let numbers: Vec<u64> = sources
            .filter(|(_, source)| source.stream.process() == process && !source.paused)
            .map(|(number, _)| *number)
            .collect();
        for number in numbers {
            // A program that goes on and on has no end to wait for.
            let _ = (0..MOST_TURNS).all(|_| self.take_output(number));
        }
        let entry = self.processes.get_mut(&process);
        entry.map_or(0, |entry| entry.given.mark(&entry.outputs))
    }

    /// End of input: of a pipe once the queue is empty; on a terminal the character that means it.
    pub(crate) fn close_stdin(&mut self, number: u64, process: ProcessId) -> Result<Value, Error> {
        let missing = || {
            Error::new(
                Code::NotRunning,
                "the process does not run, or its input is closed",
            )
        };
        let run = self
            .processes
            .get_mut(&process)
            .and_then(|it| it.run.as_mut())
            .ok_or_else(missing)?;
        let end = match (&run.slave, &run.input) {
            (Some(slave), _) => end_of_file(slave),
            (None, Some(_)) => {
                run.closing = true;
                self.give_input(process);
                return Ok(Value::Object(serde_json::Map::new()));
            }
            (None, None) => return Err(missing()),
        };
        let connection = self.connections.get_mut(&number).ok_or_else(missing)?;
        if connection.input(process).is_none() {
            connection.inputs.push(Input::new(process));
        }
        let input = connection.input(process).ok_or_else(missing)?;
        input.received += 1;
        input.queue.push_back(end);
        self.give_input(process);
        Ok(Value::Object(serde_json::Map::new()))
    }

    /// Moves typed bytes into the process, as many as it takes now.
    pub(crate) fn give_input(&mut self, process: ProcessId) {
        let mut full = false;
        let mut all_taken = true;
        let mut closed = false;
        if let Some(Process {
            run: Some(run),
            given,
            outputs,
            ..
        }) = self.processes.get_mut(&process).map(|it| &mut **it)
        {
            let head = outputs.first().map_or(0, Output::head);
            for connection in self.connections.values_mut() {
                let Some(input) = connection
                    .inputs
                    .iter_mut()
                    .find(|input| input.process == process)
                else {
                    continue;
                };
                let before = input.taken();
                if run.input.is_none() {
                    // Closed: what is typed for it goes nowhere, as in a shell.
                    input.queue.clear();
                }
                while let (false, Some(fd)) = (full, run.input.as_ref()) {
                    let (bytes, _) = input.queue.as_slices();
                    if bytes.is_empty() {
                        break;
                    }
                    let shown = run.slave.as_ref().map(given::shown);
                    match rustix::io::write(fd, bytes) {
                        Ok(taken) => {
                            given.last = Some(Instant::now());
                            if let Some(shown) = shown {
                                given.typed.record(head, &bytes[..taken], shown);
                            }
                            input.queue.drain(..taken);
                        }
                        Err(rustix::io::Errno::INTR) => {}
                        Err(rustix::io::Errno::AGAIN) => full = true,
                        // The process closed it, from its side.
                        Err(_) => input.queue.clear(),
                    }
                }
                let (stream, taken) = (input.stream, input.taken());
                // A keystroke is answered by its echo alone: each acknowledgement wakes the client.
                let due = taken >= input.told + ACKNOWLEDGED;
                input.told = if due { taken } else { input.told };
                all_taken &= input.queue.is_empty();
                if input.queue.is_empty() && input.queue.capacity() > 4096 {
                    input.queue = std::collections::VecDeque::new();
                }
                if taken > before && due {
                    connection.credit(stream, taken);
                }
            }
            let watched = run.input_watched;
            if let Some(fd) = run.input.as_ref() {
                let token = epoll::EventData::new_u64(Token::Input(process).pack());
                let changed = match (watched, full) {
                    (false, true) => epoll::add(&self.epoll, fd, token, EventFlags::OUT),
                    (true, false) => epoll::delete(&self.epoll, fd),
                    _ => Ok(()),
                };
                run.input_watched = full && changed.is_ok();
            }
            // Not before the others' are taken, too: one client's end of input is not another's.
            closed = run.closing && all_taken && run.input.take().is_some();
        } else {
            self.forget_typed(process);
        }
        if closed {
            // The keeper's copy would keep the process from seeing it.
            self.park_again(process);
        }
        self.answer_writes();
    }

    /// What was typed for the dead is not typed to its successor.
    pub(crate) fn forget_typed(&mut self, process: ProcessId) {
        for connection in self.connections.values_mut() {
            let forgotten = connection.input(process).and_then(|input| {
                let some = !input.queue.is_empty();
                input.queue.clear();
                input.told = input.received;
                some.then_some((input.stream, input.received))
            });
            if let Some((stream, received)) = forgotten {
                connection.credit(stream, received);
            }
        }
        self.answer_writes();
    }

    /// Answers the `process.write` calls whose bytes are gone from the queue, and sends the acknowledgements.
    fn answer_writes(&mut self) {
        let mut touched: Vec<u64> = Vec::new();
        for (number, connection) in &mut self.connections {
            let mut answered = Vec::new();
            for input in &mut connection.inputs {
                let taken = input.taken();
                while let Some(write) = input.waiting.pop_front_if(|write| write.until <= taken) {
                    answered.push(write);
                }
            }
            for Unanswered { id, offset, .. } in answered {
                let offset = Some(offset);
                let written = serde_json::to_value(Written { offset });
                connection.respond(Some(id), Ok(written.unwrap_or_default()));
            }
            if !connection.is_flushed() && !connection.wants_write {
                touched.push(*number);
            }
        }
        for number in touched {
            self.pump_client(number);
        }
    }

    /// A client's terminal has this size now.
    pub(crate) fn resize(
        &mut self,
        number: u64,
        process: ProcessId,
        size: Size,
    ) -> Result<Value, Error> {
        let now = self.moment();
        let input = self
            .connections
            .get_mut(&number)
            .and_then(|connection| connection.input(process))
            .ok_or_else(|| Error::new(Code::Usage, "not attached with a say in the size"))?;
        let size = Some(clamp(size));
        if input.size != size {
            (input.size, input.sized) = (size, now);
        }
        self.size_process(process);
        Ok(Value::Object(serde_json::Map::new()))
    }

    /// Gives the process the size that its clients and the attribute `size` come to; else it keeps what it has.
    pub(crate) fn size_process(&mut self, process: ProcessId) {
        // The attribute is about the session's terminal. Another process has one of its own, mostly with one client.
        let rule = match process {
            ProcessId::MAIN => self.owned.record().spec.size,
            _ => SizeRule::Leader,
        };
        let says = self.connections.iter().filter_map(|(number, connection)| {
            let mut inputs = connection.inputs.iter();
            let input = inputs.find(|input| input.process == process)?;
            Some(Say {
                size: input.size?,
                client: *number,
                typed: input.typed,
                sized: input.sized,
            })
        });
        let Some(size) = choose(rule, says) else {
            return;
        };
        let Some(entry) = self
            .processes
            .get_mut(&process)
            .filter(|entry| entry.size != size)
        else {
            return;
        };
        entry.size = size;
        let (directory, name) = (self.owned.session().directory_fd(), entry.directory());
        for output in &mut entry.outputs {
            output.resized((directory, &name), size);
        }
        if let Some(slave) = entry.run.as_ref().and_then(|run| run.slave.as_ref()) {
            let _: io::Result<()> = session_sys::pty::resize(slave, size.rows, size.cols);
        }
        if process == ProcessId::MAIN {
            self.publish();
        }
    }
}

/// A terminal of 0 lines or columns has not been asked: the usual size is better than none.
pub(crate) fn clamp(size: Size) -> Size {
    if size.rows == 0 || size.cols == 0 {
        Size::default()
    } else {
        size
    }
}
