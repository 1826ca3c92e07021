//! Chores of the project, run as `cargo xtask CHORE`.

mod cargo;
mod check;
mod freestanding;
mod layers;
mod man;
mod picture;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask CHORE

  check                 the one gate: format, lints, layers, man pages, dependencies, documentation, tests of every kind
  freestanding          fail if session-hierarchy needs std
  layers                fail on a crate that depends on one of its own or a higher layer
  man                   write the man pages to docs/man
  man --check           fail if they are not up to date
  picture [EXECUTABLE]  run a short scene on a real terminal and draw it to docs/picture.svg";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["check"] => check::check(&root()),
        ["freestanding"] => freestanding::check(&root()),
        ["layers"] => layers::check(&root()),
        ["man"] => man::write(&root().join("docs/man")),
        ["man", "--check"] => man::check(&root().join("docs/man")),
        ["picture"] => cargo::release(&root(), &["--package", "session-cli"])
            .and_then(|file| picture::draw(&root(), &file)),
        ["picture", executable] => picture::draw(&root(), executable.as_ref()),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
