//! `session env NAME`: where the person sits who attached last, for the shells inside.

use std::process::ExitCode;

use clap::Args;
use session_client::{Asked, Error};
use session_protocol::{ByteString, Call, Code, Environment};

use crate::context::Context;
use crate::failure::Failure;
use crate::lifecycle;

/// Print the variables of the client that attached last
///
/// A shell in a session has the display, the agent and the connection of whoever created it. This prints lines that give
/// it those of the client that attached last (without -r), to be evaluated: `export KEY='value'`, and `unset KEY` for what
/// that client did not have. Before anyone attached they are those of whoever started the session.
///
/// These variables and no others: COLORTERM, DBUS_SESSION_BUS_ADDRESS, DISPLAY, KRB5CCNAME, SSH_AGENT_PID, SSH_ASKPASS,
/// SSH_AUTH_SOCK, SSH_CLIENT, SSH_CONNECTION, SSH_TTY, TERM_PROGRAM, TERM_PROGRAM_VERSION, WAYLAND_DISPLAY, WINDOWID,
/// XAUTHORITY, XDG_CURRENT_DESKTOP, XDG_SESSION_ID, XDG_SESSION_TYPE. They are kept in memory, not on disk.
///
/// SSH_AUTH_SOCK is a link in the session's directory that leads to the agent of the client that attached last; the
/// processes of the session have it from their start, so for the agent alone nothing need be evaluated.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  eval \"$(session env \"$SESSION_NAME\")\"        in a shell of the session
  session env --json web | jq -r .DISPLAY")]
pub(crate) struct Env {
    /// Name or id
    name: String,
}

impl Env {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let session = context.session(&self.name)?;
        let asked = session_client::ask::<Environment>(&session, Call::Environment {});
        let variables = match asked {
            Ok(Asked::Answer(_, environment)) => environment.variables,
            Ok(Asked::Owned(owned)) => return Err(lifecycle::not_running(&owned.status())),
            // The only call without parameters that can be misunderstood is one that is not known.
            Err(Error::Refused(error)) if error.code == Code::Usage => {
                return Err(older(&session.status()?.name));
            }
            Err(error) => return Err(error.into()),
        };
        if context.json {
            context.print_json(&variables)?;
            return Ok(ExitCode::SUCCESS);
        }
        let lines: Vec<u8> = variables
            .iter()
            .filter(|(key, _)| is_name(key))
            .flat_map(|(key, value)| line(key, value.as_ref()))
            .collect();
        if context.is_terminal() {
            let shown = lines.split_inclusive(|byte| *byte == b'\n').map(|line| {
                let line = line.strip_suffix(b"\n").unwrap_or(line);
                ByteString(line.to_vec()).escaped() + "\n"
            });
            context.write(shown.collect::<String>().as_bytes())?;
        } else {
            // A shell gets it byte for byte.
            context.write(&lines)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn older(name: &str) -> Failure {
    Failure::new(
        Code::HolderUnreachable,
        format!(
            "the holder of session '{name}' is of an older version, which keeps no environment"
        ),
    )
    .hint(format!(
        "`session stop {name}` and `session start {name}` give it one of this version"
    ))
}

/// A later holder may know others, but none of them may be anything else to a shell.
fn is_name(key: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    key.bytes().all(fits)
        && key
            .bytes()
            .next()
            .is_some_and(|first| !first.is_ascii_digit())
}

/// In single quotes nothing means anything to a shell but the quote itself.
fn line(key: &str, value: Option<&ByteString>) -> Vec<u8> {
    let Some(value) = value else {
        return format!("unset {key}\n").into_bytes();
    };
    let mut line = format!("export {key}='").into_bytes();
    for byte in &value.0 {
        match byte {
            b'\'' => line.extend_from_slice(br"'\''"),
            byte => line.push(*byte),
        }
    }
    line.extend_from_slice(b"'\n");
    line
}

#[cfg(test)]
mod tests {
    use session_protocol::variables::FOLLOWED;

    use super::*;

    #[test]
    fn values_are_quoted_for_a_shell() {
        for (value, expected) in [
            (None, "unset KEY\n"),
            (Some(""), "export KEY=''\n"),
            (Some("a b$(c)\n"), "export KEY='a b$(c)\n'\n"),
            (Some("it's"), "export KEY='it'\\''s'\n"),
        ] {
            let value = value.map(ByteString::from);
            let line = line("KEY", value.as_ref());
            assert_eq!(String::from_utf8(line).unwrap(), expected);
        }
        assert!(is_name("SSH_TTY"));
        for key in ["", "1X", "A;B", "A B", "\u{e9}"] {
            assert!(!is_name(key), "{key}");
        }
    }

    #[test]
    fn the_help_names_every_variable() {
        let help = Env::augment_args(clap::Command::new("env"));
        let help = help.get_long_about().unwrap().to_string();
        let help = help.replace('\n', " ");
        assert!(
            help.contains(&format!(": {}.", FOLLOWED.join(", "))),
            "{help}"
        );
    }
}
