//! `session exec NAME COMMAND…`: a further process in a session, as if it ran right here.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use session_client::Connection;
use session_protocol::{ByteString, Call, Code, Spawn, Spawned, Stdio};
use session_store::Id;

use crate::context::Context;
use crate::detach_key::{DetachKey, Scanner};
use crate::display::WINDOW;
use crate::environment;
use crate::failure::Failure;
use crate::interactive::{Interactive, Outcome, signals};
use crate::lifecycle;
use crate::relay::{Ended, Relay, pass_on};
use crate::terminal::{self, RawMode};

/// Run a further command in a session
///
/// It runs in the session's directory and environment, with your standard input, output and error, byte for byte,
/// and `exec` ends with its exit code. It belongs to the session: `stop` ends it, too. A signal that would end
/// `exec` is passed on to it, as SIGPIPE is when nobody reads its output any more.
///
/// Options end at COMMAND: what follows belongs to it.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  session exec web cat config.toml
  tar c src | session exec web tar x
  session exec -t web bash")]
pub(crate) struct Exec {
    /// On a terminal of its own, which is shown on yours
    #[arg(short, long)]
    tty: bool,
    /// Its working directory; a relative one begins at the session's
    #[arg(short = 'C', long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Add to its environment; K alone takes your value
    #[arg(short, long, value_name = "K=V")]
    env: Vec<OsString>,
    /// Name or id
    name: String,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

impl Exec {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        if self.tty && !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
            return Err(
                Failure::new(Code::Denied, "exec -t needs a terminal on stdin and stdout")
                    .hint("leave out -t for pipes"),
            );
        }
        let spawn = Spawn {
            command: self.command.iter().cloned().map(ByteString::from).collect(),
            directory: self
                .directory
                .clone()
                .map(|directory| directory.into_os_string().into()),
            env: self
                .env
                .iter()
                .map(|given| environment::variable(given))
                .collect::<Result<_, _>>()?,
            stdio: if self.tty {
                Stdio::Pty(terminal::size())
            } else {
                Stdio::Pipes
            },
            window: WINDOW,
            // Nobody else begins with this one.
            token: Some(Id::random().to_string()),
        };
        let session = context.session_to_change(&self.name)?;
        let Some(mut connection) = session_client::connect(&session)? else {
            return Err(lifecycle::not_running(&session.status()?));
        };
        // From here on signals are for the process.
        let signals = signals(&[])?;
        let spawned: Spawned = loop {
            match connection.call(Call::Spawn(spawn.clone())) {
                // Another holder knows whether it was begun.
                Err(session_client::Error::Closed) => {
                    let Some(next) = session_client::connect(&session)? else {
                        return Err(lifecycle::not_running(&session.status()?));
                    };
                    connection = next;
                }
                spawned => break spawned?,
            }
        };
        let ended = if self.tty {
            interactive(&session, &mut connection, &spawned, &signals)?
        } else {
            Relay::new(&session, &mut connection, &spawned, &signals)?.run()?
        };
        match ended {
            Ended::Exit(exit) => Ok(ExitCode::from(exit.shell_code())),
            Ended::Signal(signal) => Ok(ExitCode::from(128 | signal as u8)),
            Ended::Detached => Err(Failure::new(
                Code::Denied,
                format!(
                    "detached from outside; the command goes on in session '{}'",
                    self.name
                ),
            )),
            Ended::Lost => Err(Failure::new(
                Code::HolderUnreachable,
                format!("the holder of session '{}' ended without a word", self.name),
            )),
        }
    }
}

/// With a terminal: keys and size as in `attach`, without a detach key.
fn interactive(
    session: &session_store::Session,
    connection: &mut Connection,
    spawned: &Spawned,
    signals: &session_sys::event::SignalFd,
) -> Result<Ended, Failure> {
    let process = spawned.process;
    let raw = match RawMode::enter(signals) {
        Err(Failure::Signal(signal)) => {
            pass_on(connection, process, signal);
            return Ok(Ended::Signal(signal));
        }
        raw => raw?,
    };
    let scanner = Scanner::new(DetachKey::none());
    let attached = &spawned.attached;
    let interactive = Interactive::new(
        (session, process),
        connection,
        attached,
        None,
        signals,
        &raw,
        scanner,
    )?;
    let outcome = interactive.run()?;
    drop(raw);
    let signal = match outcome {
        Outcome::Exited(exit) => return Ok(Ended::Exit(exit)),
        // The terminal is gone, which a process on it would have been told so.
        Outcome::Left => session_protocol::Signal::HUP.number(),
        Outcome::Signal(signal) => signal,
        Outcome::Detached => return Ok(Ended::Detached),
        Outcome::Ended(_) | Outcome::Suspended | Outcome::NotStarted(_) | Outcome::Lost => {
            return Ok(Ended::Lost);
        }
    };
    pass_on(connection, process, signal);
    Ok(Ended::Signal(signal))
}
