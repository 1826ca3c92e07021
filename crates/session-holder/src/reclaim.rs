//! What a holder that was killed left running is ended before anything is started in its place (invariant 3).
//!
//! The main process is known exactly, by its recorded identity. The rest of its tree is found through the
//! session's cgroup where there is one, else by `SESSION_ID` in the environment: a process that cleared its
//! environment is missed then, which is why the result says `proven` or not.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal};
use session_store::Owned;
use session_sys::cgroup::Group;

use crate::Error;

/// How long the killed may take to be gone.
const GONE: Duration = Duration::from_secs(5);

/// What was found of an earlier run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reclaimed {
    /// Processes that were ended.
    pub ended: usize,
    /// Nothing of the earlier run is left, for certain.
    pub proven: bool,
}

/// Ends what is left of an earlier run of the session.
///
/// # Errors
/// A process that cannot be ended or looked for is named; then nothing may be started.
pub fn reclaim(owned: &mut Owned) -> Result<Reclaimed, Error> {
    let Some(identity) = owned.read_identity()? else {
        return Ok(Reclaimed {
            ended: 0,
            proven: true,
        });
    };
    let unknown = |source| Error::Unknown {
        pid: identity.pid,
        source,
    };
    let boot = session_sys::identity::boot_id().map_err(unknown)?;
    if identity.boot_id != boot {
        return Ok(Reclaimed {
            ended: 0,
            proven: true,
        });
    }
    let failed = |source| Error::Reclaim {
        pid: identity.pid,
        source,
    };
    let mut ended = 0;
    let group = group_of(owned);
    if let Some(pidfd) = identity.open().map_err(unknown)? {
        let spec = &owned.record().spec;
        let polite = Signal::from_named_raw(spec.stop_signal.number()).unwrap_or(Signal::TERM);
        if let Some(group) = &group {
            let _ = group.freeze(false);
        }
        for signal in [polite, Signal::CONT] {
            let _ = rustix::process::pidfd_send_signal(&pidfd, signal);
        }
        if !gone(&pidfd, spec.stop_timeout).map_err(failed)? {
            let _ = rustix::process::pidfd_send_signal(&pidfd, Signal::KILL);
            if !gone(&pidfd, GONE).map_err(failed)? {
                return Err(failed(io::Error::from(io::ErrorKind::TimedOut)));
            }
        }
        ended += 1;
    }
    // The descendants. A group that is empty is a proof; without one they are found by their environment.
    if let Some(group) = group {
        ended += group.processes().map_or(0, |pids| pids.len());
        let _ = group.kill();
        let proven = empty(&group);
        let _ = group.remove();
        return Ok(Reclaimed { ended, proven });
    }
    let cookie = cookie(owned);
    let own = rustix::process::getpid();
    for pid in session_sys::tree::with_environment(&cookie).unwrap_or_default() {
        let Some(pid) = Pid::from_raw(pid).filter(|pid| *pid != own) else {
            continue;
        };
        let Ok(pidfd) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else {
            continue;
        };
        // Opened, then looked at again: the number may have gone to another process in between.
        let still = session_sys::tree::has_environment(pid.as_raw_nonzero().get(), &cookie);
        if still && rustix::process::pidfd_send_signal(&pidfd, Signal::KILL).is_ok() {
            ended += usize::from(gone(&pidfd, GONE).unwrap_or(false));
        }
    }
    // One that cleared its environment is not found this way.
    Ok(Reclaimed {
        ended,
        proven: false,
    })
}

/// How many processes of an earlier run there are, as far as can be seen.
pub fn left(owned: &Owned) -> usize {
    let recorded = owned.read_identity().ok().flatten();
    let boot = session_sys::identity::boot_id().ok();
    if recorded.is_none_or(|identity| Some(identity.boot_id) != boot) {
        return 0;
    }
    let found = match group_of(owned) {
        Some(group) => group.processes(),
        None => session_sys::tree::with_environment(&cookie(owned)),
    };
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let found = found.unwrap_or_default();
    found.into_iter().filter(|pid| *pid != own).count()
}

/// What every process of the session was started with.
pub(crate) fn cookie(owned: &Owned) -> Vec<u8> {
    format!("SESSION_ID={}", owned.record().id).into_bytes()
}

/// The cgroup that an earlier holder made, where it said that it is, or else below our own.
pub(crate) fn group_of(owned: &Owned) -> Option<Group> {
    let id = owned.record().id.to_string();
    let live = owned.session().read_live().ok().flatten();
    live.and_then(|live| {
        let told = live.cgroup?;
        let path = Path::new(told.as_os_str());
        let ours = path.ends_with(format!("session-{id}"));
        ours.then(|| Group::at(path).ok())?
    })
    .or_else(|| Group::open_existing(&id).ok())
}

/// Waits until the process has ended: a pidfd is readable then.
fn gone(pidfd: &OwnedFd, patience: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        match poll(
            &mut [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)],
            Some(&timeout),
        ) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits until a killed group is empty.
fn empty(group: &Group) -> bool {
    let deadline = Instant::now() + GONE;
    let Ok(events) = group.events() else {
        return false;
    };
    while group.is_populated().unwrap_or(true) {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let _ = poll(
            &mut [PollFd::from_borrowed_fd(events.as_fd(), PollFlags::PRI)],
            Some(&timeout),
        );
    }
    true
}
