//! From `session __hold ID` to a running main process: inherited descriptors, signals, socket, first start.
//!
//! All of it lies on the way to the command's first instruction, so what can come later does: the log is opened
//! while the new process already executes.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::event::epoll::{self, EventFlags};
use session_protocol::{ProcessId, Signal, Size};
use session_store::Owned;
use session_sys::cgroup::Group;
use session_sys::event::SignalFd;
use session_sys::process;
use session_sys::spawn::Limit;

use crate::Error;
use crate::holder::{Holder, Parts};
use crate::serve::BACKLOG;
use crate::supervision::{Event, Rest, State};
use crate::token::Token;

/// The signals that mean something to a holder.
pub(crate) const SIGNALS: [Signal; 3] = [Signal::CHLD, Signal::TERM, Signal::USR1];

/// Holds the session whose `live` file is handed over, as [`crate::run`] describes.
///
/// `client` is the first one, for as long as it is not served: it is told what went wrong.
pub(crate) fn hold(client: &mut Option<OwnedFd>, size: Size) -> Result<(), Error> {
    let step = |what: &'static str| move |source: io::Error| Error::Start { what, source };
    process::close_inherited().map_err(step("let go of the caller's descriptors"))?;
    *client = Some(process::take_inherited(0).map_err(step("take over the first client"))?);
    process::new_session().map_err(step("detach from the caller"))?;
    settle_in().map_err(step("become the parent of every orphan"))?;
    let umask = process::set_umask(0o077);
    let limits = lift_limits();
    let signals = SignalFd::new(&SIGNALS.map(Signal::number)).map_err(step("watch signals"))?;

    // Before the directory changes, in which its name may be meant.
    let diagnostics = diagnostics();
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)
        .map_err(|error| step("make an epoll")(error.into()))?;
    let boot_id = session_sys::identity::boot_id().unwrap_or_default();
    // Up to here nothing was done that is seen elsewhere: the session may come to nothing yet.
    let Some(lock) = take_over(client).map_err(step("take over the lock"))? else {
        return Ok(());
    };
    let directory = directory_of(&lock).map_err(step("open the session's directory"))?;
    let mut owned = Owned::from_inherited(directory, lock)?;
    owned.announce_holder()?;
    let _ = rustix::process::chdir("/");
    let reclaimed = crate::reclaim::reclaim(&mut owned)?;
    // Before anything runs: on a full disk there is no socket, and then there is to be no process either.
    let listener = session_sys::socket::listen(owned.session().directory_fd(), "socket", BACKLOG)
        .map_err(step("listen on the session's socket"))?;
    let mut holder = Holder::new(Parts {
        epoll,
        signals,
        listener,
        owned,
        umask,
        limits,
        size,
        boot_id,
    });
    if !reclaimed.proven {
        holder.note(
            "an earlier holder was killed; without a cgroup, some of what it left may still run"
                .to_owned(),
        );
    }
    process::null_standard_streams().map_err(step("let go of the caller's terminal"))?;
    holder
        .begin(client)
        .map_err(step("watch the first descriptors"))?;
    holder.diagnostics = diagnostics.is_some_and(|file| rustix::stdio::dup2_stderr(file).is_ok());
    holder.run().map_err(step("wait for events"))?;
    holder.end();
    Ok(())
}

/// Waits for the session's lock; `None` if its maker has given up.
fn take_over(client: &Option<OwnedFd>) -> io::Result<Option<OwnedFd>> {
    let socket = client.as_ref().ok_or(io::ErrorKind::NotConnected)?;
    // What comes behind this byte is for the one who serves the client.
    let received = rustix::io::retry_on_intr(|| session_sys::socket::receive(socket, &mut [0]));
    Ok(received?.1)
}

/// The session's directory: where the inherited lock lies. The caller need not change its own directory for it.
fn directory_of(lock: &OwnedFd) -> io::Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags};
    let live = std::fs::read_link(format!("/proc/self/fd/{}", lock.as_raw_fd()))?;
    let directory = live.parent().unwrap_or(&live);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(directory, flags, Mode::empty())?)
}

/// Out of reach of signals that are for others; parent of every orphan.
pub(crate) fn settle_in() -> io::Result<()> {
    process::keep_private()?;
    process::set_name(c"session")?;
    process::become_subreaper()?;
    // A caller that ignores SIGCHLD (nohup, cron) would have the kernel reap our children unseen (wait(2)).
    session_sys::event::default(Signal::CHLD.number())?;
    for signal in [
        "HUP", "INT", "QUIT", "PIPE", "ALRM", "USR2", "TSTP", "TTIN", "TTOU", "XFSZ", "XCPU",
    ] {
        if let Ok(signal) = signal.parse::<Signal>() {
            session_sys::event::ignore(signal.number())?;
        }
    }
    Ok(())
}

/// The caller's limits are for its command: a holder that runs into them would take its session along. It goes to
/// what is allowed, and gives the processes what the caller had.
pub(crate) fn lift_limits() -> Vec<Limit> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let lifted = [
        (Resource::Cpu, 0),
        (Resource::Fsize, 1),
        (Resource::Data, 2),
        (Resource::Nofile, 7),
        (Resource::As, 9),
    ];
    let lift = |(resource, number): (Resource, i32)| {
        let Rlimit { current, maximum } = getrlimit(resource);
        let free = Rlimit {
            current: None,
            maximum: None,
        };
        let most = Rlimit {
            current: maximum,
            maximum,
        };
        let nofile = resource == Resource::Nofile;
        // Only CAP_SYS_RESOURCE leads beyond; nothing does for open files, of which the system has a limit.
        if nofile || setrlimit(resource, free).is_err() {
            setrlimit(resource, most).ok()?;
        }
        let (soft, hard) = (current.unwrap_or(u64::MAX), maximum.unwrap_or(u64::MAX));
        Some(Limit {
            resource: number,
            soft,
            hard,
        })
    };
    lifted.into_iter().filter_map(lift).collect()
}

/// The file that `SESSION_LOG` names, if it names one that can be written; standard error goes there.
pub(crate) fn diagnostics() -> Option<OwnedFd> {
    use rustix::fs::{Mode, OFlags};
    let path = std::env::var_os("SESSION_LOG").filter(|path| !path.is_empty())?;
    // Never waiting for a FIFO's reader, never through a link that someone else put there.
    let flags = OFlags::WRONLY
        | OFlags::APPEND
        | OFlags::CREATE
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK
        | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::from_raw_mode(0o600)).ok()
}

/// Why there is no holder, where `SESSION_LOG` says.
pub(crate) fn report(error: &Error) {
    if let Some(log) = diagnostics() {
        use std::io::Write as _;
        let now = session_protocol::Timestamp::now();
        let _ = writeln!(std::fs::File::from(log), "{now} session: {error}");
    }
}

impl Holder {
    /// Starts the main process, then opens the door.
    fn begin(&mut self, client: &mut Option<OwnedFd>) -> io::Result<()> {
        self.group = Group::create(&self.owned.record().id.to_string()).ok();
        self.watch(&self.signals, Token::Signals, EventFlags::IN)?;
        self.join_keeper();
        if let Err(error) = self.apply(Event::Start) {
            self.start_error = Some(error);
        }
        self.watch(&self.listener, Token::Listener, EventFlags::IN)?;
        if let Some(client) = client.take() {
            crate::output::nonblocking(&client)?;
            self.connect(client);
        }
        // Whoever started us asks how it went, however long its own work takes it until then.
        let mut starters = Vec::new();
        for (number, starter) in &mut self.connections {
            starter.introduced = true;
            starter.awaited = true;
            starters.push(*number);
        }
        // It may have asked already.
        for starter in starters {
            self.serve(starter, EventFlags::IN);
        }
        self.park_all();
        self.publish();
        // What starting took is given back once all is quiet.
        self.not_quiet();
        Ok(())
    }

    /// Nothing is left: so is nothing of ours.
    pub(crate) fn end(self) {
        let _ = self.parking.say(&session_keeper::Message::Leave {}, &[]);
        if let Some(group) = &self.group {
            let _ = group.remove();
        }
        // ECHILD proved it: there is nothing that a later start would have to end first.
        let _ = self.owned.forget_identity();
        for id in self.processes.keys().filter(|id| **id != ProcessId::MAIN) {
            let directory = crate::process::directory(*id);
            let _ = session_store::log::remove(self.owned.session().directory_fd(), &directory);
        }
        if !self.remains() {
            // What cannot be removed is a session that has ended, which the next `rm` removes.
            let _ = self.owned.remove();
        }
    }

    /// Whether the session stays, as the attribute `remain-on-exit` has it. One that goes down with the machine, or is
    /// stopped to be started again, has not ended by itself.
    fn remains(&self) -> bool {
        let ended = match self.supervision.state() {
            State::Down(Rest::Exited) => !self.shutting_down && self.start_error.is_none(),
            State::Down(Rest::Stopped) => self.deleting,
            _ => false,
        };
        !ended || self.owned.record().spec.remain_on_exit
    }
}
