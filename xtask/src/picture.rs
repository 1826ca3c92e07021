//! `cargo xtask picture`: the picture in the README, drawn from a real run so that it cannot promise what is not there.

mod svg;
mod terminal;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use svg::Window;
use terminal::Terminal;

/// Kept short enough for one line of the terminal.
const CREATE: &str = r"session create -n count -- sh -c 'while echo $((i+=1)); do sleep 1; done'";
/// Ctrl-\
const DETACH: &str = "\x1c";
const PATIENCE: Duration = Duration::from_secs(30);

/// Plays the scene with `executable` in a private world, and draws it to `docs/picture.svg`.
pub(crate) fn draw(root: &Path, executable: &Path) -> Result<(), String> {
    let executable = fs::canonicalize(executable)
        .map_err(|why| format!("cannot find {}: {why}", executable.display()))?;
    let world = tempfile::tempdir().map_err(|why| why.to_string())?;
    let failed = |why: std::io::Error| why.to_string();
    std::os::unix::fs::symlink(&executable, world.path().join("session")).map_err(failed)?;
    let played = play(world.path());
    // Whatever came of the scene, nothing of it stays.
    let _ = session(world.path(), &["rm", "-f", "count"]);
    fs::write(root.join("docs/picture.svg"), svg::render(&played?)).map_err(failed)
}

/// The scene: a session is left behind in one terminal and found again in another; a window of each.
fn play(world: &Path) -> Result<[Window; 2], String> {
    let mut first = Terminal::shell(world, &environment(world))?;
    first.prompt()?;
    first.command(CREATE)?;
    first.command("session ls")?;
    first.type_text("session attach count")?;
    first.until(|screen| screen.contents().ends_with("attach count"))?;
    let one = Window {
        title: "a terminal, closed while it watches",
        screen: first.screen(),
    };
    first.line("")?;
    first.until(|screen| screen.contents().contains("2\n"))?;
    drop(first);

    let mut second = Terminal::shell(world, &environment(world))?;
    second.prompt()?;
    second.line("session attach count")?;
    second.until(|screen| screen.contents().contains("5\n"))?;
    second.type_text(DETACH)?;
    second.prompt()?;
    let shown = second.command("session status count")?;
    let pid = shown
        .rsplit_once("PID ")
        .and_then(|(_, rest)| rest.split('.').next())
        .ok_or("status shows no PID")?
        .to_owned();
    second.command(&format!("kill -9 {pid}"))?;
    until_restarted(world, &pid)?;
    second.command("session status count")?;
    second.command("session stop count")?;
    second.command("session status count")?;
    let other = Window {
        title: "another terminal: session attach count, and Ctrl-\\ to leave it",
        screen: second.screen(),
    };
    Ok([one, other])
}

/// Waits for another main process than `pid`.
fn until_restarted(world: &Path, pid: &str) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let status = session(world, &["status", "count"])?;
        if status.contains("is running") && !status.contains(&format!("PID {pid}.")) {
            return Ok(());
        }
    }
    Err("the session does not come back".to_owned())
}

fn session(world: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(world.join("session"))
        .args(arguments)
        .env_clear()
        .envs(environment(world))
        .output()
        .map_err(|why| why.to_string())?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Nothing of the machine or its user is in here, so nothing of them is in the picture.
fn environment(world: &Path) -> Vec<(&'static str, String)> {
    let here = world.display();
    vec![
        ("PATH", format!("{here}:/usr/local/bin:/usr/bin:/bin")),
        ("HOME", here.to_string()),
        ("SESSION_HOME", format!("{here}/state")),
        ("TERM", "xterm-256color".to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("PS1", "\x1b[1;32m$\x1b[m ".to_owned()),
    ]
}
