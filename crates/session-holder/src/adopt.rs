//! A session whose holder was killed, taken over: its processes live on with what the keeper has of them, and notice
//! nothing. What happened to them meanwhile is found out here, and what was under way is taken up.
//!
//! Every step can be repeated: whoever is killed in here leaves to the next what it found.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventFlags};
use session_keeper::Message;
use session_keeper::succession::Handed;
use session_protocol::{Channel, Desired, Exit, ProcessId, Signal, Stdio, StreamId, Timestamp};
use session_store::log::LogWriter;
use session_store::{LastState, Owned, Session};
use session_sys::event::SignalFd;
use session_sys::identity::Identity;
use session_sys::process;

use crate::Error;
use crate::given::Given;
use crate::handover::{self, Handover, Kept, StateFile, limits_of};
use crate::holder::{Holder, Parts, Source};
use crate::output::Output;
use crate::parking::{self, Living, Parking, Streams};
use crate::process::{Process, Run};
use crate::ring::Ring;
use crate::serve::BACKLOG;
use crate::supervision::{Event, State};
use crate::token::Token;

/// What a person should know of a session that was adopted where there are no cgroups.
const UNPROVABLE: &str = "its holder was killed and another took over; without a cgroup, that a stop reaches all of its processes cannot be proven";

/// And of one that was started anew.
const REVIVED: &str = "its holder and the keeper were killed at once; what is started since has the environment of whoever started the next keeper, and what `--env` set";

/// How long a verb may have the session that was to be adopted.
const PATIENCE: Duration = Duration::from_secs(10);

/// Adopts the session that the keeper at descriptor 0 hands over, and holds it.
///
/// `revived`: the keeper has nothing of it either, and what was started has ended or is to be ended first.
#[inline(never)] // its frame would be that of every holder
pub(crate) fn adopt(revived: bool) -> Result<(), Error> {
    let step = |what: &'static str| move |source: io::Error| Error::Start { what, source };
    process::close_inherited().map_err(step("let go of the keeper's descriptors"))?;
    let keeper = process::take_inherited(0).map_err(step("take over the keeper's connection"))?;
    crate::startup::settle_in().map_err(step("become the parent of every orphan"))?;
    process::set_umask(0o077);
    let _ = crate::startup::lift_limits();
    let signals = SignalFd::new(&crate::startup::SIGNALS.map(Signal::number))
        .map_err(step("watch signals"))?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)
        .map_err(|error| step("make an epoll")(error.into()))?;
    let mut handed = receive(&keeper).map_err(step("receive what the keeper has"))?;
    let directory = one(&mut handed, parking::DIRECTORY);
    let directory = directory.ok_or_else(|| step("find the session's directory")(missing()))?;
    let gone = rustix::fs::fstat(&directory).is_ok_and(|stat| stat.st_nlink == 0);
    let owned = if gone {
        None
    } else {
        own(&Session::around(directory)?)?
    };
    let Some(mut owned) = owned else {
        if gone {
            end(&handed);
        }
        let _ = session_keeper::send(&keeper, &Message::Leave {}, &[]);
        return Ok(());
    };
    process::null_standard_streams().map_err(step("let go of the keeper's descriptors"))?;
    owned.announce_holder()?;
    let _ = rustix::process::chdir("/");
    let (state, handover) = match handed.remove(parking::STATE) {
        Some((_, files)) => StateFile::read(files).map_err(step("read the state"))?,
        None => (StateFile::new().map_err(step("keep the state"))?, None),
    };
    let listener = listener(&mut handed, &owned).map_err(step("listen on the session's socket"))?;
    if !lives(&handed) && handover.is_none() {
        // Nothing of it is known: what is left of it is ended before anything is begun.
        crate::reclaim::reclaim(&mut owned)?;
    }
    rustix::io::ioctl_fionbio(&keeper, true)
        .map_err(|errno| step("speak with the keeper")(errno.into()))?;
    let estate = Estate {
        signals,
        epoll,
        owned,
        listener,
        parking: Parking::over(Some(keeper), Some(state)),
        handover,
        handed,
        how: if revived { How::Revived } else { How::Adopted },
    };
    estate.hold()
}

/// What one holder leaves to the next.
pub(crate) struct Estate {
    pub(crate) signals: SignalFd,
    pub(crate) epoll: OwnedFd,
    pub(crate) owned: Owned,
    pub(crate) listener: OwnedFd,
    pub(crate) parking: Parking,
    pub(crate) handover: Option<Handover>,
    pub(crate) handed: Handed,
    pub(crate) how: How,
}

/// How a holder comes to be another's heir.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It was killed, and the keeper has what it had.
    Adopted,
    /// It was killed, and the keeper of its time as well.
    Revived,
    /// It is the same process, which has executed another program.
    Executed,
}

impl Estate {
    /// Goes on with it, to the end of the session.
    pub(crate) fn hold(self) -> Result<(), Error> {
        let step = |what: &'static str| move |source: io::Error| Error::Start { what, source };
        let state = self.handover.as_ref();
        // What its last holder wrote down for everyone, where nothing else is left.
        let live = self.owned.session().read_live().ok().flatten();
        let (umask, limits) = match (state, live) {
            (Some(state), _) => (state.umask, state.limits()),
            (None, Some(live)) => (live.umask.unwrap_or(0o077), limits_of(&live.limits)),
            (None, None) => (0o077, Vec::new()),
        };
        let mut holder = Holder::new(Parts {
            epoll: self.epoll,
            signals: self.signals,
            listener: self.listener,
            owned: self.owned,
            umask,
            limits,
            size: state.map(|state| state.first_size).unwrap_or_default(),
            boot_id: session_sys::identity::boot_id().unwrap_or_default(),
        });
        holder.parking = self.parking;
        holder
            .take_over(self.handover, self.handed, self.how)
            .map_err(step("take over the processes"))?;
        holder.diagnostics = crate::startup::diagnostics()
            .is_some_and(|file| rustix::stdio::dup2_stderr(file).is_ok());
        holder.run().map_err(step("wait for events"))?;
        holder.end();
        Ok(())
    }
}

pub(crate) fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

/// Everything, up to the word that this was all.
fn receive(keeper: &OwnedFd) -> io::Result<Handed> {
    let mut handed = Handed::new();
    loop {
        match session_keeper::receive(keeper)? {
            Some((Message::Handed { key, what }, descriptors)) => {
                handed.insert(key, (what, descriptors));
            }
            Some((Message::HandedAll {}, _)) => return Ok(handed),
            Some(_) => {}
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// The one descriptor under a key.
pub(crate) fn one(handed: &mut Handed, key: &str) -> Option<OwnedFd> {
    handed.remove(key)?.1.into_iter().next()
}

/// Whether a process of the session may live.
fn lives(handed: &Handed) -> bool {
    handed.keys().any(|key| key.starts_with("run/"))
}

/// Ends what runs of a session whose directory somebody deleted: nobody could find it any more.
fn end(handed: &Handed) {
    let runs = handed.iter().filter(|(key, _)| key.starts_with("run/"));
    for pidfd in runs.filter_map(|(_, (_, descriptors))| descriptors.first()) {
        let _ = rustix::process::pidfd_send_signal(pidfd, rustix::process::Signal::KILL);
    }
}

/// The session's lock: free, now that its holder is dead, unless somebody was faster. `None` if it has a holder, or is gone.
fn own(session: &Session) -> Result<Option<Owned>, Error> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match session.try_own() {
            Ok(Some(owned)) => return Ok(Some(owned)),
            Ok(None) if session.holder_lives()? => return Ok(None),
            Ok(None) if Instant::now() < deadline => {}
            Ok(None) => return Err(session_store::Error::Busy(session.id().to_string()).into()),
            Err(session_store::Error::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        // A verb has it for a moment.
        let pause = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 2_000_000,
        };
        let _ = rustix::event::poll(&mut [], Some(&pause));
    }
}

/// The socket that clients wait at, or another where it is gone.
fn listener(handed: &mut Handed, owned: &Owned) -> io::Result<OwnedFd> {
    let directory = owned.session().directory_fd();
    let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    let there = rustix::fs::statat(directory, "socket", flags).is_ok();
    match one(handed, parking::LISTENER).filter(|_| there) {
        Some(listener) => {
            // Who connects from now on is told of us, not of the dead (SO_PEERCRED).
            rustix::net::listen(&listener, BACKLOG)?;
            Ok(listener)
        }
        None => session_sys::socket::listen(directory, "socket", BACKLOG),
    }
}

impl Holder {
    /// Makes everything that was handed over ours.
    fn take_over(
        &mut self,
        state: Option<Handover>,
        mut handed: Handed,
        how: How,
    ) -> io::Result<()> {
        self.group = crate::reclaim::group_of(&self.owned);
        let known = state.is_some();
        let kept = state.map(|state| self.restore(state)).unwrap_or_default();
        self.adopted |= how == How::Adopted;
        if self.adopted && self.group.is_none() {
            self.note(UNPROVABLE.to_owned());
        }
        let mut living = BTreeMap::new();
        for (what, descriptors) in handed
            .extract_if(.., |key, _| key.starts_with("run/"))
            .map(|(_, value)| value)
        {
            let mut what: Living = serde_json::from_value(what)?;
            what.is_child &= how == How::Executed;
            living.insert(ProcessId(what.process), (what, descriptors));
        }
        let mut parts = BTreeMap::new();
        for (what, descriptors) in handed.into_values() {
            if let Ok(streams) = serde_json::from_value::<Streams>(what) {
                parts.insert(ProcessId(streams.process), (streams, descriptors));
            }
        }
        let mut kept: BTreeMap<ProcessId, Kept> =
            kept.into_iter().map(|it| (it.id(), it)).collect();
        let ids: Vec<ProcessId> = kept.keys().chain(living.keys()).copied().collect();
        for id in ids {
            if self.processes.contains_key(&id) {
                continue;
            }
            let (kept, parts) = (kept.remove(&id), parts.remove(&id));
            self.adopt_process(id, kept, parts, living.remove(&id))?;
        }
        self.childless = false;
        self.watch(&self.signals, Token::Signals, EventFlags::IN)?;
        self.watch(&self.listener, Token::Listener, EventFlags::IN)?;
        self.watch_group();
        if let Some(keeper) = self.parking.connection() {
            self.watch(keeper, Token::Keeper, EventFlags::IN)?;
        }
        self.go_on(known, how);
        self.park_all();
        self.publish();
        self.not_quiet();
        Ok(())
    }

    /// What is neither a process nor a descriptor; the processes are left to the caller.
    fn restore(&mut self, state: Handover) -> Vec<Kept> {
        self.supervision = state.supervision;
        self.origin = handover::moment(state.origin);
        if let Some(in_force) = state.in_force {
            self.in_force = in_force;
        }
        self.timers.supervision = state.supervision_due.map(handover::moment);
        self.killing = state.killing.map(handover::moment);
        self.start_error = state.start_error;
        self.before_start = state.before_start;
        self.deleting = state.deleting;
        self.shutting_down = state.shutting_down;
        self.notes = state.notes;
        self.facts = state.facts;
        self.followed = state.followed;
        self.next_process = state.next_process;
        self.adopted = state.adopted;
        state.processes
    }

    /// A process with its streams; `living` unless it is known to have ended.
    fn adopt_process(
        &mut self,
        id: ProcessId,
        kept: Option<Kept>,
        parts: Option<(Streams, Vec<OwnedFd>)>,
        living: Option<(Living, Vec<OwnedFd>)>,
    ) -> io::Result<()> {
        let spec = &self.owned.record().spec;
        let kept = kept.unwrap_or_else(|| Kept {
            id: id.0,
            command: spec.command.clone(),
            executable: spec.executable.clone(),
            directory: spec.directory.clone(),
            exit: None,
            size: self.first_size,
            since: None,
            closing: false,
            token: living.as_ref().and_then(|(living, _)| living.token.clone()),
            outputs: Vec::new(),
        });
        let (log_limit, spec_pty) = (spec.log_limit, spec.pty);
        let (streams, descriptors) = match parts {
            Some((streams, descriptors)) => (Some(streams), descriptors),
            None => (None, Vec::new()),
        };
        let mut descriptors = descriptors.into_iter();
        let mut take = |is_there: bool| is_there.then(|| descriptors.next()).flatten();
        let input = take(streams.as_ref().is_some_and(|it| it.input));
        let slave = take(streams.as_ref().is_some_and(|it| it.slave));
        let mut outputs = Vec::new();
        for (channel, is_read) in streams.map(|it| it.outputs).unwrap_or_default() {
            let source = take(is_read);
            let ring: Option<Vec<_>> = (0..3).map(|_| take(true)).collect();
            let Some(Ok(ring)) = ring.map(<[OwnedFd; 3]>::try_from) else {
                return Err(missing());
            };
            let output = self.adopt_output(id, channel, ring, log_limit, &kept)?;
            if let Some(source) = source {
                let number = self.number();
                self.watch(&source, Token::Source(number), EventFlags::IN)?;
                let stream = output.stream;
                self.sources.insert(
                    number,
                    Source {
                        fd: source,
                        stream,
                        paused: false,
                    },
                );
            }
            outputs.push(output);
        }
        if outputs.is_empty() && living.is_none() {
            // What has ended is not worth more than its log.
            return Ok(());
        }
        if outputs.is_empty() {
            // Its streams are gone, and it is none the less ours.
            self.note(format!("what process {} says is lost", id.0));
            let stdio = match spec_pty {
                true => Stdio::Pty(kept.size),
                false => Stdio::Pipes,
            };
            let session = self.owned.session().clone();
            let rings = crate::process::rings(stdio).map_err(io::Error::other)?;
            let directory = session.directory_fd();
            outputs = crate::process::outputs(directory, id, stdio, log_limit, rings)
                .map_err(io::Error::other)?;
        }
        let run = match living {
            Some((living, mut descriptors)) => {
                let report =
                    (living.report && descriptors.len() > 1).then(|| descriptors.remove(1));
                let pidfd = descriptors.pop().ok_or_else(missing)?;
                if !living.is_child {
                    self.watch(&pidfd, Token::Ended(id), EventFlags::IN | EventFlags::ET)?;
                }
                if let Some(report) = &report {
                    self.watch(report, Token::Report(id), EventFlags::IN)?;
                }
                Some(Run {
                    pid: living.pid,
                    identity: Identity::decode(living.identity.as_bytes()),
                    pidfd,
                    is_child: living.is_child,
                    report,
                    input,
                    closing: kept.closing,
                    input_watched: false,
                    unreaped: None,
                    slave,
                    since: kept.since.map_or_else(Instant::now, handover::moment),
                })
            }
            None => None,
        };
        let executable = kept.executable.as_os_str().to_owned().into();
        let directory = kept.directory.as_os_str().to_owned().into();
        let process = Process {
            id,
            command: kept.command,
            run,
            exit: kept.exit,
            outputs,
            size: kept.size,
            answerer: None,
            paths: (executable, directory),
            given: Given::default(),
            token: kept.token,
        };
        self.processes.insert(id, Box::new(process));
        self.next_process = self.next_process.max(id.0);
        Ok(())
    }

    fn adopt_output(
        &mut self,
        id: ProcessId,
        channel: Channel,
        ring: [OwnedFd; 3],
        limit: u64,
        kept: &Kept,
    ) -> io::Result<Output> {
        let session = self.owned.session().clone();
        let directory = session.directory_fd();
        let name = crate::process::directory(id);
        let log = LogWriter::open(directory, &name, channel, limit).map_err(io::Error::other)?;
        let ring = Ring::adopt(channel, ring, log.end()).or_else(|error| {
            self.note(format!("some output may be missing from here on: {error}"));
            let mut ring = Ring::new(channel)?;
            ring.begin(log.end());
            Ok::<_, io::Error>(ring)
        })?;
        let mut output = Output::new(StreamId::new(id, channel), log, ring);
        output.journal();
        output.resized((directory, &name), kept.size);
        let mut outputs = kept.outputs.iter();
        if let Some((_, begun, ended)) = outputs.find(|(known, ..)| *known == channel) {
            (output.begun, output.ended) = (*begun, *ended);
        }
        Ok(output)
    }

    /// Takes up what was under way.
    fn go_on(&mut self, known: bool, how: How) {
        let main_lives = self.runs(ProcessId::MAIN);
        let wanted_up = self.owned.record().desired == Desired::Up;
        if !known {
            // Whether it was begun at all the keeper knows better than anyone.
            let begun = main_lives || wanted_up && self.owned.record().last.state == LastState::Up;
            if begun {
                self.supervision.adopt_start();
            }
            if begun && how == How::Revived {
                self.note(REVIVED.to_owned());
                // Nobody saw how it ended; whether it is started again is up to its policy.
                let exit = Exit {
                    code: None,
                    signal: None,
                    at: Timestamp::now(),
                };
                self.facts.exit = Some(exit);
                let now = self.origin.elapsed();
                self.happened(Event::MainExited {
                    exit,
                    lived: Duration::ZERO,
                    now,
                });
                return self.look_after_all();
            }
        }
        match self.supervision.state() {
            // Killed before there was a process: none has executed anything, and that it has exited is proven first.
            State::Starting { .. } if !main_lives => match crate::reclaim::reclaim(&mut self.owned)
            {
                Ok(_) => self.spawn_main(),
                Err(error) => self.note(error.to_string()),
            },
            State::Ending { .. } | State::Down(_) => {}
            // A stop that got as far as the record.
            _ if !wanted_up => self.happened(Event::Stop),
            _ => {}
        }
        self.look_after_all();
    }
}
