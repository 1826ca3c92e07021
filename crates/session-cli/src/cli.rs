//! Dispatch: the verb is looked up before any parser is built, since building them all takes longer than `ls`.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args as _, Command, FromArgMatches as _};

use crate::context::{Common, Context};
use crate::failure::{Failure, eprint_line};
use crate::sess;
use crate::verbs::{VERBS, Verb};

const ABOUT: &str = "Keep processes: named, supervised, attachable";

const LONG_ABOUT: &str = "\
Keep processes: named, supervised, attachable.

A session runs a command under a name. It goes on when the terminal closes, is restarted when it fails, \
and can be attached to from any terminal.";

const AFTER_HELP: &str = "\
Examples:
  session create bash                     run bash as session 'bash'
  session attach bash                     use it; Ctrl-\\ leaves it running
  session create -n web -- ./server -p 80
  session ls
  session sess -h                         the minimal language `sess`: sessions by number, few words

A NAME may also be an id or the unique beginning of an id. Verbs that take several names take globs, quoted;
what changes or ends a session wants at least four digits of an id.
Exit codes: 0 done, 1 refused or failed, 2 usage, 3 `status` of a session that does not run, 4 no such session.";

/// The whole command, with every verb: for help, completion and the man page.
pub fn command() -> Command {
    let command = Command::new("session")
        .bin_name("session")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .long_about(LONG_ABOUT)
        .after_help(AFTER_HELP)
        .max_term_width(100)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(VERBS.iter().map(Verb::command));
    Common::augment_args(command)
}

/// Runs `session` with these arguments, the program's name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    // A caller may have closed them (`<&-`); a file opened later must not become one of them.
    if let Err(why) = session_sys::process::ensure_standard_streams() {
        eprint_line(&format!("session: cannot open /dev/null: {why}"));
        return ExitCode::FAILURE;
    }
    report_panics();
    // A file size limit (`ulimit -f`) is to be an error with a reason, not a death.
    let _ = session_sys::event::ignore(25);
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    crate::candidates::complete();
    match arguments.as_slice() {
        [executable, words @ ..] if sess::is_called(executable) => return sess::run(words),
        [_, word, words @ ..] if word == "sess" => return sess::run(words),
        _ => {}
    }
    let json = arguments
        .iter()
        .take_while(|argument| *argument != "--")
        .any(|argument| argument == "--json");
    let verb = arguments.get(1).and_then(|word| Verb::find(word));
    dispatch(&arguments, verb)
        .unwrap_or_else(|failure| failure.report(json, verb.map(|verb| verb.word)))
}

fn dispatch(arguments: &[OsString], verb: Option<&'static Verb>) -> Result<ExitCode, Failure> {
    let (verb, matches) = match verb {
        Some(verb) => {
            let parser = Common::augment_args(verb.command());
            (verb, parser.try_get_matches_from(&arguments[1..])?)
        }
        None => {
            let mut matches = command().try_get_matches_from(arguments)?;
            let (word, matches) = matches
                .remove_subcommand()
                .ok_or_else(|| Failure::usage("a verb is missing"))?;
            let verb = Verb::find(word.as_ref())
                .ok_or_else(|| Failure::usage(format!("there is no verb '{word}'")))?;
            (verb, matches)
        }
    };
    let context = Context::new(&Common::from_arg_matches(&matches)?, verb.word);
    Ok(verb
        .run(&matches, &context)
        .unwrap_or_else(|failure| context.tell(failure)))
}

/// A panic is a mistake of ours: one line to report, not a page of addresses.
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.payload();
        let text = text
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| text.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("unknown");
        let place = panic
            .location()
            .map(|place| format!(" ({}:{})", place.file(), place.line()))
            .unwrap_or_default();
        eprint_line(&format!(
            "session: internal error: {text}{place}, please report"
        ));
        std::process::exit(1);
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parser_is_consistent() {
        command().debug_assert();
        for verb in VERBS {
            Common::augment_args(verb.command()).debug_assert();
        }
    }

    #[test]
    fn every_verb_has_help_with_examples() {
        for verb in VERBS {
            let command = verb.command();
            assert!(command.get_about().is_some(), "{}", verb.word);
            assert!(command.get_after_help().is_some(), "{}", verb.word);
        }
    }

    #[test]
    fn options_of_every_verb_stand_before_or_behind_it() {
        for arguments in [["session", "--json", "ls"], ["session", "ls", "--json"]] {
            let matches = command().try_get_matches_from(arguments).unwrap();
            let (_, matches) = matches.subcommand().unwrap();
            assert!(Common::from_arg_matches(matches).unwrap().json);
        }
        assert!(
            command()
                .try_get_matches_from(["session", "-g", "ls"])
                .is_err()
        );
    }

    #[test]
    fn the_version_is_one_line() {
        let shown = command()
            .try_get_matches_from(["session", "--version"])
            .unwrap_err();
        assert_eq!(
            shown.to_string(),
            format!("session {}\n", env!("CARGO_PKG_VERSION"))
        );
    }
}
