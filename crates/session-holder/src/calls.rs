//! What clients ask: one arm a call. A call is answered at once, or leaves a waiter that is.

use std::path::PathBuf;

use serde_json::Value;
use session_protocol::{Call, Code, Error, ProcessId, Request, Set};

use crate::holder::{Holder, Until, Waiter};
use crate::process;
use crate::program;
use crate::supervision::{Event, State};

impl Holder {
    /// Acts on one request.
    pub(crate) fn call(&mut self, number: u64, request: Request) {
        let Request { id, call } = request;
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.awaited = false;
        }
        let done = || Ok(Value::Object(serde_json::Map::new()));
        let outcome = match call {
            Call::Status {} => self.status_value(),
            Call::Ready {} => match (self.supervision.state(), &self.start_error) {
                (State::Starting { .. }, _) => return self.wait(number, id, Until::Up),
                (State::Down(_), Some(error)) => Err(error.clone()),
                _ => self.status_value(),
            },
            Call::Start {} => return self.verb(number, id, Event::Start, Until::Up),
            Call::Stop { deleting } => {
                self.deleting = deleting;
                // Set anew, and shorter, if all has ended already.
                self.timers.leaving.take_if(|_| deleting);
                return self.verb(number, id, Event::Stop, Until::Down);
            }
            Call::Restart {} => match self.startable() {
                Ok(()) => return self.verb(number, id, Event::Restart, Until::Up),
                Err(error) => Err(error),
            },
            Call::Suspend {} => self
                .apply(Event::Suspend)
                .and_then(|()| self.status_value()),
            Call::Resume {} => self.apply(Event::Resume).and_then(|()| self.status_value()),
            Call::Signal { signal } => self.signal_all(signal).and_then(|()| done()),
            Call::Set(set) => self.set(set),
            Call::Detach { pid } => {
                self.detach_others(number, None, pid);
                done()
            }
            Call::Subscribe {} => {
                if let Some(connection) = self.connections.get_mut(&number) {
                    connection.subscribed = true;
                }
                self.status_value()
            }
            Call::Environment {} => {
                Ok(serde_json::to_value(self.environment()).unwrap_or_default())
            }
            Call::Holder {} => Ok(serde_json::to_value(self.info()).unwrap_or_default()),
            Call::Upgrade { executable } => {
                Err(self.upgrade(std::path::Path::new(executable.as_os_str())))
            }
            Call::Wait(wait) => match self.look_for(number, id.clone(), &wait) {
                Ok(()) => return,
                Err(error) => Err(error),
            },
            Call::Spawn(spawn) => match self.spawn(number, id.clone(), spawn) {
                Ok(()) => return,
                Err(error) => Err(error),
            },
            Call::List {} => Ok(self.list()),
            Call::Attach(attach) => self.attach(number, attach),
            Call::Resize { process, size } => self.resize(number, process, size),
            Call::Lend { process } => self.lend(number, process).and_then(|()| done()),
            Call::Leave { process } => {
                self.leave(number, process);
                done()
            }
            Call::SignalProcess { process, signal } => {
                self.signal_process(process, signal).and_then(|()| done())
            }
            Call::CloseStdin { process } => self.close_stdin(number, process),
            Call::Write(write) => return self.write(number, write.process, &write.data.0, id),
            Call::Read(read) => self.read(&read),
            Call::Screen { process } => self.screen(process),
        };
        self.respond(number, id, outcome);
    }

    /// Nothing is stopped for the sake of what cannot be started again.
    fn startable(&self) -> Result<(), Error> {
        let spec = &self.owned.record().spec;
        let directory = spec.directory.as_os_str();
        let why = match std::fs::metadata(directory) {
            Ok(found) if found.is_dir() => None,
            Ok(_) => Some("Not a directory".to_owned()),
            Err(error) => Some(process::reason(&error)),
        };
        if let Some(why) = why {
            let shown = spec.directory.escaped();
            return Err(Error::new(
                Code::BadDirectory,
                format!("cannot enter the directory '{shown}': {why}"),
            ));
        }
        program::resolve(spec.executable.as_os_str(), None, std::path::Path::new("/")).map(drop)
    }

    fn status_value(&self) -> Result<Value, Error> {
        Ok(serde_json::to_value(self.status()).unwrap_or_default())
    }

    pub(crate) fn wait(&mut self, connection: u64, id: Option<Value>, until: Until) {
        self.waiters.push(Waiter {
            connection,
            id,
            until,
        });
    }

    /// A verb whose end is an event of the main process's life.
    fn verb(&mut self, number: u64, id: Option<Value>, event: Event, until: Until) {
        let left = self.processes.get(&ProcessId::MAIN).and_then(|it| it.pid());
        if let (State::Down(_), Event::Start, Some(pid)) = (self.supervision.state(), event, left) {
            let why = format!("the main process that could not be ended still lives, PID {pid}");
            return self.respond(number, id, Err(Error::new(Code::NotEmpty, why)));
        }
        self.wait(number, id, until);
        if let Err(error) = self.apply(event)
            && let Some(waiter) = self.waiters.pop()
        {
            self.respond(number, waiter.id, Err(error));
        }
    }

    fn set(&mut self, set: Set) -> Result<Value, Error> {
        if set.changes.len() > 1 && set.changes.iter().any(|(key, _)| key == "name") {
            return Err(Error::new(
                Code::Usage,
                "a name is changed by itself: all or nothing",
            ));
        }
        let mut name = None;
        self.rewrite(|record| {
            for (key, value) in &set.changes {
                match (key.as_str(), value) {
                    ("name", Some(value)) => name = Some(value.clone()),
                    ("name", None) => {
                        return Err(Error::new(Code::BadAttribute, "a session has a name"));
                    }
                    (key, value) => record
                        .spec
                        .set(key, value.as_ref().map(|value| &value.0[..]))
                        .map_err(Error::from)?,
                }
            }
            if set.changes.iter().any(|(key, _)| key == "command") {
                let word = record.spec.command.first().cloned().unwrap_or_default();
                let directory = PathBuf::from(record.spec.directory.as_os_str());
                let path = match record.spec.env.get("PATH") {
                    Some(path) => Some(path.as_os_str().to_owned()),
                    None => std::env::var_os("PATH"),
                };
                let file = set.executable.as_ref().unwrap_or(&word);
                record.spec.executable =
                    program::resolve(file.as_os_str(), path.as_deref(), &directory)?
                        .into_os_string()
                        .into();
            }
            Ok(set.changes.iter().any(|(key, _)| key != "name"))
        })?;
        if let Some(name) = name {
            let name = String::from_utf8_lossy(&name.0).parse::<session_store::Name>();
            let name = name.map_err(|error| Error::new(Code::BadName, error.to_string()))?;
            self.owned.rename(name).map_err(Error::from)?;
        }
        let spec = &self.owned.record().spec;
        let limit = spec.log_limit;
        if set.changes.iter().any(|(key, _)| key == "stop-timeout")
            && let State::Ending { killing: false, .. } = self.supervision.state()
        {
            // A stop that is under way may end sooner by it, never later.
            let due = std::time::Instant::now() + spec.stop_timeout;
            let timer = &mut self.timers.supervision;
            *timer = Some(timer.map_or(due, |set| set.min(due)));
        }
        for output in self
            .processes
            .values_mut()
            .flat_map(|process| &mut process.outputs)
        {
            output.set_limit(limit);
        }
        if set.changes.iter().any(|(key, _)| key == "size") {
            self.size_process(ProcessId::MAIN);
        }
        self.publish();
        self.status_value()
    }
}
