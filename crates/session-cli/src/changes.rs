//! Waiting for a session to change, whether a holder tells or only its files do.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use session_client::{Connection, Error, Incoming};
use session_protocol::{Call, Code, Notice, Status};
use session_store::Session;

use crate::failure::Failure;

/// File systems shared with other machines tell nothing of what those change.
const LOOK: Duration = Duration::from_secs(1);

/// Waits until `done` makes something of the session's status; `None` at the deadline.
pub(crate) fn wait_for<T>(
    session: &Session,
    deadline: Option<Instant>,
    mut done: impl FnMut(&Status) -> Option<T>,
) -> Result<Option<T>, Failure> {
    loop {
        // Before looking: a change after that is not missed.
        let watch = watch(session);
        if let Some(connection) = session_client::connect(session)? {
            match listen(connection, deadline, &mut done) {
                Err(Error::Closed) => {
                    session_client::hung_up(session)?;
                    continue;
                }
                Err(Error::Late) => return Ok(None),
                result => return Ok(Some(result?)),
            }
        }
        if let Some(found) = done(&status(session)?) {
            return Ok(Some(found));
        }
        let now = Instant::now();
        if deadline.is_some_and(|deadline| deadline <= now) {
            return Ok(None);
        }
        let until = deadline.map_or(now + LOOK, |deadline| deadline.min(now + LOOK));
        let timeout = Timespec::try_from(until - now).ok();
        let polled = match &watch {
            Ok(watch) => {
                rustix::event::poll(&mut [PollFd::new(watch, PollFlags::IN)], timeout.as_ref())
            }
            Err(_) => rustix::event::poll(&mut [], timeout.as_ref()),
        };
        match polled {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(io::Error::from(errno).into()),
        }
    }
}

/// The status; a session that was removed meanwhile has none.
pub(crate) fn status(session: &Session) -> Result<Status, Failure> {
    session.status().map_err(|error| match error {
        session_store::Error::NotFound(_) => {
            Failure::new(Code::NotFound, "the session was removed")
        }
        error => error.into(),
    })
}

fn listen<T>(
    mut connection: Connection,
    deadline: Option<Instant>,
    done: &mut impl FnMut(&Status) -> Option<T>,
) -> Result<T, Error> {
    let status: Status = connection.call_until(Call::Subscribe {}, deadline)?;
    if let Some(found) = done(&status) {
        return Ok(found);
    }
    loop {
        match connection.poll()? {
            Some(Incoming::Notice(Notice::Changed(status) | Notice::Ended(status))) => {
                if let Some(found) = done(&status) {
                    return Ok(found);
                }
            }
            Some(_) => {}
            None => {
                if !connection.ready(deadline)? {
                    return Err(Error::Late);
                }
                connection.receive()?;
            }
        }
    }
}

fn watch(session: &Session) -> io::Result<OwnedFd> {
    let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let changes = WatchFlags::CREATE
        | WatchFlags::MODIFY
        | WatchFlags::MOVED_TO
        | WatchFlags::DELETE
        | WatchFlags::DELETE_SELF;
    inotify::add_watch(&watch, session.path(), changes)?;
    Ok(watch)
}

#[cfg(test)]
mod tests {
    use session_protocol::State;
    use session_store::{LastState, Root, Spec, Wanted};

    use super::*;

    #[test]
    fn changes_and_the_end_are_seen_without_a_holder() {
        let state = tempfile::tempdir().unwrap();
        let root = Root::open(&state.path().join("root")).unwrap();
        let mut spec = Spec::new(vec!["true".into()], "/bin/true".into(), "/".into());
        spec.start_suspended = true;
        let mut owned = root
            .create(Wanted::Exact("x".parse().unwrap()), spec)
            .unwrap();
        let session = owned.session().clone();
        let soon = Some(Instant::now());
        assert!(wait_for(&session, soon, |_| None::<()>).unwrap().is_none());
        let (looked, looking) = std::sync::mpsc::channel();
        let (seen, stopped) = std::sync::mpsc::channel();
        let waiter = std::thread::spawn(move || {
            let found = wait_for(&session, None, |status| {
                let _ = looked.send(());
                (status.state == State::Stopped).then_some(())
            });
            assert!(found.unwrap().is_some());
            wait_for(&session, None, |_| {
                let _ = seen.send(());
                None::<()>
            })
        });
        looking.recv().unwrap();
        let mut record = owned.record().clone();
        record.last.state = LastState::Stopped;
        owned.write_record(record).unwrap();
        stopped.recv().unwrap();
        owned.remove().unwrap();
        let failure = waiter.join().unwrap().unwrap_err();
        assert_eq!(failure.code(), Some(Code::NotFound));
    }
}
