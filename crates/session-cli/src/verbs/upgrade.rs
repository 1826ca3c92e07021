//! `session upgrade`: the holders of sessions, and the keeper, go on as another executable.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;
use session_client::{Connection, Error};
use session_protocol::{Call, Code, HolderInfo};
use session_store::Session;

use crate::context::Context;
use crate::failure::Failure;

/// Have sessions that run go on with this version of Session
///
/// Each session's holder executes the new program in its own place: the processes run on, with the same pids, their output
/// loses no byte, and whoever is attached stays so. A program that does not understand what it would be handed is not
/// executed, and the holder goes on as it is. Holders of earlier versions work with this command as well as new ones; what
/// is new needs a new one.
///
/// With --all the keeper, which takes over when a holder is killed, goes on with it too.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  session upgrade --all                    after installing a new version
  session upgrade backend
  session upgrade --all --executable /opt/session-2/session")]
pub(crate) struct Upgrade {
    /// All sessions of yours, and the keeper
    #[arg(short, long)]
    all: bool,
    /// The program to go on with [default: the one this command is]
    #[arg(long, value_name = "FILE")]
    executable: Option<PathBuf>,
    /// Names, ids, or globs in quotes
    #[arg(
        required_unless_present = "all",
        conflicts_with = "all",
        value_name = "NAME"
    )]
    names: Vec<String>,
}

impl Upgrade {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let executable = self.executable()?;
        if !self.all {
            return context.each(&self.names, |session| {
                upgrade(session, &executable, true, context)
            });
        }
        let Some(root) = context.existing()? else {
            return Ok(ExitCode::SUCCESS);
        };
        let names: Vec<String> = root
            .list()?
            .iter()
            .filter(|listed| !listed.foreign)
            .map(|listed| listed.id.to_string())
            .collect();
        let mut code = context.each(&names, |session| {
            upgrade(session, &executable, false, context)
        })?;
        if let Err(why) = session_keeper::upgrade(root, &executable) {
            let why = format!("the keeper goes on as it is: {why}");
            code = context.tell(Failure::new(Code::Denied, why));
        }
        Ok(code)
    }

    fn executable(&self) -> Result<PathBuf, Failure> {
        let executable = match &self.executable {
            Some(executable) => executable.clone(),
            None => std::env::current_exe()
                .map_err(|why| Failure::io("find", "the executable of this command", why))?,
        };
        std::fs::canonicalize(&executable).map_err(|why| Failure::io("find", &executable, why))
    }
}

/// `named`: that there is nothing to upgrade is worth a word.
fn upgrade(
    session: &Session,
    executable: &Path,
    named: bool,
    context: &Context,
) -> Result<(), Failure> {
    let Some(mut connection) = session_client::connect(session)? else {
        let sentence = session.status()?.sentence();
        return if named {
            context.verbose(format!("{sentence} It has no holder to upgrade."))
        } else {
            Ok(())
        };
    };
    let name = session.status()?.name;
    let before = info(&mut connection)?;
    let path = executable.as_os_str().to_owned().into();
    match connection.call::<Value>(Call::Upgrade { executable: path }) {
        Err(Error::Closed) => {}
        Err(error) => return Err(error.into()),
        Ok(_) => return Err(unchanged(&name)),
    }
    let Some(mut connection) = session_client::connect(session)? else {
        return Err(unchanged(&name));
    };
    let after = info(&mut connection)?;
    let file = std::fs::metadata(executable).map_err(|why| Failure::io("find", executable, why))?;
    if after.executable != (file.dev(), file.ino()) {
        return Err(unchanged(&name));
    }
    let HolderInfo { version, .. } = after;
    let pid = if after.pid == before.pid {
        String::new()
    } else {
        format!(", with another holder, PID {}", after.pid)
    };
    context.verbose(format!("Session '{name}' goes on with {version}{pid}"))
}

fn info(connection: &mut Connection) -> Result<HolderInfo, Failure> {
    Ok(connection.call(Call::Holder {})?)
}

fn unchanged(name: &str) -> Failure {
    let why = format!("the holder of session '{name}' did not come back as the new program");
    Failure::new(Code::HolderUnreachable, why)
        .hint(format!("`session status {name}` tells what is"))
}
