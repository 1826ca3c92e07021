//! Clients and streams: who may connect, what comes from them, and how bytes go from a process to all of them.

use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventFlags};
use rustix::net::{SocketFlags, accept_with};
use serde_json::Value;
use session_protocol::{Channel, Error, Event, Notice, PREFACE, ProcessId, Request};

use crate::connection::Connection;
use crate::holder::{Holder, PATIENCE};
use crate::token::Token;

/// Clients that may wait at the socket, at most as many as the system allows (listen(2)).
pub(crate) const BACKLOG: i32 = 4096;
/// Clients at once; for one more the oldest idle one is let go.
const MOST_CLIENTS: usize = 512;
/// Bytes taken from a client before others get their turn.
const TURN: usize = 64 << 10;

impl Holder {
    /// Takes everyone who waits at the socket.
    pub(crate) fn accept(&mut self) {
        loop {
            match accept_with(&self.listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(socket) => {
                    let uid = session_sys::socket::peer_uid(&socket).ok();
                    let allowed =
                        uid == Some(0) || uid == Some(session_sys::process::effective_uid());
                    // A foreign user is not even told that it is refused.
                    if allowed && self.make_room() {
                        self.connect(socket);
                    }
                }
                Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNABORTED) => {}
                Err(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE) => {
                    // Without a free descriptor the client would stay at the door and wake us for ever.
                    self.reserve = None;
                    let turned_away = accept_with(&self.listener, SocketFlags::CLOEXEC);
                    let again = turned_away.is_ok();
                    drop(turned_away);
                    let flags = rustix::fs::OFlags::CLOEXEC;
                    self.reserve =
                        rustix::fs::open("/dev/null", flags, rustix::fs::Mode::empty()).ok();
                    if !again {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    }

    /// SIGUSR1: someone looked for the socket in vain. One that was deleted is made anew.
    pub(crate) fn listen_again(&mut self) {
        let directory = self.owned.session().directory_fd();
        let there = rustix::fs::statat(directory, "socket", rustix::fs::AtFlags::SYMLINK_NOFOLLOW);
        if there.is_ok() {
            return;
        }
        let listened = session_sys::socket::listen(directory, "socket", BACKLOG).and_then(|new| {
            let watched = self.watch(&new, Token::Listener, EventFlags::IN);
            watched.map(|()| new).inspect_err(|_| {
                let _ = rustix::fs::unlinkat(directory, "socket", rustix::fs::AtFlags::empty());
            })
        });
        match listened {
            Ok(listener) => {
                let _ = epoll::delete(&self.epoll, &self.listener);
                self.listener = listener;
                self.shown = None;
                let _ = self.park_listener();
                self.publish();
            }
            Err(error) => self.note(format!("the socket is gone: {error}")),
        }
    }

    /// Whether one more client can be served; the one that has been idle for longest goes for it.
    fn make_room(&mut self) -> bool {
        if self.connections.len() < MOST_CLIENTS {
            return true;
        }
        let idle = |number: &u64, connection: &Connection| {
            connection.attachments.is_empty() && !connection.subscribed && !self.is_awaited(*number)
        };
        let oldest = self
            .connections
            .iter()
            .filter(|(number, it)| idle(number, it));
        let oldest = oldest
            .min_by_key(|(_, connection)| connection.since)
            .map(|(number, _)| *number);
        oldest.inspect(|number| self.disconnect(*number)).is_some()
    }

    /// Begins to serve a client.
    pub(crate) fn connect(&mut self, socket: std::os::fd::OwnedFd) {
        let number = self.number();
        if self
            .watch(&socket, Token::Connection(number), EventFlags::IN)
            .is_ok()
        {
            self.connections
                .insert(number, Box::new(Connection::new(socket)));
            self.timers
                .patience
                .get_or_insert(Instant::now() + PATIENCE);
        }
    }

    /// A client can be read from, or written to.
    pub(crate) fn serve(&mut self, number: u64, flags: EventFlags) {
        let half_closed = self
            .connections
            .get(&number)
            .is_some_and(|it| it.half_closed);
        if half_closed && flags.intersects(EventFlags::HUP | EventFlags::ERR) {
            return self.disconnect(number);
        }
        if !half_closed && flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            if flags.contains(EventFlags::HUP)
                && let Some(connection) = self.connections.get_mut(&number)
            {
                connection.gone = true;
            }
            self.listen_to(number);
        }
        self.pump_client(number);
    }

    /// A client cannot be written to any more. What it said before it went is heard, once.
    pub(crate) fn hear_out(&mut self, number: u64) {
        if let Some(connection) = self.connections.get_mut(&number) {
            if connection.hearing {
                // An answer found nobody; what it said behind that is still to be heard.
                connection.lost = true;
                return;
            }
            if !std::mem::replace(&mut connection.gone, true) {
                self.listen_to(number);
            }
        }
        self.disconnect(number);
    }

    fn listen_to(&mut self, number: u64) {
        let mut taken = 0;
        while taken < TURN {
            let Some(connection) = self.connections.get_mut(&number) else {
                return;
            };
            if connection.closing {
                // It goes on sending instead of reading why it is closed: it would wake us for ever.
                return self.disconnect(number);
            }
            let Connection {
                socket,
                decoder,
                handed,
                ..
            } = &mut **connection;
            const PIECE: usize = 16 << 10;
            let space = decoder.space(PIECE);
            let received = session_sys::socket::receive(&*socket, space);
            let mut cut = false;
            let read = received.map(|(read, came)| {
                // A read stops behind a message that brings a descriptor.
                cut = came.is_some();
                *handed = came.or(handed.take());
                read
            });
            decoder.filled(PIECE, *read.as_ref().unwrap_or(&0));
            let more = match read {
                Ok(0) => return self.half_close(number),
                Ok(read) => {
                    taken += read;
                    // Less than there was room for: that was all, and saying so takes no second read.
                    read == PIECE || cut
                }
                Err(rustix::io::Errno::INTR) => continue,
                Err(rustix::io::Errno::AGAIN) => return,
                Err(_) => return self.disconnect(number),
            };
            self.hear(number);
            self.await_strangers(Instant::now());
            if !more {
                return;
            }
        }
    }

    /// The client sends no more. It still gets the answers it waits for: `echo '{…}' | socat` closes at once.
    fn half_close(&mut self, number: u64) {
        if !self.is_awaited(number) {
            return self.disconnect(number);
        }
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.half_closed = true;
            let data = epoll::EventData::new_u64(Token::Connection(number).pack());
            let flags = if connection.wants_write {
                EventFlags::OUT
            } else {
                EventFlags::empty()
            };
            let _ = epoll::modify(&self.epoll, &connection.socket, data, flags);
        }
    }

    /// The client waits for an answer.
    pub(crate) fn is_awaited(&self, number: u64) -> bool {
        let writes = |connection: &Connection| {
            connection
                .inputs
                .iter()
                .any(|input| !input.waiting.is_empty())
                || !connection.is_flushed()
        };
        self.waiters
            .iter()
            .any(|waiter| waiter.connection == number)
            || self.lookouts.iter().any(|it| it.connection == number)
            || self.connections.get(&number).is_some_and(|it| writes(it))
    }

    /// Acts on everything that has come from a client.
    fn hear(&mut self, number: u64) {
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.hearing = true;
        }
        self.hear_all(number);
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.hearing = false;
            if connection.decoder.is_empty() {
                // It belonged to one of the messages that were acted on.
                connection.handed = None;
            }
            if std::mem::take(&mut connection.lost) {
                // There may be more in the socket, which is heard first.
                self.hear_out(number);
            }
        }
    }

    fn hear_all(&mut self, number: u64) {
        while let Some(connection) = self
            .connections
            .get_mut(&number)
            .filter(|connection| !connection.closing)
        {
            let heard = match connection.decoder.poll() {
                Ok(None) => return,
                Ok(Some(event)) => Heard::from(event),
                Err(why) => {
                    connection.goaway(&why.to_string());
                    return;
                }
            };
            connection.introduced = true;
            let gone = connection.gone;
            match heard {
                Heard::Preface => {
                    connection.push(&PREFACE);
                    // What is asked next may have to wait for a slow disk: that we live is said before.
                    let _ = connection.flush();
                }
                Heard::Control(message) => match Request::parse(message) {
                    // Whoever wanted an answer gave up, and has told its user so: nothing of it may happen now.
                    Ok(request) if gone && request.id.is_some() => {}
                    Ok(request) => self.call(number, request),
                    Err((id, error)) => {
                        connection.respond(Some(id.unwrap_or(Value::Null)), Err(error))
                    }
                },
                Heard::Data {
                    stream,
                    offset,
                    bytes,
                } => self.typed(number, stream, offset, &bytes),
                Heard::Credit { stream, offset } => {
                    for attachment in connection
                        .attachments
                        .iter_mut()
                        .filter(|it| it.stream == stream)
                    {
                        attachment.credit(offset);
                    }
                }
                Heard::Ping(body) => connection.pong(&body),
                Heard::Nothing => {}
            }
        }
    }

    /// Ends a connection and everything it held.
    pub(crate) fn disconnect(&mut self, number: u64) {
        let Some(connection) = self.connections.remove(&number) else {
            return;
        };
        let _ = epoll::delete(&self.epoll, &connection.socket);
        self.waiters.retain(|waiter| waiter.connection != number);
        self.lookouts.retain(|it| it.connection != number);
        let processes: Vec<ProcessId> = connection
            .inputs
            .iter()
            .map(|input| input.process)
            .collect();
        let counted = connection
            .attachments
            .iter()
            .any(|attachment| attachment.interactive);
        drop(connection);
        self.await_strangers(Instant::now());
        self.resume_sources();
        for process in processes {
            self.left(process);
        }
        if counted {
            self.publish();
        }
    }

    /// Clients that never spoke have had their time.
    pub(crate) fn lose_patience(&mut self, now: Instant) {
        self.disconnect_all(|connection| {
            !connection.introduced && now >= connection.since + PATIENCE
        });
        self.await_strangers(now);
    }

    /// Nothing is left but clients that do not read.
    pub(crate) fn leave_behind(&mut self) {
        let deleting = self.deleting;
        self.disconnect_all(|connection| {
            // Neither who started us and has yet to ask, nor who must not lose a byte is hurried, unless all of it
            // is to be deleted.
            let lossless = connection.attachments.iter().any(|it| it.lossless);
            !connection.awaited && (deleting || !lossless)
        });
    }

    fn disconnect_all(&mut self, late: impl Fn(&Connection) -> bool) {
        let late: Vec<u64> = self
            .connections
            .iter()
            .filter(|(_, connection)| late(connection))
            .map(|(number, _)| *number)
            .collect();
        for number in late {
            self.disconnect(number);
        }
    }

    /// The timer for those that have not introduced themselves; none if all have.
    fn await_strangers(&mut self, now: Instant) {
        self.timers.patience = self
            .connections
            .values()
            .filter(|connection| !connection.introduced)
            .map(|connection| connection.since + PATIENCE)
            .min()
            .map(|due| due.max(now + Duration::from_millis(1)));
    }

    /// Answers a call, if the caller is still there.
    pub(crate) fn respond(
        &mut self,
        number: u64,
        id: Option<Value>,
        outcome: Result<Value, Error>,
    ) {
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.respond(id, outcome);
        }
        self.pump_client(number);
    }

    /// Says something to a client.
    pub(crate) fn tell(&mut self, number: u64, notice: &Notice) {
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.notify(notice);
        }
        self.pump_client(number);
    }

    /// Which channel a person means by a process's output.
    pub(crate) fn default_channel(&self, id: ProcessId) -> Channel {
        let pty = self
            .processes
            .get(&id)
            .is_none_or(|process| process.is_pty());
        if pty { Channel::Pty } else { Channel::Out }
    }
}

/// An event that no longer borrows from the decoder: acting on it may end the connection.
enum Heard {
    Preface,
    Control(Value),
    Data {
        stream: session_protocol::StreamId,
        offset: u64,
        bytes: Vec<u8>,
    },
    Credit {
        stream: session_protocol::StreamId,
        offset: u64,
    },
    Ping(Vec<u8>),
    Nothing,
}

impl From<Event<'_>> for Heard {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Preface => Self::Preface,
            Event::Control(message) => Self::Control(message),
            Event::Data {
                stream,
                offset,
                bytes,
                ..
            } => Self::Data {
                stream,
                offset,
                bytes: bytes.to_vec(),
            },
            Event::Credit { stream, offset } => Self::Credit { stream, offset },
            Event::Ping(body) => Self::Ping(body),
            Event::TextMode
            | Event::Reset { .. }
            | Event::Screen { .. }
            | Event::Pong
            | Event::Goaway(_) => Self::Nothing,
        }
    }
}
