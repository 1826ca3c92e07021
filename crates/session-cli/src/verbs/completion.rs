//! `session completion SHELL`: the lines that teach a shell to complete.

use std::process::ExitCode;

use clap::Args;
use clap::builder::PossibleValuesParser;
use clap_complete::env::Shells;

use crate::candidates::VARIABLE;
use crate::context::Context;
use crate::failure::Failure;

/// Print the shell's completion script
///
/// The script asks `session` at every tab, so names of sessions are those of that moment.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  source <(session completion bash)               in ~/.bashrc
  source <(session completion zsh)                in ~/.zshrc, after compinit
  session completion fish > ~/.config/fish/completions/session.fish")]
pub(crate) struct Completion {
    /// The shell
    #[arg(value_parser = PossibleValuesParser::new(["bash", "zsh", "fish", "elvish", "powershell"]))]
    shell: String,
}

impl Completion {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        context.write(&script(&self.shell)?)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn script(shell: &str) -> Result<Vec<u8>, Failure> {
    let shells = Shells::builtins();
    let shell = shells
        .completer(shell)
        .ok_or_else(|| Failure::usage(format!("there is no script for '{shell}'")))?;
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "session", "session", "session", &mut script)?;
    Ok(script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_has_a_script() {
        for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
            let script = String::from_utf8(script(shell).unwrap()).unwrap();
            assert!(script.contains(VARIABLE), "{shell}");
        }
    }
}
