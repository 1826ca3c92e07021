//! The table of verbs: the one place that knows them all. Help, completion, man page and dispatch read it.

use std::process::ExitCode;

use clap::{ArgMatches, Args, Command, FromArgMatches};

use crate::context::Context;
use crate::failure::Failure;

mod attach;
mod completion;
mod create;
mod detach;
mod doctor;
mod env;
mod exec;
mod get;
mod kill;
mod logs;
mod ls;
mod ps;
mod purge;
mod record;
mod rename;
mod restart;
mod resume;
mod rm;
mod screen;
mod send;
mod set;
mod start;
mod status;
mod stop;
mod suspend;
mod tree;
mod unset;
mod upgrade;
mod wait;

/// One verb: its word, how its arguments are added to a parser, and what runs it.
pub(crate) struct Verb {
    /// What is typed behind `session`.
    pub(crate) word: &'static str,
    augment: fn(Command) -> Command,
    run: fn(&ArgMatches, &Context) -> Result<ExitCode, Failure>,
}

impl Verb {
    /// The verb called `word`.
    pub(crate) fn find(word: &std::ffi::OsStr) -> Option<&'static Self> {
        VERBS.iter().find(|verb| word == verb.word)
    }

    /// Its parser, without the options that every verb has.
    pub(crate) fn command(&self) -> Command {
        (self.augment)(Command::new(self.word))
            .bin_name(format!("session {}", self.word))
            .max_term_width(100)
    }

    /// Does it with arguments from inside, such as `create --attach` has for `attach`.
    pub(crate) fn run_with(
        &self,
        arguments: &[&str],
        context: &Context,
    ) -> Result<ExitCode, Failure> {
        let words = std::iter::once(&self.word).chain(arguments);
        let matches = self.command().try_get_matches_from(words)?;
        self.run(&matches, context)
    }

    /// Does it.
    pub(crate) fn run(&self, matches: &ArgMatches, context: &Context) -> Result<ExitCode, Failure> {
        (self.run)(matches, context)
    }
}

macro_rules! verbs {
    ($($word:literal => $module:ident::$verb:ident,)*) => {
        /// Every verb, in the order of the help.
        pub(crate) const VERBS: &[Verb] = &[$(Verb {
            word: $word,
            augment: <$module::$verb as Args>::augment_args,
            run: |matches, context| $module::$verb::from_arg_matches(matches)?.run(context),
        }),*];
    };
}

verbs! {
    "create" => create::Create,
    "attach" => attach::Attach,
    "detach" => detach::Detach,
    "ls" => ls::Ls,
    "status" => status::Status,
    "start" => start::Start,
    "stop" => stop::Stop,
    "restart" => restart::Restart,
    "suspend" => suspend::Suspend,
    "resume" => resume::Resume,
    "kill" => kill::Kill,
    "rm" => rm::Rm,
    "purge" => purge::Purge,
    "get" => get::Get,
    "set" => set::Set,
    "unset" => unset::Unset,
    "rename" => rename::Rename,
    "logs" => logs::Logs,
    "record" => record::Record,
    "screen" => screen::Screen,
    "send" => send::Send,
    "wait" => wait::Wait,
    "exec" => exec::Exec,
    "env" => env::Env,
    "ps" => ps::Ps,
    "tree" => tree::Tree,
    "upgrade" => upgrade::Upgrade,
    "doctor" => doctor::Doctor,
    "completion" => completion::Completion,
}
