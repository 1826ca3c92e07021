//! `session doctor`: whether state and machine are as they should be, and the repair of what can be repaired.

use std::process::ExitCode;

use clap::Args;

use crate::context::Context;
use crate::failure::Failure;
use crate::health::{self, Level};

/// Check the state directory and the machine
///
/// One line a check: ok, warn or fail. The exit code is 1 if any failed.
///
/// --repair frees names without a session, names sessions that lost theirs, sets damaged records aside and
/// removes what an interrupted command left. It never ends a process and never deletes a session.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  session doctor
  session doctor --repair
  session doctor --json | jq '.[] | select(.level != \"ok\")'")]
pub(crate) struct Doctor {
    /// Repair what can be repaired without losing anything
    #[arg(long)]
    repair: bool,
}

impl Doctor {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let mut checks = health::state(context, self.repair);
        checks.extend(health::machine());
        let failed = checks.iter().any(|check| check.level == Level::Fail);
        if context.json {
            context.print_json(&checks)?;
        } else {
            for check in &checks {
                context.print(check)?;
            }
        }
        Ok(if failed {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }
}
