//! `session detach NAME…`: everyone leaves, the session runs on.

use std::process::ExitCode;

use clap::Args;
use serde::de::IgnoredAny;
use session_client::Asked;
use session_protocol::Call;

use crate::context::Context;
use crate::failure::Failure;

/// Detach everyone from a session
///
/// Every attached client, here or at any other terminal, is detached as if its own detach key had been pressed.
/// The session runs on. Nobody attached is no error.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  session detach bash
  session detach 'web-*'")]
pub(crate) struct Detach {
    /// Names, ids or globs
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Detach {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        context.each(&self.names, |session| {
            match session_client::ask::<IgnoredAny>(session, Call::Detach { pid: None })? {
                // Without a holder there is nothing to be attached to.
                Asked::Answer(..) | Asked::Owned(_) => Ok(()),
            }
        })
    }
}
