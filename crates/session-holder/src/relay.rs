//! How bytes go from a process to everyone who watches it: to the clients first, then to the log.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::epoll::{self, EventFlags};
use session_protocol::{Notice, ProcessId, StreamId};

use crate::holder::Holder;
use crate::output::Source as Read;
use crate::token::Token;

/// A client that must not lose a byte makes the process wait when it is further behind than this …
/// Behind what the ring keeps it would lose some: the log may be short, or on a full disk.
const PAUSE: u64 = 128 << 10;
/// … until it is no further than this.
const RESUME: u64 = 64 << 10;

/// What comes so soon behind a keystroke may be its echo. Only that is written to a terminal that was lent: of what a
/// killed holder wrote there last its client is not certain, and has its screen drawn anew.
const ECHO: Duration = Duration::from_secs(1);

impl Holder {
    /// Output of a process is there; true if there may be more at once.
    pub(crate) fn take_output(&mut self, number: u64) -> bool {
        match self.pull(number) {
            Some(Read::More) => true,
            Some(Read::Drained) => false,
            // At its end, or of a stream that is no more: either way nobody reads it again.
            Some(Read::Closed) | None => {
                if let Some(source) = self.sources.remove(&number) {
                    let _ = epoll::delete(&self.epoll, &source.fd);
                }
                false
            }
        }
    }

    /// The streams of `id` are replaced by others: what fed them and who watched them is let go.
    pub(crate) fn drop_streams(&mut self, id: ProcessId) {
        self.sources.retain(|_, source| {
            let keep = source.stream.process() != id;
            if !keep {
                let _ = epoll::delete(&self.epoll, &source.fd);
            }
            keep
        });
        let numbers: Vec<u64> = self.connections.keys().copied().collect();
        for number in numbers {
            let Some(connection) = self.connections.get_mut(&number) else {
                continue;
            };
            let before = connection.attachments.len();
            connection
                .attachments
                .retain(|it| it.stream.process() != id);
            if connection.attachments.len() < before {
                connection.inputs.retain(|it| it.process != id);
                self.tell(number, &Notice::Detached { process: id });
            }
        }
    }

    /// One batch from a source: to the clients first, then to the log.
    pub(crate) fn pull(&mut self, number: u64) -> Option<Read> {
        let source = self.sources.get(&number)?;
        let stream = source.stream;
        let output = self.processes.get_mut(&stream.process())?.output(stream)?;
        let before = output.head();
        let read = output.pull(source.fd.as_fd()).unwrap_or(Read::Closed);
        let bytes = output.head() - before;
        self.pump_watchers(|watched| watched == stream);
        self.keep_up(stream, bytes, read != Read::Closed);
        self.not_quiet();
        self.pause_source(number);
        Some(read)
    }

    /// Sends to everyone who watches `id`.
    pub(crate) fn pump_process(&mut self, id: ProcessId) {
        self.pump_watchers(|watched| watched.process() == id);
    }

    fn pump_watchers(&mut self, watched: impl Fn(StreamId) -> bool) {
        let watchers: Vec<u64> = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.attachments.iter().any(|it| watched(it.stream)))
            .map(|(number, _)| *number)
            .collect();
        for watcher in watchers {
            self.pump_client(watcher);
        }
    }

    /// Sends a client what it is owed and its socket takes.
    pub(crate) fn pump_client(&mut self, number: u64) {
        let mut replies = Vec::new();
        let outcome = self.try_pump(number, &mut replies);
        for (process, reply) in replies {
            self.type_reply(process, &reply);
        }
        let awaited = self.is_awaited(number);
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        match outcome {
            Err(_) => return self.hear_out(number),
            Ok(true) if connection.closing => return self.disconnect(number),
            Ok(true) if connection.half_closed && !awaited => {
                return self.disconnect(number);
            }
            Ok(_) if connection.is_clogged() => return self.disconnect(number),
            Ok(ready) if ready == connection.wants_write => {
                connection.wants_write = !ready;
                let hears = if connection.half_closed {
                    EventFlags::empty()
                } else {
                    EventFlags::IN
                };
                let flags = if ready {
                    hears
                } else {
                    hears | EventFlags::OUT
                };
                let data = epoll::EventData::new_u64(Token::Connection(number).pack());
                if epoll::modify(&self.epoll, &connection.socket, data, flags).is_err() {
                    return self.disconnect(number);
                }
            }
            Ok(_) => {}
        }
        self.say_ended(number);
        self.resume_sources();
    }

    /// `Ok(true)` if everything that may be sent now is sent. `replies` gets what is to be typed in the client's place.
    fn try_pump(
        &mut self,
        number: u64,
        replies: &mut Vec<(ProcessId, Vec<u8>)>,
    ) -> io::Result<bool> {
        let Some(connection) = self.connections.get_mut(&number) else {
            return Ok(true);
        };
        if !connection.flush()? {
            // It is from now on that it does not keep up, not from when its socket takes something again.
            for attachment in &mut connection.attachments {
                let process = self.processes.get_mut(&attachment.stream.process());
                if let Some(output) = process.and_then(|it| it.output(attachment.stream)) {
                    attachment.remark(output.served());
                }
            }
            return Ok(false);
        }
        let directory = self.owned.session().directory_fd();
        for index in 0..connection.attachments.len() {
            let stream = connection.attachments[index].stream;
            let Some(process) = self.processes.get_mut(&stream.process()) else {
                continue;
            };
            let name = process.directory();
            let answers = process.answerer == Some(number);
            let typed = process.given.last.is_some_and(|last| last.elapsed() < ECHO);
            let Some(output) = process.output(stream) else {
                continue;
            };
            let mut reply = Vec::new();
            connection.attachments[index].typed = typed;
            let asked = answers.then_some(&mut reply);
            let pumped = connection.pump(index, output, (directory, &name), asked);
            let attachment = &connection.attachments[index];
            // What is skipped for a screen is not sent, and the screen asks nothing.
            if answers && !attachment.redraw {
                output.sent(attachment.next);
            }
            if !reply.is_empty() {
                replies.push((stream.process(), reply));
            }
            if !pumped? {
                return Ok(false);
            }
        }
        connection.flush()
    }

    /// A process whose every stream was sent to its end has, for this client, ended.
    fn say_ended(&mut self, number: u64) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let ended: Vec<ProcessId> = {
            let of = |id: ProcessId| {
                connection
                    .attachments
                    .iter()
                    .filter(move |it| it.stream.process() == id)
            };
            let mut ids: Vec<_> = connection
                .attachments
                .iter()
                .map(|it| it.stream.process())
                .collect();
            ids.dedup();
            ids.retain(|id| of(*id).all(|it| it.finished));
            ids
        };
        if ended.is_empty() {
            return;
        }
        for id in ended {
            let exit = self.processes.get(&id).and_then(|process| process.exit);
            let notice = match (id, exit) {
                (ProcessId::MAIN, _) => Notice::Ended(self.status()),
                (process, Some(exit)) => Notice::Exited { process, exit },
                (_, None) => continue,
            };
            if let Some(connection) = self.connections.get_mut(&number) {
                connection.end_attachment(id);
                connection.notify(&notice);
            }
            self.elect(id);
        }
        self.pump_client(number);
        self.forget_ended();
    }

    /// Stops reading for the sake of a client that must not lose a byte.
    fn pause_source(&mut self, number: u64) {
        let Some(stream) = self.sources.get(&number).map(|source| source.stream) else {
            return;
        };
        if self.lossless_lag(stream) <= PAUSE {
            return;
        }
        if let Some(source) = self
            .sources
            .get_mut(&number)
            .filter(|source| !source.paused)
        {
            source.paused = epoll::delete(&self.epoll, &source.fd).is_ok();
        }
    }

    pub(crate) fn resume_sources(&mut self) {
        let ready: Vec<u64> = self
            .sources
            .iter()
            .filter(|(_, source)| source.paused && self.lossless_lag(source.stream) <= RESUME)
            .map(|(number, _)| *number)
            .collect();
        for number in ready {
            if let Some(source) = self.sources.get_mut(&number) {
                source.paused = false;
                let data = epoll::EventData::new_u64(Token::Source(number).pack());
                let _ = epoll::add(&self.epoll, &source.fd, data, EventFlags::IN);
            }
        }
    }

    /// The streams of which a client that must not lose a byte has not been sent all.
    pub(crate) fn owed_to_lossless(&self) -> Vec<StreamId> {
        self.processes
            .values()
            .flat_map(|process| &process.outputs)
            .map(|output| output.stream)
            .filter(|stream| self.lossless_lag(*stream) > 0)
            .collect()
    }

    pub(crate) fn lossless_lag(&self, stream: StreamId) -> u64 {
        let head = self
            .processes
            .get(&stream.process())
            .and_then(|process| {
                process
                    .outputs
                    .iter()
                    .find(|output| output.stream == stream)
            })
            .map_or(0, |output| output.head());
        self.connections
            .values()
            .flat_map(|connection| &connection.attachments)
            .filter(|attachment| attachment.lossless && attachment.stream == stream)
            .map(|attachment| head.saturating_sub(attachment.next))
            .max()
            .unwrap_or(0)
    }

    /// Spawned processes that ended and that nobody watches any more are kept to a number.
    pub(crate) fn forget_ended(&mut self) {
        const REMEMBERED: usize = 4;
        let watched = |id: ProcessId| {
            self.connections
                .values()
                .flat_map(|it| &it.attachments)
                .any(|it| it.stream.process() == id)
                || self
                    .sources
                    .values()
                    .any(|source| source.stream.process() == id)
        };
        let mut ended: Vec<ProcessId> = self
            .processes
            .values()
            .filter(|it| {
                it.id != ProcessId::MAIN && it.run.is_none() && it.exit.is_some() && !watched(it.id)
            })
            .map(|it| it.id)
            .collect();
        ended.truncate(ended.len().saturating_sub(REMEMBERED));
        for id in ended {
            self.processes.remove(&id);
            self.parking.unpark(crate::parking::streams_key(id));
            let _ = session_store::log::remove(
                self.owned.session().directory_fd(),
                &crate::process::directory(id),
            );
        }
    }
}
