//! `session resume`: frozen processes go on; a session not started yet begins.

use std::process::ExitCode;

use clap::Args;
use session_client::Asked;
use session_protocol::{Call, State, Status};

use crate::context::Context;
use crate::failure::Failure;
use crate::lifecycle;

/// Let suspended sessions go on
///
/// Undoes `suspend`. A session that was created suspended and never started is started. Resuming a running
/// session does nothing; one that has ended is refused: `start` starts it.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  session resume build
  session resume '*'")]
pub(crate) struct Resume {
    /// Names, ids, or globs in quotes
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Resume {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        context.each(&self.names, |session| {
            let status = match session_client::ask::<Status>(session, Call::Resume {})? {
                Asked::Answer(_, status) => status,
                Asked::Owned(owned) => {
                    let status = owned.status();
                    if status.unwatched {
                        return Err(lifecycle::unwatched(&status));
                    }
                    if status.state != State::Suspended {
                        return Err(lifecycle::not_running(&status)
                            .hint(format!("`session start {}` starts it", status.name)));
                    }
                    lifecycle::launch(&owned)?
                }
            };
            context.verbose(status.sentence())
        })
    }
}
