//! `session start`: the main process runs, from now on and after a reboot.

use std::process::ExitCode;

use clap::Args;

use crate::context::Context;
use crate::failure::Failure;
use crate::lifecycle;

/// Start sessions that do not run
///
/// Answers once the command runs. A session that runs already is refused. Changed attributes take effect, and
/// the count of failed restarts begins anew.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  session start backend
  session start 'web-*'")]
pub(crate) struct Start {
    /// Names, ids, or globs in quotes
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Start {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        context.each(&self.names, |session| {
            let status = lifecycle::start(session)?;
            context.verbose(status.sentence())
        })
    }
}
