//! `session attach NAME`: the session's terminal on the caller's.

use std::io::{self, IsTerminal as _, PipeReader, Write as _};
use std::process::ExitCode;
use std::thread::JoinHandle;

use clap::Args;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use session_client::{Asked, Connection};
use session_protocol::{
    Attach as Request, Attached, Call, Channel, Code, From, ProcessId, State, Status, variables,
};
use session_store::Session;
use session_sys::event::SignalFd;

use crate::changes;
use crate::context::Context;
use crate::detach_key::{DetachKey, Scanner, VARIABLE};
use crate::display::{PATIENCE, WINDOW};
use crate::failure::Failure;
use crate::interactive::{Interactive, Outcome, STOPS, ends, signals, stops};
use crate::lifecycle;
use crate::outlet::Outlet;
use crate::past::Past;
use crate::terminal::{self, RawMode};

/// Use a session's terminal from yours
///
/// You see what the session shows and type into it. Several may attach at once. The detach key, Ctrl-\, leaves
/// the session running; so does closing the terminal. Pasted text never detaches where the program inside has
/// bracketed paste on. `attach` ends with the process, and with its exit code. Started in the background it waits to be
/// brought to the foreground; stopped with SIGTSTP it gives the terminal back and detaches until it is continued.
///
/// The session's terminal has one size for all: that of the client that typed last, unless the attribute size says
/// otherwise. A client with -r has no say in it. On a terminal that is smaller, lines that do not fit are wrapped as they
/// come: size=smallest is for those who watch from terminals of several sizes.
///
/// A session that was created with -s shows a prompt, `:`, and begins on Enter, or when it is started from elsewhere;
/// with -r it is only waited for.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  session attach bash
  session attach -r build                  look on, without a key reaching it
  session attach -d bash                   take it over from a terminal elsewhere
  session attach --detach-key ctrl-x bash
If a client was killed with SIGKILL, `reset` puts the terminal right.")]
pub(crate) struct Attach {
    /// Only look: no key but the detach key has an effect
    #[arg(short, long)]
    read_only: bool,
    /// Detach everyone else
    #[arg(short, long)]
    detach_others: bool,
    /// ctrl-a to ctrl-z, ctrl-\, ctrl-], ctrl-^, ctrl-_, ctrl-@ or none [default: SESSION_DETACH_KEY, or ctrl-\]
    #[arg(long, value_name = "KEY")]
    detach_key: Option<String>,
    /// Name or id
    name: String,
}

impl Attach {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let key = self.key()?;
        let session = context.session(&self.name)?;
        let status = session.status()?;
        let name = &status.name;
        if lifecycle::is_inside(&session) {
            return Err(Failure::new(
                Code::Denied,
                format!("session '{name}' cannot be attached from inside itself"),
            ));
        }
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err(
                Failure::new(Code::Denied, "attach needs a terminal on stdin and stdout").hint(
                    format!(
                        "use `session logs -f {name}` to read and `session send {name}` to write"
                    ),
                ),
            );
        }
        if status.unwatched {
            return Err(lifecycle::unwatched(&status));
        }
        if status.state == State::Stopped {
            return Err(stopped(&status));
        }
        if is_unstarted(&status) && self.read_only {
            let sentence = status.sentence();
            say(
                context,
                &format!("{sentence} It is shown once someone else starts it."),
            );
        } else if status.state == State::Suspended && !is_unstarted(&status) {
            // Else nothing would tell why nothing answers.
            say(context, &status.sentence());
        }
        let signals = signals(&[STOPS])?;
        let mut raw = RawMode::enter(&signals)?;
        if is_unstarted(&status) {
            let answer = loop {
                match prompt(&session, key, self.read_only, &signals) {
                    Ok(Answer::Suspend) => raw = raw.stop(&signals)?,
                    answer => break answer,
                }
            };
            let begun = match answer {
                Ok(Answer::Begin) => lifecycle::start(&session).map(drop),
                Ok(Answer::Begun | Answer::Suspend) => Ok(()),
                Ok(Answer::Leave) => return Ok(ExitCode::SUCCESS),
                Ok(Answer::Signal(signal)) => return Ok(ExitCode::from(128 | signal as u8)),
                Err(failure) => Err(failure),
            };
            match begun {
                // Someone else was faster.
                Err(failure) if failure.code() == Some(Code::Running) => {}
                Err(failure) if failure.code() == Some(Code::NotFound) => {
                    let removed = format!("session '{name}' was removed");
                    return Err(Failure::new(Code::NotFound, removed));
                }
                begun => begun?,
            }
        }
        let mut again = false;
        let ended = loop {
            match self.attach(&session, Scanner::new(key), &signals, &raw, again) {
                Ok((_, Outcome::Suspended)) => {
                    raw = raw.stop(&signals)?;
                    again = true;
                }
                ended => break ended,
            }
        };
        drop(raw);
        self.tell(&session, ended?, context)
    }

    fn key(&self) -> Result<DetachKey, Failure> {
        let (from, text) = match (&self.detach_key, std::env::var(VARIABLE)) {
            (Some(text), _) => ("--detach-key", text.clone()),
            (None, Ok(text)) if !text.is_empty() => (VARIABLE, text),
            _ => return Ok(DetachKey::default()),
        };
        text.parse()
            .map_err(|why: String| Failure::usage(format!("{from}: {why}")))
    }

    fn attach(
        &self,
        session: &Session,
        scanner: Scanner,
        signals: &SignalFd,
        raw: &RawMode,
        again: bool,
    ) -> Result<(Status, Outcome), Failure> {
        let Some((mut connection, attached)) = self.connect(session, again)? else {
            let status = session.status()?;
            return Ok((status.clone(), Outcome::Ended(status)));
        };
        let status = session.status()?;
        if attached
            .streams
            .iter()
            .any(|it| it.stream.channel() != Channel::Pty)
        {
            let name = &status.name;
            return Err(Failure::new(
                Code::Denied,
                format!("session '{name}' runs without a terminal (pty=no)"),
            )
            .hint(format!(
                "use `session logs -f {name}` and `session send {name}`"
            )));
        }
        let main = ProcessId::MAIN;
        let restore = attached.restore.as_deref().unwrap_or_default().parse();
        // What the terminal was shown of the past it has.
        let past = (!again).then(|| Past::new(session, restore.unwrap_or_default()));
        let interactive = Interactive::new(
            &mut connection,
            main,
            &attached,
            past,
            signals,
            raw,
            scanner,
        )?;
        Ok((status, interactive.run()?))
    }

    /// Attaches; `None` if there is no holder, which means that the session has ended.
    fn connect(
        &self,
        session: &Session,
        again: bool,
    ) -> Result<Option<(Connection, Attached)>, Failure> {
        let request = Request {
            process: ProcessId::MAIN,
            from: From::Screen,
            window: WINDOW,
            interactive: true,
            read_only: self.read_only,
            size: Some(terminal::size()),
            detach_others: self.detach_others && !again,
            environment: (!self.read_only).then(|| variables::followed(std::env::vars_os())),
        };
        Ok(match session_client::ask(session, Call::Attach(request))? {
            Asked::Answer(connection, attached) => {
                if !self.read_only {
                    session_client::lend_agent(session);
                }
                Some((connection, attached))
            }
            Asked::Owned(_) => None,
        })
    }

    fn tell(
        &self,
        session: &Session,
        (status, outcome): (Status, Outcome),
        context: &Context,
    ) -> Result<ExitCode, Failure> {
        let name = &status.name;
        match outcome {
            Outcome::Left | Outcome::Detached | Outcome::Suspended | Outcome::Exited(_) => {
                say(context, &format!("Detached from session '{name}'."));
                Ok(ExitCode::SUCCESS)
            }
            Outcome::Signal(signal) => {
                say(context, &format!("Detached from session '{name}'."));
                Ok(ExitCode::from(128 | signal as u8))
            }
            Outcome::Ended(status)
                if is_unstarted(&status)
                    || status.state == State::Stopped && status.exit.is_none() =>
            {
                say(context, &status.sentence());
                Ok(ExitCode::FAILURE)
            }
            Outcome::Ended(status) => {
                say(context, &status.sentence());
                Ok(ExitCode::from(
                    status.exit.map_or(255, |exit| exit.shell_code()),
                ))
            }
            Outcome::Lost if is_removed(session) => Err(Failure::new(
                Code::NotFound,
                format!("session '{name}' was removed"),
            )),
            Outcome::Lost => Err(Failure::new(
                Code::HolderUnreachable,
                format!("the holder of session '{name}' ended without a word"),
            )
            .hint(format!("`session status {name}` tells what is left"))),
        }
    }
}

/// A last line. The terminal may be gone, or take nothing: neither keeps the client from ending.
fn say(context: &Context, line: &str) {
    if !context.quiet
        && let Ok(mut outlet) = Outlet::new(io::stdout())
        && outlet.offer(format!("{line}\n").as_bytes()).is_ok()
    {
        let _ = outlet.drain(PATIENCE);
    }
}

fn is_removed(session: &Session) -> bool {
    matches!(session.status(), Err(session_store::Error::NotFound(_)))
}

/// Not started yet: suspended, and without a process.
fn is_unstarted(status: &Status) -> bool {
    status.state == State::Suspended && status.pid.is_none()
}

fn stopped(status: &Status) -> Failure {
    let name = &status.name;
    Failure::sentence(
        Code::NotRunning,
        format!(
            "{} Use `session start {name}` to start it.",
            status.sentence()
        ),
    )
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

/// The prompt of a session that waits to be started. Who only looks on is not asked.
fn prompt(
    session: &Session,
    key: DetachKey,
    read_only: bool,
    signals: &SignalFd,
) -> Result<Answer, Failure> {
    let (over, waiter) = started_elsewhere(session)?;
    let mut stdout = io::stdout();
    let (asks, answered) = if read_only { ("", "") } else { (":", "\r\n") };
    stdout.write_all(asks.as_bytes())?;
    stdout.flush()?;
    let mut scanner = Scanner::new(key);
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
            Some(Answer::Begin) if read_only => {}
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
        typed => scanner.scan(&[typed]).map(|_| Answer::Leave),
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
