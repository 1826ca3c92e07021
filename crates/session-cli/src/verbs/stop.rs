//! `session stop`: every process of the session ends, and stays so after a reboot.

use std::process::ExitCode;

use clap::Args;

use crate::context::Context;
use crate::failure::Failure;
use crate::lifecycle;

/// Stop sessions: end every process, also after a reboot
///
/// Every process gets the stop signal (TERM); what is left of the session after the stop timeout (10s) is
/// killed. Answers once nothing is left. The session stays and can be started again. Stopping a stopped session
/// does nothing.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  session stop backend
  session stop 'web-*'

The attributes stop-signal and stop-timeout say how: session set backend stop-timeout 1m")]
pub(crate) struct Stop {
    /// Names, ids, or globs in quotes
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Stop {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        context.each(&self.names, |session| {
            if let Some(remark) = lifecycle::stop(session)? {
                context.remark(remark);
            }
            if context.verbose {
                context.verbose(session.status()?.sentence())?;
            }
            Ok(())
        })
    }
}
