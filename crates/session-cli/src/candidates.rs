//! What the shell offers behind a verb: names of sessions, words of attributes. Asked anew at every tab.

use std::ffi::OsStr;

use clap::{Arg, Command};
use clap_complete::{ArgValueCandidates, CompleteEnv, CompletionCandidate};
use session_store::Root;
use session_store::attribute::ATTRIBUTES;

/// Set by the shell's script when it asks; another variable than clap's default, which other programs set, too.
pub(crate) const VARIABLE: &str = "SESSION_COMPLETE";

/// Answers the shell and exits, if it is the shell that asks.
pub(crate) fn complete() {
    if std::env::var_os(VARIABLE).is_some() {
        CompleteEnv::with_factory(command)
            .var(VARIABLE)
            .completer("session")
            .complete();
    }
}

/// The whole command; arguments get their candidates by what they are called.
fn command() -> Command {
    crate::command().mut_subcommands(|verb| {
        verb.mut_args(|argument| match argument.get_id().as_str() {
            "name" | "names" | "old" if argument.is_positional() => offer(argument, names),
            "key" => offer(argument, keys),
            _ => argument,
        })
    })
}

fn offer(argument: Arg, candidates: fn() -> Vec<CompletionCandidate>) -> Arg {
    argument.add(ArgValueCandidates::new(candidates))
}

/// Every session; nothing where there are none or they cannot be read, for a prompt is no place for errors.
fn names() -> Vec<CompletionCandidate> {
    let root = Root::locate().and_then(|path| Root::open_existing(&path));
    let listed = root.ok().flatten().and_then(|root| root.list().ok());
    let listed = listed.unwrap_or_default().into_iter();
    listed
        .filter(|session| !session.foreign)
        .map(|session| {
            let state = session.status.as_ref().map(|status| status.state.word());
            CompletionCandidate::new(&session.name).help(state.ok().map(Into::into))
        })
        .collect()
}

fn keys() -> Vec<CompletionCandidate> {
    ATTRIBUTES
        .iter()
        .map(|attribute| {
            CompletionCandidate::new(OsStr::new(attribute.word)).help(Some(attribute.help.into()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_know_what_their_arguments_are() {
        let command = command();
        for (verb, argument) in [("stop", "names"), ("status", "name"), ("set", "key")] {
            let verb = command.find_subcommand(verb).unwrap();
            let found = verb.get_arguments().find(|one| one.get_id() == argument);
            assert!(found.unwrap().get::<ArgValueCandidates>().is_some());
        }
        assert!(keys().iter().any(|key| key.get_value() == "restart-delay"));
    }
}
