//! The way to the keeper: its socket, or a new keeper where nobody listens there.
//!
//! A starter holds a lock while it looks whether somebody listens and, if nobody does, makes the socket and starts a
//! keeper that inherits it. So there is no instant in which a keeper is being started and cannot be connected to, and
//! never a second one. Only the keeper has the listening socket then, so nobody listens once it is dead.

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use session_store::Root;
use session_sys::spawn::{self, ChildStdio, Program};
use session_sys::{lock, socket};

use crate::message::{self, Message};

/// Its name in the keeper's directory.
const SOCKET: &str = "socket";
/// Holders that may wait to be accepted.
const BACKLOG: i32 = 4096;
/// The byte of `lock` that a starter locks.
const STARTING: u64 = 0;
/// A keeper that does not say in this time whether it has something has nothing.
const QUERY: Duration = Duration::from_secs(1);
/// Another executable may think for some seconds.
const UPGRADE: Duration = Duration::from_secs(15);
/// A starter takes this long at most, unless it is stopped.
const PATIENCE: Duration = Duration::from_millis(500);

/// Connects to the keeper of `root`, non-blocking; starts one where there is none.
///
/// # Errors
/// No keeper can be reached or started; without one everything works but adoption.
pub fn join(root: &Root) -> io::Result<OwnedFd> {
    let directory = root.keeper().map_err(io::Error::other)?;
    match connect(directory.as_fd()) {
        Err(error) if is_absent(&error) => {}
        connected => return connected,
    }
    let starter = locked(directory.as_fd())?;
    match connect(directory.as_fd()) {
        Err(error) if is_absent(&error) => {}
        connected => return connected,
    }
    let listener = socket::listen_for_messages(directory.as_fd(), SOCKET, BACKLOG)?;
    start(root, listener)?;
    drop(starter);
    connect(directory.as_fd())
}

/// Whether the keeper has something parked of this session, so that a holder of it is about to come up.
pub fn has_parked(root: &Root, session: &str) -> bool {
    let asked = (|| {
        let directory = root.keeper().map_err(io::Error::other)?;
        let connection = connect(directory.as_fd())?;
        let session = session.to_owned();
        message::send(&connection, &Message::Query { session }, &[])?;
        answer(&connection, QUERY)
    })();
    matches!(asked, Ok(Some((Message::Held { held: true }, _))))
}

/// Has the keeper of `root` go on as `executable`; nothing where there is none.
///
/// # Errors
/// Why it cannot.
pub fn upgrade(root: &Root, executable: &Path) -> io::Result<()> {
    let directory = root.keeper().map_err(io::Error::other)?;
    let connection = match connect(directory.as_fd()) {
        Err(error) if is_absent(&error) => return Ok(()),
        connection => connection?,
    };
    let executable = executable.to_owned();
    message::send(&connection, &Message::Upgrade { executable }, &[])?;
    match answer(&connection, UPGRADE)? {
        None => Ok(()),
        Some((Message::Refused { why }, _)) => Err(io::Error::other(why)),
        Some(_) => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// What the keeper says next; `TimedOut` if that takes too long.
fn answer(connection: &OwnedFd, patience: Duration) -> io::Result<Option<(Message, Vec<OwnedFd>)>> {
    let mut fds = [PollFd::new(connection, PollFlags::IN)];
    let patience = Timespec::try_from(patience).ok();
    match rustix::io::retry_on_intr(|| poll(&mut fds, patience.as_ref()))? {
        0 => Err(io::ErrorKind::TimedOut.into()),
        _ => message::receive(connection),
    }
}

fn connect(directory: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let connection = socket::connect_for_messages(directory, SOCKET)?;
    if socket::peer_uid(&connection)? != session_sys::process::effective_uid() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(connection)
}

fn is_absent(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, NotFound};
    matches!(error.kind(), ConnectionRefused | NotFound)
}

/// The starter's lock, for as long as what is returned is open.
pub(crate) fn locked(directory: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, "lock", flags, Mode::RUSR | Mode::WUSR)?;
    let deadline = Instant::now() + PATIENCE;
    while !lock::try_lock(&file, STARTING)? {
        if Instant::now() > deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        // What holds it is another starter, for less than this.
        let pause = Timespec {
            tv_sec: 0,
            tv_nsec: 1_000_000,
        };
        let _ = poll(&mut [], Some(&pause));
    }
    Ok(file)
}

/// Starts a keeper beside the caller: a child of its parent, for a holder proves by having no children that nothing of
/// its session is left.
fn start(root: &Root, listener: OwnedFd) -> io::Result<()> {
    let null = || rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    let path = std::os::unix::ffi::OsStrExt::as_bytes(root.path().as_os_str());
    let program = Program {
        executable: c"/proc/self/exe".to_owned(),
        argv: vec![
            c"session".to_owned(),
            c"__keep".to_owned(),
            CString::new(path)?,
        ],
        env: environment_of(std::env::vars_os()),
        directory: c"/".to_owned(),
        stdio: ChildStdio::Pipes {
            stdin: listener,
            stdout: null()?,
            stderr: null()?,
        },
        umask: 0o077,
        limits: Vec::new(),
    };
    let gated = spawn::spawn_beside(&program).map_err(io::Error::other)?;
    gated.open().map(drop)
}

/// Of the caller's environment only what is not about the one session that the caller holds.
pub(crate) fn environment_of(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Vec<CString> {
    use std::os::unix::ffi::OsStrExt;
    let ours = variables.filter(|(name, _)| {
        !["SESSION_ID", "SESSION_NAME", "SESS_NUM"]
            .iter()
            .any(|it| name == it)
    });
    ours.filter_map(|(name, value)| {
        CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok()
    })
    .collect()
}
