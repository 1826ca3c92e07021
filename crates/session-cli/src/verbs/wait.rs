//! `session wait NAME`: until it ended, said something, fell silent or changed its state.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use clap::builder::PossibleValuesParser;
use regex_lite::Regex;
use session_protocol::{
    Attach, Attached, Call, Channel, Code, From, Notice, ProcessId, State, Status, Timestamp,
};
use session_store::{LogReader, Session};
use session_terminal::{Cleaner, Line};

use crate::changes;
use crate::context::Context;
use crate::failure::Failure;
use crate::follow::{Follow, Live, Part};

const STATES: [&str; 6] = [
    "running",
    "suspended",
    "stopped",
    "exited",
    "backoff",
    "failed",
];

/// Wait for a session
///
/// Until its main process ended for good, and then with its exit code; or for one of the conditions below, with
/// exit code 0. Exit code 124: it took longer than --timeout.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  session wait build; echo $?
  session wait web --text 'listening on .*:80' --timeout 30s
  session send bash make --enter && session wait bash --idle 2s")]
pub(crate) struct Wait {
    /// Until the main process ended for good (the default)
    #[arg(long, group = "condition")]
    exit: bool,
    /// Until a line matches; output since the last start counts, unless --from says otherwise
    #[arg(long, value_name = "REGEX", group = "condition", value_parser = regex)]
    text: Option<Regex>,
    /// Until there was no output for so long
    #[arg(long, value_name = "SPAN", group = "condition", value_parser = span)]
    idle: Option<Duration>,
    /// Until it is in this state
    #[arg(long, group = "condition", value_parser = PossibleValuesParser::new(STATES))]
    state: Option<String>,
    /// Give up after so long, with exit code 124
    #[arg(long, value_name = "SPAN", value_parser = span)]
    timeout: Option<Duration>,
    /// With --text: look at output from this offset on
    #[arg(long, value_name = "OFFSET", requires = "text")]
    from: Option<u64>,
    /// Name or id
    name: String,
}

/// It ended, and nobody saw how.
fn unseen(status: &Status) -> bool {
    status
        .exit
        .is_none_or(|exit| exit.code.is_none() && exit.signal.is_none())
}

impl Wait {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let deadline = self
            .timeout
            .and_then(|timeout| Instant::now().checked_add(timeout));
        let session = context.session(&self.name)?;
        let code = if let Some(regex) = &self.text {
            self.text(&session, regex, deadline)?
        } else if let Some(span) = self.idle {
            idle(&session, span, deadline)?
        } else if let Some(state) = &self.state {
            let reached = |status: &Status| (status.state.word() == state).then_some(0);
            until(&session, deadline, reached)?
        } else {
            let reached = |status: &Status| {
                if status.unwatched || status.state == State::Exited && unseen(status) {
                    return Some(Err(status.name.clone()));
                }
                ended(status).map(Ok)
            };
            match until(&session, deadline, reached)? {
                Some(Err(name)) => {
                    return Err(Failure::new(
                        Code::HolderUnreachable,
                        format!(
                            "the holder of session '{name}' is gone; how its process ends, or ended, nobody saw"
                        ),
                    ));
                }
                Some(Ok(code)) => Some(code),
                None => None,
            }
        };
        code.map(ExitCode::from).ok_or_else(|| self.late())
    }

    fn late(&self) -> Failure {
        Failure::new(
            Code::Timeout,
            format!("timed out waiting for session '{}'", self.name),
        )
    }

    fn text(
        &self,
        session: &Session,
        regex: &Regex,
        deadline: Option<Instant>,
    ) -> Result<Option<u8>, Failure> {
        let started = session.status()?.started_at;
        let begin = |reader: &mut LogReader| match (self.from, started) {
            (Some(offset), _) => Ok(offset),
            // The log notes the time at most every 10 ms: what came right behind the start may bear a time
            // right before it.
            (None, Some(started)) => reader.since(Timestamp::from_millis(started.millis() - 15)),
            (None, None) => reader.start(),
        };
        let mut follow = Follow::new(session, begin)?;
        let mut search = Search::new(regex);
        loop {
            let mut each = |_: &mut Follow<'_>, part: Part<'_>| {
                search.look(&part);
                Ok::<_, Failure>(())
            };
            let live = follow.live(deadline, &mut each)?;
            if search.found() {
                return Ok(Some(0));
            }
            match live {
                Live::More => {}
                Live::Quiet => return Ok(None),
                // Not started yet: it may still say it.
                Live::Ended(status) if status.state == State::Suspended => {
                    let started =
                        |status: &Status| (status.state != State::Suspended).then_some(());
                    if changes::wait_for(session, deadline, started)?.is_none() {
                        return Ok(None);
                    }
                }
                Live::Ended(status) => {
                    return Err(Failure::new(
                        Code::NotRunning,
                        format!(
                            "session '{}' ended without a line that matches",
                            status.name
                        ),
                    ));
                }
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Ok(None);
            }
        }
    }
}

/// As [`changes::wait_for`], but what is so at the deadline was not too late: no time at all is enough to look.
fn until<T>(
    session: &Session,
    deadline: Option<Instant>,
    mut done: impl FnMut(&Status) -> Option<T>,
) -> Result<Option<T>, Failure> {
    match changes::wait_for(session, deadline, &mut done)? {
        None => Ok(done(&changes::status(session)?)),
        found => Ok(found),
    }
}

fn regex(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|why| why.to_string())
}

fn span(text: &str) -> Result<Duration, String> {
    session_store::span::parse(text)
        .ok_or_else(|| format!("'{text}' is no span of time; use one such as 500ms, 10s, 2m, 1h"))
}

/// The exit code, if it ended for good.
fn ended(status: &Status) -> Option<u8> {
    match status.state {
        State::Stopped | State::Exited | State::Failed => {
            Some(status.exit.map_or(255, |exit| exit.shell_code()))
        }
        State::Running | State::Suspended | State::Backoff => None,
    }
}

/// A regular expression on lines, and on the line that is not ended yet: a prompt never is.
struct Search<'a> {
    regex: &'a Regex,
    cleaners: Vec<(Channel, Cleaner)>,
    found: bool,
}

impl<'a> Search<'a> {
    fn new(regex: &'a Regex) -> Self {
        Self {
            regex,
            cleaners: Vec::new(),
            found: false,
        }
    }

    fn look(&mut self, part: &Part<'_>) {
        let (Part::Bytes { channel, .. } | Part::Gap { channel, .. }) = part;
        let known = self.cleaners.iter().position(|(known, _)| known == channel);
        let index = known.unwrap_or_else(|| {
            self.cleaners.push((*channel, Cleaner::default()));
            self.cleaners.len() - 1
        });
        let (regex, found) = (self.regex, &mut self.found);
        let each = |line: Line<'_>| {
            *found = *found || matches(regex, line);
            Ok::<_, std::convert::Infallible>(())
        };
        let Ok(()) = match part {
            Part::Bytes { offset, bytes, .. } => self.cleaners[index].1.feed(*offset, bytes, each),
            Part::Gap { .. } => self.cleaners[index].1.cut(each),
        };
    }

    fn found(&mut self) -> bool {
        let unfinished = self
            .cleaners
            .iter()
            .filter_map(|(_, cleaner)| cleaner.unfinished());
        self.found = self.found || unfinished.into_iter().any(|line| matches(self.regex, line));
        self.found
    }
}

fn matches(regex: &Regex, line: Line<'_>) -> bool {
    regex.is_match(&String::from_utf8_lossy(line.text))
}

/// Until the main process runs and wrote nothing for `span`; one that ended for good writes nothing any more.
fn idle(
    session: &Session,
    span: Duration,
    deadline: Option<Instant>,
) -> Result<Option<u8>, Failure> {
    loop {
        let Some(mut connection) = session_client::connect(session)? else {
            let up = |status: &Status| (status.state != State::Suspended).then_some(ended(status));
            match changes::wait_for(session, deadline, up)? {
                None => return Ok(None),
                Some(Some(_)) => return Ok(Some(0)),
                Some(None) => continue,
            }
        };
        let request = Attach {
            process: ProcessId::MAIN,
            from: From::Live,
            window: 1 << 16,
            interactive: false,
            read_only: true,
            size: None,
            detach_others: false,
        };
        match quiet(&mut connection, request, span, deadline) {
            Ok(quiet) => return Ok(quiet.then_some(0)),
            // It is gone; the next round tells whether the session ended with it.
            Err(session_client::Error::Closed) => session_client::hung_up(session)?,
            Err(session_client::Error::Late) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}

/// True once there was silence for `span`, false at the deadline.
fn quiet(
    connection: &mut session_client::Connection,
    request: Attach,
    span: Duration,
    deadline: Option<Instant>,
) -> Result<bool, session_client::Error> {
    use session_client::Incoming;
    let attached: Attached = connection.call_until(Call::Attach(request), deadline)?;
    let silence = attached.streams.iter().map(|stream| stream.quiet_ms).min();
    let silence = Duration::from_millis(silence.unwrap_or(0));
    let mut until = Instant::now() + span.saturating_sub(silence);
    loop {
        let consumed = match connection.poll()? {
            Some(Incoming::Data {
                stream,
                offset,
                bytes,
                ..
            }) => Some((stream, offset + bytes.len() as u64)),
            Some(Incoming::Reset { stream, offset, .. }) => Some((stream, offset)),
            Some(Incoming::Notice(Notice::Ended(_))) => return Ok(true),
            // Started anew with other streams: those are to be joined.
            Some(Incoming::Notice(Notice::Detached {
                process: ProcessId::MAIN,
            })) => return Err(session_client::Error::Closed),
            Some(_) => None,
            None => {
                let first = deadline.map_or(until, |deadline| deadline.min(until));
                if !connection.ready(Some(first))? {
                    return Ok(Instant::now() >= until);
                }
                connection.receive()?;
                continue;
            }
        };
        if let Some((stream, offset)) = consumed {
            until = Instant::now() + span;
            connection.credit(stream, offset)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(regex: &str, parts: &[&str]) -> bool {
        let regex = super::regex(regex).unwrap();
        let mut search = Search::new(&regex);
        let mut offset = 0;
        parts.iter().any(|part| {
            let bytes = part.as_bytes();
            search.look(&Part::Bytes {
                channel: Channel::Pty,
                offset,
                bytes,
            });
            offset += bytes.len() as u64;
            search.found()
        })
    }

    #[test]
    fn text_is_found_in_lines_prompts_and_under_colours() {
        assert!(search("^ready$", &["starting\r\n", "rea", "dy\r\n"]));
        assert!(search(
            "^ready$",
            &["\x1b[32mrea\x1b[1mdy\x1b[0m\r\nmore\r\n"]
        ));
        assert!(search(r"\$ $", &["user@host$ "]));
        assert!(!search("ab", &["a\r\nb\r\n"]));
        assert!(search("password:", &["Enter pass", "word: "]));
    }

    #[test]
    fn the_exit_code_is_the_processes() {
        let mut status: Status = serde_json::from_value(serde_json::json!({
            "name": "x", "id": "0", "scope": "user", "state": "running", "desired": "up", "pid": 3,
            "command": ["true"], "directory": "/", "created_at": "1970-01-01T00:00:00Z",
            "started_at": null, "restarts": 0, "clients": 0,
            "exit": { "code": 3, "signal": null, "at": "1970-01-01T00:00:00Z" },
        }))
        .unwrap();
        assert_eq!(ended(&status), None);
        status.state = State::Failed;
        assert_eq!(ended(&status), Some(3));
        status.exit = None;
        assert_eq!(ended(&status), Some(255));
    }
}
