//! `session suspend`: every process of the session is frozen where it is.

use std::process::ExitCode;

use clap::Args;
use session_client::Asked;
use session_protocol::{Call, State, Status};

use crate::context::Context;
use crate::failure::Failure;
use crate::lifecycle;

/// Freeze every process of sessions until `resume`
///
/// The processes keep their memory and their place, and use no processor. A main process that is killed meanwhile
/// is not started again before `resume`. Suspending a suspended session does nothing; one that does not run is
/// refused.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  session suspend build
  session resume build")]
pub(crate) struct Suspend {
    /// Names, ids, or globs in quotes
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Suspend {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        context.each(&self.names, |session| {
            let status = match session_client::ask::<Status>(session, Call::Suspend {})? {
                Asked::Answer(_, status) => status,
                Asked::Owned(owned) => owned.status(),
            };
            match status.state {
                State::Suspended => context.verbose(status.sentence()),
                _ => Err(lifecycle::not_running(&status)),
            }
        })
    }
}
