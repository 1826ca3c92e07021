//! `session attach NAME`: the session's terminal on the caller's.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use clap::Args;
use session_protocol::{Code, State, Status};
use session_store::Session;

use crate::attaching::{Attaching, Seat, is_unstarted, lost};
use crate::context::Context;
use crate::detach_key::{DetachKey, Scanner, VARIABLE};
use crate::failure::Failure;
use crate::interactive::Outcome;
use crate::lifecycle;
use crate::terminal;
use crate::trace::Trace;

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
        let attaching = Attaching {
            session: &session,
            key,
            scanner: Scanner::new(key),
            read_only: self.read_only,
            detach_others: self.detach_others,
            exclusive: false,
            trace: Trace::off(),
        };
        let outcome = attaching.run(Seat::take()?, &status, None, || Ok(()))?;
        tell(&session, &status.name, outcome, context)
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
}

fn tell(
    session: &Session,
    name: &str,
    outcome: Outcome,
    context: &Context,
) -> Result<ExitCode, Failure> {
    match outcome {
        Outcome::NotStarted(None) => Ok(ExitCode::SUCCESS),
        Outcome::NotStarted(Some(signal)) => Ok(ExitCode::from(128 | signal as u8)),
        Outcome::Left | Outcome::Detached | Outcome::Suspended | Outcome::Exited(_) => {
            say(context, &format!("Detached from session '{name}'."));
            Ok(ExitCode::SUCCESS)
        }
        Outcome::Signal(signal) => {
            say(context, &format!("Detached from session '{name}'."));
            Ok(ExitCode::from(128 | signal as u8))
        }
        Outcome::Ended(status)
            if is_unstarted(&status) || status.state == State::Stopped && status.exit.is_none() =>
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
        Outcome::Lost => Err(lost(session, name)),
    }
}

fn say(context: &Context, line: &str) {
    if !context.quiet {
        terminal::say(&format!("{line}\n"));
    }
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
