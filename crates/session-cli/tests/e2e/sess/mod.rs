//! The minimal language `sess`, as a person and the scripts around it use it: by a link to the executable, in a home of its own.

mod clients;
mod files;
mod numbers;
mod paste;
mod usage;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Ran, Sandbox, Terminal, ran};

/// A world in which the executable is called `sess`, too.
struct World {
    sandbox: Sandbox,
    link: PathBuf,
}

impl World {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let link = sandbox.path("sess");
        std::os::unix::fs::symlink(sandbox.executable(), &link).unwrap();
        Self { sandbox, link }
    }

    /// `sess ARGS`, not run yet.
    fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(&self.link);
        let environment = self.environment(&[]);
        command.args(args).env_clear().envs(environment);
        command.current_dir(self.sandbox.path(""));
        command.stdin(std::process::Stdio::null());
        command
    }

    /// Runs `sess ARGS` without a terminal.
    fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Ran {
        ran(&mut self.command(args))
    }

    /// The same, which must succeed without a word on stderr; gives what it printed.
    fn ok<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> String {
        let ran = self.run(args);
        assert!(ran.code == 0 && ran.err.is_empty(), "{ran:?}");
        ran.out
    }

    /// The same, which must fail with this code and this line.
    fn fails<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>, code: i32, line: &str) {
        let ran = self.run(args);
        assert_eq!((ran.code, ran.err.trim_end()), (code, line));
    }

    /// `sess ARGS` on a terminal of its own.
    fn terminal(&self, args: &[&str]) -> Terminal {
        self.terminal_with(&[], args)
    }

    /// With further variables.
    fn terminal_with(&self, more: &[(&str, &str)], args: &[&str]) -> Terminal {
        let here = self.sandbox.path("");
        Terminal::run(&self.link, args, &self.environment(more), &here, (24, 80))
    }

    /// Attached to a new session, whose shell has said its prompt.
    fn create(&self) -> Terminal {
        let mut terminal = self.terminal(&[]);
        terminal.shows(PROMPT);
        terminal
    }

    /// Attached to the session that is there.
    fn attach(&self, number: &str) -> Terminal {
        let mut terminal = self.terminal(&["-a", number]);
        terminal.shows(PROMPT);
        terminal
    }

    fn environment(&self, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let executable = self.sandbox.executable().display().to_string();
        let mut environment: BTreeMap<_, _> = self.sandbox.environment().into_iter().collect();
        let ours = [
            ("SHELL", "/bin/sh"),
            ("PS1", PROMPT),
            ("TZ", "UTC"),
            ("SESSION", &executable),
        ];
        for (key, value) in ours.iter().chain(more) {
            environment.insert((*key).to_owned(), (*value).to_owned());
        }
        environment.into_iter().collect()
    }

    /// A file in `~/.sess`.
    fn file(&self, name: &str) -> PathBuf {
        self.sandbox.path(".sess").join(name)
    }

    /// What is in `~/.sess`, sorted.
    fn files(&self) -> Vec<String> {
        names(&self.sandbox.path(".sess"))
    }

    /// The JSON of a file there.
    fn json(&self, name: &str) -> serde_json::Value {
        let text = std::fs::read_to_string(self.file(name)).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"))
    }
}

/// What the shell asks with.
const PROMPT: &str = "ready> ";

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
