//! `cargo xtask freestanding`: session-hierarchy needs no std. A program without it is built, looked through and run.

use std::path::Path;
use std::process::Command;

use crate::cargo::{release, target_directory};

/// The program's manifest. It is a workspace of its own, with a panic handler that the others could not have beside
/// that of std.
pub(crate) const PROGRAM: &str = "crates/session-hierarchy/freestanding/Cargo.toml";

/// Checks with the lock of a kernel, and with no feature at all.
pub(crate) fn check(root: &Path) -> Result<(), String> {
    let target = target_directory(root)?;
    for features in [&[][..], &["--no-default-features"]] {
        let program = [
            "--manifest-path",
            PROGRAM,
            "--locked",
            "--target-dir",
            &target,
        ];
        let executable = release(root, &[&program, features].concat())?;
        look_through(&symbols(&executable)?)?;
        run(&executable)?;
    }
    Ok(())
}

/// What nm(1) of binutils says, which is wherever a C compiler is.
fn symbols(executable: &Path) -> Result<String, String> {
    let output = Command::new("nm")
        .arg("-C")
        .arg(executable)
        .output()
        .map_err(|why| format!("cannot run nm: {why}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Fails on std; also if session-hierarchy cannot be seen, for then std could not be either.
fn look_through(symbols: &str) -> Result<(), String> {
    if let Some(line) = line_naming("std", symbols) {
        return Err(format!("std is in the program without std: {line}"));
    }
    match line_naming("session_hierarchy", symbols) {
        Some(_) => Ok(()),
        None => Err("no symbol of session_hierarchy is in its program: nothing is proved".into()),
    }
}

/// The first line that names something of a crate.
fn line_naming<'a>(name: &str, symbols: &'a str) -> Option<&'a str> {
    let path = format!("{name}::");
    symbols.lines().find(|line| {
        line.match_indices(&path)
            .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
    })
}

fn run(executable: &Path) -> Result<(), String> {
    let status = Command::new(executable)
        .status()
        .map_err(|why| format!("cannot run {}: {why}", executable.display()))?;
    if status.success() {
        Ok(())
    } else {
        // The code is the number of the step.
        Err(format!("a step of {PROGRAM}'s story is wrong: {status}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn std_is_found_by_its_name_alone() {
        let ours = "01 t session_hierarchy::init::INIT\n02 t my_std::x\n         U memcpy\n";
        assert_eq!(look_through(ours), Ok(()));
        for theirs in [
            "03 t std::io::stdio::_print",
            "04 t <std::fs::File as core::fmt::Debug>::fmt",
        ] {
            assert!(look_through(&format!("{ours}{theirs}\n")).is_err());
        }
        assert!(look_through("05 t main\n").is_err());
    }
}
