//! `session ps`: the processes of a session, as the kernel has them.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use session_protocol::{ByteString, Status};
use session_sys::tree::{Entry, Tree};

use super::ls::words;
use crate::context::Context;
use crate::failure::Failure;
use crate::lifecycle;
use crate::table::{Table, terminal_width};

/// List the processes of a session
///
/// Everything that descends from the session's holder, also what left its process group or terminal. The main
/// process is marked with *. STATE is the letter of ps(1): R running, S sleeping, T stopped, Z ended.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  session ps backend
  session ps --json backend | jq '.[].pid'")]
pub(crate) struct Ps {
    /// Name or id
    name: String,
}

#[derive(Debug, Serialize)]
struct Process {
    pid: i32,
    parent: i32,
    group: i32,
    state: char,
    main: bool,
    command: Vec<ByteString>,
}

impl Ps {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let (tree, status) = look(context, &self.name)?;
        let processes: Vec<Process> = tree
            .entries()
            .into_iter()
            .map(|entry| Process::of(entry, status.pid))
            .collect();
        if context.json {
            context.print_json(&processes)?;
        } else {
            let text = table(&processes).render(terminal_width());
            context.write(text.as_bytes())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Process {
    fn of(entry: Entry, main: Option<i32>) -> Self {
        let command = command(&entry);
        let Entry {
            pid,
            parent,
            group,
            state,
            ..
        } = entry;
        Self {
            pid,
            parent,
            group,
            state,
            main: Some(pid) == main,
            command,
        }
    }
}

/// The arguments of a process; in brackets its name if it has none, because it has just ended or never had any.
pub(super) fn command(entry: &Entry) -> Vec<ByteString> {
    let arguments = entry.arguments();
    let arguments = arguments.strip_suffix(b"\0").unwrap_or(&arguments);
    if arguments.iter().all(|byte| *byte == 0) {
        return vec![ByteString([b"[", &entry.name[..], b"]"].concat())];
    }
    let words = arguments.split(|byte| *byte == 0);
    words.map(|word| ByteString(word.to_vec())).collect()
}

/// The tree below a session's holder, and its status.
pub(super) fn look(context: &Context, name: &str) -> Result<(Tree, Status), Failure> {
    let session = context.session(name)?;
    let status = session.status()?;
    let live = session.read_live()?;
    let Some(live) = live.filter(|_| session.holder_lives().unwrap_or(false)) else {
        return Err(lifecycle::not_running(&status));
    };
    let tree = Tree::below(live.holder).map_err(|why| Failure::io("read", "/proc", why))?;
    Ok((tree, status))
}

fn table(processes: &[Process]) -> Table {
    let mut table = Table::new(&["PID", "PPID", "STATE", "COMMAND"]);
    for process in processes {
        let mark = if process.main { "*" } else { "" };
        table.row(vec![
            format!("{}{mark}", process.pid),
            process.parent.to_string(),
            process.state.to_string(),
            words(&process.command),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_main_process_is_marked() {
        let process = |pid, main| Process {
            pid,
            parent: 1,
            group: pid,
            state: 'S',
            main,
            command: vec!["sh".into(), "a\nb".into()],
        };
        assert_eq!(
            table(&[process(70, true), process(71, false)]).render(None),
            "PID  PPID  STATE  COMMAND\n70*  1     S      sh a\\nb\n71   1     S      sh a\\nb\n"
        );
    }
}
