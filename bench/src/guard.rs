//! The process that starts the measuring one and leaves nothing behind, however that one ends.
//!
//! As a subreaper it becomes the parent of all that the peers detach, so that "nothing is left" is proven by
//! having no children, and Ctrl-C reaches it alone: the measuring process leads a kernel session of its own.

use std::io;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use session_sys::event::SignalFd;
use session_sys::process::{Reaped, become_subreaper, reap};

use crate::Options;
use crate::arena::Arena;
use crate::peers::Peer;
use crate::process::{TAG, readable};

/// How long all that was started may take to go.
const PATIENCE: Duration = Duration::from_secs(20);

/// Measures in a child, then ends what is left and removes the private directory.
pub(crate) fn run(options: &Options) -> io::Result<ExitCode> {
    if let Some(session) = &options.session {
        let cannot = |error| io::Error::other(format!("{}: {error}", session.display()));
        session.metadata().map_err(cannot)?;
    }
    let signals = SignalFd::new(&[
        Signal::INT.as_raw(),
        Signal::TERM.as_raw(),
        Signal::HUP.as_raw(),
        Signal::QUIT.as_raw(),
        Signal::CHILD.as_raw(),
    ])?;
    become_subreaper()?;
    let arena = Arena::make()?;
    let result = supervise(&arena, &signals);
    let peers = Peer::installed(&arena, options.session.as_deref()).0;
    clean_up(&arena, &peers)?;
    result
}

/// Runs the measuring process; its exit code, or 128 plus the signal that interrupts.
fn supervise(arena: &Arena, signals: &SignalFd) -> io::Result<ExitCode> {
    let worker = Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .arg("__measure")
        .arg(&arena.directory)
        .env(TAG, &arena.token)
        .spawn()?;
    let worker = worker.id().cast_signed();
    loop {
        readable(signals, None)?;
        while let Some(signo) = signals.next()? {
            if signo != Signal::CHILD.as_raw() {
                eprintln!("session-bench: interrupted, cleaning up");
                return Ok(ExitCode::from(u8::try_from(128 + signo).unwrap_or(1)));
            }
            while let Reaped::One { pid, code, .. } = reap()? {
                if pid == worker {
                    let code = code.and_then(|code| u8::try_from(code).ok());
                    return Ok(code.map_or(ExitCode::FAILURE, ExitCode::from));
                }
            }
        }
    }
}

/// Ends every process that carries this run's tag, the measuring one first if it still lives.
fn clean_up(arena: &Arena, peers: &[Peer]) -> io::Result<()> {
    let all = arena.tag();
    for pid in all.processes()? {
        if crate::process::executable(pid) == std::env::current_exe().ok() {
            all.signal(pid, Signal::KILL);
        }
    }
    for peer in peers {
        // What a peer undoes itself (control groups) before all that is left of it is killed.
        peer.remove_all();
    }
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        for pid in all.processes()? {
            all.signal(pid, Signal::KILL);
        }
        loop {
            match reap()? {
                Reaped::One { .. } => {}
                Reaped::NoChildren => return arena.remove(),
                Reaped::Alive => break,
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    arena.remove()?;
    Err(io::Error::other(format!(
        "processes that were started here do not end: {:?}",
        all.processes()?
    )))
}
