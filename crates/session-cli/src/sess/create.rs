//! `sess`: a session with the next number, or a chosen one, and the user's shell.

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use session_protocol::{ByteString, Code};
use session_store::{Name, Restart, Spec, Wanted};

use super::arguments::print;
use super::attach::{self, needs_terminal};
use super::place::Place;
use crate::attaching::from_the_start;
use crate::creating::{Creation, directory, executable};
use crate::failure::Failure;
use crate::terminal;

/// How long a shell's processes may take to end before they are killed, as the original has it.
const STOP_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1);

/// Creates a session with the next number.
pub(super) fn create_next(ctrl_x: bool) -> Result<ExitCode, Failure> {
    // First of all, for it takes longest to begin.
    let creation = begin()?;
    create(&Place::open()?, creation, None, ctrl_x)
}

/// The size is that of the terminal, if there is one.
pub(super) fn begin() -> Result<Creation, Failure> {
    let is_terminal = io::stdin().is_terminal();
    Creation::begin(is_terminal.then(terminal::size))
}

/// Creates a session and attaches to it. Without a terminal it is created all the same, and then there is an error.
pub(super) fn create(
    place: &Place,
    creation: Creation,
    chosen: Option<Name>,
    ctrl_x: bool,
) -> Result<ExitCode, Failure> {
    place.refuse_inside()?;
    let spec = spec(place)?;
    let root = place.root()?;
    let make = |name: Name| {
        let mut spec = spec.clone();
        let number = name.as_str().into();
        spec.env.insert("SESS_NUM".into(), number);
        creation.make(root, Wanted::Exact(name), spec)
    };
    let owned = match chosen {
        Some(name) => {
            place.sess.given(&name)?;
            make(name)?
        }
        // The first number that no ordinary session is called by.
        None => loop {
            match make(place.sess.next_number()?) {
                Err(failure) if failure.code() == Some(Code::Exists) => {}
                made => break made?,
            }
        },
    };
    let record = owned.record();
    let created = format!(
        "Created session {} at {}",
        record.name,
        attach::minute(record.created_at)
    );
    match needs_terminal() {
        Ok(()) => {
            let starting = creation.start(owned, Some(from_the_start()))?;
            attach::newly(place, starting, &created, ctrl_x)
        }
        Err(failure) => {
            creation.start(owned, None)?.run(true)?;
            print(&format!("{created}\n"))?;
            Err(failure.because(attach::FAILED))
        }
    }
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
