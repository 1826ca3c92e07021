//! An attached client on a pseudo-terminal of its own, as a terminal window would run it.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, pidfd_send_signal, waitpid};
use session_sys::spawn::{ChildStdio, Program, Started, spawn};
use session_terminal::Screen;

use crate::process::readable;

/// Hung up, as a closed window does it, when dropped.
#[derive(Debug)]
pub(crate) struct Client {
    /// `None` only while it is dropped.
    terminal: Option<OwnedFd>,
    process: Started,
    buffer: Vec<u8>,
}

/// Something that was waited for in the output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// When it was there.
    pub(crate) at: Instant,
    /// How many bytes came up to then.
    pub(crate) bytes: u64,
}

impl Client {
    /// Runs a command (only program, arguments and environment of it count) on a terminal of 24 rows and 80 columns.
    pub(crate) fn start(command: &Command) -> io::Result<Self> {
        let (master, slave) = session_sys::pty::open(24, 80)?;
        let mut argv = vec![c_string(command.get_program())?];
        for argument in command.get_args() {
            argv.push(c_string(argument)?);
        }
        let mut env = Vec::new();
        for (name, value) in command.get_envs() {
            let entry = [name.as_bytes(), value.unwrap_or_default().as_bytes()].join(&b'=');
            env.push(CString::new(entry)?);
        }
        let program = Program {
            executable: c_string(command.get_program())?,
            argv,
            env,
            directory: c"/".into(),
            stdio: ChildStdio::Terminal(slave),
            umask: 0o077,
            limits: Vec::new(),
        };
        let process = spawn(&program, None).map_err(io::Error::other)?.open()?;
        Ok(Self {
            terminal: Some(master),
            process,
            buffer: vec![0; 64 * 1024],
        })
    }

    /// Types.
    pub(crate) fn send(&self, keys: &[u8]) -> io::Result<()> {
        rustix::io::write(self.terminal()?, keys)?;
        Ok(())
    }

    /// Reads until nothing has come for a while; gives up at the limit.
    pub(crate) fn settle(&mut self, quiet: Duration, limit: Duration) -> io::Result<()> {
        let end = Instant::now() + limit;
        while Instant::now() < end && self.read(Instant::now() + quiet)? > 0 {}
        Ok(())
    }

    /// Types a letter until it comes back: echoed by the session's terminal, or by its program.
    pub(crate) fn prove_attached(&mut self) -> io::Result<()> {
        self.settle(Duration::from_millis(150), Duration::from_secs(3))?;
        self.send(b"v")?;
        self.await_bytes(b"v", Duration::from_secs(10))?;
        self.settle(Duration::from_millis(50), Duration::from_secs(1))
    }

    /// Reads until these bytes are there, wherever reads cut them.
    pub(crate) fn await_bytes(&mut self, wanted: &[u8], limit: Duration) -> io::Result<Seen> {
        let until = Instant::now() + limit;
        let mut bytes = 0;
        // The end of what came before, followed by the start of what is new.
        let mut seam: Vec<u8> = Vec::with_capacity(2 * wanted.len());
        loop {
            let count = self.read(until)?;
            if count == 0 {
                let message = format!("the client printed {bytes} bytes and not what was awaited");
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            let at = Instant::now();
            bytes += count as u64;
            let new = &self.buffer[..count];
            seam.extend_from_slice(&new[..count.min(wanted.len() - 1)]);
            if contains(new, wanted) || contains(&seam, wanted) {
                return Ok(Seen { at, bytes });
            }
            if count >= wanted.len() {
                seam.clear();
                seam.extend_from_slice(&new[count + 1 - wanted.len()..]);
            } else {
                seam.drain(..seam.len().saturating_sub(wanted.len() - 1));
            }
        }
    }

    /// Signals the client itself, not what it is attached to.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(pidfd_send_signal(&self.process.pidfd, signal)?)
    }

    /// Puts what comes on a screen, until nothing has come for a while.
    pub(crate) fn show(
        &mut self,
        screen: &mut Screen,
        quiet: Duration,
        limit: Duration,
    ) -> io::Result<()> {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            let count = self.read(Instant::now() + quiet)?;
            if count == 0 {
                break;
            }
            screen.feed(&self.buffer[..count]);
        }
        Ok(())
    }

    /// What is there now is thrown away.
    pub(crate) fn drain(&mut self) -> io::Result<()> {
        while self.read(Instant::now())? > 0 {}
        Ok(())
    }

    /// Bytes into the buffer; 0 when the time is over.
    fn read(&mut self, until: Instant) -> io::Result<usize> {
        let terminal = self.terminal.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        loop {
            match rustix::io::read(terminal, &mut self.buffer[..]) {
                // EIO: the last process on the terminal has gone.
                Ok(0) | Err(Errno::IO) => return Err(io::Error::other("the client ended")),
                Ok(count) => return Ok(count),
                Err(Errno::AGAIN) if !readable(terminal, Some(until))? => return Ok(0),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn terminal(&self) -> io::Result<&OwnedFd> {
        Ok(self.terminal.as_ref().ok_or(io::ErrorKind::NotConnected)?)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.terminal.take());
        let patience = Instant::now() + Duration::from_secs(1);
        if !readable(&self.process.pidfd, Some(patience)).unwrap_or(false) {
            let _ = pidfd_send_signal(&self.process.pidfd, Signal::KILL);
        }
        let _ = waitpid(Pid::from_raw(self.process.pid), WaitOptions::empty());
    }
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    let Some(&last) = wanted.last() else {
        return true;
    };
    // Looked for from the back: what is awaited comes last, and most of 64 KiB does not matter.
    text.len() >= wanted.len()
        && (wanted.len() - 1..text.len())
            .rev()
            .any(|end| text[end] == last && text[..=end].ends_with(wanted))
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    Ok(CString::new(text.as_bytes())?)
}
