//! `session rm`: a session and all that is kept of it, gone.

use std::process::ExitCode;

use clap::Args;
use session_protocol::Code;

use crate::context::Context;
use crate::failure::Failure;
use crate::lifecycle;

/// Delete sessions
///
/// Deletes the session's record and its output. A session of which something runs is refused unless --force,
/// which stops it first.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  session rm backend
  session rm -f 'test-*'")]
pub(crate) struct Rm {
    /// Stop it first
    #[arg(short, long)]
    force: bool,
    /// Names, ids, or globs in quotes
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Rm {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        context.each(&self.names, |session| {
            let name = session.status()?.name;
            if self.force && lifecycle::is_inside(session) {
                // It would end with the session, which then would not be deleted.
                return Err(Failure::new(
                    Code::Denied,
                    format!("session '{name}' cannot be deleted from inside itself"),
                ));
            }
            if let Some(remark) = lifecycle::remove(session, self.force)? {
                context.remark(remark);
            }
            context.verbose(format!("deleted '{name}'"))
        })
    }
}
