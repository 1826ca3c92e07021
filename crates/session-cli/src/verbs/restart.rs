//! `session restart`: ended and started again, with its changed attributes.

use std::process::ExitCode;

use clap::Args;

use crate::context::Context;
use crate::failure::Failure;
use crate::lifecycle;

/// Stop sessions and start them again
///
/// Ends every process of the session as `stop` does, then starts its command; answers once that runs. Changed
/// attributes take effect. A session that does not run is started.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  session restart backend
  session set web directory /srv/new && session restart web")]
pub(crate) struct Restart {
    /// Names, ids, or globs in quotes
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Restart {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        context.each(&self.names, |session| {
            let status = lifecycle::restart(session)?;
            context.verbose(status.sentence())
        })
    }
}
