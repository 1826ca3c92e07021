//! A terminal with a command on it: what a person would see, type and close.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use session_sys::spawn::{ChildStdio, Program, spawn};

use super::{PATIENCE, dies, readable};

/// A PTY, its screen, and the process that leads it.
pub(crate) struct Terminal {
    master: OwnedFd,
    slave: OwnedFd,
    /// Its modes before the command could change them, as [`Terminal::modes`] gives them.
    pub(crate) before: String,
    pub(crate) pid: i32,
    screen: vt100::Parser,
    /// Everything that came, escape sequences and all.
    pub(crate) raw: Vec<u8>,
}

impl Terminal {
    pub(crate) fn run(
        executable: &Path,
        args: &[&str],
        environment: &[(String, String)],
        directory: &Path,
        (rows, cols): (u16, u16),
    ) -> Self {
        let (master, slave) = session_sys::pty::open(rows, cols).unwrap();
        let string = |text: &[u8]| CString::new(text).unwrap();
        let mut argv = vec![string(executable.as_os_str().as_bytes())];
        argv.extend(args.iter().map(|arg| string(arg.as_bytes())));
        let program = Program {
            executable: argv[0].clone(),
            argv,
            env: environment
                .iter()
                .map(|(key, value)| string(format!("{key}={value}").as_bytes()))
                .collect(),
            directory: string(directory.as_os_str().as_bytes()),
            stdio: ChildStdio::Terminal(slave.try_clone().unwrap()),
            umask: 0o022,
            limits: Vec::new(),
        };
        let before = modes(&slave);
        let started = spawn(&program, None).unwrap().open().unwrap();
        Self {
            master,
            slave,
            before,
            pid: started.pid,
            // No more than a person could have.
            screen: vt100::Parser::new(cells(rows.clamp(1, 500)), cells(cols.clamp(1, 500)), 1000),
            raw: Vec::new(),
        }
    }

    /// Types `text`.
    pub(crate) fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes());
    }

    /// Types bytes, reading meanwhile what comes back.
    pub(crate) fn send_bytes(&mut self, mut bytes: &[u8]) {
        let deadline = Instant::now() + PATIENCE;
        while !bytes.is_empty() {
            match rustix::io::write(&self.master, bytes) {
                Ok(sent) => bytes = &bytes[sent..],
                Err(rustix::io::Errno::AGAIN) => {
                    assert!(
                        Instant::now() < deadline,
                        "the client does not read its terminal"
                    );
                    self.read(std::time::Duration::from_millis(10));
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Types as much of `bytes` as is taken; how much that was.
    pub(crate) fn offer(&mut self, bytes: &[u8]) -> usize {
        let mut sent = 0;
        while sent < bytes.len() {
            match rustix::io::write(&self.master, &bytes[sent..]) {
                Ok(more) => sent += more,
                Err(rustix::io::Errno::AGAIN) => {
                    let mut fds = [PollFd::new(&self.master, PollFlags::OUT)];
                    let patience = Timespec {
                        tv_sec: 1,
                        tv_nsec: 0,
                    };
                    if poll(&mut fds, Some(&patience)).unwrap() == 0 {
                        break;
                    }
                }
                Err(error) => panic!("{error}"),
            }
        }
        sent
    }

    /// Takes what is there, or comes within `patience`; `false` if nothing does.
    fn read(&mut self, patience: std::time::Duration) -> bool {
        if !readable(&self.master, patience) {
            return false;
        }
        let mut buffer = [0; 65_536];
        match rustix::io::read(&self.master, &mut buffer) {
            Ok(read) if read > 0 => {
                self.screen.process(&buffer[..read]);
                self.raw.extend_from_slice(&buffer[..read]);
                true
            }
            _ => false,
        }
    }

    /// What is on the screen now.
    pub(crate) fn text(&self) -> String {
        self.screen.screen().contents()
    }

    /// The screen itself.
    pub(crate) fn screen(&self) -> &vt100::Screen {
        self.screen.screen()
    }

    /// Waits until the client has made its terminal raw: what is typed before is the terminal's own business.
    pub(crate) fn raw_mode(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while rustix::termios::tcgetattr(&self.slave)
            .unwrap()
            .local_modes
            .contains(rustix::termios::LocalModes::ICANON)
        {
            assert!(
                Instant::now() < deadline,
                "no raw mode; the screen:\n{}",
                self.text()
            );
            self.read(std::time::Duration::from_millis(5));
        }
    }

    /// Waits until the screen is as wanted.
    pub(crate) fn until(&mut self, what: &str, wanted: impl Fn(&vt100::Screen) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !wanted(self.screen.screen()) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                self.read(left),
                "waited for {what}; the screen:\n{}",
                self.text()
            );
        }
    }

    /// Waits until `text` is on the screen.
    pub(crate) fn shows(&mut self, text: &str) {
        self.until(text, |screen| screen.contents().contains(text));
    }

    /// Waits until `text` has come, wherever it is now.
    pub(crate) fn said(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self
            .raw
            .windows(text.len())
            .any(|window| window == text.as_bytes())
        {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                self.read(left),
                "waited for {text:?}; the screen:\n{}",
                self.text()
            );
        }
    }

    /// Waits until what came ends like `output`: all of it is here.
    pub(crate) fn catches_up(&mut self, output: &[u8]) {
        let last = &output[output.len().saturating_sub(2048)..];
        let deadline = Instant::now() + PATIENCE;
        while !self.raw.ends_with(last) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                self.read(left),
                "the output has not come; the screen:\n{}",
                self.text()
            );
        }
    }

    /// Reads until nothing has come for `span`: for what says in no other way that it is complete.
    pub(crate) fn falls_silent(&mut self, span: std::time::Duration) {
        while self.read(span) {}
    }

    /// The terminal's window is another size now.
    pub(crate) fn resize(&mut self, rows: u16, cols: u16) {
        session_sys::pty::resize(&self.master, rows, cols).unwrap();
        self.screen.screen_mut().set_size(cells(rows), cells(cols));
    }

    /// The modes of the terminal, as `stty -a` shows them.
    pub(crate) fn modes(&self) -> String {
        modes(&self.slave)
    }

    /// Waits for the end of the command; its exit code, 128+n by signal n.
    pub(crate) fn exit(&mut self) -> i32 {
        let pid = rustix::process::Pid::from_raw(self.pid).unwrap();
        let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
        let deadline = Instant::now() + PATIENCE;
        // It may be blocked writing to us.
        while !readable(&pidfd, std::time::Duration::from_millis(1)) {
            assert!(
                Instant::now() < deadline,
                "the client goes on; the screen:\n{}",
                self.text()
            );
            self.read(std::time::Duration::from_millis(20));
        }
        while self.read(std::time::Duration::ZERO) {}
        let status = rustix::process::waitid(
            rustix::process::WaitId::PidFd(pidfd.as_fd()),
            rustix::process::WaitIdOptions::EXITED,
        );
        let status = status.unwrap().unwrap();
        self.pid = 0;
        status
            .exit_status()
            .unwrap_or_else(|| 128 + status.terminating_signal().unwrap())
    }

    /// The window is closed: what a terminal emulator that quits does to its programs.
    pub(crate) fn hang_up(mut self) {
        // Another terminal takes the place of the one that goes.
        let (master, slave) = session_sys::pty::open(1, 1).unwrap();
        self.slave = slave;
        self.master = master;
        dies(self.pid);
    }

    /// Ends the client by force.
    pub(crate) fn kill(self) {
        super::kill(self.pid, rustix::process::Signal::KILL);
    }
}

fn modes(slave: &OwnedFd) -> String {
    format!("{:?}", rustix::termios::tcgetattr(slave).unwrap())
}

fn cells(count: u16) -> std::num::NonZeroU16 {
    std::num::NonZeroU16::new(count).unwrap()
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.pid) {
            // Not yet waited for, so the number is still its own.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
        }
    }
}
