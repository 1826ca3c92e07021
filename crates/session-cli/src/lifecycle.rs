//! Starting and ending a session, with its holder or without one: what several verbs have in common.

use std::time::{Duration, Instant};

use serde::de::IgnoredAny;
use session_client::{Asked, Connection, Error};
use session_protocol::{Call, Code, Desired, State, Status};
use session_store::{LastState, Owned, Record, Session};

use crate::failure::Failure;

/// How long a holder that has nothing to do any more may take to exit, where its lock is needed.
const EXIT: Duration = Duration::from_secs(5);
/// The same where only tidiness waits for it.
const LINGER: Duration = Duration::from_secs(1);

/// Starts the main process and answers once it runs. One that runs already is an error.
pub(crate) fn start(session: &Session) -> Result<Status, Failure> {
    match session_client::ask(session, Call::Start {})? {
        Asked::Answer(_, status) => Ok(status),
        Asked::Owned(owned) => match owned.status() {
            status if status.unwatched => {
                let hint = format!("`session restart {}` ends it first", status.name);
                Err(Failure::sentence(Code::Running, status.sentence()).hint(hint))
            }
            _ => launch(&owned),
        },
    }
}

/// Ends what runs, and starts the main process; without a holder a new one does that.
pub(crate) fn restart(session: &Session) -> Result<Status, Failure> {
    match session_client::ask(session, Call::Restart {})? {
        Asked::Answer(_, status) => Ok(status),
        Asked::Owned(owned) => launch(&owned),
    }
}

/// A process is not started where nothing could be opened for it: what is refused half-way is harder to take back.
pub(crate) fn check_open_files() -> Result<(), Failure> {
    const NEEDED: u64 = 32;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    match limit.filter(|limit| *limit < NEEDED) {
        None => Ok(()),
        Some(limit) => Err(Failure::new(
            Code::Limit,
            format!(
                "{limit} open files are not enough to keep a session, {NEEDED} are (see `ulimit -n`)"
            ),
        )),
    }
}

/// Starts the holder of a session that the caller owns; answers once its main process runs.
pub(crate) fn launch(owned: &Owned) -> Result<Status, Failure> {
    check_open_files()?;
    Ok(session_client::launch(owned, None)?.call(Call::Ready {})?)
}

/// Ends every process of the session, now and for good, and waits until its holder is gone, too; says what a
/// person should know about it.
pub(crate) fn stop(session: &Session) -> Result<Option<String>, Failure> {
    match session_client::ask::<IgnoredAny>(session, Call::Stop { deleting: false })? {
        Asked::Owned(mut owned) => stop_owned(&mut owned),
        Asked::Answer(mut connection, _) => {
            // It may have been started again by now: that is for whoever did it.
            let _ = hang_up(&mut connection, LINGER);
            Ok(None)
        }
    }
}

/// As [`stop`], of a session that has no holder: its main process may have outlived a holder that was killed.
pub(crate) fn stop_owned(owned: &mut Owned) -> Result<Option<String>, Failure> {
    let status = owned.status();
    let never_started = status.state == State::Suspended;
    let resting =
        status.state == State::Stopped || (never_started && status.desired == Desired::Down);
    // A holder that was killed during a stop left both: what it wrote, and perhaps what still runs.
    if resting && owned.read_identity()?.is_none() {
        return Ok(None);
    }
    let remark = reclaim(owned)?;
    let mut record: Record = owned.record().clone();
    record.desired = Desired::Down;
    if !never_started {
        record.last.state = LastState::Stopped;
        record.last.exit = status.exit;
        record.last.started_at = status.started_at;
    }
    owned.write_record(record)?;
    Ok(remark)
}

/// Ends what a killed holder left; says so if it cannot be known that nothing is left.
fn reclaim(owned: &mut Owned) -> Result<Option<String>, Failure> {
    let reclaimed = match session_holder::reclaim(owned) {
        Ok(reclaimed) => reclaimed,
        // It cannot be told whether it lives: its pid namespace is another, or gone. That keeps a new one from
        // being started, until a person gives this one up.
        Err(session_holder::Error::Unknown { pid, source }) => {
            owned.forget_identity()?;
            return Ok(Some(format!(
                "gave up process {pid} of an earlier run, of which nothing is known: {source}"
            )));
        }
        Err(error) => return Err(error.into()),
    };
    owned.forget_identity()?;
    let (name, ended) = (&owned.record().name, reclaimed.ended);
    Ok((!reclaimed.proven).then(|| {
        format!(
            "ended {ended} processes that an earlier holder of '{name}' left; without a cgroup there may be others"
        )
    }))
}

/// Deletes the session, which is stopped before if `force`; without it a live session is refused.
pub(crate) fn remove(session: &Session, force: bool) -> Result<Option<String>, Failure> {
    let mut ended = false;
    loop {
        let asked = match session_client::ask::<Status>(session, Call::Status {}) {
            // One that does not remain, its own holder has removed.
            Err(Error::Store(session_store::Error::NotFound(_))) if ended => return Ok(None),
            asked => asked?,
        };
        match asked {
            Asked::Owned(owned)
                if !force && (owned.status().unwatched || session_holder::left(&owned) > 0) =>
            {
                return Err(refusal(&owned.status()));
            }
            Asked::Owned(owned) => return remove_owned(owned),
            Asked::Answer(mut connection, _) if force => {
                end(&mut connection)?;
                ended = true;
            }
            Asked::Answer(_, status) if is_live(&status) => return Err(refusal(&status)),
            // Its main process ended. What that left behind is not ours to end without being told so.
            Asked::Answer(mut connection, status) => {
                hang_up(&mut connection, LINGER).map_err(|_| refusal(&status))?;
                ended = true;
            }
        }
    }
}

/// As [`remove`], of a session that has no holder.
pub(crate) fn remove_owned(mut owned: Owned) -> Result<Option<String>, Failure> {
    let remark = reclaim(&mut owned)?;
    owned.remove()?;
    Ok(remark)
}

/// Stops the session, which is to be deleted, and waits until its holder has exited.
pub(crate) fn end(connection: &mut Connection) -> Result<(), Failure> {
    match connection.call::<IgnoredAny>(Call::Stop { deleting: true }) {
        Ok(_) | Err(Error::Closed) => hang_up(connection, EXIT),
        Err(error) => Err(error.into()),
    }
}

/// Waits until the holder is gone, and its lock with it.
pub(crate) fn hang_up(connection: &mut Connection, patience: Duration) -> Result<(), Failure> {
    let deadline = Instant::now() + patience;
    loop {
        match connection.ready(Some(deadline)) {
            Ok(true) => {}
            Ok(false) => {
                return Err(Failure::new(
                    Code::HolderUnreachable,
                    "the session's holder does not exit",
                ));
            }
            Err(Error::Closed) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        match connection.receive() {
            Ok(()) => while connection.poll()?.is_some() {},
            Err(Error::Closed) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether this very command runs in the session.
pub(crate) fn is_inside(session: &Session) -> bool {
    std::env::var("SESSION_ID").is_ok_and(|id| id == session.id().to_string())
}

/// Whether something of it runs, or is about to.
pub(crate) fn is_live(status: &Status) -> bool {
    match status.state {
        State::Running | State::Backoff => true,
        State::Suspended => status.pid.is_some(),
        State::Stopped | State::Exited | State::Failed => false,
    }
}

/// Why a live session is not deleted: the contract's own sentence.
fn refusal(status: &Status) -> Failure {
    let name = &status.name;
    let doing = match (status.state, status.pid) {
        (State::Suspended, Some(pid)) => format!("suspended (PID {pid})"),
        (State::Backoff, _) => "restarting".to_owned(),
        (State::Stopped | State::Exited | State::Failed, _) => {
            "no longer running, but processes that it started are".to_owned()
        }
        (_, Some(pid)) => format!("running (PID {pid})"),
        (_, None) => "running".to_owned(),
    };
    Failure::sentence(
        Code::Running,
        format!(
            "The session '{name}' is {doing}. Use `session rm -f {name}` to stop and delete the session."
        ),
    )
}

/// Its main process outlived its holder.
pub(crate) fn unwatched(status: &Status) -> Failure {
    let name = &status.name;
    Failure::new(
        Code::HolderUnreachable,
        format!("the holder of session '{name}' is gone, and its terminal with it"),
    )
    .hint(format!(
        "`session restart {name}` ends what is left and starts it anew"
    ))
}

/// The session does not run, which its status line says; or nobody has it in hand.
pub(crate) fn not_running(status: &Status) -> Failure {
    if status.unwatched {
        return unwatched(status);
    }
    Failure::sentence(Code::NotRunning, status.sentence())
}

#[cfg(test)]
mod tests {
    use super::*;
    use session_store::{Root, Spec, Wanted};

    fn created(root: &Root, name: &str, spec: Spec) -> Owned {
        root.create(Wanted::Exact(name.parse().unwrap()), spec)
            .unwrap()
    }

    fn spec() -> Spec {
        Spec::new(vec!["true".into()], "/bin/true".into(), "/".into())
    }

    #[test]
    fn stopping_without_a_holder_is_recorded_and_may_be_repeated() {
        let state = tempfile::tempdir().unwrap();
        let root = Root::open(&state.path().join("root")).unwrap();
        let mut owned = created(&root, "x", spec());
        let mut record = owned.record().clone();
        record.last.state = LastState::Up;
        owned.write_record(record).unwrap();
        let session = owned.session().clone();
        drop(owned);
        assert_eq!(session.status().unwrap().state, State::Exited);
        for _ in 0..2 {
            assert!(stop(&session).is_ok());
            let status = session.status().unwrap();
            assert_eq!(
                (status.state, status.desired),
                (State::Stopped, Desired::Down)
            );
        }
    }

    #[test]
    fn stopping_what_never_started_leaves_it_so() {
        let state = tempfile::tempdir().unwrap();
        let root = Root::open(&state.path().join("root")).unwrap();
        let spec = Spec {
            start_suspended: true,
            ..spec()
        };
        let session = created(&root, "x", spec).session().clone();
        assert!(stop(&session).is_ok());
        assert_eq!(session.status().unwrap().state, State::Suspended);
        assert!(remove(&session, false).is_ok());
        assert!(root.find("x").is_err());
    }
}
