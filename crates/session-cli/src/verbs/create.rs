//! `session create`: a new session, answered once its command runs and its record is durable.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use session_protocol::{ByteString, Code, Status};
use session_store::{Name, Spec, Wanted};

use super::Verb;
use crate::attributes::Attributes;
use crate::context::Context;
use crate::creating::{self, Creation, directory, executable};
use crate::failure::Failure;
use crate::terminal;

/// Create a session and start its command
///
/// The command runs on a terminal of its own and goes on when yours closes. It is started again when it fails
/// (see --restart) and can be attached to at any time. `create` answers once the command runs; if it cannot be
/// executed there is no session.
///
/// Options end at COMMAND: what follows belongs to it.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  session create bash                          a shell, called bash, or bash2 if there is one
  session create -n web -C /srv ./server -p 80
  session create -s -n backend myserver        waits for `session start backend`
  session create --restart always --limit memory=512M worker
  session create --size 'fixed 120x40' -n report make report
  session create -a vim notes.txt              and attach to it at once")]
pub(crate) struct Create {
    /// Its name; that of the command's file, with a number if that is taken
    #[arg(short, long)]
    name: Option<String>,
    /// Its working directory [default: the caller's]
    #[arg(short = 'C', long, value_name = "DIR")]
    directory: Option<PathBuf>,
    #[command(flatten)]
    attributes: Attributes,
    /// Attach to it at once
    #[arg(short, long)]
    attach: bool,
    /// Refuse a limit that this machine cannot enforce
    #[arg(long)]
    require_limits: bool,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true)]
    command: Vec<OsString>,
}

impl Create {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        if self.attach && !(std::io::stdin().is_terminal() && context.is_terminal()) {
            return Err(Failure::usage("--attach needs a terminal")
                .hint("create it without, then use `session logs -f`"));
        }
        let wanted = self.wanted()?;
        let spec = self.spec()?;
        let root = context.root()?;
        let status = if spec.start_suspended {
            let owned = root.create(wanted, spec)?;
            // Whoever starts it may have none.
            session_client::lend_agent(owned.session());
            match owned.make_durable() {
                Ok(()) => {
                    let status = owned.status();
                    // Attaching is for another to own it: the holder that Enter starts.
                    drop(owned);
                    status
                }
                Err(error) => {
                    creating::discard(owned);
                    return Err(error.into());
                }
            }
        } else {
            let creation = Creation::begin(self.attach.then(terminal::size))?;
            let owned = creation.make(root, wanted, spec)?;
            let created = creation.start(owned, None)?.run(true)?;
            if let Err(failure) = self.check(&created.status) {
                created.take_back();
                return Err(failure);
            }
            created.status
        };
        self.answer(&status, context)
    }

    /// A session that is not as it was asked for is none.
    fn check(&self, status: &Status) -> Result<(), Failure> {
        match status.unenforced.as_slice() {
            [first, ..] if self.require_limits => Err(Failure::new(
                Code::Limit,
                format!("nothing on this machine enforces {first}"),
            )),
            _ => Ok(()),
        }
    }

    fn answer(&self, status: &Status, context: &Context) -> Result<ExitCode, Failure> {
        for limit in &status.unenforced {
            context.remark(format!("nothing on this machine enforces {limit}"));
        }
        if self.attach {
            let attach = Verb::find("attach".as_ref());
            let attach = attach.ok_or_else(|| Failure::usage("there is no verb 'attach'"))?;
            return attach.run_with(&[&status.id], context);
        }
        let name = &status.name;
        if context.json {
            context.print_json(status)?;
        } else if status.pid.is_none() && status.started_at.is_none() {
            context.print(format!("Session '{name}' created and suspended."))?;
        } else {
            context.print(format!("Session '{name}' started"))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn wanted(&self) -> Result<Wanted, Failure> {
        match &self.name {
            Some(name) => Ok(Wanted::Exact(
                name.parse().map_err(session_store::Error::Name)?,
            )),
            None => Ok(Wanted::Derived(Name::derived_from(&self.command[0]))),
        }
    }

    /// Everything that can be refused is refused here, before anything exists.
    fn spec(&self) -> Result<Spec, Failure> {
        let directory = directory(self.directory.as_deref())?;
        let command: Vec<ByteString> = self.command.iter().cloned().map(Into::into).collect();
        let mut spec = Spec::new(
            command,
            ByteString::default(),
            directory.into_os_string().into(),
        );
        self.attributes.apply(&mut spec)?;
        spec.executable = executable(&self.command[0], &spec)?;
        Ok(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Create, clap::Error> {
        use clap::FromArgMatches as _;
        let command = Create::augment_args(clap::Command::new("create").no_binary_name(true));
        Create::from_arg_matches(&command.try_get_matches_from(arguments)?)
    }

    #[test]
    fn options_end_at_the_command() {
        for arguments in [
            &["-n", "x", "sh", "-n", "--json", "--", "-s"][..],
            &["-n", "x", "--", "sh", "-n", "--json", "--", "-s"],
        ] {
            let create = parse(arguments).unwrap();
            assert_eq!(create.name.as_deref(), Some("x"));
            assert_eq!(create.command, ["sh", "-n", "--json", "--", "-s"]);
        }
        assert!(parse(&[]).is_err());
        assert!(parse(&["--no-such", "sh"]).is_err());
    }

    #[test]
    fn what_cannot_run_is_refused_before_anything_exists() {
        for (arguments, code) in [
            (&["/nonexistent/x"][..], Code::NotExecutable),
            (&["/"], Code::NotExecutable),
            (&["/etc/passwd"], Code::NotExecutable),
            (&["-C", "/nonexistent", "sh"], Code::BadDirectory),
            (&["-C", "/etc/passwd", "sh"], Code::BadDirectory),
            (&["--restart", "x", "sh"], Code::Usage),
        ] {
            let failure = parse(arguments).unwrap().spec().unwrap_err();
            assert_eq!(failure.code(), Some(code), "{arguments:?}");
        }
    }

    #[test]
    fn a_command_is_found_and_its_directory_absolute() {
        let spec = parse(&["-C", ".", "sh"]).unwrap().spec().unwrap();
        assert!(spec.executable.escaped().ends_with("/sh"));
        let here = std::env::current_dir().unwrap();
        assert_eq!(spec.directory.as_os_str(), here.as_os_str());
        assert!(matches!(
            parse(&["/bin/sh"]).unwrap().wanted(),
            Ok(Wanted::Derived(name)) if name.as_str() == "sh"
        ));
        let empty = parse(&["-n", "", "sh"]).unwrap().wanted();
        assert_eq!(empty.unwrap_err().code(), Some(Code::Usage));
    }
}
