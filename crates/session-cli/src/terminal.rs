//! The caller's own terminal: its size, and raw mode that is left again whatever ends the client.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, Once};

use rustix::process::Signal;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use session_protocol::Size;
use session_sys::event::SignalFd;

use crate::display::PATIENCE;
use crate::failure::Failure;
use crate::interactive::{ends, stops};
use crate::outlet::Outlet;

/// The modes to go back to while raw mode is on; where a panic finds them, too.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);
static HOOK: Once = Once::new();

/// Raw mode of standard input's terminal. Dropping it restores what was before.
#[derive(Debug)]
pub(crate) struct RawMode(());

impl RawMode {
    /// Every key is a byte, and no byte of output is changed on its way. In the background the process is stopped until it
    /// is in the foreground; a signal that ends it meanwhile is an error.
    pub(crate) fn enter(signals: &SignalFd) -> Result<Self, Failure> {
        to_the_front(signals)?;
        let before = tcgetattr(io::stdin()).map_err(io::Error::from)?;
        HOOK.call_once(|| {
            let report = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                report(panic);
            }));
        });
        if let Ok(mut saved) = BEFORE.lock() {
            *saved = Some(before.clone());
        }
        // The guard first: should the second call fail half-way, it is undone.
        let guard = Self(());
        set_raw(before)?;
        Ok(guard)
    }

    /// Gives the terminal back and stops the process, as whoever sent it SIGTSTP wants it, until it is continued; as
    /// [`RawMode::enter`] then.
    pub(crate) fn stop(self, signals: &SignalFd) -> Result<Self, Failure> {
        drop(self);
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, Signal::STOP).map_err(io::Error::from)?;
        Self::enter(signals)
    }

    /// Once more, after the shell took the terminal back while the client was stopped. In the background the
    /// terminal is someone else's.
    pub(crate) fn resume(&self) {
        if is_in_front()
            && let Ok(now) = tcgetattr(io::stdin())
        {
            let _ = set_raw(now);
        }
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore();
    }
}

fn is_in_front() -> bool {
    tcgetpgrp(io::stdin()).is_ok_and(|group| group == rustix::process::getpgrp())
}

/// Stops in the background as a terminal stops who reads it there. Where nobody could continue the process (an orphaned
/// process group, POSIX 11.1.4), or the terminal is not the controlling one, it does not stop.
fn to_the_front(signals: &SignalFd) -> Result<(), Failure> {
    for _ in 0..100 {
        while let Some(signal) = signals.next()? {
            if ends(signal) && !stops(signal) {
                return Err(Failure::Signal(signal));
            }
        }
        if is_in_front() || tcgetpgrp(io::stdin()).is_err() {
            break;
        }
        rustix::process::kill_current_process_group(Signal::TTIN).map_err(io::Error::from)?;
    }
    Ok(())
}

fn set_raw(mut modes: Termios) -> io::Result<()> {
    modes.make_raw();
    // Not FLUSH: what was typed ahead is meant for the session.
    Ok(tcsetattr(io::stdin(), OptionalActions::Now, &modes)?)
}

fn restore() {
    let before = BEFORE.try_lock().ok().and_then(|mut saved| saved.take());
    if let Some(before) = before {
        // FLUSH: answers of the terminal to a query that are still on their way must not become input of the
        // shell. Neither waits for output, which may never drain. A terminal that is gone needs no modes.
        let _ = rustix::termios::tcflush(io::stdin(), rustix::termios::QueueSelector::IFlush);
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &before);
    }
}

/// A line to whoever sits there, on standard output. The terminal may be gone, or take nothing: neither keeps the client
/// from going on.
pub(crate) fn say(text: &str) {
    if let Ok(mut outlet) = Outlet::new(io::stdout())
        && outlet.offer(text.as_bytes()).is_ok()
    {
        let _ = outlet.drain(PATIENCE);
    }
}

/// The terminal's size; 24 lines of 80 columns where it says 0 by 0, as a serial line does.
pub(crate) fn size() -> Size {
    let known = |fd: BorrowedFd<'_>| {
        let (rows, cols) = session_sys::pty::size(fd).ok()?;
        (rows > 0 && cols > 0).then_some(Size { rows, cols })
    };
    known(io::stdout().as_fd())
        .or_else(|| known(io::stdin().as_fd()))
        .unwrap_or_default()
}
