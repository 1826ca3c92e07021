//! A person at a terminal and one process of a session: keys in, output out, size, signals, and how it ends.
//! `attach` and `exec -t` are this loop with different beginnings and ends.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::Signal;
use serde_json::Value;
use session_client::{Connection, Error, Incoming};
use session_protocol::{
    Attach, Attached, Call, Exit, From, INPUT_WINDOW, Notice, ProcessId, Status, StreamId,
    variables,
};
use session_store::Session;
use session_sys::event::{self, SignalFd};

use crate::detach_key::Scanner;
use crate::display::{Display, PATIENCE, PAUSE, WINDOW};
use crate::failure::Failure;
use crate::outlet;
use crate::past::Past;
use crate::terminal::{self, RawMode};
use crate::trace::Trace;

/// Bytes that the terminal has not taken, beyond which no more are read from the holder, until it has taken nothing for
/// [`PATIENCE`]: then what the holder still sends, no more than it was granted, is read for its last words.
const MOST_PENDING: usize = 256 << 10;
/// Keys that there is room for at least.
const KEYS: usize = 16 << 10;
/// Keys that wait here for a process that does not read. The detach key behind them is heard, for a session that is
/// suspended must be possible to leave; beyond this a paste waits in the terminal.
const MOST_TYPED: usize = 1 << 20;

/// How long a terminal that was asked something is waited for when its client leaves: over ssh an answer takes its time,
/// and would be typed into the shell.
const ANSWER: Duration = Duration::from_millis(500);

/// How it ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The detach key, or a terminal that is gone.
    Left,
    /// Someone detached this client from elsewhere.
    Detached,
    /// A signal to the client.
    Signal(i32),
    /// The client is to stop, and to go on later.
    Suspended,
    /// The main process ended for good.
    Ended(Status),
    /// A spawned process ended.
    Exited(Exit),
    /// The holder went away without a word.
    Lost,
    /// The session waits to be started, and the client did not wait for that; a signal may have ended it.
    NotStarted(Option<i32>),
}

/// The signals that a client takes and goes on. TTOU, so that giving back the terminal's modes does not stop a client
/// in the background.
const HEEDED: [Signal; 3] = [Signal::WINCH, Signal::CONT, Signal::TTOU];

/// Stops a client that gives the terminal back first.
pub(crate) const STOPS: Signal = Signal::TSTP;

/// The signals that end a client, those that it acts on, and `more`.
pub(crate) fn signals(more: &[Signal]) -> io::Result<SignalFd> {
    let heeded = HEEDED.iter().chain(more).map(|signal| signal.as_raw());
    SignalFd::new(&event::fatal().chain(heeded).collect::<Vec<i32>>())
}

/// Whether this one of [`signals`] ends a client.
pub(crate) fn ends(signal: i32) -> bool {
    HEEDED.iter().all(|heeded| heeded.as_raw() != signal)
}

/// Whether this one of [`signals`] stops a client.
pub(crate) fn stops(signal: i32) -> bool {
    signal == STOPS.as_raw()
}

/// The loop and what it holds.
pub(crate) struct Interactive<'a> {
    session: &'a Session,
    connection: &'a mut Connection,
    process: ProcessId,
    signals: &'a SignalFd,
    raw: &'a RawMode,
    scanner: Scanner,
    display: Display<'a>,
    /// The input stream, and the offsets of the next byte to send and of what the process took.
    input: Option<(StreamId, u64)>,
    taken: u64,
    /// Typed, but more than the holder grants.
    typed: Vec<u8>,
    /// Typed behind the detach key.
    behind: Vec<u8>,
    /// The call that lends the terminal.
    lending: Option<u64>,
    /// It is over once everything is shown.
    over: Option<Outcome>,
    /// The terminal has taken nothing for a while.
    stuck: bool,
    resized: bool,
    trace: Trace,
}

impl<'a> Interactive<'a> {
    /// For `process` of `session`, to which `connection` is attached.
    pub(crate) fn new(
        (session, process): (&'a Session, ProcessId),
        connection: &'a mut Connection,
        attached: &Attached,
        past: Option<Past<'a>>,
        signals: &'a SignalFd,
        raw: &'a RawMode,
        scanner: Scanner,
    ) -> Result<Self, Failure> {
        let stream = attached.streams.first();
        let from = stream.map_or(0, |stream| stream.from);
        let size = terminal::size();
        let display = Display::new(io::stdout(), size, from, past, attached.answers)?;
        let mut interactive = Self {
            session,
            connection,
            process,
            signals,
            raw,
            scanner,
            display,
            lending: None,
            input: attached.input,
            taken: attached.input.map_or(0, |(_, offset)| offset),
            typed: Vec::new(),
            behind: Vec::new(),
            over: None,
            stuck: false,
            // The terminal may have changed since the size was told.
            resized: true,
            trace: Trace::off(),
        };
        interactive.lend();
        Ok(interactive)
    }

    /// Lends the terminal to the holder.
    fn lend(&mut self) {
        // Who only looks on does not answer either, and nothing is written to a terminal that does not.
        if self.input.is_some()
            && let Some(terminal) = self.display.outlet.terminal()
            && let Ok(id) = self.connection.lend(self.process, terminal)
        {
            self.display.lend(true);
            self.lending = Some(id);
        }
    }

    /// The holder is gone. Where another takes over it goes on at the byte where that one stopped; true if so.
    fn rejoin(&mut self) -> Result<bool, Failure> {
        self.display.lend(false);
        let stream = StreamId::new(self.process, session_protocol::Channel::Pty);
        let connected = match session_client::connect(self.session) {
            Ok(Some(connection)) => connection,
            Ok(None) | Err(Error::Unreachable { .. } | Error::Store(_)) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        *self.connection = connected;
        let read_only = self.input.is_none();
        let attached = self.connection.call::<Attached>(Call::Attach(Attach {
            process: self.process,
            from: From::Screen,
            resume: vec![(stream, self.display.next())],
            window: WINDOW,
            interactive: true,
            read_only,
            size: Some(terminal::size()),
            detach_others: false,
            exclusive: false,
            environment: (!read_only).then(|| variables::followed(std::env::vars_os())),
            lossless: false,
        }));
        let attached = match attached {
            Ok(attached) => attached,
            // Gone again: the next one is looked for when that is read.
            Err(Error::Closed) => return Ok(true),
            // It has ended meanwhile, and nothing of it is kept; or it runs without a terminal now.
            Err(_) => return Ok(false),
        };
        let Some(stream) = attached.streams.first() else {
            return Ok(false);
        };
        let from = stream.from;
        self.trace
            .client(format_args!("another holder goes on at {from}"));
        self.input = attached.input;
        self.taken = attached.input.map_or(0, |(_, offset)| offset);
        self.display.rejoin(attached.answers).map_err(gone)?;
        self.resized = true;
        self.lend();
        self.type_on();
        Ok(true)
    }

    /// Says what it does.
    pub(crate) fn traced(mut self, trace: Trace) -> Self {
        self.trace = trace;
        self
    }

    /// Runs until it is over, and gives the terminal back but for its modes, which are the caller's guard's.
    pub(crate) fn run(mut self) -> Result<Outcome, Failure> {
        let outcome = loop {
            match self.step() {
                Ok(None) => {}
                Ok(Some(outcome)) => break Ok(outcome),
                // The terminal is gone.
                Err(Failure::BrokenPipe) => break Ok(Outcome::Left),
                Err(failure) => break Err(failure),
            }
        };
        if let Ok(Outcome::Left | Outcome::Detached | Outcome::Suspended) = outcome {
            self.last_answer();
        }
        self.take_back();
        self.display.leave();
        outcome
    }

    /// Waits for the answer to what the terminal was asked last. Of what else is typed by now nobody hears.
    fn last_answer(&mut self) {
        let until = Instant::now() + ANSWER;
        if self.display.is_lent() {
            // What the holder has written to the terminal it tells right behind that.
            let heard = self
                .connection
                .call_until::<Value>(Call::Status {}, Some(until));
            if heard.is_err() || self.take().is_err() {
                return;
            }
        }
        let mut said = std::mem::take(&mut self.behind);
        while self.display.is_asked() {
            if let Some(answers) = session_terminal::answers(&said) {
                self.display.answered(answers);
                self.typed.append(&mut said);
                self.type_on();
                continue;
            }
            let left = until.saturating_duration_since(Instant::now());
            let stdin = io::stdin();
            let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
            let timeout = Timespec::try_from(left).ok();
            let is_key = said.first().is_some_and(|first| *first != 0x1b);
            if is_key || !matches!(rustix::event::poll(&mut fds, timeout.as_ref()), Ok(1..)) {
                return;
            }
            said.reserve(KEYS);
            match rustix::io::read(&stdin, spare_capacity(&mut said)) {
                Ok(1..) => {}
                _ => return,
            }
        }
    }

    /// Has the holder write to the terminal no more. What it still sends is shown only if it is already.
    fn take_back(&mut self) {
        if !self.display.is_lent() {
            return;
        }
        let process = self.process;
        let until = Some(Instant::now() + PATIENCE);
        let left = self
            .connection
            .call_until::<Value>(Call::Leave { process }, until);
        if left.is_err() {
            return;
        }
        while let Ok(Some(incoming)) = self.connection.poll() {
            if let Incoming::Data {
                offset,
                bytes,
                shown: true,
                ..
            } = incoming
            {
                self.display.shown(offset, bytes);
            }
        }
    }

    fn step(&mut self) -> Result<Option<Outcome>, Failure> {
        if self.resized {
            self.resized = false;
            let size = terminal::size();
            self.display.resize(size);
            self.trace.client(format_args!("size {size}"));
            let process = self.process;
            self.tell(|connection| connection.notify(Call::Resize { process, size }));
        }
        // What came with the answer to the last call is in no descriptor.
        self.take()?;
        if self.display.outlet.pending() == 0
            && let Some(over) = self.over.take()
        {
            return Ok(Some(over));
        }
        let Ready {
            keys,
            holder,
            signal,
            room,
        } = self.wait()?;
        if !(keys || holder || signal || room) {
            // It is over, and the terminal does not take the rest.
            if let Some(over) = self.over.take() {
                return Ok(Some(over));
            }
            self.stuck = self.display.outlet.pending() >= MOST_PENDING;
            self.display.pause();
            self.credit();
        }
        if signal && let Some(signal) = self.signal()? {
            return Ok(Some(match stops(signal) {
                true => Outcome::Suspended,
                false => Outcome::Signal(signal),
            }));
        }
        if keys && self.keys()? {
            return Ok(Some(Outcome::Left));
        }
        if room {
            self.stuck = false;
            self.display.outlet.flush().map_err(gone)?;
            self.credit();
        }
        if holder {
            match self.connection.receive() {
                Ok(()) => {}
                Err(Error::Closed) => {
                    if !self.rejoin()? {
                        self.over = Some(Outcome::Lost);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    fn wait(&self) -> Result<Ready, Failure> {
        let pending = self.display.outlet.pending();
        // Without input they are read for the detach key alone.
        let keys = self.typed.len() < MOST_TYPED;
        let holder = self.over.is_none() && (pending < MOST_PENDING || self.stuck);
        let stdin = io::stdin();
        let mut fds = [
            outlet::poll_if(keys, stdin.as_fd(), PollFlags::IN, self.signals),
            outlet::poll_if(holder, self.connection.as_fd(), PollFlags::IN, self.signals),
            PollFd::new(self.signals, PollFlags::IN),
            PollFd::new(&self.display.outlet, PollFlags::OUT),
        ];
        // To ask a terminal has its price.
        let asked = if pending > 0 { 4 } else { 3 };
        let pause = match self.over {
            Some(_) => Some(PATIENCE),
            None if !holder => Some(PATIENCE),
            None => self.display.is_owing().then_some(PAUSE),
        };
        let pause = pause.and_then(|pause| Timespec::try_from(pause).ok());
        match rustix::event::poll(&mut fds[..asked], pause.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(io::Error::from(errno).into()),
        }
        let ready = |index: usize| !fds[index].revents().is_empty();
        Ok(Ready {
            keys: ready(0),
            holder: ready(1),
            signal: ready(2),
            room: ready(3),
        })
    }

    /// Acts on everything that has come from the holder.
    fn take(&mut self) -> Result<(), Failure> {
        while self.over.is_none() {
            match self.connection.poll()? {
                None => break,
                Some(Incoming::Data {
                    offset,
                    bytes,
                    shown,
                    ..
                }) => match shown {
                    true => self.display.shown(offset, bytes),
                    false => self.display.data(offset, bytes).map_err(gone)?,
                },
                Some(Incoming::Screen {
                    offset,
                    size,
                    bytes,
                    ..
                }) => self.display.screen(offset, size, &bytes).map_err(gone)?,
                // The screen follows.
                Some(Incoming::Reset { .. }) => {}
                Some(Incoming::Notice(Notice::Answering {
                    process,
                    from,
                    answers,
                })) if process == self.process => self.display.turn(from, answers),
                Some(Incoming::Credit { stream, offset }) => {
                    if self.input.is_some_and(|(input, _)| input == stream) {
                        self.taken = self.taken.max(offset);
                        self.type_on();
                    }
                }
                Some(Incoming::Notice(Notice::Ended(status))) => {
                    self.over = Some(Outcome::Ended(status));
                }
                Some(Incoming::Notice(Notice::Exited { process, exit }))
                    if process == self.process =>
                {
                    self.over = Some(Outcome::Exited(exit));
                }
                Some(Incoming::Notice(Notice::Detached { process })) if process == self.process => {
                    self.over = Some(Outcome::Detached);
                }
                Some(Incoming::Response(response))
                    if self.lending.is_some_and(|id| response.id == id) =>
                {
                    self.display.lend(response.outcome.is_ok());
                }
                // Answers to calls that nobody waits for, changes that nobody asked for.
                Some(Incoming::Response(_) | Incoming::Notice(_) | Incoming::Other) => {}
            }
            self.credit();
        }
        Ok(())
    }

    fn credit(&mut self) {
        let stream = StreamId::new(self.process, session_protocol::Channel::Pty);
        if let Some(offset) = self.display.credit() {
            self.tell(|connection| connection.credit(stream, offset));
        }
    }

    /// Tells the holder something. That it is gone is learned by reading, behind its last words.
    fn tell(&mut self, tell: impl FnOnce(&mut Connection) -> Result<(), Error>) {
        if self.over.is_none() {
            let _ = tell(self.connection);
        }
    }

    /// Takes what was typed; true to leave.
    fn keys(&mut self) -> Result<bool, Failure> {
        let before = self.typed.len();
        self.typed.reserve(KEYS);
        match rustix::io::read(io::stdin(), spare_capacity(&mut self.typed)) {
            // The terminal hung up.
            Ok(0) | Err(Errno::IO) => return Ok(true),
            Ok(_) => {}
            Err(Errno::INTR | Errno::AGAIN) => return Ok(false),
            Err(errno) => return Err(io::Error::from(errno).into()),
        }
        let key = self.scanner.heard(&self.typed[before..], Instant::now());
        if let Some(key) = &key {
            self.behind = self.typed.split_off(before + key.end);
            self.typed.truncate(before + key.start);
        } else if let Some(answers) = session_terminal::answers(&self.typed[before..]) {
            self.display.answered(answers);
        }
        self.type_on();
        Ok(key.is_some())
    }

    /// Sends what was typed, never more than was granted: the holder closes the connection on a client that does.
    fn type_on(&mut self) {
        let mut typed = std::mem::take(&mut self.typed);
        match self.input {
            None => typed.clear(),
            Some((stream, offset)) => {
                let granted = INPUT_WINDOW.saturating_sub(offset - self.taken);
                let most = typed.len().min(granted as usize);
                if most > 0 {
                    self.tell(|connection| connection.send_data(stream, offset, &typed[..most]));
                    self.input = Some((stream, offset + most as u64));
                    typed.drain(..most);
                }
            }
        }
        self.typed = typed;
    }

    /// Acts on signals; the one that ends the client is for the caller.
    fn signal(&mut self) -> Result<Option<i32>, Failure> {
        while let Some(signal) = self.signals.next()? {
            self.trace.client(format_args!("signal {signal}"));
            if ends(signal) {
                return Ok(Some(signal));
            }
            if signal == Signal::CONT.as_raw() {
                self.raw.resume();
            }
            self.resized |= signal != Signal::TTOU.as_raw();
        }
        Ok(None)
    }
}

/// What there is to do.
struct Ready {
    keys: bool,
    holder: bool,
    signal: bool,
    room: bool,
}

/// A terminal that cannot be written to any more has hung up.
fn gone(_: io::Error) -> Failure {
    Failure::BrokenPipe
}
