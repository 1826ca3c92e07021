//! `session purge`: deletes what has ended by itself.

use std::process::ExitCode;

use clap::Args;
use session_protocol::{Code, State};
use session_store::Session;

use crate::context::Context;
use crate::failure::Failure;
use crate::lifecycle;

/// Delete sessions that ended by themselves
///
/// Deletes every session that exited or failed, and prints their names. Stopped sessions stay, for someone
/// stopped them to start them again; so do those that wait to be started. One of which processes are left is
/// refused, as `rm` refuses it, and the others go on.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  session purge --dry-run
  session purge")]
pub(crate) struct Purge {
    /// Only print the names
    #[arg(long)]
    dry_run: bool,
    /// Stopped sessions, too
    #[arg(short, long)]
    all: bool,
}

impl Purge {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let Some(root) = context.existing()? else {
            return self.answer(&[], context);
        };
        let mut purged = Vec::new();
        let mut failed = None;
        for listed in root.list()? {
            let ended = listed
                .status
                .is_ok_and(|status| self.is_ended(status.state));
            if !ended || listed.foreign {
                continue;
            }
            let outcome = root
                .session(&listed.id)
                .map_err(Failure::from)
                .and_then(|session| self.purge(&session, context));
            match outcome {
                Ok(true) => purged.push(listed.name),
                Ok(false) => {}
                // Deleted since it was listed.
                Err(failure) if failure.code() == Some(Code::NotFound) => {}
                Err(failure) => {
                    let code = context.tell(failure);
                    failed.get_or_insert(code);
                }
            }
        }
        let answered = self.answer(&purged, context)?;
        Ok(failed.unwrap_or(answered))
    }

    fn is_ended(&self, state: State) -> bool {
        match state {
            State::Exited | State::Failed => true,
            State::Stopped => self.all,
            State::Running | State::Suspended | State::Backoff => false,
        }
    }

    /// Looks again once nobody else can change it: someone may have started it since it was listed.
    fn purge(&self, session: &Session, context: &Context) -> Result<bool, Failure> {
        let Some(owned) = session.try_own()? else {
            return self.purge_held(session, context);
        };
        if !self.is_ended(owned.status().state) {
            return Ok(false);
        }
        if !self.dry_run
            && let Some(remark) = lifecycle::remove_owned(owned)?
        {
            context.remark(remark);
        }
        Ok(true)
    }

    /// Its holder is about to exit, or stays because of processes that the session left behind: those are not
    /// ours to end.
    fn purge_held(&self, session: &Session, context: &Context) -> Result<bool, Failure> {
        let ended = || Ok::<_, Failure>(self.is_ended(session.status()?.state));
        if self.dry_run || !ended()? {
            return Ok(false);
        }
        match lifecycle::remove(session, false) {
            Ok(remark) => {
                if let Some(remark) = remark {
                    context.remark(remark);
                }
                Ok(true)
            }
            // Someone started it since it was listed.
            Err(failure) if failure.code() == Some(Code::Running) && !ended()? => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    fn answer(&self, names: &[String], context: &Context) -> Result<ExitCode, Failure> {
        if context.json {
            context.print_json(&names)?;
        } else {
            for name in names {
                context.print(name)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
