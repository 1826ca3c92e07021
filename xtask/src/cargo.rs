//! Calls of the very cargo that runs the chore.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// `cargo`, in the workspace at `root`.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root);
    cargo
}

/// Where cargo builds: what the environment or the configuration says, or else `target`.
pub(crate) fn target_directory(root: &Path) -> Result<String, String> {
    let metadata = metadata(root, &["--no-deps"])?;
    let directory = metadata["target_directory"].as_str();
    Ok(directory
        .ok_or("cargo metadata names no target directory")?
        .to_owned())
}

/// What `cargo metadata` says, with further `options`.
pub(crate) fn metadata(root: &Path, options: &[&str]) -> Result<Value, String> {
    let output = cargo(root)
        .args(["metadata", "--format-version", "1"])
        .args(options)
        .output()
        .map_err(|why| format!("cannot run cargo metadata: {why}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|why| why.to_string())
}

/// Builds an executable for release, the one that `options` name; where it is.
pub(crate) fn release(root: &Path, options: &[&str]) -> Result<PathBuf, String> {
    let output = cargo(root)
        .args(["build", "--release"])
        .args(options)
        .arg("--message-format=json-render-diagnostics")
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|why| format!("cannot run cargo build: {why}"))?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find_map(|message| Some(message["executable"].as_str()?.into()))
        .ok_or_else(|| "cargo build gave no executable".to_owned())
}
