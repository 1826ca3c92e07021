//! `session ls`: every session in one table. It reads state only, so no holder, however busy, can delay it.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;
use session_protocol::{ByteString, Code, Status};
use session_store::{Error, Listed, Root};

use crate::context::Context;
use crate::failure::{Failure, eprint_line};
use crate::table::{Table, span, terminal_width};

/// List the sessions
///
/// One line a session, sorted by name. A record that cannot be read is reported on stderr, and the others are
/// listed nevertheless.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  session ls
  session ls -a
  session ls --json | jq -r '.[] | select(.state == \"failed\") | .name'")]
pub(crate) struct Ls {
    /// With ids, restarts and exit codes, and the sessions of other machines that share the directory
    #[arg(short, long)]
    all: bool,
}

impl Ls {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let mut sessions = Vec::new();
        if let Some(root) = context.existing()? {
            for listed in root.list()? {
                let Listed {
                    id,
                    foreign,
                    status,
                    ..
                } = listed;
                match status {
                    Ok(_) if foreign && !self.all => {}
                    Ok(status) => sessions.push((status, foreign)),
                    Err(error) => report(context, root, &id, error),
                }
            }
        }
        if context.json {
            self.print_json(&sessions, context)?;
        } else if !sessions.is_empty() {
            let width = terminal_width();
            context.write(self.table(&sessions).render(width).as_bytes())?;
        } else if context.is_terminal() && !context.quiet {
            eprint_line("There are no sessions; `session create COMMAND` makes one.");
        }
        Ok(ExitCode::SUCCESS)
    }

    fn print_json(&self, sessions: &[(Status, bool)], context: &Context) -> Result<(), Failure> {
        if !self.all {
            let plain: Vec<&Status> = sessions.iter().map(|(status, _)| status).collect();
            return context.print_json(&plain);
        }
        let list: serde_json::Result<Vec<Value>> = sessions
            .iter()
            .map(|(status, foreign)| {
                let mut object = serde_json::to_value(status)?;
                object["foreign"] = (*foreign).into();
                Ok(object)
            })
            .collect();
        let list = list.map_err(|why| Failure::new(Code::Other, why.to_string()))?;
        context.print_json(&list)
    }

    fn table(&self, sessions: &[(Status, bool)]) -> Table {
        let mut table = Table::new(if self.all {
            &[
                "NAME", "ID", "STATE", "PID", "UPTIME", "CLIENTS", "RESTARTS", "EXIT", "COMMAND",
            ]
        } else {
            &["NAME", "STATE", "PID", "UPTIME", "CLIENTS", "COMMAND"]
        });
        for (status, foreign) in sessions {
            table.row(self.row(status, *foreign));
        }
        table
    }

    fn row(&self, status: &Status, foreign: bool) -> Vec<String> {
        let shown = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let mut cells = vec![ByteString::from(status.name.as_str()).escaped()];
        if self.all {
            cells.push(status.id.clone());
        }
        cells.push(if foreign {
            "elsewhere".to_owned()
        } else {
            status.state.word().to_owned()
        });
        cells.push(shown(status.pid.map(|pid| pid.to_string())));
        cells.push(shown(status.uptime_ms.map(span)));
        cells.push(status.clients.to_string());
        if self.all {
            cells.push(status.restarts.to_string());
            cells.push(shown(status.exit.map(|exit| {
                match (exit.code, exit.signal) {
                    (Some(code), _) => code.to_string(),
                    (None, Some(signal)) => signal.to_string(),
                    (None, None) => "unknown".to_owned(),
                }
            })));
        }
        cells.push(words(&status.command));
        cells
    }
}

/// Tells about a record that cannot be read; a damaged one is moved out of the way of its name.
fn report(context: &Context, root: &Root, id: &session_store::Id, error: Error) {
    let set_aside = match &error {
        Error::Damaged { .. } => root.set_aside(id).ok().flatten(),
        _ => None,
    };
    let mut failure = Failure::from(error);
    if let Some(path) = set_aside {
        failure = failure.hint(format!("it was set aside as {}", path.display()));
    }
    context.tell(failure);
}

/// An argument vector in one line, for eyes only.
pub(super) fn words(command: &[ByteString]) -> String {
    let words: Vec<String> = command.iter().map(ByteString::escaped).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        serde_json::from_value(serde_json::json!({
            "name": "x", "id": "0123456789abcdef", "scope": "user", "state": "exited", "desired": "up",
            "pid": null, "command": ["sh", "-c", "a\n\u{202e}b"], "directory": "/",
            "created_at": "2026-01-01T00:00:00Z", "started_at": null, "restarts": 2,
            "exit": { "code": null, "signal": "SIGKILL", "at": "2026-01-01T00:00:00Z" }, "clients": 0,
        }))
        .unwrap()
    }

    #[test]
    fn a_line_a_session() {
        let sessions = [(status(), false)];
        assert_eq!(
            Ls { all: false }.table(&sessions).render(None),
            "NAME  STATE   PID  UPTIME  CLIENTS  COMMAND\nx     exited  -    -       0        sh -c a\\n\\u{202e}b\n"
        );
        let all = Ls { all: true }.table(&sessions).render(None);
        assert!(all.contains("0123456789abcdef") && all.contains("  2         SIGKILL  sh"));
    }
}
