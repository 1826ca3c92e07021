//! `sess`: a session with the next number, or a chosen one, and the user's shell.

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use session_protocol::ByteString;
use session_store::{Name, Owned, Restart, Spec, Wanted};

use super::attach::{self, Newly};
use super::place::Place;
use crate::creating::{self, directory, executable};
use crate::failure::Failure;
use crate::lifecycle;
use crate::terminal;

/// How long a shell's processes may take to end before they are killed, as the original has it.
const STOP_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1);

/// Creates a session and attaches to it. Without a terminal it is created all the same, and then there is an error.
pub(super) fn create(
    place: &Place,
    chosen: Option<Name>,
    ctrl_x: bool,
) -> Result<ExitCode, Failure> {
    place.refuse_inside()?;
    let spec = spec(place)?;
    lifecycle::check_open_files()?;
    let size = io::stdin().is_terminal().then(terminal::size);
    let owned = match chosen {
        Some(name) => {
            place.sess.given(&name)?;
            make(place, name, spec)?
        }
        None => make_next(place, spec)?,
    };
    let session = owned.session().clone();
    let (connection, status) = creating::start(owned, size, |_| Ok(()))?;
    let number = &status.name;
    let pid = status.pid.unwrap_or_default();
    place
        .trace
        .holder(format_args!("session {number}: shell {pid}"));
    super::arguments::print(&format!(
        "Created session {number} at {}\n",
        attach::minute(status.created_at)
    ))?;
    attach::newly(
        place,
        Newly {
            session,
            status,
            connection,
        },
        ctrl_x,
    )
}

/// With the first number that nobody has taken.
fn make_next(place: &Place, spec: Spec) -> Result<Owned, Failure> {
    loop {
        let name = place.sess.next_number()?;
        match make(place, name, spec.clone()) {
            // An ordinary session is called so.
            Err(failure) if failure.code() == Some(session_protocol::Code::Exists) => {}
            made => return made,
        }
    }
}

fn make(place: &Place, name: Name, mut spec: Spec) -> Result<Owned, Failure> {
    spec.env.insert("SESS_NUM".into(), name.as_str().into());
    Ok(place.root()?.create(Wanted::Exact(name), spec)?)
}

/// The user's shell, which is not started again when it ends, and ends its session.
fn spec(place: &Place) -> Result<Spec, Failure> {
    let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
    let shell: OsString = shell.unwrap_or_else(|| OsStr::new("/bin/sh").to_owned());
    let directory = directory(None)?.into_os_string().into();
    let mut spec = Spec::new(vec![shell.clone().into()], ByteString::default(), directory);
    spec.executable = executable(&shell, &spec)?;
    spec.restart = Restart::No;
    spec.remain_on_exit = false;
    spec.stop_timeout = STOP_TIMEOUT;
    spec.sess = Some(place.sess.path().as_os_str().to_owned().into());
    Ok(spec)
}
