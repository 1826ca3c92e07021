//! Starting a holder: the session's lock and the first connection are handed over in one exec.

use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use session_protocol::Size;
use session_store::Owned;

use crate::{Connection, Error};

/// Starts the holder of a session that the caller owns, from the caller's own executable, and gives the
/// connection it was born with. [`session_protocol::Call::Ready`] on it answers once the main process runs.
///
/// The lock is one of the open file, which the holder shares: `owned` stays the caller's for
/// `make_durable` and `remove`, and dropping it does not unlock the session. Writing the record while the
/// holder starts is not for the caller any more.
///
/// `size` is that of the main process's terminal until somebody attaches with another.
///
/// # Errors
/// The executable could not be started. Why a holder could not start the session comes as its answer.
pub fn launch(owned: &Owned, size: Option<Size>) -> Result<Connection, Error> {
    let (ours, theirs) = session_sys::socket::pair().map_err(Error::io("make a socket pair"))?;
    let lock: OwnedFd = owned
        .lock_fd()
        .try_clone_to_owned()
        .map_err(Error::io("duplicate the session's lock"))?;
    let session = owned.session();
    crate::lend_agent(session);
    // No pre_exec and no other directory: without them the standard library can use posix_spawn, which copies no
    // page tables. The holder finds the session's directory by the lock.
    Command::new("/proc/self/exe")
        .arg0("session")
        .arg("__hold")
        .arg(session.id().to_string())
        .args(size.map(|size| size.to_string()))
        .stdin(theirs)
        .stdout(lock)
        .stderr(Stdio::inherit())
        // What the caller runs in, if it runs in a session, is not what the new holder is.
        .env_remove("SESSION_ID")
        .env_remove("SESSION_NAME")
        .env_remove("SESS_NUM")
        .spawn()
        .map_err(Error::io("start the session's holder"))?;
    Ok(Connection::over(ours))
}
