//! `session kill`: a signal to every process of a session.

use std::process::ExitCode;

use clap::Args;
use serde::de::IgnoredAny;
use session_client::Asked;
use session_protocol::{Call, Signal};

use crate::context::Context;
use crate::failure::Failure;
use crate::lifecycle;

/// Send a signal to every process of sessions
///
/// What ends by it may be started again, as after a crash: `stop` is what ends a session. A session that does
/// not run is refused.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  session kill -s HUP backend
  session kill -s USR1 'worker-*'")]
pub(crate) struct Kill {
    /// A name such as TERM, HUP or USR1, or a number
    #[arg(short, long, default_value = "TERM")]
    signal: Signal,
    /// Names, ids, or globs in quotes
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Kill {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let signal = self.signal;
        context.each(&self.names, |session| {
            match session_client::ask::<IgnoredAny>(session, Call::Signal { signal })? {
                Asked::Answer(_, _) => context.verbose(format!("sent {signal}")),
                Asked::Owned(owned) => Err(lifecycle::not_running(&owned.status())),
            }
        })
    }
}
