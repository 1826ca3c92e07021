//! The keeper itself: what is parked of which session, and who holds it now.
//!
//! Between two events nothing runs and no timer is armed, but for a keeper that nobody needs (it goes) and for a holder
//! that dies again and again (the next one waits).

use std::collections::{BTreeMap, VecDeque};
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use serde_json::Value;
use session_store::Root;
use session_sys::socket;
use session_sys::spawn::{self, ChildStdio, Program};

use crate::join::environment_of;
use crate::message::{self, Message};
use crate::{DIRECTORY, ENVIRONMENT};

/// A keeper that keeps nothing goes after this time.
const IDLE: Duration = Duration::from_secs(10);
/// So many holders of one session may die without having served before the next one has to wait …
const UNSERVED: u32 = 5;
/// … so long, and twice as long each time …
const PAUSE: Duration = Duration::from_secs(1);
/// … but no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Descriptors of a session.
#[derive(Debug)]
pub(crate) struct Parked {
    /// As text: as a tree of values it would take ten times the memory.
    what: Box<str>,
    pub(crate) descriptors: Vec<OwnedFd>,
}

impl Parked {
    pub(crate) fn new(what: &Value, descriptors: Vec<OwnedFd>) -> Self {
        Self {
            what: what.to_string().into(),
            descriptors,
        }
    }

    pub(crate) fn what(&self) -> Value {
        serde_json::from_str(&self.what).unwrap_or_default()
    }
}

/// A session of which something is parked.
#[derive(Debug, Default)]
pub(crate) struct Vault {
    pub(crate) parked: BTreeMap<String, Parked>,
    /// The number of its holder's connection, while there is one.
    pub(crate) holder: Option<u64>,
    /// Holders that died in a row without having served.
    pub(crate) unserved: u32,
    /// When the next holder is started, if not at once.
    due: Option<Instant>,
    /// Nothing of its processes is here: no holder has served it yet.
    is_revived: bool,
}

/// Someone who is connected, or was until it died.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) connection: Option<OwnedFd>,
    /// Of the process at the other end. Only when it fires is that process dead, and its locks are free: the end of a
    /// connection comes earlier.
    pub(crate) process: OwnedFd,
    pub(crate) session: Option<String>,
    pub(crate) served: bool,
    /// What its socket did not take yet.
    pub(crate) unsent: VecDeque<(Message, Vec<OwnedFd>)>,
}

/// The word of the listener's events; a guest's is twice its number, and one more if it is about its process.
const LISTENER: u64 = 0;

pub(crate) struct Keeper {
    pub(crate) epoll: OwnedFd,
    pub(crate) listener: OwnedFd,
    pub(crate) guests: BTreeMap<u64, Guest>,
    pub(crate) vaults: BTreeMap<String, Vault>,
    pub(crate) next: u64,
    /// The state directory.
    path: PathBuf,
    /// Since when nothing is kept.
    idle: Option<Instant>,
    /// Given up for a moment to turn somebody away when no descriptor is left.
    reserve: Option<OwnedFd>,
    /// When orphans are looked for again: a holder may be killed after this keeper began and before it has parked.
    look_again: Option<Instant>,
}

/// Until then every holder has parked.
const PARKED_BY: Duration = Duration::from_secs(1);

/// What a holder is told of which the keeper has no room for everything.
const FULL: &str = "the keeper has no descriptors left (ulimit -n)";

/// Whether this descriptor leaves room for those that starting a holder takes.
fn has_room(fd: &OwnedFd) -> bool {
    const KEPT_FREE: u64 = 48;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.is_none_or(|limit| (fd.as_raw_fd() as u64) < limit - KEPT_FREE.min(limit / 3))
}

fn reserve() -> Option<OwnedFd> {
    rustix::fs::open("/dev/null", OFlags::CLOEXEC, Mode::empty()).ok()
}

impl Keeper {
    pub(crate) fn new(listener: OwnedFd, path: &Path) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let data = epoll::EventData::new_u64(LISTENER);
        epoll::add(&epoll, &listener, data, epoll::EventFlags::IN)?;
        Ok(Self {
            epoll,
            listener,
            guests: BTreeMap::new(),
            vaults: BTreeMap::new(),
            next: 0,
            path: path.to_owned(),
            idle: Some(Instant::now()),
            reserve: reserve(),
            look_again: None,
        })
    }

    /// Keeps until nothing has been there to keep for a while, and `leave` agrees.
    pub(crate) fn run(&mut self, mut leave: impl FnMut(BorrowedFd<'_>) -> bool) -> io::Result<()> {
        let mut events = Vec::with_capacity(64);
        loop {
            events.clear();
            let timeout = self.timeout();
            let space = rustix::buffer::spare_capacity(&mut events);
            match epoll::wait(&self.epoll, space, timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            for event in &events {
                let (data, flags) = (event.data, event.flags);
                match data.u64() {
                    LISTENER => self.accept(),
                    number if number & 1 == 1 => self.died(number >> 1),
                    number => self.serve(number >> 1, flags),
                }
            }
            self.start_due();
            if self
                .look_again
                .take_if(|due| *due <= Instant::now())
                .is_some()
            {
                self.revive_orphans();
            }
            let kept = !self.vaults.is_empty() || !self.guests.is_empty();
            self.idle = (!kept).then(|| self.idle.unwrap_or_else(Instant::now));
            if self.idle.is_some_and(|since| since.elapsed() >= IDLE) {
                if leave(self.listener.as_fd()) {
                    return Ok(());
                }
                self.idle = Some(Instant::now());
            }
        }
    }

    fn timeout(&self) -> Option<Timespec> {
        let due = self.vaults.values().filter_map(|vault| vault.due);
        let due = due.chain(self.look_again);
        let due = due.chain(self.idle.map(|since| since + IDLE)).min()?;
        let left = due.saturating_duration_since(Instant::now());
        Some(Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_nanos()),
        })
    }

    fn accept(&mut self) {
        loop {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            match accept_with(&self.listener, flags) {
                Ok(connection) => {
                    let uid = socket::peer_uid(&connection).ok();
                    if uid == Some(session_sys::process::effective_uid())
                        && let Ok(process) = socket::peer_pidfd(&connection)
                    {
                        let _ = self.admit(connection, process, None);
                    }
                }
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(Errno::MFILE | Errno::NFILE) => {
                    // Left at the door it would wake us for ever.
                    self.reserve = None;
                    let turned_away = accept_with(&self.listener, SocketFlags::CLOEXEC).is_ok();
                    self.reserve = reserve();
                    if !turned_away {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    }

    /// A holder of which nothing can be kept is told so, and is none of ours.
    fn refuse(&mut self, number: u64, why: &str) {
        let why = why.to_owned();
        self.send(number, Message::Refused { why }, Vec::new());
        let Some(guest) = self.guests.remove(&number) else {
            return;
        };
        if let Some(connection) = &guest.connection {
            let _ = epoll::delete(&self.epoll, connection);
        }
        if let Some(session) = guest.session
            && self
                .vaults
                .get(&session)
                .is_some_and(|vault| vault.holder == Some(number))
        {
            self.vaults.remove(&session);
        }
    }

    fn admit(
        &mut self,
        connection: OwnedFd,
        process: OwnedFd,
        session: Option<String>,
    ) -> io::Result<u64> {
        self.next += 1;
        let number = self.next;
        let data = epoll::EventData::new_u64(number << 1);
        epoll::add(&self.epoll, &connection, data, epoll::EventFlags::IN)?;
        let guest = Guest {
            connection: Some(connection),
            process,
            session,
            served: false,
            unsent: VecDeque::new(),
        };
        self.guests.insert(number, guest);
        Ok(number)
    }

    fn serve(&mut self, number: u64, flags: epoll::EventFlags) {
        if flags.contains(epoll::EventFlags::OUT) {
            self.flush(number);
        }
        loop {
            let Some(guest) = self.guests.get(&number) else {
                return;
            };
            let Some(connection) = &guest.connection else {
                return;
            };
            match message::receive(connection) {
                Ok(Some((message, handed))) => self.hear(number, message, handed),
                Ok(None) => return self.hung_up(number),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
                Err(error) if error.kind() == io::ErrorKind::OutOfMemory => {
                    return self.refuse(number, FULL);
                }
                Err(_) => return self.hung_up(number),
            }
        }
    }

    fn hear(&mut self, number: u64, message: Message, handed: Vec<OwnedFd>) {
        let Some(guest) = self.guests.get_mut(&number) else {
            return;
        };
        match (message, guest.session.clone()) {
            (Message::Join { session }, None) => {
                guest.session = Some(session.clone());
                // What an earlier holder parked is none of a new one's that did not take it.
                let vault = Vault {
                    holder: Some(number),
                    ..Vault::default()
                };
                self.vaults.insert(session, vault);
            }
            (Message::Park { .. }, Some(_)) if handed.iter().any(|fd| !has_room(fd)) => {
                self.refuse(number, FULL);
            }
            (Message::Park { key, what }, Some(session)) => {
                if let Some(vault) = self.vault(number, &session) {
                    vault.parked.insert(key, Parked::new(&what, handed));
                }
            }
            (Message::Unpark { key }, Some(session)) => {
                if let Some(vault) = self.vault(number, &session) {
                    vault.parked.remove(&key);
                }
            }
            (Message::Serving {}, Some(session)) => {
                guest.served = true;
                if let Some(vault) = self.vault(number, &session) {
                    (vault.unserved, vault.is_revived) = (0, false);
                }
            }
            (Message::Leave {}, Some(session)) if self.vault(number, &session).is_some() => {
                self.vaults.remove(&session);
            }
            (Message::Query { session }, _) => {
                let soon = |vault: &Vault| vault.due.is_none();
                let held = self.vaults.get(&session).is_some_and(soon);
                self.send(number, Message::Held { held }, Vec::new());
            }
            (Message::Upgrade { executable }, _) => {
                let error = self.upgrade(&executable, &self.path);
                let why = error.to_string();
                self.send(number, Message::Refused { why }, Vec::new());
            }
            _ => {}
        }
    }

    /// What is parked of the session, if this guest holds it.
    fn vault(&mut self, number: u64, session: &str) -> Option<&mut Vault> {
        let vault = self.vaults.get_mut(session)?;
        (vault.holder == Some(number)).then_some(vault)
    }

    /// The other end is closed. A holder that did not say that it leaves is dying.
    fn hung_up(&mut self, number: u64) {
        let Some(guest) = self.guests.get_mut(&number) else {
            return;
        };
        if let Some(connection) = guest.connection.take() {
            let _ = epoll::delete(&self.epoll, &connection);
        }
        let session = guest.session.clone();
        let holds = session.is_some_and(|session| self.vault(number, &session).is_some());
        let watched = holds
            && self.guests.get(&number).is_some_and(|guest| {
                let data = epoll::EventData::new_u64(number << 1 | 1);
                epoll::add(&self.epoll, &guest.process, data, epoll::EventFlags::IN).is_ok()
            });
        if watched {
            return;
        }
        if holds && let Some(guest) = self.guests.get(&number) {
            // It is dying: that is not waited for in any other way.
            let patience = Timespec {
                tv_sec: 1,
                tv_nsec: 0,
            };
            let mut fds = [PollFd::new(&guest.process, PollFlags::IN)];
            let _ = poll(&mut fds, Some(&patience));
            return self.died(number);
        }
        self.guests.remove(&number);
    }

    /// A holder is dead: what it held is handed to the next one.
    fn died(&mut self, number: u64) {
        let Some(guest) = self.guests.remove(&number) else {
            return;
        };
        let _ = epoll::delete(&self.epoll, &guest.process);
        let Some(session) = guest.session else {
            return;
        };
        let Some(vault) = self.vault(number, &session) else {
            return;
        };
        vault.holder = None;
        if !guest.served {
            vault.unserved += 1;
        }
        let pause = match vault.unserved.checked_sub(UNSERVED) {
            None => Duration::ZERO,
            Some(more) => PAUSE
                .saturating_mul(2_u32.saturating_pow(more))
                .min(LONGEST_PAUSE),
        };
        if pause.is_zero() {
            self.relaunch(&session);
        } else {
            vault.due = Some(Instant::now() + pause);
        }
    }

    fn start_due(&mut self) {
        let now = Instant::now();
        let due = self
            .vaults
            .iter()
            .filter(|(_, vault)| vault.due.is_some_and(|due| due <= now));
        let due: Vec<String> = due.map(|(session, _)| session.clone()).collect();
        for session in due {
            self.relaunch(&session);
        }
    }

    /// Looks for sessions that lost their holder without anybody having anything of them, now and once more.
    pub(crate) fn revive_all(&mut self) {
        self.revive_orphans();
        self.look_again = Some(Instant::now() + PARKED_BY);
    }

    fn revive_orphans(&mut self) {
        let Ok(Some(root)) = Root::open_existing(&self.path) else {
            return;
        };
        for session in root.orphans().unwrap_or_default() {
            if let Ok(directory) = session.directory_fd().try_clone_to_owned() {
                self.revive(session.id().to_string(), directory);
            }
        }
    }

    /// A session that was up when its holder and the keeper of its time were killed: a holder ends what is left of it, and
    /// starts it anew if it is to be.
    fn revive(&mut self, session: String, directory: OwnedFd) {
        let parked = Parked::new(&Value::Null, vec![directory]);
        let vault = Vault {
            parked: BTreeMap::from([(DIRECTORY.to_owned(), parked)]),
            is_revived: true,
            ..Vault::default()
        };
        if self.vaults.contains_key(&session) {
            return;
        }
        self.vaults.insert(session.clone(), vault);
        self.relaunch(&session);
    }

    /// Starts a holder of the session and hands it what is parked; copies stay here.
    pub(crate) fn relaunch(&mut self, session: &str) {
        if self.try_relaunch(session).is_err()
            && let Some(vault) = self.vaults.get_mut(session)
        {
            // No process, no descriptor: perhaps later. One that was begun ends when its connection does.
            vault.due = Some(Instant::now() + PAUSE);
            if let Some(begun) = vault.holder.take() {
                self.guests.remove(&begun);
            }
        }
    }

    fn try_relaunch(&mut self, session: &str) -> io::Result<()> {
        let (ours, theirs) = socket::pair_for_messages()?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        let Some(vault) = self.vaults.get(session) else {
            return Ok(());
        };
        let environment = vault.parked.get(ENVIRONMENT);
        let environment = environment.and_then(|parked| parked.descriptors.first());
        let environment = environment.map(read_environment).transpose()?;
        let environment = match environment {
            Some(environment) => environment,
            None => environment_of(std::env::vars_os()),
        };
        let how = if vault.is_revived {
            c"revive"
        } else {
            c"adopt"
        };
        let process = start_holder(session, how, theirs, environment)?;
        let number = self.admit(ours, process, Some(session.to_owned()))?;
        if let Some(vault) = self.vaults.get_mut(session) {
            (vault.holder, vault.due) = (Some(number), None);
        }
        let keys: Vec<String> = self
            .vaults
            .get(session)
            .map_or_else(Vec::new, |vault| vault.parked.keys().cloned().collect());
        for key in keys {
            let parked = self
                .vaults
                .get(session)
                .and_then(|vault| vault.parked.get(&key));
            let Some(parked) = parked else {
                continue;
            };
            // Copies of one thing at a time: there may not be room for more.
            let copies = parked.descriptors.iter().map(OwnedFd::try_clone);
            let copies = copies.collect::<io::Result<Vec<_>>>()?;
            let what = parked.what();
            self.send(number, Message::Handed { key, what }, copies);
        }
        self.send(number, Message::HandedAll {}, Vec::new());
        Ok(())
    }

    fn send(&mut self, number: u64, message: Message, descriptors: Vec<OwnedFd>) {
        if let Some(guest) = self.guests.get_mut(&number) {
            guest.unsent.push_back((message, descriptors));
            self.flush(number);
        }
    }

    fn flush(&mut self, number: u64) {
        let Some(guest) = self.guests.get_mut(&number) else {
            return;
        };
        let Some(connection) = &guest.connection else {
            return;
        };
        while let Some((message, descriptors)) = guest.unsent.front() {
            let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
            match message::send(connection, message, &descriptors) {
                Ok(()) => drop(guest.unsent.pop_front()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Its end is heard when it is read.
                Err(_) => guest.unsent.clear(),
            }
        }
        let out = if guest.unsent.is_empty() {
            epoll::EventFlags::empty()
        } else {
            epoll::EventFlags::OUT
        };
        let data = epoll::EventData::new_u64(number << 1);
        let _ = epoll::modify(&self.epoll, connection, data, epoll::EventFlags::IN | out);
    }
}

/// The environment that a holder was started with: entries with a NUL behind each.
fn read_environment(file: &OwnedFd) -> io::Result<Vec<CString>> {
    let len = rustix::fs::fstat(file)?.st_size;
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    let read = rustix::io::pread(file, &mut bytes, 0)?;
    let entries = bytes[..read].split(|byte| *byte == 0);
    let entries = entries.filter(|entry| !entry.is_empty());
    Ok(entries
        .filter_map(|entry| CString::new(entry).ok())
        .collect())
}

/// A holder that adopts: its pidfd.
fn start_holder(
    session: &str,
    how: &CStr,
    connection: OwnedFd,
    env: Vec<CString>,
) -> io::Result<OwnedFd> {
    let null = || rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    let program = Program {
        executable: c"/proc/self/exe".to_owned(),
        argv: vec![
            c"session".to_owned(),
            c"__hold".to_owned(),
            CString::new(session)?,
            how.to_owned(),
        ],
        env,
        directory: c"/".to_owned(),
        stdio: ChildStdio::Pipes {
            stdin: connection,
            stdout: null()?,
            stderr: null()?,
        },
        umask: 0o077,
        limits: Vec::new(),
    };
    let gated = spawn::spawn(&program, None).map_err(io::Error::other)?;
    let started = gated.open()?;
    Ok(started.pidfd)
}
