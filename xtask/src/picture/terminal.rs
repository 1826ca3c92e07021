//! A shell on a real PTY, typed at as a person would: a line, then its answer, then the next.

use std::ffi::CString;
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use session_sys::spawn::{ChildStdio, Program, spawn};

use super::PATIENCE;

/// High enough that the scene does not scroll.
const ROWS: NonZeroU16 = NonZeroU16::new(40).unwrap();
const COLUMNS: NonZeroU16 = NonZeroU16::new(80).unwrap();

/// The shell, its terminal and what is on it. Dropped, the terminal hangs up and the shell goes.
pub(super) struct Terminal {
    master: OwnedFd,
    screen: vt100::Parser,
    /// Where the last prompt stood.
    row: Option<u16>,
}

impl Terminal {
    pub(super) fn shell(
        directory: &Path,
        environment: &[(&'static str, String)],
    ) -> Result<Self, String> {
        let failed = |why: &dyn std::fmt::Display| format!("cannot start a shell: {why}");
        let string = |text: &[u8]| CString::new(text).map_err(|why| failed(&why));
        let (master, slave) =
            session_sys::pty::open(ROWS.get(), COLUMNS.get()).map_err(|why| failed(&why))?;
        let env: Result<_, _> = environment
            .iter()
            .map(|(key, value)| string(format!("{key}={value}").as_bytes()))
            .collect();
        let program = Program {
            executable: c"/bin/sh".to_owned(),
            argv: vec![c"sh".to_owned(), c"-i".to_owned()],
            env: env?,
            directory: string(directory.as_os_str().as_bytes())?,
            stdio: ChildStdio::Terminal(slave),
            umask: 0o022,
            limits: Vec::new(),
        };
        let gated = spawn(&program, None).map_err(|why| failed(&why))?;
        gated.open().map_err(|why| failed(&why))?;
        Ok(Self {
            master,
            screen: vt100::Parser::new(ROWS, COLUMNS, 0),
            row: None,
        })
    }

    /// Types a line and waits for the next prompt; the last line that was answered.
    pub(super) fn command(&mut self, line: &str) -> Result<String, String> {
        self.line(line)?;
        self.prompt()?;
        let contents = self.screen.screen().contents();
        Ok(contents.lines().rev().nth(1).unwrap_or_default().to_owned())
    }

    /// Types a line.
    pub(super) fn line(&mut self, line: &str) -> Result<(), String> {
        self.type_text(&format!("{line}\n"))
    }

    pub(super) fn type_text(&mut self, text: &str) -> Result<(), String> {
        let written = rustix::io::write(&self.master, text.as_bytes());
        match written {
            Ok(written) if written == text.len() => Ok(()),
            _ => Err(format!(
                "the terminal does not take what is typed: {written:?}"
            )),
        }
    }

    /// Waits for a prompt below the last one.
    pub(super) fn prompt(&mut self) -> Result<(), String> {
        let last = self.row;
        self.until(|screen| {
            let (row, column) = screen.cursor_position();
            let prompt = screen.contents_between(row, 0, row, 2);
            last.is_none_or(|last| row > last) && column == 2 && prompt.starts_with('$')
        })?;
        self.row = Some(self.screen.screen().cursor_position().0);
        Ok(())
    }

    /// Waits until the screen is as wanted.
    pub(super) fn until(&mut self, wanted: impl Fn(&vt100::Screen) -> bool) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while !wanted(self.screen.screen()) {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).map_err(|why| why.to_string())?;
            let mut ready = [PollFd::new(&self.master, PollFlags::IN)];
            let mut buffer = [0; 4096];
            let read = match poll(&mut ready, Some(&left)) {
                Ok(1..) => rustix::io::read(&self.master, &mut buffer).unwrap_or(0),
                _ => 0,
            };
            if read == 0 {
                return Err(format!(
                    "the scene is stuck at:\n{}",
                    self.screen.screen().contents()
                ));
            }
            self.screen.process(&buffer[..read]);
        }
        Ok(())
    }

    /// What is to be seen now.
    pub(super) fn screen(&self) -> vt100::Screen {
        self.screen.screen().clone()
    }
}
