//! `session tree`: the processes of a session as the kernel groups them.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use session_hierarchy::{Picture, Pid};
use session_protocol::ByteString;
use session_sys::tree::{Entry, Task, Terminal};

use super::ls::words;
use super::ps::{command, look};
use crate::context::Context;
use crate::failure::Failure;
use crate::table::{push_cut, terminal_width};

/// Draw the processes of a session as the kernel groups them
///
/// Kernel sessions (setsid) hold process groups, those hold processes, and those their threads. A session is shown
/// with its controlling terminal, the group that has the terminal's foreground as such. The main process is marked
/// with *, a process that has ended and waits for its parent as <defunct>. The letter behind each number is its state
/// as in ps(1): R running, S sleeping, D waiting for a device, T stopped, Z ended. Threads are drawn where a process
/// has more than one. Processes frozen by `suspend` keep their letter where cgroups are.
///
/// As JSON: an array of sessions {sid, terminal, groups}, a group {pgid, foreground, processes}, a process {pid,
/// parent, state, main, zombie, name, command, threads}, a thread {tid, state, name}.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  session tree backend
  session tree --json backend | jq '.[].groups[] | select(.foreground).pgid'")]
pub(crate) struct Tree {
    /// Name or id
    name: String,
}

#[derive(Debug, Serialize)]
struct Session {
    sid: Pid,
    terminal: Option<String>,
    groups: Vec<Group>,
}

#[derive(Debug, Serialize)]
struct Group {
    pgid: Pid,
    foreground: bool,
    processes: Vec<Process>,
}

#[derive(Debug, Serialize)]
struct Process {
    pid: Pid,
    parent: Option<Pid>,
    state: char,
    main: bool,
    zombie: bool,
    name: ByteString,
    command: Vec<ByteString>,
    threads: Vec<Thread>,
}

#[derive(Debug, Serialize)]
struct Thread {
    tid: Pid,
    state: char,
    name: ByteString,
}

impl Tree {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let (tree, status) = look(context, &self.name)?;
        let tree = tree.with_threads();
        let main = status.pid.and_then(|pid| pid.try_into().ok());
        let sessions = sessions(tree.picture(), main);
        if context.json {
            context.print_json(&sessions)?;
        } else if sessions.is_empty() {
            context.write(format!("{}\n", status.sentence()).as_bytes())?;
        } else {
            let text = drawing(&sessions, terminal_width());
            context.write(text.as_bytes())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The sessions, that of the main process first.
fn sessions(picture: &Picture, main: Option<Pid>) -> Vec<Session> {
    let sessions = picture.sessions().into_iter().map(|session| {
        let terminal = session.terminal();
        let terminal = terminal.and_then(|terminal| terminal.downcast::<Terminal>().ok());
        let groups = session.process_groups().into_iter();
        let groups = groups.map(|group| Group::of(&group, main));
        // A group that holds only the holder, which is not part of the picture, is left out.
        let groups = groups.filter(|group| !group.processes.is_empty());
        Session {
            sid: session.sid(),
            terminal: terminal.map(|terminal| terminal.to_string()),
            groups: groups.collect(),
        }
    });
    let mut sessions: Vec<Session> = sessions
        .filter(|session| !session.groups.is_empty())
        .collect();
    sessions.sort_by_key(|session| {
        let mut processes = session.groups.iter().flat_map(|group| &group.processes);
        !processes.any(|process| process.main)
    });
    sessions
}

impl Group {
    fn of(group: &session_hierarchy::ProcessGroup, main: Option<Pid>) -> Self {
        let members = group.processes();
        let has_foreground = |entry: &Entry| Pid::try_from(entry.foreground) == Ok(group.pgid());
        Self {
            pgid: group.pgid(),
            foreground: members
                .iter()
                .any(|process| process.data().is_some_and(has_foreground)),
            processes: members
                .iter()
                .filter_map(|process| Process::of(process, main))
                .collect(),
        }
    }
}

impl Process {
    fn of(process: &Arc<session_hierarchy::Process>, main: Option<Pid>) -> Option<Self> {
        let entry: &Entry = process.data()?;
        let threads = process.threads();
        let threads = threads.iter().filter_map(|thread| {
            let Task { name, state } = thread.data::<Task>()?.clone();
            Some(Thread {
                tid: thread.tid(),
                state,
                name: ByteString(name),
            })
        });
        let process = Self {
            pid: process.pid(),
            parent: process.parent().map(|parent| parent.pid()),
            state: entry.state,
            main: Some(process.pid()) == main,
            zombie: process.is_zombie(),
            name: ByteString(entry.name.clone()),
            command: command(entry),
            threads: threads.collect(),
        };
        // One without a thread has gone since it was seen.
        (process.zombie || !process.threads.is_empty()).then_some(process)
    }
}

/// A line and what hangs from it.
struct Branch {
    line: String,
    below: Vec<Self>,
}

/// The text, each line at most `width` columns wide.
fn drawing(sessions: &[Session], width: Option<usize>) -> String {
    let mut text = String::new();
    for session in sessions {
        let branch = session.branch();
        push_line(&mut text, &branch.line, width);
        draw(&mut text, &branch.below, "", width);
    }
    text
}

fn push_line(text: &mut String, line: &str, width: Option<usize>) {
    push_cut(text, line.trim_end(), width);
    text.push('\n');
}

fn draw(text: &mut String, branches: &[Branch], before: &str, width: Option<usize>) {
    for (index, branch) in branches.iter().enumerate() {
        let is_last = index + 1 == branches.len();
        let (here, below) = if is_last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        push_line(text, &format!("{before}{here}{}", branch.line), width);
        draw(text, &branch.below, &format!("{before}{below}"), width);
    }
}

impl Session {
    fn branch(&self) -> Branch {
        let terminal = self.terminal.iter();
        Branch {
            line: terminal.fold(format!("session {}", self.sid), |line, name| {
                line + " " + name
            }),
            below: self.groups.iter().map(Group::branch).collect(),
        }
    }
}

impl Group {
    fn branch(&self) -> Branch {
        let mark = if self.foreground { " foreground" } else { "" };
        Branch {
            line: format!("group {}{mark}", self.pgid),
            below: self.processes.iter().map(Process::branch).collect(),
        }
    }
}

impl Process {
    fn branch(&self) -> Branch {
        let mark = if self.main { "*" } else { "" };
        let end = if self.zombie { " <defunct>" } else { "" };
        let threads = match self.threads.len() {
            0 | 1 => &[][..],
            _ => &self.threads,
        };
        Branch {
            line: format!(
                "{}{mark} {} {}{end}",
                self.pid,
                self.state,
                words(&self.command)
            ),
            below: threads.iter().map(Thread::branch).collect(),
        }
    }
}

impl Thread {
    fn branch(&self) -> Branch {
        Branch {
            line: format!("thread {} {} {}", self.tid, self.state, self.name.escaped()),
            below: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_hang_from_sessions_and_threads_from_processes() {
        let thread = |tid, name: &[u8]| Thread {
            tid,
            state: 'S',
            name: ByteString(name.to_vec()),
        };
        let process = |pid, command: &str, threads| Process {
            pid,
            parent: Some(1),
            state: 'S',
            main: pid == 7,
            zombie: pid == 9,
            name: "x".into(),
            command: vec![command.into(), "".into()],
            threads,
        };
        let group = |pgid, processes| Group {
            pgid,
            foreground: pgid == 7,
            processes,
        };
        let sessions = [Session {
            sid: 7,
            terminal: Some("pts/3".into()),
            groups: vec![
                group(7, vec![process(7, "a\nb", vec![thread(7, b"a")])]),
                group(
                    8,
                    vec![
                        process(8, "c", vec![thread(8, b"c"), thread(10, b"\xff\x1b")]),
                        process(9, "[d]", vec![]),
                    ],
                ),
            ],
        }];
        let expected = "\
session 7 pts/3
├─ group 7 foreground
│  └─ 7* S a\\nb
└─ group 8
   ├─ 8 S c
   │  ├─ thread 8 S c
   │  └─ thread 10 S \\xff\\u{1b}
   └─ 9 S [d]  <defunct>
";
        assert_eq!(drawing(&sessions, None), expected);
        let narrow = drawing(&sessions, Some(12));
        assert!(
            narrow.starts_with("session 7 p…\n├─ group 7 …\n"),
            "{narrow}"
        );
    }
}
