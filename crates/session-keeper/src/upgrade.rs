//! The keeper goes on as another executable, with all that is parked and every connection ([`crate::succession`]).

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::event::epoll;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::keeper::{Guest, Keeper, Parked};
use crate::succession::{self, Handed, Item};

/// What is neither parked nor connected.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct State {
    version: u32,
}

/// The version that is written.
const VERSION: u32 = 1;

/// What is said of someone who is connected, whose process and connection follow.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Connected {
    session: String,
    served: bool,
    /// It is the one that holds the session.
    holds: bool,
    unserved: u32,
}

const LISTENER: &str = "listener";
/// Then the number.
const GUEST: &str = "guest/";
/// Then the session, and the key.
const PARKED: &str = "parked/";

impl Keeper {
    /// Goes on as `executable` for the directory `path`. Returns only if that cannot be, and then nothing has changed.
    pub(crate) fn upgrade(&self, executable: &Path, path: &Path) -> io::Error {
        if self.guests.values().any(|guest| !guest.unsent.is_empty()) {
            return io::Error::other("a session is just being handed over");
        }
        let items = self.items();
        let state = State { version: VERSION };
        let role = "__keep";
        match items.and_then(|items| Ok((serde_json::to_value(state)?, items))) {
            Ok((state, items)) => {
                succession::succeed(executable, role, path.as_os_str(), state, &items)
            }
            Err(error) => error,
        }
    }

    fn items(&self) -> io::Result<Vec<Item<'_>>> {
        let mut items = vec![Item {
            key: LISTENER.to_owned(),
            what: Value::Null,
            descriptors: vec![self.listener.as_fd()],
        }];
        for (number, guest) in &self.guests {
            let Some(session) = &guest.session else {
                continue;
            };
            let vault = self.vaults.get(session);
            let connected = Connected {
                session: session.clone(),
                served: guest.served,
                holds: vault.is_some_and(|vault| vault.holder == Some(*number)),
                unserved: vault.map_or(0, |vault| vault.unserved),
            };
            let connection = guest.connection.as_ref().map(AsFd::as_fd);
            items.push(Item {
                key: format!("{GUEST}{number}"),
                what: serde_json::to_value(connected)?,
                descriptors: std::iter::once(guest.process.as_fd())
                    .chain(connection)
                    .collect(),
            });
        }
        for (session, vault) in &self.vaults {
            for (key, parked) in &vault.parked {
                items.push(Item {
                    key: format!("{PARKED}{session}/{key}"),
                    what: parked.what(),
                    descriptors: parked.descriptors.iter().map(AsFd::as_fd).collect(),
                });
            }
        }
        Ok(items)
    }

    /// What an earlier executable left open, taken over.
    pub(crate) fn inherit(path: &Path) -> io::Result<Self> {
        let (_, mut handed) = succession::inherit()?;
        let listener = handed.remove(LISTENER);
        let listener = listener.and_then(|(_, descriptors)| descriptors.into_iter().next());
        let mut keeper = Self::new(listener.ok_or(io::ErrorKind::NotFound)?, path)?;
        keeper.take_over(handed)?;
        Ok(keeper)
    }

    fn take_over(&mut self, handed: Handed) -> io::Result<()> {
        for (key, (what, descriptors)) in handed {
            if key.starts_with(GUEST) {
                self.take_over_guest(serde_json::from_value(what)?, descriptors)?;
            } else if let Some((session, key)) =
                key.strip_prefix(PARKED).and_then(|key| key.split_once('/'))
            {
                let vault = self.vaults.entry(session.to_owned()).or_default();
                vault
                    .parked
                    .insert(key.to_owned(), Parked::new(&what, descriptors));
            }
        }
        // Nobody's death is news that comes twice: who died meanwhile is looked at as if it died now.
        let orphans: Vec<String> = self
            .vaults
            .iter()
            .filter(|(_, vault)| vault.holder.is_none())
            .map(|(session, _)| session.clone())
            .collect();
        for session in orphans {
            self.relaunch(&session);
        }
        Ok(())
    }

    fn take_over_guest(
        &mut self,
        connected: Connected,
        descriptors: Vec<OwnedFd>,
    ) -> io::Result<()> {
        let mut descriptors = descriptors.into_iter();
        let process = descriptors.next().ok_or(io::ErrorKind::NotFound)?;
        self.next += 1;
        let number = self.next;
        let connection = descriptors.next();
        let guest = Guest {
            connection,
            process,
            session: Some(connected.session.clone()),
            served: connected.served,
            unsent: Default::default(),
        };
        let data = epoll::EventData::new_u64;
        match &guest.connection {
            Some(connection) => {
                let flags = epoll::EventFlags::IN;
                epoll::add(&self.epoll, connection, data(number << 1), flags)?;
            }
            None => {
                let flags = epoll::EventFlags::IN;
                epoll::add(&self.epoll, &guest.process, data(number << 1 | 1), flags)?;
            }
        }
        self.guests.insert(number, guest);
        if connected.holds {
            let vault = self.vaults.entry(connected.session).or_default();
            vault.holder = Some(number);
            vault.unserved = connected.unserved;
        }
        Ok(())
    }
}

/// The hidden role `session __keep PATH check`.
pub(crate) fn check() -> bool {
    succession::check(|state| {
        let state = serde_json::from_value::<State>(state);
        state.is_ok_and(|state| state.version <= VERSION)
    })
}
