//! `session wait NAME`: until it ended, said something, fell silent or changed its state. All of it is told by the
//! holder; where there is none, the session's files tell.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::Value;
use session_client::Error;
use session_protocol::{Call, Channel, Code, Found, State, Status, Timestamp, Wait as Wanted};
use session_store::{LogReader, Session};
use session_terminal::{Pattern, Search};

use crate::context::Context;
use crate::failure::Failure;
use crate::follow::{Follow, Part};
use crate::merge::Merge;
use crate::{changes, lifecycle};

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
///
/// A terminal shows what is typed into it, so a text that was sent is soon in the output, too. `session send --offset`
/// prints an offset, and with --since OFFSET only what comes behind it counts, without that echo.
///
/// --json prints the line that matched as {"stream":"pty","offset":N,"line":LINE}, silence as {"quiet_ms":N}, and
/// otherwise what `session status --json` does.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  session wait build; echo $?
  session wait web --text 'listening on .*:80' --timeout 30s
  session send bash make --enter && session wait bash --idle 2s
  since=$(session send --offset bash 'make; echo DONE' --enter)
  session wait bash --text DONE --since \"$since\"")]
pub(crate) struct Wait {
    /// Until the main process ended for good (the default)
    #[arg(long, group = "condition")]
    exit: bool,
    /// Until a line matches; output since the last start counts, unless --since says otherwise
    #[arg(long, value_name = "REGEX", group = "condition", value_parser = Pattern::new)]
    text: Option<Pattern>,
    /// Until it neither wrote nor was sent anything for so long
    #[arg(long, value_name = "SPAN", group = "condition", value_parser = span)]
    idle: Option<Duration>,
    /// Until it is in this state
    #[arg(long, group = "condition", value_parser = PossibleValuesParser::new(STATES))]
    state: Option<String>,
    /// Give up after so long, with exit code 124
    #[arg(long, value_name = "SPAN", value_parser = span)]
    timeout: Option<Duration>,
    /// With --text: look at output from this offset on, without the echo of what was typed
    #[arg(long, alias = "from", value_name = "OFFSET", requires = "text", conflicts_with_all = ["exit", "idle", "state"])]
    since: Option<u64>,
    /// Name or id
    name: String,
}

impl Wait {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let deadline = self
            .timeout
            .and_then(|timeout| Instant::now().checked_add(timeout));
        let session = context.session(&self.name)?;
        if let Some(wanted) = self.wanted() {
            let found = self.ask(&session, &wanted, deadline)?;
            if found.is_null() {
                return Err(self.late());
            }
            if context.json {
                context.print_json(&found)?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        let reached = |status: &Status| match &self.state {
            Some(state) => (status.state.word() == state).then(|| Ok((0, status.clone()))),
            None if status.unwatched || status.state == State::Exited && unseen(status) => {
                Some(Err(status.name.clone()))
            }
            None => ended(status).map(|code| Ok((code, status.clone()))),
        };
        match until(&session, deadline, reached)? {
            Some(Ok((code, status))) => {
                if context.json {
                    context.print_json(&status)?;
                }
                Ok(ExitCode::from(code))
            }
            Some(Err(name)) => Err(Failure::new(
                Code::HolderUnreachable,
                format!(
                    "the holder of session '{name}' is gone; how its process ends, or ended, nobody saw"
                ),
            )),
            None => Err(self.late()),
        }
    }

    fn late(&self) -> Failure {
        Failure::new(
            Code::Timeout,
            format!("timed out waiting for session '{}'", self.name),
        )
    }

    /// What is in the output, or is not: the holder's to wait for.
    fn wanted(&self) -> Option<Wanted> {
        let text = self.text.as_ref().map(|text| text.source().to_owned());
        let idle = self
            .idle
            .map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
        (text.is_some() || idle.is_some()).then_some(Wanted {
            text,
            idle,
            since: self.since,
            // No time at all is enough to look.
            now: self.timeout.is_some_and(|timeout| timeout.is_zero()),
            ..Wanted::default()
        })
    }

    /// What was found; null if nothing was in time.
    fn ask(
        &self,
        session: &Session,
        wanted: &Wanted,
        deadline: Option<Instant>,
    ) -> Result<Value, Failure> {
        let deadline = deadline.filter(|_| !wanted.now);
        loop {
            if let Some(mut connection) = session_client::connect(session)? {
                match connection.call_until(Call::Wait(wanted.clone()), deadline) {
                    Ok(found) => return Ok(found),
                    Err(Error::Late) => return Ok(Value::Null),
                    // It is gone; the next round tells whether the session ended with it.
                    Err(Error::Closed) => {
                        session_client::hung_up(session)?;
                        continue;
                    }
                    Err(Error::Refused(error)) if error.code == Code::NotRunning => {
                        if changes::status(session)?.state != State::Suspended {
                            return Err(error.into());
                        }
                    }
                    Err(Error::Refused(error)) if error.message.contains("session.wait") => {
                        return Err(older(session, "waits for neither text nor silence"));
                    }
                    Err(error) => return Err(error.into()),
                }
            } else if let Some(found) = self.look(session)? {
                return Ok(found);
            }
            // Not started yet: it may still say it.
            let started = |status: &Status| (status.state != State::Suspended).then_some(());
            if wanted.now || changes::wait_for(session, deadline, started)?.is_none() {
                return Ok(Value::Null);
            }
        }
    }

    /// The same where there is no holder: what is kept has it, or it never comes. `None` if it may still be started, or
    /// just was.
    fn look(&self, session: &Session) -> Result<Option<Value>, Failure> {
        let status = changes::status(session)?;
        if status.unwatched {
            return Err(lifecycle::unwatched(&status));
        }
        let is_over = ended(&status).is_some();
        let Some(pattern) = &self.text else {
            // Silence for good.
            return Ok(is_over.then(|| serde_json::json!({})));
        };
        let begin = |reader: &mut LogReader| match (self.since, status.started_at) {
            (Some(offset), _) => Ok(offset),
            // The log notes the time at most every 10 ms: what came right behind the start may bear a time
            // right before it.
            (None, Some(started)) => reader.since(Timestamp::from_millis(started.millis() - 15)),
            (None, None) => reader.start(),
        };
        if let Some(found) = search(Follow::new(session, Merge::Lines, begin)?, pattern)? {
            return Ok(Some(serde_json::to_value(found).unwrap_or_default()));
        }
        if !is_over {
            return Ok(None);
        }
        let name = &status.name;
        let why = format!("session '{name}' ended without a line that matches");
        Err(Failure::new(Code::NotRunning, why))
    }
}

/// The first line of what is kept that matches.
fn search(mut kept: Follow<'_>, pattern: &Pattern) -> Result<Option<Found>, Failure> {
    let mut found = None;
    let mut searches: Vec<(Channel, Search)> = Vec::new();
    let mut keep = |stream, line: Option<session_terminal::Found>| {
        let line = line.map(|line| Found {
            stream,
            offset: line.offset,
            line: line.line,
        });
        found = found.take().or(line);
    };
    let mut each = |_: &mut Follow<'_>, part: Part<'_>| {
        let (Part::Bytes { channel, .. } | Part::Gap { channel, .. }) = part;
        let known = searches.iter().position(|(known, _)| *known == channel);
        let known = known.unwrap_or_else(|| {
            searches.push((channel, Search::new(0)));
            searches.len() - 1
        });
        let search = &mut searches[known].1;
        let line = match part {
            Part::Bytes { offset, bytes, .. } => search.feed(pattern, offset, bytes),
            Part::Gap { .. } => search.cut(pattern),
        };
        keep(channel, line);
        Ok::<_, Failure>(())
    };
    kept.kept(&mut each)?;
    for (channel, mut search) in searches {
        keep(channel, search.cut(pattern));
    }
    Ok(found)
}

/// A holder that an earlier version started, and that cannot do this.
pub(super) fn older(session: &Session, what: &str) -> Failure {
    let name = session.status().map(|status| status.name);
    let name = name.unwrap_or_else(|_| session.id().to_string());
    let why = format!("the holder of session '{name}' is of an earlier version and {what}");
    Failure::new(Code::Other, why).hint(format!(
        "`session stop {name}` and `session start {name}` give it a new one"
    ))
}

/// It ended, and nobody saw how.
fn unseen(status: &Status) -> bool {
    status
        .exit
        .is_none_or(|exit| exit.code.is_none() && exit.signal.is_none())
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

#[cfg(test)]
mod tests {
    use super::*;

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
