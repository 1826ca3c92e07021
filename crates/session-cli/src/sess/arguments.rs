//! The flags of `sess`, which are written as Go's package `flag` has them: `-a 1`, `-a=1`, `--a 1`, `-version`.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};
use session_protocol::ByteString;

use crate::failure::Failure;

const USAGE: &str = "sess              Create a session and attach to it
       sess ls           List sessions
       sess -a <num>     Attach to a session
       sess -A <num>     Attach to a session, or create it
       sess -x           Detach the current client
       sess -k [<num>]   Kill a session, the current one if none is named
       sess -K           Kill all sessions";

const AFTER: &str = "\
Sessions are numbered: 001, 002, …; 1 means 001. Ctrl-X, typed by itself, detaches. Sessions with a name, made with \
`session create`, are attached to by it, too, and stopped by -k.

Files for scripts lie in ~/.sess. SESS_NUM is the session's number in its shell. SESS_DEBUG=1 tells on stderr what \
happens. See session(1) for the rest.

Exit codes: that of the shell where it ends while attached; else 0, 1 on an error, 2 on a wrong flag.";

/// Flags without a value.
const FLAGS: [&str; 8] = ["x", "C", "K", "v", "h", "no-ctrlx", "version", "help"];

/// What is wanted.
#[derive(Debug, PartialEq)]
pub(super) enum Wish {
    Version,
    Help,
    Create,
    Act(Act),
}

/// What is wanted of the sessions that there are.
#[derive(Debug, PartialEq)]
pub(super) enum Act {
    Attach(String),
    AttachOrCreate(String),
    Detach,
    KillAll,
    /// Without a number the current one.
    Kill(Option<String>),
    List,
}

/// What was written.
#[derive(Debug, PartialEq)]
pub(super) struct Arguments {
    pub(super) wish: Wish,
    /// Ctrl-X detaches.
    pub(super) ctrl_x: bool,
}

/// The parser, also for the man page.
pub fn command() -> Command {
    let flag = |id, short: char| Arg::new(id).short(short).action(ArgAction::SetTrue);
    let number = |id, short: char, alias| {
        Arg::new(id)
            .short(short)
            .alias(alias)
            .value_name("num")
            .allow_hyphen_values(true)
    };
    Command::new("sess")
        .bin_name("sess")
        .about("Minimal session persistence for the terminal")
        .override_usage(USAGE)
        .after_help(AFTER)
        .max_term_width(100)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args_override_self(true)
        .arg(number("attach", 'a', "a").help("Attach to the session"))
        .arg(number("attach-or-create", 'A', "A").help("Attach to the session, or create it"))
        .arg(
            flag("detach", 'x')
                .alias("x")
                .help("Detach the client of this terminal, or the current one"),
        )
        .arg(
            flag("no-ctrlx", 'C')
                .long("no-ctrlx")
                .alias("C")
                .help("Ctrl-X does not detach this time"),
        )
        .arg(
            number("kill", 'k', "k")
                .num_args(0..=1)
                .allow_hyphen_values(false)
                .help("Kill the session, or the current one, with every process of it"),
        )
        .arg(flag("kill-all", 'K').alias("K").help("Kill all sessions"))
        .arg(
            flag("version", 'v')
                .long("version")
                .alias("v")
                .help("Print the version"),
        )
        .arg(flag("help", 'h').long("help").alias("h").help("Print help"))
        .arg(
            Arg::new("words")
                .value_name("ls")
                .num_args(0..)
                .trailing_var_arg(true)
                .hide(true),
        )
}

/// What clap understands of a word as Go's package `flag` has it: `-version` is `--version`, `-x=true` is `-x`, and
/// `-x=false` is nothing.
fn plain(word: &OsString) -> Result<Option<OsString>, Failure> {
    let text = word.to_str().unwrap_or_default();
    let (flag, value) = match text.split_once('=') {
        Some((flag, value)) => (flag, Some(value)),
        None => (text, None),
    };
    let name = flag.strip_prefix("--").or_else(|| flag.strip_prefix('-'));
    let Some(name) = name.filter(|name| FLAGS.contains(name)) else {
        return Ok(Some(word.clone()));
    };
    match value {
        None | Some("1" | "t" | "T" | "true" | "TRUE" | "True") => {
            Ok(Some(format!("--{name}").into()))
        }
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(None),
        Some(value) => {
            let shown = ByteString::from(value).brief();
            Err(usage(format!("invalid boolean value '{shown}' for {flag}")))
        }
    }
}

pub(super) fn print_version() -> Result<ExitCode, Failure> {
    print(&format!("sess v{}\n", env!("CARGO_PKG_VERSION")))
}

pub(super) fn print_help() -> Result<ExitCode, Failure> {
    print(&format!("{}\n", command().render_help()))
}

/// Prints, and is done.
pub(super) fn print(text: &str) -> Result<ExitCode, Failure> {
    use std::io::Write as _;
    let mut stdout = std::io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    written.map_err(Failure::output)?;
    Ok(ExitCode::SUCCESS)
}

impl Arguments {
    /// Reads the arguments behind the program's name.
    pub(super) fn parse(words: &[OsString]) -> Result<Self, Failure> {
        if words.is_empty() {
            // To build a parser takes as long as to make a session.
            return Ok(Self {
                wish: Wish::Create,
                ctrl_x: true,
            });
        }
        let plain: Result<Vec<_>, _> = words.iter().map(plain).collect();
        let words = plain?.into_iter().flatten();
        let parsed = command()
            .no_binary_name(true)
            .try_get_matches_from(words)
            .map_err(|error| refusal(&error))?;
        Self::of(&parsed)
    }

    fn of(matches: &ArgMatches) -> Result<Self, Failure> {
        let is = |flag| matches.get_flag(flag);
        let text = |flag| matches.get_one::<String>(flag).cloned();
        let given = |flag| text(flag).filter(|number: &String| !number.is_empty());
        let word = matches
            .get_many::<String>("words")
            .and_then(|mut words| words.next());
        // The order is that of the original.
        let wish = if is("version") {
            Wish::Version
        } else if is("help") {
            Wish::Help
        } else if let Some(number) = given("attach") {
            Wish::Act(Act::Attach(number))
        } else if let Some(number) = given("attach-or-create") {
            Wish::Act(Act::AttachOrCreate(number))
        } else if is("detach") {
            Wish::Act(Act::Detach)
        } else if is("kill-all") {
            Wish::Act(Act::KillAll)
        } else if matches.contains_id("kill") {
            Wish::Act(Act::Kill(given("kill")))
        } else if matches.contains_id("attach") || matches.contains_id("attach-or-create") {
            return Err(usage("a number is missing"));
        } else {
            match word.map(String::as_str) {
                None => Wish::Create,
                Some("ls") => Wish::Act(Act::List),
                Some(other) => {
                    let shown = ByteString::from(other).brief();
                    return Err(usage(format!("unknown command '{shown}'")));
                }
            }
        };
        let ctrl_x = !is("no-ctrlx");
        Ok(Self { wish, ctrl_x })
    }
}

fn usage(why: impl Into<String>) -> Failure {
    Failure::usage(why).hint("try `sess -h`")
}

/// In the words of Go's package `flag`.
fn refusal(error: &clap::Error) -> Failure {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => ByteString::from(text.as_str()).brief(),
        _ => String::new(),
    };
    let flag = context(ContextKind::InvalidArg);
    let flag = flag.split(' ').next().unwrap_or_default();
    usage(match error.kind() {
        ErrorKind::UnknownArgument => format!("flag provided but not defined: {flag}"),
        ErrorKind::InvalidValue if context(ContextKind::InvalidValue).is_empty() => {
            format!("flag needs an argument: {flag}")
        }
        ErrorKind::InvalidUtf8 => "the arguments are not UTF-8".to_owned(),
        _ => error.kind().as_str().unwrap_or("not understood").to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Arguments, Failure> {
        let words: Vec<OsString> = words.iter().map(Into::into).collect();
        Arguments::parse(&words)
    }

    #[test]
    fn the_parser_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn flags_are_written_as_in_go() {
        let one = || "1".to_owned();
        for (words, wish, ctrl_x) in [
            (&[][..], Wish::Create, true),
            (&["ls"], Wish::Act(Act::List), true),
            (&["ls", "-x", "-no-such"], Wish::Act(Act::List), true),
            (&["-a", "1"], Wish::Act(Act::Attach(one())), true),
            (&["-a=1"], Wish::Act(Act::Attach(one())), true),
            (&["--a", "1"], Wish::Act(Act::Attach(one())), true),
            (&["--a=1"], Wish::Act(Act::Attach(one())), true),
            (&["-a", "-1"], Wish::Act(Act::Attach("-1".to_owned())), true),
            (&["-a", "2", "-a", "1"], Wish::Act(Act::Attach(one())), true),
            (
                &["-A", "1", "-C"],
                Wish::Act(Act::AttachOrCreate(one())),
                false,
            ),
            (
                &["--A=1", "-no-ctrlx"],
                Wish::Act(Act::AttachOrCreate(one())),
                false,
            ),
            (&["--no-ctrlx"], Wish::Create, false),
            (&["-C=false"], Wish::Create, true),
            (&["--C"], Wish::Create, false),
            (&["-x"], Wish::Act(Act::Detach), true),
            (&["--x"], Wish::Act(Act::Detach), true),
            (&["-k"], Wish::Act(Act::Kill(None)), true),
            (&["-k", "1"], Wish::Act(Act::Kill(Some(one()))), true),
            (&["-k=1"], Wish::Act(Act::Kill(Some(one()))), true),
            (&["--k"], Wish::Act(Act::Kill(None)), true),
            (&["-K"], Wish::Act(Act::KillAll), true),
            (&["-v"], Wish::Version, true),
            (&["-version"], Wish::Version, true),
            (&["--version"], Wish::Version, true),
            (&["-h"], Wish::Help, true),
            (&["-help"], Wish::Help, true),
            (&["--help", "-a", "1"], Wish::Help, true),
            (
                &["-a", "1", "-x", "-K"],
                Wish::Act(Act::Attach(one())),
                true,
            ),
        ] {
            assert_eq!(
                parse(words).unwrap(),
                Arguments { wish, ctrl_x },
                "{words:?}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_one_line() {
        for (words, line) in [
            (&["-z"][..], "flag provided but not defined: -z"),
            (&["--nope=1"], "flag provided but not defined: --nope"),
            (&["-a"], "flag needs an argument: -a"),
            (&["-a", ""], "a number is missing"),
            (&["-x=maybe"], "invalid boolean value 'maybe' for -x"),
            (&["lss"], "unknown command 'lss'"),
        ] {
            let failure = parse(words).unwrap_err();
            assert_eq!(failure.message(), Some(line));
        }
    }
}
