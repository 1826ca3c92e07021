//! `sess -k [N]`, `sess -K`: the whole tree of a session ends, and with it the session.

use std::panic::resume_unwind;
use std::process::ExitCode;

use session_protocol::Code;
use session_store::{Sess, Session};

use super::arguments::print;
use super::place::Place;
use crate::failure::Failure;
use crate::lifecycle;
use crate::trace::Trace;

pub(super) fn kill(place: &Place, given: Option<&str>) -> Result<ExitCode, Failure> {
    let session = match given {
        Some(given) => place.session(given)?,
        None => match place.current()? {
            Some(current) => current.session,
            None => {
                let why = "Not attached to any session";
                return Err(Failure::new(Code::NotRunning, why));
            }
        },
    };
    let number = session.status()?.name;
    end(&place.sess, place.trace, &session)?;
    print(&format!("Killed session {number}\n"))
}

/// All at the same time, for each may take its second; the one that the caller runs in last.
pub(super) fn kill_all(place: &Place) -> Result<ExitCode, Failure> {
    let members = place.members(true)?;
    if members.is_empty() {
        return print("No active sessions\n");
    }
    let (last, others): (Vec<_>, Vec<_>) = members
        .into_iter()
        .partition(|member| lifecycle::is_inside(&member.session));
    let (sess, trace) = (&place.sess, place.trace);
    let ended: Vec<Result<(), Failure>> = std::thread::scope(|scope| {
        let ending: Vec<_> = others
            .iter()
            .map(|member| scope.spawn(|| end(sess, trace, &member.session)))
            .collect();
        ending
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    let mut code = ExitCode::SUCCESS;
    for (member, ended) in others.iter().zip(ended) {
        match ended {
            Ok(()) => {
                print(&format!("Killed session {}\n", member.status.name))?;
            }
            Err(failure) => code = failure.report_to_scripts(),
        }
    }
    for member in last {
        end(sess, trace, &member.session)?;
    }
    Ok(code)
}

/// What was made with `sess` is gone then. What was not is stopped, and can be started again.
fn end(sess: &Sess, trace: Trace, session: &Session) -> Result<(), Failure> {
    let remark = match session.read_record() {
        Ok(record) if sess.tells_of(&record) => {
            let remark = lifecycle::remove(session, true)?;
            // A holder that was killed has left them.
            if let Err(error) = sess.hide(record.name.as_str()) {
                trace.client(error);
            }
            remark
        }
        Ok(_) => lifecycle::stop(session)?,
        Err(error) => return Err(error.into()),
    };
    if let Some(remark) = remark {
        trace.holder(remark);
    }
    Ok(())
}
