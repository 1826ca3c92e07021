//! A holder goes on as another executable (`session_keeper::succession`). Clients notice a connection that ends, and another
//! that goes on at the same byte.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::event::epoll;
use session_keeper::succession::{self, Item};
use session_protocol::{Code, Error as Refusal, HolderInfo, Signal};
use session_store::Owned;
use session_sys::event::SignalFd;

use crate::Error;
use crate::adopt::{Estate, How, missing, one};
use crate::handover::{Handover, StateFile};
use crate::holder::Holder;
use crate::parking::{self, Parking, plain};

const LOCK: &str = "lock";
const KEEPER: &str = "keeper";

impl Holder {
    /// What `session.holder` answers.
    pub(crate) fn info(&self) -> HolderInfo {
        let executable = std::fs::metadata("/proc/self/exe");
        HolderInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: rustix::process::getpid().as_raw_nonzero().get(),
            executable: executable.map_or((0, 0), |file| (file.dev(), file.ino())),
            adopted: self.adopted,
            parked: self.parking.connection().is_some(),
        }
    }

    /// Goes on as `executable`. Returns only if that cannot be, and then nothing has changed.
    pub(crate) fn upgrade(&mut self, executable: &Path) -> Refusal {
        self.processes.values_mut().for_each(|it| it.journal());
        let error = self
            .items()
            .and_then(|items| Ok((serde_json::to_value(Handover::of(self))?, items)))
            .map_or_else(
                |error| error,
                |(state, items)| {
                    let id = self.owned.record().id.to_string();
                    succession::succeed(executable, "__hold", id.as_ref(), state, &items)
                },
            );
        let shown = executable.display();
        Refusal::new(Code::Denied, format!("cannot go on as {shown}: {error}"))
    }

    /// Every descriptor that matters.
    fn items(&self) -> io::Result<Vec<Item<'_>>> {
        let mut items = vec![
            plain(parking::DIRECTORY, self.owned.session().directory_fd()),
            plain(LOCK, self.owned.lock_fd()),
            plain(parking::LISTENER, self.listener.as_fd()),
        ];
        items.extend(self.parking.connection().map(|it| plain(KEEPER, it)));
        items.extend(self.parking.state.as_ref().map(|state| Item {
            key: parking::STATE.to_owned(),
            what: serde_json::Value::Null,
            descriptors: state.files().to_vec(),
        }));
        for process in self.processes.values() {
            items.extend(self.items_of(process)?);
        }
        Ok(items)
    }
}

/// The hidden role `session __hold ID check`.
pub(crate) fn check() -> bool {
    succession::check(|state| Handover::parse(state.to_string().as_bytes()).is_some())
}

/// The hidden role `session __hold ID upgrade`: goes on with what an earlier executable left open.
#[inline(never)] // its frame would be that of every holder
pub(crate) fn go_on() -> Result<(), Error> {
    let step = |what: &'static str| move |source: io::Error| Error::Start { what, source };
    let failed = step("go on as another executable");
    let (state, mut handed) = succession::inherit().map_err(failed)?;
    let state = Handover::parse(state.to_string().as_bytes());
    let state = state.ok_or_else(|| failed(io::ErrorKind::InvalidData.into()))?;
    crate::startup::settle_in().map_err(failed)?;
    let signals = SignalFd::new(&crate::startup::SIGNALS.map(Signal::number))
        .map_err(step("watch signals"))?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|errno| failed(errno.into()))?;
    let mut take = |key| one(&mut handed, key).ok_or_else(|| failed(missing()));
    let (directory, lock) = (take(parking::DIRECTORY)?, take(LOCK)?);
    let listener = take(parking::LISTENER)?;
    let owned = Owned::from_inherited(directory, lock)?;
    owned.announce_holder()?;
    let keeper = one(&mut handed, KEEPER);
    let files = handed.remove(parking::STATE);
    let file = files.and_then(|(_, files)| Some(StateFile::read(files).ok()?.0));
    let estate = Estate {
        signals,
        epoll,
        owned,
        listener,
        parking: Parking::over(keeper, file),
        handover: Some(state),
        handed,
        how: How::Executed,
    };
    estate.hold()
}
