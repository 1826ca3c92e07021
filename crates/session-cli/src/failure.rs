//! Why a verb failed: what a person reads, the stable word for programs, and the exit code. One place maps
//! every error of the layers below.

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use session_protocol::{ByteString, Code, Error};
use session_store::BadName;

use crate::json;

/// A verb's failure. `?` makes one of any error of the crates below.
#[derive(Debug)]
pub(crate) enum Failure {
    /// To be told on stderr.
    Told(Told),
    /// The arguments, as clap saw them: help and version, too.
    Usage(clap::Error),
    /// Whoever read our output went away: nothing to tell, and nobody to tell it to.
    BrokenPipe,
    /// A signal ended the verb: nothing to tell, and 128+n is its exit code.
    Signal(i32),
}

/// What is told on stderr.
#[derive(Debug)]
pub(crate) struct Told {
    error: Error,
    hint: Option<String>,
    bare: bool,
}

impl Failure {
    /// A failure of kind `code`.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Error::new(code, message).into()
    }

    /// The arguments make no sense: exit code 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, message)
    }

    /// A sentence that is part of the contract: printed as it is, without `session: ` in front.
    pub(crate) fn sentence(code: Code, sentence: impl Into<String>) -> Self {
        Self::Told(Told {
            error: Error::new(code, sentence),
            hint: None,
            bare: true,
        })
    }

    /// What the kernel or the file system refused; `act` is a verb, such as `read`.
    pub(crate) fn io(act: &str, path: impl AsRef<Path>, why: impl Into<io::Error>) -> Self {
        let why = why.into();
        let code = match why.kind() {
            io::ErrorKind::PermissionDenied => Code::Denied,
            _ => Code::Io,
        };
        let path = path.as_ref().display();
        Self::new(code, format!("cannot {act} {path}: {}", reason(&why)))
    }

    /// What was asked for could not be written out.
    pub(crate) fn output(why: io::Error) -> Self {
        match why.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::io("write to", "standard output", why),
        }
    }

    /// With what to do about it, on the same line.
    pub(crate) fn hint(mut self, hint: impl Display) -> Self {
        if let Self::Told(told) = &mut self {
            told.hint = Some(hint.to_string());
        }
        self
    }

    /// With what was to be done in front.
    pub(crate) fn because(mut self, act: &str) -> Self {
        if let Self::Told(told) = &mut self {
            told.error.message = format!("{act}: {}", told.error.message);
        }
        self
    }

    /// The stable word, where there is one.
    pub(crate) fn code(&self) -> Option<Code> {
        match self {
            Self::Told(told) => Some(told.error.code),
            Self::Usage(_) => Some(Code::Usage),
            Self::BrokenPipe | Self::Signal(_) => None,
        }
    }

    /// What is told, without hint; `None` where clap or nobody tells it.
    pub(crate) fn message(&self) -> Option<&str> {
        match self {
            Self::Told(told) => Some(&told.error.message),
            Self::Usage(_) | Self::BrokenPipe | Self::Signal(_) => None,
        }
    }

    /// Tells it on stderr and gives the exit code. `verb` is whose help a usage error names.
    pub(crate) fn report(self, json: bool, verb: Option<&str>) -> ExitCode {
        let told = match self {
            Self::BrokenPipe => return ExitCode::SUCCESS,
            Self::Signal(signal) => return ExitCode::from(128 | signal as u8),
            Self::Told(told) => told,
            Self::Usage(error) => match usage(error, verb) {
                Ok(told) => told,
                Err(code) => return code,
            },
        };
        eprint_line(&told.line(json));
        ExitCode::from(exit_code(told.error.code))
    }

    /// As `sess` tells it and ends: `Error: …`, with 2 for a wrong flag and 1 for the rest.
    pub(crate) fn report_to_scripts(self) -> ExitCode {
        let told = match self {
            Self::Told(told) => told,
            other => return other.report(false, None),
        };
        let message = ByteString::from(told.error.message.as_str()).escaped();
        let hint = told
            .hint
            .map_or_else(String::new, |hint| format!("; {hint}"));
        eprint_line(&format!("Error: {message}{hint}"));
        ExitCode::from(match told.error.code {
            Code::Usage => 2,
            _ => 1,
        })
    }
}

impl Told {
    fn line(&self, json: bool) -> String {
        // Names, paths and arguments are in it: none of them may act on the terminal.
        let message = ByteString::from(self.error.message.as_str()).escaped();
        if json {
            let error = Error::new(self.error.code, message);
            let object = serde_json::json!({ "error": error });
            // A word and a text are always JSON.
            return json::line(&object).unwrap_or_default();
        }
        let prefix = if self.bare { "" } else { "session: " };
        match &self.hint {
            Some(hint) if self.bare => format!("{message} ({hint})"),
            Some(hint) => format!("{prefix}{message}; {hint}"),
            None => format!("{prefix}{message}"),
        }
    }
}

fn exit_code(code: Code) -> u8 {
    match code {
        Code::Usage => 2,
        Code::NotFound => 4,
        Code::Timeout => 124,
        _ => 1,
    }
}

/// Characters of a wrong value that are shown: it is known to who gave it.
const LONGEST_VALUE: usize = 80;

/// Help and version are printed here; a real error becomes one line.
fn usage(mut error: clap::Error, verb: Option<&str>) -> Result<Told, ExitCode> {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // A reader that went away is no failure of help.
            let _ = error.print();
            return Err(ExitCode::from(error.exit_code() as u8));
        }
        _ => {}
    }
    if let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue)
        && let Some((end, _)) = value.char_indices().nth(LONGEST_VALUE)
    {
        let short = format!("{}\u{2026}", &value[..end]);
        error.insert(ContextKind::InvalidValue, ContextValue::String(short));
    }
    let help = verb.map_or_else(
        || "try `session --help`".to_owned(),
        |verb| format!("try `session {verb} --help`"),
    );
    Ok(Told {
        error: Error::new(Code::Usage, one_line(&error.render().to_string())),
        hint: Some(help),
        bare: false,
    })
}

/// clap's message and its tips without usage and help, in one line.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for text in text.lines().map(str::trim) {
        if text.starts_with("Usage:") || text.starts_with("For more information") {
            break;
        }
        // How to write a value that looks like an option is not what was asked.
        if text.is_empty() || text.starts_with("tip: to pass") {
            continue;
        }
        let (glue, text) = match text.strip_prefix("tip: ") {
            Some(tip) => ("; ", tip),
            None => (" ", text.trim_start_matches("error: ")),
        };
        if !line.is_empty() {
            line.push_str(glue);
        }
        line.push_str(text);
    }
    line
}

/// Why the kernel refused, in its words without its number.
pub(crate) fn reason(why: &io::Error) -> String {
    without_number(&why.to_string())
}

/// A message of a layer below, in which the standard library numbered what the kernel said.
fn without_number(text: &str) -> String {
    let numbered = text.split_once(" (os error ");
    match numbered.and_then(|(said, rest)| Some((said, rest.split_once(')')?.1))) {
        Some((said, rest)) => format!("{said}{rest}"),
        None => text.to_owned(),
    }
}

/// A line on stderr in one write, so that lines of several processes do not mix. A closed stderr is no failure.
pub(crate) fn eprint_line(line: &str) {
    use io::Write as _;
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

impl From<Error> for Failure {
    fn from(mut error: Error) -> Self {
        error.message = without_number(&error.message);
        // Holders refuse with the session's own status line where that says it all.
        let bare = error.message.starts_with("Session '");
        Self::Told(Told {
            error,
            hint: None,
            bare,
        })
    }
}

impl From<session_store::Error> for Failure {
    fn from(error: session_store::Error) -> Self {
        match error {
            session_store::Error::Name(why @ BadName::Empty) => Self::usage(why.to_string()),
            error => Error::from(error).into(),
        }
    }
}

impl From<session_client::Error> for Failure {
    fn from(error: session_client::Error) -> Self {
        Error::from(error).into()
    }
}

impl From<session_holder::Error> for Failure {
    fn from(error: session_holder::Error) -> Self {
        match error {
            session_holder::Error::Store(error) => error.into(),
            error @ session_holder::Error::Start { .. } => Self::new(Code::Io, error.to_string()),
            error @ (session_holder::Error::Reclaim { .. }
            | session_holder::Error::Unknown { .. }) => {
                Self::new(Code::NotEmpty, error.to_string())
            }
        }
    }
}

impl From<clap::Error> for Failure {
    fn from(error: clap::Error) -> Self {
        Self::Usage(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            io::ErrorKind::PermissionDenied => Self::new(Code::Denied, reason(&error)),
            _ => Self::new(Code::Io, reason(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(failure: Failure) -> Told {
        match failure {
            Failure::Told(told) => told,
            Failure::Usage(error) => usage(error, Some("create")).unwrap(),
            Failure::BrokenPipe | Failure::Signal(_) => panic!("nothing is told"),
        }
    }

    #[test]
    fn codes_of_the_contract() {
        for (failure, code, line) in [
            (
                Failure::from(session_store::Error::NotFound("x".into())),
                4,
                "session: there is no session 'x'",
            ),
            (
                session_store::Error::Exists("x".parse().unwrap()).into(),
                1,
                "session: a session named 'x' exists already",
            ),
            (
                Failure::new(Code::Timeout, "too late"),
                124,
                "session: too late",
            ),
            (
                Failure::usage("what?").hint("see there"),
                2,
                "session: what?; see there",
            ),
            (
                Failure::sentence(Code::Running, "The session is running."),
                1,
                "The session is running.",
            ),
            (
                Error::new(Code::Running, "Session 'x' is running, PID 3.").into(),
                1,
                "Session 'x' is running, PID 3.",
            ),
            (
                Failure::sentence(Code::NotRunning, "Session 'x' is stopped.").hint("start it"),
                1,
                "Session 'x' is stopped. (start it)",
            ),
            (
                Error::new(
                    Code::Io,
                    "cannot write /x: No space left (os error 28), says /y",
                )
                .into(),
                1,
                "session: cannot write /x: No space left, says /y",
            ),
            (
                Failure::io("read", "/x", rustix::io::Errno::NOENT),
                1,
                "session: cannot read /x: No such file or directory",
            ),
            (
                session_client::Error::Unreachable { pid: 7 }.into(),
                1,
                "session: the holder of the session, PID 7, does not answer",
            ),
        ] {
            let told = told(failure);
            assert_eq!(exit_code(told.error.code), code, "{line}");
            assert_eq!(told.line(false), line);
        }
    }

    #[test]
    fn an_error_cannot_act_on_the_terminal_and_is_one_object_in_json() {
        let told = told(Failure::new(Code::NotFound, "no\n\x1b[2J").hint("no hint in JSON"));
        assert_eq!(
            told.line(false),
            "session: no\\n\\u{1b}[2J; no hint in JSON"
        );
        let json: serde_json::Value = serde_json::from_str(&told.line(true)).unwrap();
        assert_eq!(json["error"]["code"], "not_found");
        assert_eq!(json["error"]["message"], "no\\n\\u{1b}[2J");
    }

    #[test]
    fn a_long_value_is_not_repeated_in_full() {
        let long = "x".repeat(2000);
        let arguments = ["session", "wait", "x", "--text", &long];
        let error = crate::command().try_get_matches_from(arguments);
        let line = told(error.unwrap_err().into()).line(false);
        assert!(line.contains("xxx\u{2026}'") && line.len() < 300, "{line}");
    }

    #[test]
    fn usage_errors_are_one_line() {
        for (arguments, line) in [
            (
                &["session", "create"][..],
                "the following required arguments were not provided: <COMMAND>...",
            ),
            (
                &["session", "ls", "--jso"],
                "unexpected argument '--jso' found; a similar argument exists: '--json'",
            ),
            (
                &["session", "create", "--nam", "x"],
                "unexpected argument '--nam' found; a similar argument exists: '--name'; try",
            ),
            (
                &["session", "kill", "-s", "NO", "x"],
                "invalid value 'NO' for '--signal <SIGNAL>': 'NO' is no signal; use a name such as",
            ),
            (&["session", "lss"], "unrecognized subcommand 'lss'; "),
        ] {
            let error = crate::command()
                .try_get_matches_from(arguments)
                .unwrap_err();
            let told = told(error.into());
            let shown = told.line(false);
            assert!(shown.starts_with(&format!("session: {line}")), "{shown}");
            assert!(shown.ends_with("try `session create --help`") && !shown.contains('\n'));
        }
    }
}
