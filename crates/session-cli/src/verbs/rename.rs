//! `session rename OLD NEW`: the same as `session set OLD name NEW`.

use std::process::ExitCode;

use clap::Args;

use super::set::change;
use crate::context::Context;
use crate::failure::Failure;

/// Give a session another name
///
/// The same as `session set OLD name NEW`. Nothing of the session notices; SESSION_NAME changes at its next
/// start.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  session rename bash2 build")]
pub(crate) struct Rename {
    /// Its name or id now
    old: String,
    /// Its name from now on
    new: String,
}

impl Rename {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let session = context.session_to_change(&self.old)?;
        let new = self.new.as_str().into();
        change(&session, "name".to_owned(), Some(new), context)
    }
}
