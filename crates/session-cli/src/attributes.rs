//! The options of `create` that are attributes: made from the store's table, so that no list is kept twice.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};
use session_protocol::ByteString;
use session_store::Spec;
use session_store::attribute::{ATTRIBUTES, Attribute};

use crate::environment;
use crate::failure::Failure;

/// What was asked for, option by option.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attributes {
    /// Those with one value: word and value.
    values: Vec<(&'static str, OsString)>,
    env_files: Vec<PathBuf>,
    env: Vec<OsString>,
    limits: Vec<String>,
    suspended: bool,
    no_pty: bool,
}

impl Attributes {
    /// Sets them in `spec`. Files come before single variables, whichever was written first.
    pub(crate) fn apply(&self, spec: &mut Spec) -> Result<(), Failure> {
        let refused = |error: session_store::Error| Failure::usage(error.to_string());
        for (word, value) in &self.values {
            spec.set(word, Some(value.as_bytes())).map_err(refused)?;
        }
        let mut variables = Vec::new();
        for file in &self.env_files {
            variables.extend(environment::file(file)?);
        }
        for variable in &self.env {
            variables.push(environment::variable(variable)?);
        }
        for (key, value) in variables {
            let key = format!("env.{key}");
            spec.set(&key, Some(&value.0)).map_err(refused)?;
        }
        for limit in &self.limits {
            let (key, value) = limit.split_once('=').ok_or_else(|| {
                let shown = ByteString::from(limit.as_str()).brief();
                Failure::usage(format!("'{shown}' is no limit"))
                    .hint("write it as --limit memory=512M")
            })?;
            let key = format!("limit.{key}");
            spec.set(&key, Some(value.as_bytes())).map_err(refused)?;
        }
        if self.suspended {
            spec.set("start-suspended", Some(b"yes")).map_err(refused)?;
        }
        if self.no_pty {
            spec.set("pty", Some(b"no")).map_err(refused)?;
        }
        Ok(())
    }
}

/// Attributes that are not options with one value of their own: see `arguments`.
fn is_plain(attribute: &Attribute) -> bool {
    let special = ["name", "command", "directory", "start-suspended", "pty"];
    !attribute.is_family() && !special.contains(&attribute.word)
}

fn help(attribute: &Attribute) -> String {
    let first = attribute.help.chars().take(1);
    let rest = attribute.help.chars().skip(1);
    let help: String = first.flat_map(char::to_uppercase).chain(rest).collect();
    let values = attribute.values;
    match attribute.default {
        "" => format!("{help}: {values}"),
        default => format!("{help}: {values} [default: {default}]"),
    }
}

fn find(word: &str) -> Option<&'static Attribute> {
    ATTRIBUTES.iter().find(|attribute| attribute.word == word)
}

impl Args for Attributes {
    fn augment_args(command: Command) -> Command {
        let mut command = command
            .arg(
                Arg::new("suspended")
                    .short('s')
                    .long("suspended")
                    .action(ArgAction::SetTrue)
                    .help("Do not start it yet: it waits for `start`, or for Enter in `attach`"),
            )
            .arg(
                Arg::new("env")
                    .short('e')
                    .long("env")
                    .value_name("K[=V]")
                    .action(ArgAction::Append)
                    .value_parser(value_parser!(OsString))
                    .help("Set a variable; without a value it is the caller's (kept in the state directory)"),
            )
            .arg(
                Arg::new("env-file")
                    .long("env-file")
                    .value_name("FILE")
                    .action(ArgAction::Append)
                    .value_parser(value_parser!(PathBuf))
                    .help("Set the variables of a file with KEY=VALUE lines"),
            );
        for attribute in ATTRIBUTES.iter().filter(|attribute| is_plain(attribute)) {
            command = command.arg(
                Arg::new(attribute.word)
                    .long(attribute.word)
                    .value_name("VALUE")
                    .value_parser(value_parser!(OsString))
                    .help(help(attribute)),
            );
        }
        let limit = Arg::new("limit")
            .long("limit")
            .value_name("K=V")
            .action(ArgAction::Append)
            .help(find("limit.").map_or_else(String::new, help));
        command.arg(limit).arg(
            Arg::new("no-pty")
                .long("no-pty")
                .action(ArgAction::SetTrue)
                .help("Run it on pipes instead of a terminal"),
        )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Attributes {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut attributes = Self::default();
        attributes.update_from_arg_matches(matches)?;
        Ok(attributes)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for attribute in ATTRIBUTES.iter().filter(|attribute| is_plain(attribute)) {
            if let Some(value) = matches.get_one::<OsString>(attribute.word) {
                self.values.push((attribute.word, value.clone()));
            }
        }
        self.env = all(matches, "env");
        self.env_files = all(matches, "env-file");
        self.limits = all(matches, "limit");
        self.suspended = matches.get_flag("suspended");
        self.no_pty = matches.get_flag("no-pty");
        Ok(())
    }
}

fn all<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, id: &str) -> Vec<T> {
    matches
        .get_many(id)
        .map(|values| values.cloned().collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Attributes {
        let command = Attributes::augment_args(Command::new("create").no_binary_name(true));
        Attributes::from_arg_matches(&command.get_matches_from(arguments)).unwrap()
    }

    #[test]
    fn every_attribute_has_its_option() {
        let create = crate::command();
        let create = create.find_subcommand("create").unwrap();
        let options: Vec<_> = create.get_arguments().filter_map(Arg::get_long).collect();
        for attribute in &ATTRIBUTES {
            let option = match attribute.word {
                "command" => continue,
                "start-suspended" => "suspended",
                "pty" => "no-pty",
                word => word.trim_end_matches('.'),
            };
            assert!(options.contains(&option), "--{option}");
        }
    }

    #[test]
    fn options_become_attributes() {
        let mut spec = Spec::default();
        let attributes = parse(&[
            "-s",
            "--no-pty",
            "--restart=always",
            "-eA=1",
            "-e",
            "A=2",
            "--limit",
            "nofile=99",
            "--title",
            "x y",
        ]);
        attributes.apply(&mut spec).unwrap();
        for (key, value) in [
            ("start-suspended", "yes"),
            ("pty", "no"),
            ("restart", "always"),
            ("env.A", "2"),
            ("limit.nofile", "99"),
            ("title", "x y"),
        ] {
            assert_eq!(spec.get(key).unwrap().unwrap(), value.into(), "{key}");
        }
    }

    #[test]
    fn a_value_that_is_none_is_a_usage_error() {
        for arguments in [
            &["--restart", "sometimes"][..],
            &["--limit", "nofile"],
            &["--limit", "x=1"],
            &["-e", "=1"],
        ] {
            let failure = parse(arguments).apply(&mut Spec::default()).unwrap_err();
            assert_eq!(failure.code(), Some(session_protocol::Code::Usage));
        }
    }
}
