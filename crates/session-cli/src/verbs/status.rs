//! `session status`: what a session is doing, in a sentence and in an exit code.

use std::process::ExitCode;

use clap::Args;
use session_protocol::{ByteString, State};

use crate::context::Context;
use crate::failure::Failure;

/// Tell what a session is doing
///
/// The exit code tells scripts: 0 running or suspended, 3 not running, 4 no such session.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  session status backend
  session status -q backend || session start backend
  session status --json backend | jq .pid")]
pub(crate) struct Status {
    /// Name or id
    name: String,
}

impl Status {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let status = context.session(&self.name)?.status()?;
        if context.json {
            context.print_json(&status)?;
        } else {
            context.print(text(&status))?;
        }
        Ok(ExitCode::from(exit_code(status.state)))
    }
}

fn exit_code(state: State) -> u8 {
    match state {
        State::Running | State::Suspended => 0,
        State::Stopped | State::Exited | State::Backoff | State::Failed => 3,
    }
}

/// The sentence of the contract, then whatever a person should know besides.
fn text(status: &session_protocol::Status) -> String {
    let mut lines = vec![status.sentence()];
    if !status.changed.is_empty() {
        lines.push(changed(&status.changed));
    }
    if !status.unenforced.is_empty() {
        lines.push(format!(
            "not enforced on this machine: {}",
            status.unenforced.join(", ")
        ));
    }
    lines.extend(status.notes.iter().cloned());
    let lines: Vec<String> = lines
        .iter()
        .map(|line| ByteString::from(line.as_str()).escaped())
        .collect();
    lines.join("\n")
}

/// What `status` and `get` say about attributes that were set and have not taken effect.
pub(super) fn changed(keys: &[String]) -> String {
    format!("changed, restart to apply: {}", keys.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_follow_the_sentence() {
        let status = serde_json::from_value(serde_json::json!({
            "name": "x", "id": "0123456789abcdef", "scope": "user", "state": "running", "desired": "up",
            "pid": 7, "command": ["sh"], "directory": "/", "created_at": "2026-01-01T00:00:00Z",
            "started_at": null, "restarts": 0, "exit": null, "clients": 0,
            "changed": ["directory", "env.A"], "notes": ["a\u{1b}[2Jb"],
        }));
        assert_eq!(
            text(&status.unwrap()),
            "Session 'x' is running, PID 7.\nchanged, restart to apply: directory, env.A\na\\u{1b}[2Jb"
        );
    }

    #[test]
    fn scripts_tell_running_from_not_running() {
        assert_eq!(exit_code(State::Suspended), 0);
        assert_eq!(exit_code(State::Backoff), 3);
    }
}
