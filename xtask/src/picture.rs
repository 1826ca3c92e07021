//! `cargo xtask picture`: the picture in the README, taken by `session screen --svg` of a session in which Session is used:
//! it cannot promise what is not there.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Kept short enough for one line of the terminal.
const CREATE: &str = r"session create -n count -- sh -c 'while echo $((i+=1)); do sleep 1; done'";
/// The session that is looked at.
const DEMO: &str = "a terminal";
const SIZE: &str = "fixed 92x21";
const PATIENCE: Duration = Duration::from_secs(30);

/// Plays the scene with `executable` in a private world, and draws it to `docs/picture.svg`.
pub(crate) fn draw(root: &Path, executable: &Path) -> Result<(), String> {
    let executable = fs::canonicalize(executable)
        .map_err(|why| format!("cannot find {}: {why}", executable.display()))?;
    let world = tempfile::tempdir().map_err(|why| why.to_string())?;
    std::os::unix::fs::symlink(&executable, world.path().join("session"))
        .map_err(|why| why.to_string())?;
    let scene = Scene {
        world: world.path(),
    };
    let played = scene.play(&root.join("docs/picture.svg"));
    // Whatever came of the scene, nothing of it stays.
    let _ = scene.session(&["rm", "-f", "*"]);
    played
}

struct Scene<'a> {
    world: &'a Path,
}

impl Scene<'_> {
    /// A command is left to itself, found again, killed, found restarted, and stopped.
    fn play(&self, file: &Path) -> Result<(), String> {
        self.session(&[
            "create", "-n", "demo", "--title", DEMO, "--size", SIZE, "sh",
        ])?;
        self.shows(|screen| screen == "$")?;
        self.command(CREATE)?;
        self.shows(|screen| screen.contains("started"))?;
        self.command("session attach count")?;
        self.shows(|screen| screen.ends_with("\n4"))?;
        self.session(&["send", "demo", "--keys", r"C-\"])?;
        self.shows(|screen| screen.ends_with('$'))?;
        self.command("session status count")?;
        let shown = self.shows(|screen| screen.ends_with(".\n$"))?;
        let pid = shown
            .rsplit_once("PID ")
            .and_then(|(_, rest)| rest.split('.').next());
        let pid = pid.ok_or("status shows no PID")?.to_owned();
        self.command(&format!("kill -9 {pid}"))?;
        self.restarted(&pid)?;
        for line in [
            "session ls",
            "session logs -n 3 count",
            "session stop count",
            "session status count",
        ] {
            self.command(line)?;
            self.shows(|screen| screen.ends_with("\n$") && screen.contains(line))?;
        }
        let file = file.to_str().ok_or("a path that is not UTF-8")?;
        self.session(&["screen", "--svg", file, "demo"]).map(drop)
    }

    /// Types a line.
    fn command(&self, line: &str) -> Result<(), String> {
        self.session(&["send", "demo", line, "--enter"]).map(drop)
    }

    /// Waits until the screen, without its trailing blanks, is as it is wanted.
    fn shows(&self, wanted: impl Fn(&str) -> bool) -> Result<String, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let screen = self.session(&["screen", "demo"])?;
            if wanted(screen.trim_end()) {
                return Ok(screen);
            }
            if Instant::now() > deadline {
                return Err(format!("the scene does not go on:\n{screen}"));
            }
            // What it says next, or that it says no more for a while.
            self.session(&["wait", "demo", "--idle", "100ms", "--timeout", "1s"])
                .ok();
        }
    }

    /// Waits for another main process than `pid`.
    fn restarted(&self, pid: &str) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let status = self.session(&["status", "count"])?;
            if status.contains("is running") && !status.contains(&format!("PID {pid}.")) {
                return Ok(());
            }
        }
        Err("the session does not come back".to_owned())
    }

    fn session(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new(self.world.join("session"))
            .args(arguments)
            .env_clear()
            .envs(self.environment())
            .output()
            .map_err(|why| why.to_string())?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            return Err(format!("session {}: {why}", arguments.join(" ")));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Nothing of the machine or its user is in here, so nothing of them is in the picture.
    fn environment(&self) -> Vec<(&'static str, String)> {
        let here = self.world.display();
        vec![
            ("PATH", format!("{here}:/usr/local/bin:/usr/bin:/bin")),
            ("HOME", here.to_string()),
            ("SESSION_HOME", format!("{here}/state")),
            ("TERM", "xterm-256color".to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            ("PS1", "\x1b[1;32m$\x1b[m ".to_owned()),
        ]
    }
}
