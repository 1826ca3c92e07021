//! What the keeper has of this session: copies of every descriptor that a process is connected to, and the state that
//! goes with them (`docs/adr/0022-the-keeper.md`).
//!
//! A message that was sent outlives its sender, so nothing is waited for. Without a keeper everything works; a note says
//! then that nobody will take over.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventFlags};
use rustix::fs::MemfdFlags;
use serde::{Deserialize, Serialize};
use serde_json::Value;
pub(crate) use session_keeper::DIRECTORY;
use session_keeper::succession::Item;
use session_keeper::{ENVIRONMENT, Message};
use session_protocol::{Channel, ProcessId};
use session_store::Root;
use session_sys::identity::Identity;

use crate::handover::StateFile;
use crate::holder::Holder;
use crate::output::Output;
use crate::process::{Ends, Process, Run};
use crate::ring::Ring;
use crate::token::Token;

/// A keeper that cannot be reached is tried again after this time, and twice as long each time …
const RETRY: Duration = Duration::from_millis(50);
/// … but no longer than this.
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// A keeper that has been there for so long has not turned us away.
const SETTLED: Duration = Duration::from_millis(100);

/// The keys of what there is once a session; of what there is once a process they are [`streams_key`] and [`run_key`].
pub(crate) const STATE: &str = "state";
/// The socket that clients connect to.
pub(crate) const LISTENER: &str = "listener";

/// The way to the keeper.
#[derive(Debug, Default)]
pub(crate) struct Parking {
    connection: Option<OwnedFd>,
    /// Where the state is written that a next holder goes on with.
    pub(crate) state: Option<StateFile>,
    retry: Duration,
    /// When it was connected to last.
    joined: Option<Instant>,
}

/// What is said of the streams of a process, whose descriptors follow in this order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Streams {
    pub(crate) process: u32,
    /// There is an input.
    pub(crate) input: bool,
    /// There is the terminal's other side.
    pub(crate) slave: bool,
    /// Each with its ring, and whether before that there is what it is read from.
    pub(crate) outputs: Vec<(Channel, bool)>,
}

/// What is said of a process that lives, or may: its pidfd follows and, while it is not known whether it executed its
/// command, where that is reported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Living {
    pub(crate) process: u32,
    /// Whoever holds it next under the same pid is its parent.
    #[serde(default)]
    pub(crate) is_child: bool,
    pub(crate) pid: i32,
    /// As [`Identity::encode`] has it.
    pub(crate) identity: String,
    pub(crate) report: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
}

pub(crate) fn streams_key(id: ProcessId) -> String {
    format!("streams/{}", id.0)
}

pub(crate) fn run_key(id: ProcessId) -> String {
    format!("run/{}", id.0)
}

impl Parking {
    /// An adopted connection.
    pub(crate) fn over(connection: Option<OwnedFd>, state: Option<StateFile>) -> Self {
        Self {
            connection,
            state,
            retry: Duration::ZERO,
            joined: None,
        }
    }

    /// Connects, and says whose it is.
    pub(crate) fn join(
        &mut self,
        root: &Root,
        session: String,
        directory: BorrowedFd<'_>,
    ) -> io::Result<()> {
        let connection = session_keeper::join(root)?;
        session_keeper::send(&connection, &Message::Join { session }, &[])?;
        self.connection = Some(connection);
        self.joined = Some(Instant::now());
        self.park(DIRECTORY, Value::Null, &[directory])
    }

    /// Why the keeper turned us away, if it said so before it hung up.
    fn refusal(&self) -> Option<String> {
        let connection = self.connection.as_ref()?;
        while let Ok(Some((message, _))) = session_keeper::receive(connection) {
            if let Message::Refused { why } = message {
                return Some(why);
            }
        }
        None
    }

    pub(crate) fn connection(&self) -> Option<BorrowedFd<'_>> {
        self.connection.as_ref().map(AsFd::as_fd)
    }

    fn park(&self, key: &str, what: Value, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let key = key.to_owned();
        self.say(&Message::Park { key, what }, descriptors)
    }

    pub(crate) fn say(&self, message: &Message, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        match &self.connection {
            Some(connection) => session_keeper::send(connection, message, descriptors),
            None => Ok(()),
        }
    }

    pub(crate) fn unpark(&self, key: String) {
        // What it does not hear it keeps a little longer, and loses with the next message that it does not take.
        let _ = self.say(&Message::Unpark { key }, &[]);
    }

    pub(crate) fn park_item(&self, item: &Item<'_>) -> io::Result<()> {
        self.park(&item.key, item.what.clone(), &item.descriptors)
    }

    /// The streams of a process, before it exists.
    pub(crate) fn park_ends(
        &self,
        id: ProcessId,
        ends: &Ends,
        rings: &[(Channel, &Ring)],
    ) -> io::Result<()> {
        let sources = ends.sources.iter().map(|fd| Some(fd.as_fd()));
        let slave = ends.slave.as_ref().map(AsFd::as_fd);
        self.park_item(&streams(
            id,
            Some(ends.input.as_fd()),
            slave,
            rings,
            sources,
        )?)
    }

    /// A process that exists, before it may execute anything.
    pub(crate) fn park_run(
        &self,
        id: ProcessId,
        identity: &Identity,
        pidfd: BorrowedFd<'_>,
        report: Option<BorrowedFd<'_>>,
        token: Option<&str>,
    ) -> io::Result<()> {
        self.park_item(&run(id, identity, pidfd, report, (true, token))?)
    }
}

/// One descriptor, of which the key says everything.
pub(crate) fn plain<'a>(key: &str, descriptor: BorrowedFd<'a>) -> Item<'a> {
    Item {
        key: key.to_owned(),
        what: Value::Null,
        descriptors: vec![descriptor],
    }
}

fn streams<'a>(
    id: ProcessId,
    input: Option<BorrowedFd<'a>>,
    slave: Option<BorrowedFd<'a>>,
    rings: &[(Channel, &'a Ring)],
    sources: impl Iterator<Item = Option<BorrowedFd<'a>>>,
) -> io::Result<Item<'a>> {
    let mut descriptors: Vec<BorrowedFd<'_>> = input.into_iter().chain(slave).collect();
    let mut outputs = Vec::new();
    for ((channel, ring), source) in rings.iter().zip(sources) {
        outputs.push((*channel, source.is_some()));
        descriptors.extend(source);
        descriptors.extend(ring.parts());
    }
    let streams = Streams {
        process: id.0,
        input: input.is_some(),
        slave: slave.is_some(),
        outputs,
    };
    Ok(Item {
        key: streams_key(id),
        what: serde_json::to_value(streams)?,
        descriptors,
    })
}

fn run<'a>(
    id: ProcessId,
    identity: &Identity,
    pidfd: BorrowedFd<'a>,
    report: Option<BorrowedFd<'a>>,
    (is_child, token): (bool, Option<&str>),
) -> io::Result<Item<'a>> {
    let living = Living {
        process: id.0,
        is_child,
        pid: identity.pid,
        identity: String::from_utf8_lossy(&identity.encode()).into_owned(),
        report: report.is_some(),
        token: token.map(str::to_owned),
    };
    Ok(Item {
        key: run_key(id),
        what: serde_json::to_value(living)?,
        descriptors: std::iter::once(pidfd).chain(report).collect(),
    })
}

impl Holder {
    /// Goes to the keeper, early: what is parked before a process may run is never missing.
    pub(crate) fn join_keeper(&mut self) {
        let session = self.owned.session().clone();
        let joined = self
            .parking
            .join(
                session.root(),
                session.id().to_string(),
                session.directory_fd(),
            )
            .and_then(|()| match self.parking.connection() {
                Some(connection) => self.watch(connection, Token::Keeper, EventFlags::IN),
                None => Ok(()),
            });
        if let Err(error) = joined {
            self.unprotected(&error);
        }
    }

    /// Everything there is, for a keeper that has nothing of it.
    pub(crate) fn park_all(&mut self) {
        if self.parking.connection.is_none() {
            return;
        }
        if let Err(error) = self.try_park_all() {
            self.unprotected(&error);
        }
    }

    fn try_park_all(&mut self) -> io::Result<()> {
        for process in self.processes.values() {
            self.park_process(process)?;
        }
        let environment = environment_file()?;
        self.parking
            .park(ENVIRONMENT, Value::Null, &[environment.as_fd()])?;
        if self.parking.state.is_none() {
            self.parking.state = Some(StateFile::new()?);
        }
        self.save();
        if let Some(state) = &self.parking.state {
            self.parking.park(STATE, Value::Null, &state.files())?;
        }
        self.park_listener()?;
        self.parking.say(&Message::Serving {}, &[])
    }

    pub(crate) fn park_listener(&self) -> io::Result<()> {
        self.parking
            .park_item(&plain(LISTENER, self.listener.as_fd()))
    }

    /// All that a process is connected to, and itself if it lives.
    pub(crate) fn items_of<'a>(&'a self, process: &'a Process) -> io::Result<Vec<Item<'a>>> {
        let id = process.id;
        let input = process.run.as_ref().and_then(|run| run.input.as_ref());
        let slave = process.run.as_ref().and_then(|run| run.slave.as_ref());
        let rings: Vec<_> = process.outputs.iter().map(Output::parked).collect();
        let sources = process.outputs.iter().map(|output| {
            let mut sources = self.sources.values();
            let source = sources.find(|source| source.stream == output.stream)?;
            Some(source.fd.as_fd())
        });
        let (input, slave) = (input.map(AsFd::as_fd), slave.map(AsFd::as_fd));
        let mut items = vec![streams(id, input, slave, &rings, sources)?];
        if let Some(Run {
            identity: Some(identity),
            pidfd,
            report,
            is_child,
            ..
        }) = &process.run
        {
            let report = report.as_ref().map(AsFd::as_fd);
            let told = (*is_child, process.token.as_deref());
            items.push(run(id, identity, pidfd.as_fd(), report, told)?);
        }
        Ok(items)
    }

    fn park_process(&self, process: &Process) -> io::Result<()> {
        let items = self.items_of(process)?;
        items
            .iter()
            .try_for_each(|item| self.parking.park_item(item))
    }

    /// What a process is connected to has changed.
    pub(crate) fn park_again(&mut self, id: ProcessId) {
        let Some(process) = self.processes.get(&id) else {
            return;
        };
        if let Err(error) = self.park_process(process) {
            self.unprotected(&error);
        }
    }

    /// The keeper said something, or is gone.
    pub(crate) fn hear_keeper(&mut self) {
        loop {
            let Some(connection) = &self.parking.connection else {
                return;
            };
            match session_keeper::receive(connection) {
                Ok(Some((Message::Refused { why }, _))) => {
                    return self.unprotected(&io::Error::other(why));
                }
                Ok(Some(_)) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
                Ok(None) | Err(_) => break,
            }
        }
        self.leave_keeper();
        // One that turned us away at once is not asked again at once.
        let stayed = self
            .parking
            .joined
            .is_none_or(|since| since.elapsed() > SETTLED);
        if stayed && !self.shutting_down {
            self.parking.retry = Duration::ZERO;
            self.find_keeper();
        } else {
            self.retry_keeper();
        }
    }

    /// Parks with another keeper; the first that comes starts it.
    pub(crate) fn find_keeper(&mut self) {
        if self.shutting_down {
            return;
        }
        self.join_keeper();
        self.park_all();
        // What that took is given back once all is quiet.
        self.not_quiet();
        if self.parking.connection.is_some() {
            self.notes.retain(|note| !note.starts_with(UNPROTECTED));
        }
    }

    fn leave_keeper(&mut self) {
        if let Some(connection) = self.parking.connection.take() {
            let _ = epoll::delete(&self.epoll, &connection);
        }
    }

    fn unprotected(&mut self, error: &io::Error) {
        let why = self.parking.refusal().unwrap_or_else(|| error.to_string());
        self.leave_keeper();
        self.note(format!("{UNPROTECTED}: {why}"));
        self.retry_keeper();
    }

    fn retry_keeper(&mut self) {
        let wait = self.parking.retry.max(RETRY);
        self.parking.retry = (wait * 2).min(LONGEST_RETRY);
        self.timers.parking = Some(Instant::now() + wait);
    }
}

/// How the note begins that says so.
const UNPROTECTED: &str = "there is no keeper that could take over if the holder is killed";

/// Our environment, for the next holder: entries with a NUL behind each.
fn environment_file() -> io::Result<OwnedFd> {
    let file = rustix::fs::memfd_create("session-environment", MemfdFlags::CLOEXEC)?;
    let mut bytes = Vec::new();
    for (name, value) in std::env::vars_os() {
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(b'=');
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(0);
    }
    let mut written = 0;
    while written < bytes.len() {
        written += rustix::io::retry_on_intr(|| rustix::io::write(&file, &bytes[written..]))?;
    }
    Ok(file)
}
