//! The minimal language `sess`: sessions by number, one client each, few words. `session` called as `sess`, or `session sess`.
//!
//! Its sessions are ordinary ones, its texts and exit codes those that scripts around it know (docs/adr/0021-sess.md).

mod arguments;
mod attach;
mod create;
mod detach;
mod kill;
mod ls;
mod place;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use arguments::{Act, Arguments, Wish};
use place::Place;

use crate::failure::Failure;

pub use arguments::command;

/// Whether an executable of this name speaks `sess`.
pub(crate) fn is_called(executable: &OsStr) -> bool {
    Path::new(executable).file_name() == Some(OsStr::new("sess"))
}

/// Runs `sess` with these arguments, without the program's name.
pub(crate) fn run(words: &[OsString]) -> ExitCode {
    act(words).unwrap_or_else(Failure::report_to_scripts)
}

fn act(words: &[OsString]) -> Result<ExitCode, Failure> {
    let Arguments { wish, ctrl_x } = Arguments::parse(words)?;
    match wish {
        Wish::Version => arguments::print_version(),
        Wish::Help => arguments::print_help(),
        Wish::Create => create::create_next(ctrl_x),
        Wish::Act(act) => act_at(&Place::open()?, act, ctrl_x),
    }
}

fn act_at(place: &Place, act: Act, ctrl_x: bool) -> Result<ExitCode, Failure> {
    match act {
        Act::Attach(number) => attach::attach(place, &number, ctrl_x),
        Act::AttachOrCreate(number) => attach::attach_or_create(place, &number, ctrl_x),
        Act::Detach => detach::detach(place),
        Act::KillAll => kill::kill_all(place),
        Act::Kill(number) => kill::kill(place, number.as_deref()),
        Act::List => ls::ls(place),
    }
}
