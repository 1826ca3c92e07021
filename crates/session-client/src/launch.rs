//! Starting a holder: it begins while its session is still being made, and is handed the session's lock when that is there.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use session_protocol::Size;
use session_store::{Id, Owned};

use crate::{Connection, Error};

/// A holder that waits for its session. Dropped, it exits and has done nothing.
#[derive(Debug)]
pub struct Launch(UnixStream);

impl Launch {
    /// Starts a holder from the caller's own executable, for a session that has this id or is to get it. `size` is that of the
    /// main process's terminal until somebody attaches with another.
    ///
    /// # Errors
    /// The executable could not be started.
    pub fn begin(id: &Id, size: Option<Size>) -> Result<Self, Error> {
        let (ours, theirs) =
            session_sys::socket::pair().map_err(Error::io("make a socket pair"))?;
        // No pre_exec and no other directory: without them the standard library can use posix_spawn, which copies no
        // page tables. The holder finds the session's directory by the lock.
        Command::new("/proc/self/exe")
            .arg0("session")
            .arg("__hold")
            .arg(id.to_string())
            .args(size.map(|size| size.to_string()))
            .stdin(theirs)
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            // What the caller runs in, if it runs in a session, is not what the new holder is.
            .env_remove("SESSION_ID")
            .env_remove("SESSION_NAME")
            .env_remove("SESS_NUM")
            .spawn()
            .map_err(Error::io("start the session's holder"))?;
        Ok(Self(ours))
    }

    /// Hands over the session, which the caller owns; [`session_protocol::Call::Ready`] on the connection answers once the
    /// main process runs.
    ///
    /// The lock is one of the open file, which the holder shares: `owned` stays the caller's for
    /// `make_durable` and `remove`, and dropping it does not unlock the session. Writing the record while the
    /// holder starts is not for the caller any more.
    ///
    /// # Errors
    /// The holder is gone. Why it could not start the session comes as its answer.
    pub fn hand_over(self, owned: &Owned) -> Result<Connection, Error> {
        crate::lend_agent(owned.session());
        session_sys::socket::send_with(&self.0, &[0], owned.lock_fd().as_fd())
            .map_err(Error::io("hand the session's lock to its holder"))?;
        Ok(Connection::over(self.0))
    }
}

/// Starts the holder of a session that is there, and that the caller owns, as [`Launch`] does.
///
/// # Errors
/// As [`Launch::begin`] and [`Launch::hand_over`].
pub fn launch(owned: &Owned, size: Option<Size>) -> Result<Connection, Error> {
    Launch::begin(owned.session().id(), size)?.hand_over(owned)
}
