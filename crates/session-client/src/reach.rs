//! Who may act on a session: its holder, who must be asked, or the caller, who then owns it.
//!
//! A holder exits when nothing of its session runs, and verbs own sessions for moments, so either answer can
//! change while it is acted on. The loops here wait for such moments to pass: for the holder's death by its
//! pidfd, for a verb's in slices of 5 ms, and never longer than five seconds. A session whose holder was killed is nobody's
//! to own as long as the keeper has its processes: a holder that adopts them is about to come.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::de::DeserializeOwned;
use session_protocol::Call;
use session_store::{Owned, Session};

use crate::connection::wait;
use crate::{Connection, Error};

const PATIENCE: Duration = Duration::from_secs(5);
const SLICE: Duration = Duration::from_millis(5);

/// Who has the session.
#[derive(Debug)]
enum Reached {
    /// Nobody did; now the caller does.
    Owned(Owned),
    /// A holder.
    Holder(Connection),
}

/// Who answered.
#[derive(Debug)]
pub enum Asked<T> {
    /// There is no holder to ask; the caller owns the session.
    Owned(Owned),
    /// The holder, on this connection.
    Answer(Connection, T),
}

/// Owns the session or connects to its holder.
fn reach(session: &Session, mut deadline: Instant) -> Result<Reached, Error> {
    let mut last = 0;
    loop {
        match session.try_own()? {
            Some(owned) if !is_awaited(session)? => return Ok(Reached::Owned(owned)),
            // Given up at once, for whoever is to have it.
            _ => {}
        }
        if let Some(connection) = attempt(session)? {
            return Ok(Reached::Holder(connection));
        }
        // Patience is for one holder: where others come and go, there is progress, if not for us.
        let holder = pause(session, deadline)?;
        if holder != last {
            (last, deadline) = (holder, deadline.max(Instant::now() + PATIENCE));
        }
    }
}

/// Asks the holder, or owns the session if there is none. A holder that goes away without an answer is asked no
/// further: the session is reached again, so `call` should be one that may be asked twice.
///
/// # Errors
/// The holder's own, and [`Error::Unreachable`] after five seconds of neither holder nor ownership.
pub fn ask<T: DeserializeOwned>(session: &Session, call: Call) -> Result<Asked<T>, Error> {
    let mut deadline = Instant::now() + PATIENCE;
    loop {
        let mut connection = match reach(session, deadline)? {
            Reached::Owned(owned) => return Ok(Asked::Owned(owned)),
            Reached::Holder(connection) => connection,
        };
        let asked = Instant::now();
        match connection.call(call.clone()) {
            Ok(answer) => return Ok(Asked::Answer(connection, answer)),
            // The time it worked on the call is not time it could not be reached.
            Err(Error::Closed) => deadline += asked.elapsed(),
            Err(error) => return Err(error),
        }
        pause(session, deadline)?;
    }
}

/// Whether nobody holds the session, but somebody is about to: its holder was killed, and the keeper starts another.
///
/// # Errors
/// Those of reading the session's files.
pub fn is_awaited(session: &Session) -> Result<bool, Error> {
    // What has no main process on file is at rest, and nobody need be asked.
    if session.holder_lives()? || session.read_identity()?.is_none() {
        return Ok(false);
    }
    let id = session.id().to_string();
    Ok(session_keeper::has_parked(session.root(), &id))
}

/// Connects to the session's holder, or to one that is about to come; `None` if there is neither.
///
/// # Errors
/// [`Error::Unreachable`] after five seconds of a holder that lives and does not listen.
pub fn connect(session: &Session) -> Result<Option<Connection>, Error> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if session.holder_lives()? {
            if let Some(connection) = attempt(session)? {
                return Ok(Some(connection));
            }
        } else if !is_awaited(session)? && !session.holder_lives()? {
            return Ok(None);
        }
        pause(session, deadline)?;
    }
}

/// `None` where nobody listens: a holder that is just starting or just ending.
fn attempt(session: &Session) -> Result<Option<Connection>, Error> {
    match Connection::open(session) {
        Ok(connection) => Ok(Some(connection)),
        Err(Error::Closed) => Ok(None),
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
            rouse(session)?;
            Ok(None)
        }
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::ConnectionRefused => Ok(None),
        Err(error) => Err(error),
    }
}

/// A holder whose socket was deleted makes another at SIGUSR1. It is sent to no other process: the pid on file may be
/// that of an earlier holder, whose number anyone may have now.
fn rouse(session: &Session) -> Result<(), Error> {
    let Some((pid, pidfd)) = living_holder(session)? else {
        return Ok(());
    };
    let holds = session_sys::process::called_as(pid, &["session", "__hold"]);
    if holds == Some(session.id().to_string()) {
        let _ = rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::USR1);
    }
    Ok(())
}

/// The holder on file, if that process lives.
fn living_holder(session: &Session) -> Result<Option<(i32, OwnedFd)>, Error> {
    let Some(live) = session.read_live()?.filter(|live| live.holder > 0) else {
        return Ok(None);
    };
    let alive = |pidfd: &OwnedFd| !session_sys::identity::dead(pidfd);
    let pidfd = pidfd(live.holder).filter(alive);
    Ok(pidfd
        .filter(|_| session.holder_lives().unwrap_or(false))
        .map(|pidfd| (live.holder, pidfd)))
}

/// Waits until the holder that hung up is dead, for a moment at most: whoever asks again does not spin.
///
/// # Errors
/// Those of reading the session's files.
pub fn hung_up(session: &Session) -> Result<(), Error> {
    pause(session, Instant::now() + PATIENCE).map(drop)
}

/// Waits for the holder's death, or for a moment; gives its pid, as far as it is known.
fn pause(session: &Session, deadline: Instant) -> Result<i32, Error> {
    let holder = living_holder(session)?;
    let pid = holder.as_ref().map_or(0, |(pid, _)| *pid);
    let now = Instant::now();
    if now >= deadline {
        return Err(Error::Unreachable { pid });
    }
    let until = (now + SLICE).min(deadline);
    match holder {
        Some((_, pidfd)) => {
            wait(std::os::fd::AsFd::as_fd(&pidfd), Some(until))?;
        }
        None => {
            // What holds the lock is a verb, or a holder before its first word: nothing to poll.
            let left = rustix::event::Timespec::try_from(until - now).ok();
            let _ = rustix::event::poll(&mut [], left.as_ref());
        }
    }
    Ok(pid)
}

/// The pid may be an old one whose number someone else has now; then it is not waited for longer than a slice.
fn pidfd(pid: i32) -> Option<OwnedFd> {
    pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use session_store::{Root, Wanted};

    use super::*;

    fn session(root: &Root) -> Owned {
        let spec = serde_json::from_value(serde_json::json!({
            "command": ["true"], "executable": "/bin/true", "directory": "/"
        }));
        let name = "test".parse().unwrap();
        root.create(Wanted::Exact(name), spec.unwrap()).unwrap()
    }

    #[test]
    fn who_comes_first_owns_and_who_comes_later_gets_it_after() {
        let state = tempfile::tempdir().unwrap();
        let root = Root::open(&state.path().join("root")).unwrap();
        let owned = session(&root);
        let session = owned.session().clone();
        let other = std::thread::spawn({
            let session = session.clone();
            move || {
                matches!(
                    reach(&session, Instant::now() + PATIENCE).unwrap(),
                    Reached::Owned(_)
                )
            }
        });
        drop(owned);
        assert!(other.join().unwrap());
        assert!(connect(&session).unwrap().is_none());
    }

    #[test]
    fn a_holder_that_listens_is_reached_and_asked() {
        let state = tempfile::tempdir().unwrap();
        let root = Root::open(&state.path().join("root")).unwrap();
        let owned = session(&root);
        owned.announce_holder().unwrap();
        let session = owned.session().clone();
        let directory = session.directory_fd().try_clone_to_owned().unwrap();
        let listener = session_sys::socket::listen(directory.as_fd(), "socket", 8).unwrap();
        rustix::fs::fcntl_setfl(&listener, rustix::fs::OFlags::empty()).unwrap();
        let holder = std::thread::spawn(move || {
            use std::io::{Read, Write};
            let listener = std::os::unix::net::UnixListener::from(listener);
            // The first goes away without an answer, as an ending holder does.
            drop(listener.accept().unwrap());
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0; 8]).unwrap();
            let answer = serde_json::json!({ "id": 1, "result": "here" });
            stream.write_all(&session_protocol::PREFACE).unwrap();
            stream
                .write_all(&session_protocol::encode_control(&answer))
                .unwrap();
            drop(owned);
        });
        match ask::<String>(&session, Call::Status {}).unwrap() {
            Asked::Answer(_, answer) => assert_eq!(answer, "here"),
            Asked::Owned(_) => panic!("a holder was there"),
        }
        holder.join().unwrap();
    }
}
