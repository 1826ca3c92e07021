//! `sess -a N`, `sess -A N`: one client at a time, which Ctrl-X detaches.

use std::cell::Cell;
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use session_protocol::{Code, State, Status, Timestamp};
use session_store::{Client, Session, numbered};

use super::create;
use super::place::{self, Place};
use crate::attaching::{Attaching, Begun, Seat, is_unstarted, lost};
use crate::creating::{Created, Starting};
use crate::detach_key::{DetachKey, Scanner};
use crate::failure::Failure;
use crate::interactive::Outcome;
use crate::lifecycle;
use crate::terminal::say;

/// What an error of attaching begins with, where the session has just been created and stays.
pub(super) const FAILED: &str = "Failed to attach to new session";

/// Attaches to a session that is there.
pub(super) fn attach(place: &Place, given: &str, ctrl_x: bool) -> Result<ExitCode, Failure> {
    let session = place.session(given)?;
    refuse_itself(&session)?;
    let status = place::status(&session)?;
    if is_dead(&status) {
        let number = &status.name;
        let dead = Failure::new(Code::NotRunning, format!("session {number} is dead"));
        place.bury(&session)?;
        return Err(match session.status() {
            Ok(_) => dead.hint(format!("`session start {number}` starts it again")),
            Err(_) => dead,
        });
    }
    visit(place, &session, &status, ctrl_x)
}

/// Attaches to a session, which is started again if it is dead, or creates it.
pub(super) fn attach_or_create(
    place: &Place,
    given: &str,
    ctrl_x: bool,
) -> Result<ExitCode, Failure> {
    place.refuse_inside()?;
    let mut tries = 0..200;
    loop {
        if let Some(session) = place.find(given)? {
            let mut status = place::status(&session)?;
            if is_dead(&status) {
                status = match lifecycle::start(&session) {
                    Err(failure) if failure.code() == Some(Code::Running) => session.status()?,
                    started => started?,
                };
            }
            return visit(place, &session, &status, ctrl_x);
        }
        let name = numbered(given).parse();
        let name = name.map_err(session_store::Error::Name)?;
        match create::create(place, create::begin()?, Some(name), ctrl_x) {
            // Someone else was faster, and is a moment from having made it.
            Err(failure) if failure.code() == Some(Code::Exists) && tries.next().is_some() => {
                std::thread::sleep(Duration::from_millis(5));
            }
            created => return created,
        }
    }
}

fn refuse_itself(session: &Session) -> Result<(), Failure> {
    if !lifecycle::is_inside(session) {
        return Ok(());
    }
    let number = session.status()?.name;
    let why = format!("Already attached to session {number}");
    Err(Failure::new(Code::Denied, why))
}

/// Attaches to a session that runs, or waits to.
fn visit(
    place: &Place,
    session: &Session,
    status: &Status,
    ctrl_x: bool,
) -> Result<ExitCode, Failure> {
    if status.unwatched {
        return Err(lifecycle::unwatched(status));
    }
    needs_terminal()?;
    let mut entered = None;
    let attached = || {
        // Else nothing would tell why nothing answers.
        if status.state == State::Suspended && !is_unstarted(status) {
            say(&format!("{}\r\n", status.sentence()));
        }
        entered = Some(Entered::new(place, &status.name, session));
    };
    enter(
        place,
        session,
        Seat::take()?,
        status,
        None,
        ctrl_x,
        attached,
    )
}

/// Attaches to a session that the caller is just creating. Whoever sits there waits for its first output alone: all else is done
/// while the shell starts, and the record gets onto the disk behind it.
pub(super) fn newly(
    place: &Place,
    starting: Starting,
    created: &str,
    ctrl_x: bool,
) -> Result<ExitCode, Failure> {
    let session = starting.owned.session().clone();
    let seat = Seat::take();
    let number = starting.owned.record().name.to_string();
    let entered = Entered::new(place, &number, &session);
    let Created {
        owned,
        connection,
        status,
        ahead,
    } = starting.run(false)?;
    let pid = status.pid.unwrap_or_default();
    place
        .trace
        .holder(format_args!("session {number}: shell {pid}"));
    let (shown, begin) = mpsc::channel::<()>();
    let durable = std::thread::spawn(move || {
        // Also where nothing is shown, because attaching fails.
        let _ = begin.recv();
        owned.make_durable()
    });
    let begun = ahead.map(|asked| Begun { connection, asked });
    let is_attached = Cell::new(false);
    let outcome = seat.and_then(|seat| {
        say(&format!("{created}\r\n"));
        let attached = || {
            is_attached.set(true);
            drop(shown);
        };
        enter(place, &session, seat, &status, begun, ctrl_x, attached)
    });
    let outcome = outcome.map_err(|failure| match is_attached.get() {
        true => failure,
        false => failure.because(FAILED),
    });
    drop(entered);
    match durable.join() {
        Ok(Err(error)) if outcome.is_ok() => {
            Err(Failure::from(error).because("The session would not outlive a loss of power"))
        }
        _ => outcome,
    }
}

/// The caller is a client, and the marker says so until this is dropped.
struct Entered<'a>(&'a Place);

impl<'a> Entered<'a> {
    fn new(place: &'a Place, number: &str, session: &Session) -> Self {
        let client = Client::caller(number.to_owned(), *session.id(), place::terminal());
        // Who is not told of there is attached all the same.
        if let Err(error) = client.and_then(|client| place.sess.enter(client)) {
            place.trace.client(error);
        }
        Self(place)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.sess.leave(std::process::id() as i32) {
            self.0.trace.client(error);
        }
    }
}

pub(super) fn needs_terminal() -> Result<(), Failure> {
    for (name, is_terminal) in [
        ("stdin", io::stdin().is_terminal()),
        ("stdout", io::stdout().is_terminal()),
    ] {
        if !is_terminal {
            let why = format!("{name} is not a terminal");
            return Err(Failure::new(Code::Denied, why));
        }
    }
    Ok(())
}

/// From here on the terminal is the session's, which `attached` is called to be told.
fn enter(
    place: &Place,
    session: &Session,
    seat: Seat,
    status: &Status,
    begun: Option<Begun>,
    ctrl_x: bool,
    attached: impl FnOnce(),
) -> Result<ExitCode, Failure> {
    let number = &status.name;
    let key = if ctrl_x {
        DetachKey::ctrl_x()
    } else {
        DetachKey::none()
    };
    let attaching = Attaching {
        session,
        key,
        scanner: Scanner::alone(key, Instant::now()),
        read_only: false,
        detach_others: false,
        exclusive: true,
        trace: place.trace,
    };
    let outcome = attaching.run(seat, status, begun, || {
        place
            .trace
            .client(format_args!("attached to session {number}"));
        say(&format!("Attaching to session {number}\r\n"));
        attached();
        Ok(())
    });
    match outcome {
        Err(failure) if failure.code() == Some(Code::Attached) => Err(taken(number)),
        outcome => tell(place, session, number, outcome?),
    }
}

fn taken(number: &str) -> Failure {
    let why = format!("Session already has an active connection: someone is attached to {number}");
    Failure::new(Code::Attached, why)
        .hint(format!("`session attach -d {number}` takes their place"))
}

fn tell(
    place: &Place,
    session: &Session,
    number: &str,
    outcome: Outcome,
) -> Result<ExitCode, Failure> {
    let code = match outcome {
        Outcome::NotStarted(signal) => return Ok(signal.map_or(ExitCode::SUCCESS, ended_by)),
        Outcome::Lost => return Err(lost(session, number)),
        Outcome::Signal(signal) => ended_by(signal),
        Outcome::Ended(status) => {
            place.trace.holder(status.sentence());
            let code = status.exit.map_or(255, |exit| exit.shell_code());
            // That a shell was left is no news, nor that it was killed on purpose.
            if code != 0 && status.state != State::Stopped {
                say(&format!("{}\n", status.sentence()));
            }
            ExitCode::from(code)
        }
        Outcome::Left | Outcome::Detached | Outcome::Suspended | Outcome::Exited(_) => {
            ExitCode::SUCCESS
        }
    };
    say(&format!("Detached from session {number}\n"));
    Ok(code)
}

/// Those that the original detaches at are no failure.
fn ended_by(signal: i32) -> ExitCode {
    let detaches = [Signal::INT, Signal::TERM, Signal::USR1];
    match detaches.iter().any(|it| it.as_raw() == signal) {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(128 | signal as u8),
    }
}

/// Nothing of it runs, and nothing is about to.
fn is_dead(status: &Status) -> bool {
    let waits = is_unstarted(status) || status.state == State::Backoff;
    status.pid.is_none() && !waits
}

/// A moment as it is shown.
pub(super) fn minute(moment: Timestamp) -> String {
    let zone = jiff::tz::TimeZone::system();
    moment
        .0
        .to_zoned(zone)
        .strftime("%Y-%m-%d %H:%M")
        .to_string()
}
