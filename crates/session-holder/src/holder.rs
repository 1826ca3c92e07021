//! The holder itself: what it owns, and the loop that waits for the next thing to do.
//!
//! One thread, one epoll, level-triggered. Between two events nothing runs and no timer is armed, so an idle
//! session costs no wake-up. The other files of this crate add one duty each: [`crate::supervise`] the main
//! process, [`crate::serve`] the clients, [`crate::calls`] what they ask, [`crate::typing`] what they type.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use session_protocol::{Error, ProcessId, Size, StreamId};
use session_store::{Name, Owned, Spec};
use session_sys::cgroup::Group;
use session_sys::event::SignalFd;
use session_sys::spawn::Limit;

use crate::connection::Connection;
use crate::lookout::Lookout;
use crate::parking::Parking;
use crate::process::Process;
use crate::screens::Unsettled;
use crate::supervision::{State, Supervision};
use crate::token::Token;

/// A stream that was quiet for so long gives its memory back.
const QUIET: Duration = Duration::from_secs(1);
/// A client that did not introduce itself, or does not take its last bytes, is waited for so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// The same, once the session is to be deleted: somebody waits for that.
const LAST_CALL: Duration = Duration::from_millis(500);

/// A wait that ends without anything due is taken up again.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The one holder of one session.
pub(crate) struct Holder {
    pub(crate) epoll: OwnedFd,
    pub(crate) signals: SignalFd,
    pub(crate) listener: OwnedFd,
    /// Given up for a moment to turn a client away when no descriptor is left.
    pub(crate) reserve: Option<OwnedFd>,
    pub(crate) owned: Owned,
    /// The session's cgroup, where one can be had.
    pub(crate) group: Option<Group>,
    /// Tells when that is empty, of a session that was adopted.
    pub(crate) group_events: Option<OwnedFd>,
    /// What the keeper has, should we be killed.
    pub(crate) parking: Parking,
    /// An earlier holder was killed, and some of what it started is no descendant of ours.
    pub(crate) adopted: bool,
    /// The caller's umask, for the processes; our own lets nobody else in.
    pub(crate) umask: u32,
    /// The caller's limits, for the processes.
    pub(crate) limits: Vec<Limit>,
    /// Of the main process's terminal, before it had one.
    pub(crate) first_size: Size,
    pub(crate) supervision: Supervision,
    /// The attributes that the running main process was started with.
    pub(crate) in_force: Spec,
    /// Boxed, for a node of the map has room for eleven, and most sessions have one.
    pub(crate) processes: BTreeMap<ProcessId, Box<Process>>,
    pub(crate) sources: BTreeMap<u64, Source>,
    pub(crate) connections: BTreeMap<u64, Box<Connection>>,
    next_number: u64,
    pub(crate) next_process: u32,
    pub(crate) waiters: Vec<Waiter>,
    /// Who waits for a text or for silence.
    pub(crate) lookouts: VecDeque<Lookout>,
    /// Why the main process could not be started last.
    pub(crate) start_error: Option<Error>,
    /// The start that failed last was a verb's: it has not happened.
    pub(crate) undone: bool,
    /// What became of the session last, until the start that a verb asked for has succeeded.
    pub(crate) before_start: Option<session_store::Last>,
    /// It is stopped in order to be deleted.
    pub(crate) deleting: bool,
    pub(crate) timers: Timers,
    /// Since when processes are being killed.
    pub(crate) killing: Option<Instant>,
    /// What a person should know.
    pub(crate) notes: Vec<String>,
    pub(crate) facts: Facts,
    /// Counts keystrokes and sizes of all clients: tells what came last.
    pub(crate) moments: u64,
    /// What the person who attached last said of its environment.
    pub(crate) followed: Option<session_protocol::Environment>,
    /// ECHILD was seen and nothing was started since.
    pub(crate) childless: bool,
    pub(crate) origin: Instant,
    pub(crate) boot_id: [u8; 16],
    /// Counts the rounds of the loop.
    pub(crate) turn: u64,
    /// Streams that [`Holder::settle_output`] has something left to do for.
    pub(crate) unsettled: Vec<Unsettled>,
    /// What the files of `sess` tell: the session's name and its main process.
    pub(crate) shown: Option<(Name, i32)>,
    /// SIGTERM ends the session, for the machine goes down.
    pub(crate) shutting_down: bool,
    /// `SESSION_LOG` names a file, and standard error goes there.
    pub(crate) diagnostics: bool,
}

/// What `status` tells beside the state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) started_at: Option<session_protocol::Timestamp>,
    pub(crate) started_boottime_ms: Option<u64>,
    pub(crate) retry_boottime_ms: Option<u64>,
    pub(crate) exit: Option<session_protocol::Exit>,
    pub(crate) unenforced: Vec<String>,
}

/// When to do something even if nothing happens.
#[derive(Default)]
pub(crate) struct Timers {
    /// Backoff, stop timeout, the next kill.
    pub(crate) supervision: Option<Instant>,
    /// Giving memory back.
    pub(crate) quiet: Option<Instant>,
    /// Clients that say nothing.
    pub(crate) patience: Option<Instant>,
    /// Leaving although some clients do not read.
    pub(crate) leaving: Option<Instant>,
    /// Silence that somebody waits for.
    pub(crate) silence: Option<Instant>,
    /// Looking for a keeper again.
    pub(crate) parking: Option<Instant>,
    /// An adopted process has ended, and nobody has reaped it yet.
    pub(crate) unreaped: Option<Instant>,
}

impl Timers {
    fn next(&self) -> Option<Instant> {
        [
            self.supervision,
            self.quiet,
            self.patience,
            self.leaving,
            self.silence,
            self.parking,
            self.unreaped,
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

/// A readable descriptor that feeds an output stream.
pub(crate) struct Source {
    pub(crate) fd: OwnedFd,
    pub(crate) stream: StreamId,
    /// Not read for now: a client that must not lose a byte is too far behind.
    pub(crate) paused: bool,
}

/// A call that is answered when something has happened.
pub(crate) struct Waiter {
    pub(crate) connection: u64,
    pub(crate) id: Option<Value>,
    pub(crate) until: Until,
}

/// What a waiter waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// The main process runs, or its start failed.
    Up,
    /// Nothing of the session runs.
    Down,
    /// A spawned process executed its command, or did not; attach to it with this window.
    Spawned { process: ProcessId, window: u64 },
}

impl Holder {
    /// A number that no descriptor was registered under before.
    pub(crate) fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Assembles a holder; nothing runs yet.
    pub(crate) fn new(parts: Parts) -> Self {
        let in_force = parts.owned.record().spec.clone();
        let rest = crate::supervise::rest(parts.owned.record());
        Self {
            epoll: parts.epoll,
            signals: parts.signals,
            listener: parts.listener,
            reserve: rustix::fs::open(
                "/dev/null",
                rustix::fs::OFlags::CLOEXEC,
                rustix::fs::Mode::empty(),
            )
            .ok(),
            owned: parts.owned,
            group: None,
            group_events: None,
            parking: Parking::default(),
            adopted: false,
            umask: parts.umask,
            limits: parts.limits,
            first_size: parts.size,
            supervision: Supervision::new(rest),
            in_force,
            processes: BTreeMap::new(),
            sources: BTreeMap::new(),
            connections: BTreeMap::new(),
            next_number: 0,
            next_process: 0,
            waiters: Vec::new(),
            lookouts: VecDeque::new(),
            start_error: None,
            undone: false,
            before_start: None,
            deleting: false,
            timers: Timers::default(),
            killing: None,
            notes: Vec::new(),
            facts: Facts::default(),
            moments: 0,
            followed: None,
            childless: true,
            origin: Instant::now(),
            boot_id: parts.boot_id,
            turn: 0,
            unsettled: Vec::new(),
            shown: None,
            shutting_down: false,
            diagnostics: false,
        }
    }

    /// Watches `fd` for `flags`.
    pub(crate) fn watch(
        &self,
        fd: impl AsFd,
        token: Token,
        flags: epoll::EventFlags,
    ) -> io::Result<()> {
        Ok(epoll::add(
            &self.epoll,
            fd,
            epoll::EventData::new_u64(token.pack()),
            flags,
        )?)
    }

    /// Serves until nothing of the session is left.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(32);
        loop {
            // A moment for late requests before leaving: what is already in a socket is still served.
            let leaving = self.may_leave();
            let timeout = match self.timers.next() {
                _ if leaving || self.is_searching() => Some(Duration::ZERO),
                _ if !self.unsettled.is_empty() => self.unsettled.iter().map(|it| it.pause).min(),
                // epoll_wait(2) takes milliseconds in 31 bits; a timer may be years away.
                Some(deadline) => Some(
                    deadline
                        .saturating_duration_since(Instant::now())
                        .min(LONGEST),
                ),
                None => None,
            };
            events.clear();
            self.turn += 1;
            let timeout = timeout.map(|left| Timespec {
                tv_sec: left.as_secs() as i64,
                tv_nsec: i64::from(left.subsec_nanos()),
            });
            match epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                timeout.as_ref(),
            ) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if leaving && events.is_empty() {
                self.processes.values_mut().for_each(|it| it.journal());
                return Ok(());
            }
            for event in &events {
                let (data, flags) = (event.data, event.flags);
                self.dispatch(Token::unpack(data.u64()), flags);
            }
            self.look_out();
            self.settle_output();
            self.fire();
        }
    }

    fn dispatch(&mut self, token: Token, flags: epoll::EventFlags) {
        match token {
            Token::Signals => self.take_signals(),
            Token::Listener => self.accept(),
            Token::Connection(number) => self.serve(number, flags),
            Token::Source(number) => drop(self.take_output(number)),
            Token::Input(process) => self.give_input(process),
            Token::Report(process) => self.take_report(process),
            Token::Ended(_) => self.look_after_all(),
            Token::Keeper => self.hear_keeper(),
            Token::Group => self.group_changed(),
        }
    }

    /// Does what has come due.
    fn fire(&mut self) {
        let now = Instant::now();
        let due =
            |timer: &mut Option<Instant>| timer.take_if(|deadline| *deadline <= now).is_some();
        if due(&mut self.timers.supervision) {
            self.on_timer();
        }
        if due(&mut self.timers.quiet) {
            self.rest_streams(now);
        }
        if due(&mut self.timers.patience) {
            self.lose_patience(now);
        }
        if due(&mut self.timers.leaving) {
            self.leave_behind();
        }
        if due(&mut self.timers.parking) {
            self.find_keeper();
        }
        if due(&mut self.timers.unreaped) {
            self.look_after_all();
        }
    }

    /// A byte came: memory is given back some time after the last one.
    pub(crate) fn not_quiet(&mut self) {
        if self.timers.quiet.is_none() {
            self.timers.quiet = Some(Instant::now() + QUIET);
        }
    }

    fn rest_streams(&mut self, now: Instant) {
        let mut next: Option<Instant> = None;
        let behind = self.owed_to_lossless();
        let directory = self.owned.session().directory_fd();
        let outputs = self.processes.values_mut().flat_map(|process| {
            let (name, asked) = (process.directory(), process.answerer.is_none());
            let outputs = process.outputs.iter_mut();
            outputs.map(move |output| (name.clone(), asked, output))
        });
        for (name, asked, output) in outputs {
            let mut due = output.last() + QUIET;
            if due <= now && behind.contains(&output.stream) {
                // What a waiting pipe has not taken may be nowhere else: the log may be short, or on a full disk.
                due = now + QUIET;
            }
            if due <= now {
                output.rest_screen((directory, &name));
                output.rest(asked);
            } else {
                next = Some(next.map_or(due, |other| other.min(due)));
            }
        }
        for connection in self.connections.values_mut() {
            connection.decoder.shrink();
        }
        self.timers.quiet = next;
        if next.is_none() {
            session_sys::memory::trim();
            session_sys::memory::trim_stack();
        }
    }

    /// Nothing runs, nothing is planned, and everyone has been told.
    fn may_leave(&mut self) -> bool {
        let over = matches!(self.supervision.state(), State::Down(_))
            && self.childless
            && self.waiters.is_empty()
            && self.lookouts.is_empty();
        if !over {
            self.timers.leaving = None;
            return false;
        }
        let waiting = self.connections.values().any(|connection| {
            !connection.introduced
                || connection.awaited
                || !connection.is_flushed()
                || !connection.attachments.is_empty()
        });
        if waiting && self.timers.leaving.is_none() {
            let patience = if self.deleting { LAST_CALL } else { PATIENCE };
            self.timers.leaving = Some(Instant::now() + patience);
        }
        !waiting
    }
}

/// What a holder is made of.
pub(crate) struct Parts {
    pub(crate) epoll: OwnedFd,
    pub(crate) signals: SignalFd,
    pub(crate) listener: OwnedFd,
    pub(crate) owned: Owned,
    pub(crate) umask: u32,
    pub(crate) limits: Vec<Limit>,
    pub(crate) size: Size,
    pub(crate) boot_id: [u8; 16],
}
