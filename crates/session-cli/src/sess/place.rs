//! Where `sess` finds what it works on: the sessions, the directory for scripts, and which session is the current one.

use std::io;

use session_client::Asked;
use session_protocol::{Call, Code, Status};
use session_store::{Client, Id, LastState, Root, Sess, Session, numbered};

use crate::context::{Common, Context};
use crate::failure::Failure;
use crate::lifecycle;
use crate::trace::Trace;

/// Opened once.
pub(super) struct Place {
    context: Context,
    pub(super) sess: Sess,
    pub(super) trace: Trace,
}

/// The session that is meant where none is named, and the client of it that is attached by `sess`.
pub(super) struct Current {
    pub(super) session: Session,
    pub(super) client: Option<Client>,
}

/// One of the sessions that were made with `sess` and whose shell lives.
pub(super) struct Member {
    pub(super) session: Session,
    pub(super) status: Status,
}

impl Place {
    /// Opens the directory for scripts, which is made if it is missing.
    pub(super) fn open() -> Result<Self, Failure> {
        Ok(Self {
            context: Context::new(&Common::default(), "sess"),
            sess: Sess::open(&Sess::locate()?)?,
            trace: Trace::from_environment(),
        })
    }

    /// The state directory, made if it is missing.
    pub(super) fn root(&self) -> Result<&Root, Failure> {
        self.context.root()
    }

    /// The session that a name means, or a number however it is written; never an id, whose beginning may look like a number.
    pub(super) fn find(&self, given: &str) -> Result<Option<Session>, Failure> {
        let Some(root) = self.context.existing()? else {
            return Ok(None);
        };
        for given in [given, &numbered(given)] {
            if let Ok(name) = given.parse()
                && let Some(session) = root.named(&name)?
            {
                return Ok(Some(session));
            }
        }
        Ok(None)
    }

    /// As [`Place::find`], an error if there is none.
    pub(super) fn session(&self, given: &str) -> Result<Session, Failure> {
        let number = numbered(given);
        let missing = || Failure::new(Code::NotFound, format!("session {number} does not exist"));
        self.find(given)?.ok_or_else(missing)
    }

    /// The session that the caller runs in.
    pub(super) fn inside(&self) -> Result<Option<Session>, Failure> {
        let id = std::env::var("SESSION_ID").ok();
        let id = id.and_then(|id| id.parse::<Id>().ok());
        let (Some(root), Some(id)) = (self.context.existing()?, id) else {
            return Ok(None);
        };
        match root.session(&id) {
            Ok(session) => Ok(Some(session)),
            Err(session_store::Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Nothing is created where it would be shown within a session. The original asks the variable alone, and scripts set it.
    pub(super) fn refuse_inside(&self) -> Result<(), Failure> {
        let refused = |number: &str| {
            let why = format!("Cannot create session from within existing session {number}");
            Failure::new(Code::Denied, why)
        };
        if let Some(session) = self.inside()? {
            return Err(refused(&session.status()?.name));
        }
        match std::env::var("SESS_NUM")
            .ok()
            .filter(|number| !number.is_empty())
        {
            None => Ok(()),
            Some(number) => {
                Err(refused(&number)
                    .hint("SESS_NUM says so; if that session is gone, unset SESS_NUM"))
            }
        }
    }

    /// The session that the caller runs in; else the one that is attached on the caller's terminal, or was attached last.
    pub(super) fn current(&self) -> Result<Option<Current>, Failure> {
        let clients = self.sess.clients().unwrap_or_else(|error| {
            self.trace.client(error);
            Vec::new()
        });
        if let Some(session) = self.inside()? {
            let mut clients = clients.into_iter();
            let client = clients.find(|client| client.session == *session.id());
            return Ok(Some(Current { session, client }));
        }
        let here = terminal();
        let on_it = |client: &&Client| here.is_some() && client.terminal == here;
        let Some(client) = clients.iter().find(on_it).or_else(|| clients.first()) else {
            return Ok(None);
        };
        let Some(root) = self.context.existing()? else {
            return Ok(None);
        };
        match root.session(&client.session) {
            Ok(session) => Ok(Some(Current {
                session,
                client: Some(client.clone()),
            })),
            Err(session_store::Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The sessions made with `sess` whose shell lives, by number, or all of which anything does. Of those that are dead and of
    /// files that nobody stands behind nothing is left.
    pub(super) fn members(&self, all: bool) -> Result<Vec<Member>, Failure> {
        self.sess.sweep(|name| self.lives(name))?;
        let Some(root) = self.context.existing()? else {
            return Ok(Vec::new());
        };
        let mut members = Vec::new();
        for listed in root.list()? {
            let (false, Ok(status)) = (listed.foreign, listed.status) else {
                continue;
            };
            let Ok(session) = root.session(&listed.id) else {
                continue;
            };
            if !session
                .read_record()
                .is_ok_and(|record| self.sess.tells_of(&record))
            {
                continue;
            }
            if status.pid.is_some() {
                // What was deleted here by mistake is back.
                let shown = self.sess.show(&session, &status);
                if let Err(error) = shown {
                    self.trace.client(error);
                }
                members.push(Member { session, status });
            } else if all && listed.holder {
                members.push(Member { session, status });
            } else {
                self.bury(&session)?;
            }
        }
        // Numbers by their size, names behind them.
        members.sort_by_key(|member| {
            let name = member.status.name.clone();
            (name.parse::<u64>().unwrap_or(u64::MAX), name)
        });
        Ok(members)
    }

    /// Whether the session that files called by `name` tell of lives, or is just coming to life.
    fn lives(&self, name: &str) -> bool {
        match self.find(name) {
            Ok(None) => false,
            Ok(Some(session)) => {
                let is_ours = session
                    .read_record()
                    .is_ok_and(|record| self.sess.tells_of(&record));
                let runs = || session.status().is_ok_and(|status| status.pid.is_some());
                is_ours && (session.try_own().is_ok_and(|owned| owned.is_none()) || runs())
            }
            // What cannot be read is not known to be dead.
            Err(_) => true,
        }
    }

    /// Removes a session made with `sess` whose shell ended in this boot while nobody could see it, and of which nothing is left.
    /// What its holder saw end it has removed itself, unless it is wanted: one that was stopped may be started, one that
    /// went down with the machine comes back with it.
    pub(super) fn bury(&self, session: &Session) -> Result<(), Failure> {
        let this_boot = session_sys::identity::boot_id().ok();
        let boot = session.read_live()?.map(|live| live.boot_id);
        let Some(owned) = session.try_own()? else {
            return Ok(());
        };
        let record = owned.record();
        let unseen = record.last.state == LastState::Up && owned.status().pid.is_none();
        // Without a holder's word it was never held: whoever made it was killed before it was.
        let recent = boot.is_none() || boot == this_boot;
        if unseen
            && recent
            && !record.spec.remain_on_exit
            && self.sess.tells_of(record)
            && session_holder::left(&owned) == 0
        {
            lifecycle::remove_owned(owned)?;
        }
        Ok(())
    }
}

/// What is, by the word of the holder, or of the record while nobody is just changing that.
pub(super) fn status(session: &Session) -> Result<Status, Failure> {
    Ok(match session_client::ask(session, Call::Status {})? {
        Asked::Answer(_, status) => status,
        Asked::Owned(owned) => owned.status(),
    })
}

/// The terminal of the caller, as it is called.
pub(super) fn terminal() -> Option<String> {
    let name = rustix::termios::ttyname(io::stdin(), Vec::new()).ok()?;
    Some(name.to_string_lossy().into_owned())
}
