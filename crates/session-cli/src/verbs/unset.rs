//! `session unset`: an attribute goes back to its default.

use std::process::ExitCode;

use clap::Args;

use super::set::change;
use crate::context::Context;
use crate::failure::Failure;

/// Restore the default of an attribute
///
/// Removes a variable (env.K), a limit (limit.K) or the title; any other attribute gets its default back. Name,
/// command and directory have none.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  session unset backend env.PORT
  session unset backend stop-timeout")]
pub(crate) struct Unset {
    /// Name or id
    name: String,
    /// The attribute
    key: String,
}

impl Unset {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        change(
            &context.session_to_change(&self.name)?,
            self.key,
            None,
            context,
        )
    }
}
