//! The keeper: one small process for all sessions of a user, so that the death of a holder is nobody else's.
//!
//! Holders park copies of their descriptors with it: terminals, pipes, rings, sockets, pidfds. A holder that is killed
//! leaves its processes unharmed, for nothing that they are connected to was closed, and the keeper starts another one,
//! which takes everything over (`docs/adr/0022-the-keeper.md`). It is in the path of no command, knows nothing of what
//! it keeps, and when it is killed itself the next holder that notices starts another, with which all park again.
//!
//! | file | duty |
//! | --- | --- |
//! | `message` | what holders and keeper say |
//! | `join` | the way to the keeper, also where there is none |
//! | `keeper` | what is parked, and who gets it |
//! | `succession`, `upgrade` | going on as another executable |

mod join;
mod keeper;
mod message;
pub mod succession;
mod upgrade;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::ExitCode;

use rustix::process::Signal;
use session_store::Root;

pub use join::{has_parked, join, upgrade};
pub use message::{Message, receive, send};

/// The key under which a holder parks its environment: a file of entries with a NUL behind each. The next holder of the
/// session is started with it.
pub const ENVIRONMENT: &str = "environment";
/// The key under which a holder parks the session's directory.
pub const DIRECTORY: &str = "directory";

/// The hidden role `session __keep PATH` for the state directory `path`.
///
/// Inherited: descriptor 0, the listening socket.
///
/// With `upgrade` behind the path, descriptor 0 says instead what an earlier executable left open, and with `check` the
/// question is only whether that is understood.
pub fn run(path: &Path, how: Option<&str>) -> ExitCode {
    if how == Some("check") {
        return if upgrade::check() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    match keep(path, how == Some("upgrade")) {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody is there to be told; the holders start another.
        Err(_) => ExitCode::FAILURE,
    }
}

fn keep(path: &Path, is_upgrade: bool) -> io::Result<()> {
    let own = Root::open_existing(path).ok().flatten();
    let own = own.and_then(|root| socket_of(&root));
    let mut keeper = if is_upgrade {
        keeper::Keeper::inherit(path)?
    } else {
        session_sys::process::close_inherited()?;
        let listener = session_sys::process::take_inherited(0)?;
        session_sys::process::null_standard_streams()?;
        keeper::Keeper::new(listener, path)?
    };
    session_sys::process::keep_private()?;
    session_sys::process::set_name(c"session-keeper")?;
    // Holders that it starts are nobody's to wait for.
    session_sys::event::ignore(Signal::CHILD.as_raw())?;
    // A login that ends takes nobody along; a machine that goes down asks, and is not to wait.
    for signal in session_sys::event::fatal() {
        if signal != Signal::TERM.as_raw() {
            let _ = session_sys::event::ignore(signal);
        }
    }
    raise_open_files();
    if !is_upgrade {
        keeper.revive_all();
    }
    keeper.run(|listener| may_leave(path, own, listener))
}

/// Which file the socket is that holders of this directory connect to.
fn socket_of(root: &Root) -> Option<(u64, u64)> {
    let directory = root.keeper().ok()?;
    let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    let stat = rustix::fs::statat(&directory, "socket", flags).ok()?;
    Some((stat.st_dev, stat.st_ino))
}

/// Some thirteen descriptors a session: as many as the system allows.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: maximum,
        maximum,
    };
    let _ = setrlimit(Resource::Nofile, most);
}

/// Gives up the socket, unless somebody is waiting there. Who comes later finds it gone and starts another keeper.
fn may_leave(path: &Path, own: Option<(u64, u64)>, listener: BorrowedFd<'_>) -> bool {
    let left = (|| {
        let Ok(Some(root)) = Root::open_existing(path) else {
            return Ok(true);
        };
        let directory = root.keeper().map_err(io::Error::other)?;
        let _starter = join::locked(directory.as_fd())?;
        let mut fds = [rustix::event::PollFd::new(
            &listener,
            rustix::event::PollFlags::IN,
        )];
        let now = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        if rustix::event::poll(&mut fds, Some(&now))? > 0 {
            return Ok(false);
        }
        // Where the directory was made anew it is another keeper's.
        if own.is_some() && socket_of(&root) == own {
            let flags = rustix::fs::AtFlags::empty();
            let _ = rustix::fs::unlinkat(&directory, "socket", flags);
        }
        Ok::<_, io::Error>(true)
    })();
    left.unwrap_or(false)
}
