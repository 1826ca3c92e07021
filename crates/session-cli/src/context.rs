//! What every verb is given: the state directory, opened when first needed, and how to print.

use std::cell::OnceCell;
use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use session_protocol::Code;
use session_store::{Root, Session};

use crate::failure::{Failure, eprint_line};
use crate::json;

// No documentation comment here: clap would take it for the text about each verb.
#[derive(Args, Clone, Debug, Default)]
#[group(skip)]
pub(crate) struct Common {
    /// Print JSON; an error is {"error":{"code":…,"message":…}} on stderr
    #[arg(long, global = true, help_heading = "Every verb")]
    pub(crate) json: bool,
    /// Print nothing on success
    #[arg(
        short,
        long,
        global = true,
        conflicts_with = "verbose",
        help_heading = "Every verb"
    )]
    pub(crate) quiet: bool,
    /// Say what was done
    #[arg(short, long, global = true, help_heading = "Every verb")]
    pub(crate) verbose: bool,
}

/// What every verb is given.
pub(crate) struct Context {
    /// `--json`
    pub(crate) json: bool,
    /// `--quiet`
    pub(crate) quiet: bool,
    /// `--verbose`
    pub(crate) verbose: bool,
    /// The verb's word, for its usage errors.
    pub(crate) verb: &'static str,
    root: OnceCell<Root>,
}

impl Context {
    /// For the verb called `verb`.
    pub(crate) fn new(common: &Common, verb: &'static str) -> Self {
        Self {
            json: common.json,
            quiet: common.quiet,
            verbose: common.verbose,
            verb,
            root: OnceCell::new(),
        }
    }

    /// The state directory, created if missing: for verbs that make a session.
    pub(crate) fn root(&self) -> Result<&Root, Failure> {
        if let Some(root) = self.root.get() {
            return Ok(root);
        }
        let root = Root::open(&Root::locate()?)?;
        Ok(self.root.get_or_init(|| root))
    }

    /// The state directory if there is one: reading creates nothing.
    pub(crate) fn existing(&self) -> Result<Option<&Root>, Failure> {
        if let Some(root) = self.root.get() {
            return Ok(Some(root));
        }
        let Some(root) = Root::open_existing(&Root::locate()?)? else {
            return Ok(None);
        };
        Ok(Some(self.root.get_or_init(|| root)))
    }

    /// The session with this name, id or unique beginning of an id.
    pub(crate) fn session(&self, given: &str) -> Result<Session, Failure> {
        match self.existing()? {
            Some(root) => Ok(root.find(given)?),
            None => Err(session_store::Error::not_found(given).into()),
        }
    }

    /// Acts on every session that `given` means (names, ids and globs), once on each. Each failure is told and the others go on; the exit code is
    /// that of the first failure.
    pub(crate) fn each(
        &self,
        given: &[String],
        mut act: impl FnMut(&Session) -> Result<(), Failure>,
    ) -> Result<ExitCode, Failure> {
        let mut done = Vec::new();
        let mut first = None;
        for given in given {
            let found = self.matching(given).unwrap_or_else(|failure| {
                let code = self.tell(failure);
                first.get_or_insert(code);
                Vec::new()
            });
            for session in found {
                if done.contains(session.id()) {
                    continue;
                }
                done.push(*session.id());
                if let Err(failure) = act(&session) {
                    let code = self.tell(failure);
                    first.get_or_insert(code);
                }
            }
        }
        Ok(first.unwrap_or(ExitCode::SUCCESS))
    }

    /// As [`Context::session`], for a verb that changes or ends something: a short text is rather a name that is gone
    /// than the beginning of an id, so it does not guess (`docs/adr/0012-four-digits-before-something-ends.md`).
    pub(crate) fn session_to_change(&self, given: &str) -> Result<Session, Failure> {
        let session = self.session(given)?;
        if given.len() < 4 && session.status()?.name != given {
            let why = format!("there is no session '{given}'");
            let hint = format!("the id {} begins so: give four digits", session.id());
            return Err(Failure::new(Code::NotFound, why).hint(hint));
        }
        Ok(session)
    }

    fn matching(&self, given: &str) -> Result<Vec<Session>, Failure> {
        // No name holds one of these, so a text with one can only be a glob.
        if !given.contains(['*', '?', '[']) {
            return Ok(vec![self.session_to_change(given)?]);
        }
        // A path's `**` has no meaning here.
        let mut pattern = given.to_owned();
        while pattern.contains("**") {
            pattern = pattern.replace("**", "*");
        }
        let glob = glob::Pattern::new(&pattern)
            .map_err(|error| Failure::usage(format!("'{given}' is not a glob: {}", error.msg)))?;
        let mut found = Vec::new();
        if let Some(root) = self.existing()? {
            for listed in root.list()? {
                // Those that cannot be read or belong to another machine are not meant by "all that match".
                if listed.status.is_ok() && !listed.foreign && glob.matches(&listed.name) {
                    match root.session(&listed.id) {
                        Ok(session) => found.push(session),
                        // Deleted since it was listed.
                        Err(session_store::Error::NotFound(_)) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
        if found.is_empty() {
            return Err(Failure::new(
                Code::NotFound,
                format!("no session matches '{given}'"),
            ));
        }
        Ok(found)
    }

    /// Tells a failure on stderr and gives its exit code.
    pub(crate) fn tell(&self, failure: Failure) -> ExitCode {
        failure.report(self.json, Some(self.verb))
    }

    /// A line on stdout, unless `--quiet`.
    pub(crate) fn print(&self, line: impl Display) -> Result<(), Failure> {
        if self.quiet {
            return Ok(());
        }
        self.write(format!("{line}\n").as_bytes())
    }

    /// A value as one line of JSON on stdout.
    pub(crate) fn print_json(&self, value: &impl Serialize) -> Result<(), Failure> {
        let mut line =
            json::line(value).map_err(|why| Failure::new(Code::Other, why.to_string()))?;
        line.push('\n');
        self.write(line.as_bytes())
    }

    /// Bytes on stdout, in one write where the kernel allows.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
        written.map_err(Failure::output)
    }

    /// A line on stdout with `--verbose`: for verbs that print nothing.
    pub(crate) fn verbose(&self, line: impl Display) -> Result<(), Failure> {
        if self.verbose && !self.json {
            self.print(line)?;
        }
        Ok(())
    }

    /// A remark on stderr, unless `--quiet`: something a person should know that is no failure.
    pub(crate) fn remark(&self, line: impl Display) {
        if !self.quiet {
            eprint_line(&format!("session: {line}"));
        }
    }

    /// Whether a person reads stdout.
    pub(crate) fn is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }
}
