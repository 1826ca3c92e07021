//! A person's terminal and a session, from the prompt of one that is not started to the end of either: what `session attach`
//! and `sess` share. What is said about it is theirs.

use std::io::{self, PipeReader, Write as _};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use session_client::{Asked, Connection};
use session_protocol::{
    Attach as Request, Attached, Call, Channel, Code, From, ProcessId, State, Status, Variables,
    variables,
};
use session_store::Session;
use session_sys::event::SignalFd;

use crate::changes;
use crate::detach_key::{DetachKey, Scanner};
use crate::display::WINDOW;
use crate::failure::Failure;
use crate::interactive::{Interactive, Outcome, STOPS, ends, signals, stops};
use crate::lifecycle;
use crate::past::Past;
use crate::terminal::{self, RawMode};
use crate::trace::Trace;

/// How long the holder of a session that has ended may take to exit, for whoever looks next to find nothing of it.
const LAST: Duration = Duration::from_millis(100);

/// The caller's terminal, every key and signal of which is for the client; given back when it is dropped.
pub(crate) struct Seat {
    signals: SignalFd,
    raw: RawMode,
}

impl Seat {
    /// Takes it, once the caller is in the foreground.
    pub(crate) fn take() -> Result<Self, Failure> {
        let signals = signals(&[STOPS])?;
        let raw = RawMode::enter(&signals)?;
        Ok(Self { signals, raw })
    }
}

/// A connection on which [`from_the_start`] was asked: the number of that question.
pub(crate) struct Begun {
    pub(crate) connection: Connection,
    pub(crate) asked: u64,
}

/// A wish to attach.
pub(crate) struct Attaching<'a> {
    pub(crate) session: &'a Session,
    pub(crate) key: DetachKey,
    /// Finds the key.
    pub(crate) scanner: Scanner,
    pub(crate) read_only: bool,
    pub(crate) detach_others: bool,
    /// Not where someone else is attached.
    pub(crate) exclusive: bool,
    pub(crate) trace: Trace,
}

impl Attaching<'_> {
    /// Attaches, if need be once the session is started; who has just created it is attached already. `attached` is called once the terminal is the session's.
    pub(crate) fn run(
        &self,
        seat: Seat,
        status: &Status,
        mut begun: Option<Begun>,
        attached: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<Outcome, Failure> {
        let Seat { signals, mut raw } = seat;
        if is_unstarted(status) {
            let answer = loop {
                match self.prompt(&signals) {
                    Ok(Answer::Suspend) => raw = raw.stop(&signals)?,
                    answer => break answer,
                }
            };
            let started = match answer {
                Ok(Answer::Begin) => lifecycle::start(self.session).map(drop),
                Ok(Answer::Begun | Answer::Suspend) => Ok(()),
                Ok(Answer::Leave) => return Ok(Outcome::NotStarted(None)),
                Ok(Answer::Signal(signal)) => return Ok(Outcome::NotStarted(Some(signal))),
                Err(failure) => Err(failure),
            };
            match started {
                // Someone else was faster.
                Err(failure) if failure.code() == Some(Code::Running) => {}
                Err(failure) if failure.code() == Some(Code::NotFound) => {
                    return Err(removed(&status.name));
                }
                started => started?,
            }
        }
        let mut attached = Some(attached);
        loop {
            match self.attach(&status.name, begun.take(), &mut attached, &signals, &raw)? {
                Outcome::Suspended => raw = raw.stop(&signals)?,
                outcome => return Ok(outcome),
            }
        }
    }

    fn attach(
        &self,
        name: &str,
        begun: Option<Begun>,
        first: &mut Option<impl FnOnce() -> Result<(), Failure>>,
        signals: &SignalFd,
        raw: &RawMode,
    ) -> Result<Outcome, Failure> {
        let is_new = begun.is_some();
        let asked = match begun {
            Some(Begun {
                mut connection,
                asked,
            }) => {
                let attached: Attached = connection.answer(asked, None)?;
                Asked::Answer(connection, attached)
            }
            None => session_client::ask(self.session, self.request(first.is_none()))?,
        };
        let Asked::Answer(mut connection, attached) = asked else {
            return Ok(Outcome::Ended(self.session.status()?));
        };
        if !self.read_only {
            session_client::lend_agent(self.session);
        }
        let mut streams = attached.streams.iter();
        if streams.any(|it| it.stream.channel() != Channel::Pty) {
            let why = format!("session '{name}' runs without a terminal (pty=no)");
            let hint = format!("use `session logs -f {name}` and `session send {name}`");
            return Err(Failure::new(Code::Denied, why).hint(hint));
        }
        let restore = attached.restore.as_deref().unwrap_or_default().parse();
        // What the terminal was shown of the past it has.
        let is_first = first.is_some() && !is_new;
        let past = is_first.then(|| Past::new(self.session, restore.unwrap_or_default()));
        if let Some(first) = first.take() {
            first()?;
        }
        let interactive = Interactive::new(
            (self.session, ProcessId::MAIN),
            &mut connection,
            &attached,
            past,
            signals,
            raw,
            self.scanner.clone(),
        )?;
        let outcome = interactive.traced(self.trace).run()?;
        if let Outcome::Ended(_) = outcome {
            // A session that does not remain is gone by then.
            let process = ProcessId::MAIN;
            let _ = connection.notify(Call::Leave { process });
            let _ = lifecycle::hang_up(&mut connection, LAST);
        }
        Ok(outcome)
    }

    fn request(&self, again: bool) -> Call {
        Call::Attach(Request {
            read_only: self.read_only,
            detach_others: self.detach_others && !again,
            exclusive: self.exclusive,
            environment: (!self.read_only).then(followed),
            ..request(From::Screen)
        })
    }

    /// The prompt of a session that waits to be started. Who only looks on is not asked.
    fn prompt(&self, signals: &SignalFd) -> Result<Answer, Failure> {
        let (over, waiter) = started_elsewhere(self.session)?;
        let mut stdout = io::stdout();
        let (asks, answered) = if self.read_only {
            ("", "")
        } else {
            (":", "\r\n")
        };
        stdout.write_all(asks.as_bytes())?;
        stdout.flush()?;
        let mut scanner = Scanner::new(self.key);
        let answer = loop {
            let stdin = io::stdin();
            let mut fds = [
                PollFd::new(&stdin, PollFlags::IN),
                PollFd::new(signals, PollFlags::IN),
                PollFd::new(&over, PollFlags::IN),
            ];
            match rustix::event::poll(&mut fds, None) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(io::Error::from(errno).into()),
            }
            if !fds[1].revents().is_empty()
                && let Some(signal) = signals.next()?
                && ends(signal)
            {
                break match stops(signal) {
                    true => Answer::Suspend,
                    false => Answer::Signal(signal),
                };
            }
            if !fds[2].revents().is_empty() {
                break Answer::Begun;
            }
            if fds[0].revents().is_empty() {
                continue;
            }
            // A byte at a time: what follows Enter was typed for the program.
            let mut typed = [0];
            match rustix::io::read(&stdin, &mut typed) {
                Ok(0) | Err(Errno::IO) => break Answer::Leave,
                Ok(_) => {}
                Err(Errno::INTR | Errno::AGAIN) => continue,
                Err(errno) => return Err(io::Error::from(errno).into()),
            }
            match answer(typed[0], &mut scanner) {
                Some(Answer::Begin) if self.read_only => {}
                Some(answer) => break answer,
                None => {}
            }
        };
        stdout.write_all(answered.as_bytes())?;
        stdout.flush()?;
        if answer == Answer::Begun
            && let Ok(begun) = waiter.join()
        {
            begun?;
        }
        Ok(answer)
    }
}

/// What whoever creates a session asks for its terminal: everything from the start, as it is.
pub(crate) fn from_the_start() -> Call {
    Call::Attach(Request {
        environment: Some(followed()),
        ..request(From::Start)
    })
}

fn request(from: From) -> Request {
    Request {
        process: ProcessId::MAIN,
        from,
        window: WINDOW,
        interactive: true,
        read_only: false,
        size: Some(terminal::size()),
        detach_others: false,
        exclusive: false,
        environment: None,
        resume: Vec::new(),
        lossless: false,
    }
}

fn followed() -> Variables {
    variables::followed(std::env::vars_os())
}

/// Not started yet: suspended, and without a process.
pub(crate) fn is_unstarted(status: &Status) -> bool {
    status.state == State::Suspended && status.pid.is_none()
}

/// It was there a moment ago.
fn removed(name: &str) -> Failure {
    Failure::new(Code::NotFound, format!("session '{name}' was removed"))
}

/// Its holder went away without a word, perhaps because it was removed.
pub(crate) fn lost(session: &Session, name: &str) -> Failure {
    if matches!(session.status(), Err(session_store::Error::NotFound(_))) {
        return removed(name);
    }
    let why = format!("the holder of session '{name}' ended without a word");
    Failure::new(Code::HolderUnreachable, why)
        .hint(format!("`session status {name}` tells what is left"))
}

#[derive(Debug, PartialEq)]
enum Answer {
    /// Start it.
    Begin,
    /// Someone else started it.
    Begun,
    Leave,
    Suspend,
    Signal(i32),
}

/// Waits beside the prompt until the session is not unstarted any more; then the pipe hangs up. Left alone it goes on
/// until the client ends.
fn started_elsewhere(
    session: &Session,
) -> io::Result<(PipeReader, JoinHandle<Result<(), Failure>>)> {
    let (over, waiting) = io::pipe()?;
    let session = session.clone();
    let waiter = std::thread::Builder::new().spawn(move || {
        let _waiting = waiting;
        let begun = |status: &Status| (!is_unstarted(status)).then_some(());
        changes::wait_for(&session, None, begun).map(drop)
    })?;
    Ok((over, waiter))
}

/// What a key means at the prompt, if it means anything.
fn answer(typed: u8, scanner: &mut Scanner) -> Option<Answer> {
    match typed {
        b'\r' | b'\n' => Some(Answer::Begin),
        // Ctrl-C and Ctrl-D
        3 | 4 => Some(Answer::Leave),
        typed => scanner
            .heard(&[typed], std::time::Instant::now())
            .map(|_| Answer::Leave),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_prompt() {
        let mut scanner = Scanner::new(DetachKey::default());
        for (typed, expected) in [
            (b'\r', Some(Answer::Begin)),
            (b'\n', Some(Answer::Begin)),
            (3, Some(Answer::Leave)),
            (4, Some(Answer::Leave)),
            (0x1c, Some(Answer::Leave)),
            (b'y', None),
        ] {
            assert_eq!(answer(typed, &mut scanner), expected, "{typed}");
        }
    }
}
