//! What clients ask of single processes: to watch one, to signal it, to read what it said, to run a further one.

use std::os::fd::AsFd;
use std::path::PathBuf;

use serde_json::Value;
use session_protocol::{
    Attach, Attached, AttachedStream, Channel, Code, Error, From, Notice, ProcessId, ProcessInfo,
    Read, ReadResult, Size, Spawn, Spawned, Stdio, StreamId,
};

use crate::attachment::Attachment;
use crate::connection::{Connection, Input};
use crate::given::Given;
use crate::holder::{Holder, Until, Waiter};
use crate::output::Piece;
use crate::process::{self, Process};
use crate::program::{self, Launch};
use crate::supervision::State;
use crate::typing::clamp;

/// Bytes of kept output in one answer of `process.read`.
const READ: usize = 64 << 10;
/// Most bytes a client may want to be on the way at once.
const LARGEST_WINDOW: u64 = 16 << 20;

impl Holder {
    pub(crate) fn attach(&mut self, number: u64, attach: Attach) -> Result<Value, Error> {
        let id = attach.process;
        if attach.detach_others {
            self.detach_others(number, Some(id), None);
        }
        if attach.exclusive && self.is_typed_at(number, id) {
            let name = &self.owned.record().name;
            let why = format!("session '{name}' already has an active connection");
            return Err(Error::new(Code::Attached, why));
        }
        let (size, now) = (attach.size.map(clamp), self.moment());
        let process = self.processes.get_mut(&id).ok_or_else(|| {
            Error::new(
                Code::NotFound,
                format!("no process {} in this session", id.0),
            )
        })?;
        let Some(connection) = self.connections.get_mut(&number) else {
            return Ok(Value::Null);
        };
        if connection
            .attachments
            .iter()
            .any(|it| it.stream.process() == id)
        {
            return Err(Error::new(Code::Usage, "already attached to this process"));
        }
        let mut attached = Attached::default();
        if attach.from == From::Screen {
            attached.restore = Some(self.owned.record().spec.restore.to_string());
        }
        let window = attach.window.clamp(1, LARGEST_WINDOW);
        let client = session_sys::socket::peer_pid(&connection.socket).unwrap_or(0);
        for output in &mut process.outputs {
            let head = output.served();
            // What orphans of the process wrote behind its end is in the log, but not of this stream.
            let start = output.start().min(head);
            let mut resumed = attach.resume.iter();
            let resumed = resumed.find(|(stream, _)| *stream == output.stream);
            let begin = resumed.map_or(attach.from, |(_, offset)| From::Offset(*offset));
            let from = match begin {
                From::Live | From::Screen => head,
                From::Start => start,
                From::Offset(offset) => offset.clamp(start, head),
                From::Tail(bytes) => head.saturating_sub(bytes).max(start),
            };
            let mut attachment = Attachment::new(output.stream, from, window, head);
            attachment.interactive = attach.interactive;
            attachment.lossless = attach.lossless;
            attachment.redraw = begin == From::Screen;
            if attach.interactive
                && let Some((_, offset)) = resumed
            {
                // What a person's terminal shows is to be what there is, or is drawn anew.
                match output.ring.was_shown(client) {
                    Ok(shown) if from == *offset => attachment.shown = shown.min(head),
                    _ if output.screen.is_some() => {
                        attachment.redraw = true;
                        attachment.skip_to(head, head);
                    }
                    _ => {}
                }
            }
            connection.attachments.push(attachment);
            let quiet_ms = Self::quiet_ms(output.last());
            attached.streams.push(AttachedStream {
                stream: output.stream,
                from,
                head,
                quiet_ms,
            });
        }
        if !attach.read_only {
            if connection.input(id).is_none() {
                connection.inputs.push(Input::new(id));
            }
            if let Some(input) = connection.input(id) {
                (input.size, input.sized) = (size, now);
                input.interactive = attach.interactive;
                attached.input = Some((input.stream, input.received));
            }
            self.elect(id);
            attached.answers = self.answers(number, id);
            self.size_process(id);
            if attach.interactive {
                self.follow(attach.environment);
            }
        }
        if attach.interactive {
            self.publish();
        }
        // The screen that is drawn for it is packed again once all is quiet.
        self.not_quiet();
        Ok(serde_json::to_value(attached).unwrap_or_default())
    }

    /// A client that types lends the terminal that it shows `process` on; the descriptor came with the message.
    pub(crate) fn lend(&mut self, number: u64, process: ProcessId) -> Result<(), Error> {
        let connection = self.connections.get_mut(&number);
        let lent = connection.and_then(|connection| {
            let handed = connection.handed.take()?;
            // A line of JSON has no way to say that its text is shown already.
            let types = !connection.decoder.is_text() && connection.input(process)?.interactive;
            let mut attachments = connection.attachments.iter_mut();
            let attachment = attachments.find(|it| types && it.stream.process() == process)?;
            let client = session_sys::socket::peer_pid(&connection.socket).unwrap_or(0);
            let mut outputs = self.processes.get(&process)?.outputs.iter();
            let output = outputs.find(|it| it.stream == attachment.stream)?;
            Some(output.ring.shown(number).and_then(|noted| {
                attachment.lend(&handed)?;
                if let Some(lent) = &mut attachment.lent {
                    lent.note(noted, client);
                }
                Ok(())
            }))
        });
        let nothing = "no terminal came, or nothing is shown on it that is typed at";
        lent.ok_or_else(|| Error::new(Code::Usage, nothing))?
            .map_err(|error| Error::new(Code::Io, format!("not a terminal to write to: {error}")))
    }

    /// A client has seen enough of `process`.
    pub(crate) fn leave(&mut self, number: u64, process: ProcessId) {
        if let Some(connection) = self.connections.get_mut(&number)
            && connection
                .attachments
                .iter()
                .any(|it| it.stream.process() == process)
        {
            connection.end_attachment(process);
            self.left(process);
            self.publish();
        }
    }

    /// A client types into `process` no more.
    pub(crate) fn left(&mut self, process: ProcessId) {
        self.elect(process);
        self.size_process(process);
        // What it had typed may be all that an end of input waited for.
        self.give_input(process);
    }

    /// Whether someone else than the caller has `process` on a terminal and types there. A client whose end has not been
    /// heard yet is none.
    fn is_typed_at(&self, caller: u64, process: ProcessId) -> bool {
        self.connections.iter().any(|(number, connection)| {
            let mut inputs = connection.inputs.iter();
            *number != caller
                && inputs.any(|input| input.process == process && input.interactive)
                && !connection.has_hung_up()
        })
    }

    /// Detaches the people attached to `process`, or to any, but not the caller; only the client `pid` if one is given.
    pub(crate) fn detach_others(
        &mut self,
        caller: u64,
        process: Option<ProcessId>,
        pid: Option<i32>,
    ) {
        let is_meant = |connection: &Connection| {
            pid.is_none_or(|pid| {
                session_sys::socket::peer_pid(&connection.socket).ok() == Some(pid)
            })
        };
        let others: Vec<u64> = self
            .connections
            .iter()
            .filter(|(number, connection)| **number != caller && is_meant(connection))
            .map(|(number, _)| *number)
            .collect();
        let mut left = Vec::new();
        for number in others {
            let Some(connection) = self.connections.get_mut(&number) else {
                continue;
            };
            let mut detached: Vec<ProcessId> = connection
                .attachments
                .iter()
                .filter(|it| it.interactive && process.is_none_or(|id| it.stream.process() == id))
                .map(|it| it.stream.process())
                .collect();
            detached.dedup();
            for process in detached {
                connection.end_attachment(process);
                connection.notify(&Notice::Detached { process });
                left.push(process);
            }
            self.pump_client(number);
        }
        left.into_iter().for_each(|process| self.elect(process));
        self.publish();
    }

    pub(crate) fn signal_process(
        &mut self,
        id: ProcessId,
        signal: session_protocol::Signal,
    ) -> Result<(), Error> {
        let gone = || Error::new(Code::NotRunning, "the process does not run");
        let run = self
            .processes
            .get(&id)
            .and_then(|process| process.run.as_ref())
            .ok_or_else(gone)?;
        let leader = rustix::process::Pid::from_raw(run.pid).ok_or_else(gone)?;
        let number = rustix::process::Signal::from_named_raw(signal.number()).ok_or_else(|| {
            Error::new(Code::Usage, format!("{signal} cannot be sent to a group"))
        })?;
        // Its group exists as long as it is not reaped, and only we reap it: the number cannot be another's.
        rustix::process::kill_process_group(leader, number).map_err(|error| match error {
            rustix::io::Errno::SRCH => gone(),
            error => Error::new(
                Code::Denied,
                format!("cannot signal process group {}: {error}", run.pid),
            ),
        })
    }

    pub(crate) fn list(&self) -> Value {
        let infos: Vec<ProcessInfo> = self
            .processes
            .values()
            .map(|process| ProcessInfo {
                process: process.id,
                pid: process.pid(),
                command: process.command.clone(),
                exit: process.exit,
                size: process.terminal_size(),
            })
            .collect();
        serde_json::to_value(infos).unwrap_or_default()
    }

    pub(crate) fn read(&mut self, read: &Read) -> Result<Value, Error> {
        let channel = read
            .channel
            .unwrap_or_else(|| self.default_channel(read.process));
        let missing = || Error::new(Code::NotFound, "no such stream in this session");
        let directory = self.owned.session().directory_fd();
        let process = self.processes.get_mut(&read.process).ok_or_else(missing)?;
        let name = process.directory();
        let output = process
            .output(StreamId::new(read.process, channel))
            .ok_or_else(missing)?;
        let head = output.head();
        let max = read.max.map_or(READ, |max| (max as usize).clamp(1, READ));
        let mut offset = read.from;
        let mut buffer = Vec::new();
        let data = loop {
            match output.piece(directory, &name, offset, max, &mut buffer) {
                Piece::Ring(parts) => break parts.concat(),
                Piece::Log(len) => {
                    buffer.truncate(len);
                    break buffer;
                }
                Piece::Gap(next) => offset = next,
                Piece::End => break Vec::new(),
            }
        };
        let result = ReadResult {
            offset,
            data: session_protocol::ByteString(data),
            head,
        };
        Ok(serde_json::to_value(result).unwrap_or_default())
    }

    /// Starts a further process; the call is answered when it is known whether it executes.
    pub(crate) fn spawn(
        &mut self,
        number: u64,
        id: Option<Value>,
        spawn: Spawn,
    ) -> Result<(), Error> {
        if let Some(process) = spawn.token.as_ref().and_then(|token| self.called(token)) {
            // Asked again: the answer to the first call was lost.
            let window = spawn.window;
            self.wait(number, id, Until::Spawned { process, window });
            let is_pending = |run: &crate::process::Run| run.report.is_some();
            let entry = self.processes.get(&process);
            if !entry.and_then(|it| it.run.as_ref()).is_some_and(is_pending) {
                self.spawned(process, Ok(()));
            }
            return Ok(());
        }
        match self.supervision.state() {
            State::Running | State::Starting { .. } => {}
            _ => {
                return Err(Error::new(Code::NotRunning, self.status().sentence()));
            }
        }
        let word = spawn
            .command
            .first()
            .ok_or_else(|| Error::new(Code::Usage, "no command"))?;
        let spec = self.in_force.clone();
        let directory = PathBuf::from(spec.directory.as_os_str());
        let directory = match &spawn.directory {
            Some(wanted) => directory.join(wanted.as_os_str()),
            None => directory,
        };
        let record = self.owned.record();
        let pty = matches!(spawn.stdio, Stdio::Pty(_));
        let agent = self.owned.session().agent();
        let mut env = program::environment(&spec, &record.id, &record.name, pty, agent);
        for (key, value) in &spawn.env {
            env.insert(key.into(), value.as_os_str().to_owned());
        }
        let path = env
            .get(std::ffi::OsStr::new("PATH"))
            .map(|path| path.as_os_str());
        let executable = program::resolve(word.as_os_str(), path, &directory)?;
        let process_id = ProcessId(self.next_process + 1);
        let stdio = match spawn.stdio {
            Stdio::Pty(size) => Stdio::Pty(clamp(size)),
            Stdio::Pipes => Stdio::Pipes,
        };
        let (ends, theirs) = process::ends(stdio)?;
        // An earlier holder may have left streams under this number.
        let _ = session_store::log::remove(
            self.owned.session().directory_fd(),
            &process::directory(process_id),
        );
        let rings = process::rings(stdio)?;
        let parked: Vec<_> = process::channels(stdio)
            .iter()
            .copied()
            .zip(&rings)
            .collect();
        let _ = self.parking.park_ends(process_id, &ends, &parked);
        let outputs = process::outputs(
            self.owned.session().directory_fd(),
            process_id,
            stdio,
            spec.log_limit,
            rings,
        )?;
        let launch = Launch {
            executable: &executable,
            command: &spawn.command,
            env: &env,
            directory: &directory,
            umask: self.umask,
            inherited: &self.limits,
            limits: &spec.limits,
        };
        // Spawned processes are not restarted, so nothing could double them: their identity is not on disk.
        let (boot_id, parking) = (self.boot_id, &self.parking);
        let token = spawn.token.as_deref();
        let mut known = None;
        let (started, _) = process::start(&launch, theirs, self.group.as_ref(), |gated| {
            let identity = process::identity(boot_id, gated.pid())?;
            let (pidfd, report) = (gated.as_fd(), Some(gated.report()));
            let _ = parking.park_run(process_id, &identity, pidfd, report, token);
            known = Some(identity);
            Ok(())
        })?;
        self.childless = false;
        self.next_process = process_id.0;
        let size = if let Stdio::Pty(size) = stdio {
            size
        } else {
            Size::default()
        };
        self.processes.insert(
            process_id,
            Box::new(Process {
                id: process_id,
                command: spawn.command.clone(),
                run: None,
                exit: None,
                outputs,
                size,
                answerer: (pty && spawn.window > 0).then_some(number),
                paths: (executable, directory),
                given: Given::default(),
                token: spawn.token.clone(),
            }),
        );
        if let Err(error) = self.run_process(process_id, started, ends, known) {
            self.drop_streams(process_id);
            self.processes.remove(&process_id);
            let why = format!("cannot watch the new process: {error}");
            return Err(Error::new(Code::Limit, why));
        }
        self.save();
        self.wait(
            number,
            id,
            Until::Spawned {
                process: process_id,
                window: spawn.window,
            },
        );
        Ok(())
    }

    /// The process that was begun with this token.
    fn called(&self, token: &str) -> Option<ProcessId> {
        let mut processes = self.processes.values();
        let called = processes.find(|process| process.token.as_deref() == Some(token));
        called.map(|process| process.id)
    }

    /// Whether a spawned process executed its command is known: attach the caller and answer it.
    pub(crate) fn spawned(&mut self, id: ProcessId, outcome: Result<(), Error>) {
        let found = self.waiters.iter().position(
            |waiter| matches!(waiter.until, Until::Spawned { process, .. } if process == id),
        );
        let waiter = found.map(|index| self.waiters.swap_remove(index));
        if outcome.is_err() {
            self.drop_streams(id);
            self.processes.remove(&id);
            let _ = session_store::log::remove(
                self.owned.session().directory_fd(),
                &process::directory(id),
            );
        }
        let Some(Waiter {
            connection,
            id: call,
            until: Until::Spawned { window, .. },
        }) = waiter
        else {
            // Who wanted it has gone, and does not answer what it asks.
            return self.elect(id);
        };
        let answer = outcome.map(|()| {
            let pid = self
                .processes
                .get(&id)
                .and_then(|it| it.pid())
                .unwrap_or_default();
            let attached = if window > 0 {
                self.attach_spawned(connection, id, window)
            } else {
                Attached::default()
            };
            serde_json::to_value(Spawned {
                process: id,
                pid,
                attached,
            })
            .unwrap_or_default()
        });
        self.respond(connection, call, answer);
    }

    /// The caller of `process.spawn` sees every byte from the first; on pipes the process waits for it.
    fn attach_spawned(&mut self, number: u64, id: ProcessId, window: u64) -> Attached {
        let mut attached = Attached::default();
        let (Some(process), Some(connection)) = (
            self.processes.get_mut(&id),
            self.connections.get_mut(&number),
        ) else {
            return attached;
        };
        let pty = process.is_pty();
        for output in &process.outputs {
            let mut attachment =
                Attachment::new(output.stream, 0, window.min(LARGEST_WINDOW), output.head());
            attachment.interactive = pty;
            attachment.lossless = !pty;
            connection.attachments.push(attachment);
            let quiet_ms = Self::quiet_ms(output.last());
            attached.streams.push(AttachedStream {
                stream: output.stream,
                from: 0,
                head: output.head(),
                quiet_ms,
            });
        }
        let mut input = Input::new(id);
        input.size = pty.then_some(process.size);
        input.interactive = pty;
        attached.input = Some((StreamId::new(id, Channel::In), 0));
        attached.answers = pty;
        connection.inputs.push(input);
        attached
    }
}
