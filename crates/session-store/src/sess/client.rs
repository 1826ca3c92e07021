//! `.current_session`: who is attached by `sess`, the one that attached last first. Those before it are in the same file, so
//! that it tells the truth again once that one has left.

use serde::{Deserialize, Serialize};
use session_sys::identity::Identity;

use super::Sess;
use crate::{Error, Id, Result, files};

const FILE: &str = ".current_session";
/// More than there are terminals.
const LIMIT: u64 = 1 << 20;

/// A client that is attached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// The number or name of the session.
    pub number: String,
    /// The client's own PID.
    pub pid: i32,
    /// The session.
    pub session: Id,
    /// The terminal that it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<String>,
    /// Which process the PID means.
    pub(super) identity: String,
}

/// What the file holds.
#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    #[serde(flatten)]
    current: Client,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    before: Vec<Client>,
}

impl Client {
    /// The calling process, attached to a session.
    pub fn caller(number: String, session: Id, terminal: Option<String>) -> Result<Self> {
        let pid = std::process::id() as i32;
        let failed = |error| Error::io("read", format!("/proc/{pid}/stat"), error);
        let identity = Identity::of(pid).map_err(failed)?.encode();
        Ok(Self {
            number,
            pid,
            session,
            terminal,
            identity: String::from_utf8_lossy(&identity).into_owned(),
        })
    }

    /// Whether that very process lives; where it cannot be known, that is what the file says.
    fn lives(&self) -> bool {
        let identity = Identity::decode(self.identity.as_bytes());
        identity.is_some_and(|identity| !matches!(identity.open(), Ok(None)))
    }
}

impl Sess {
    /// The clients that live, the one that attached last first. The others are forgotten.
    pub fn clients(&self) -> Result<Vec<Client>> {
        self.change_clients(|_| {})
    }

    /// `client` has attached.
    pub fn enter(&self, client: Client) -> Result<()> {
        self.change_clients(|clients| clients.insert(0, client))
            .map(drop)
    }

    /// The client with this PID has left.
    pub fn leave(&self, pid: i32) -> Result<()> {
        self.change_clients(|clients| clients.retain(|client| client.pid != pid))
            .map(drop)
    }

    fn change_clients(&self, change: impl FnOnce(&mut Vec<Client>)) -> Result<Vec<Client>> {
        let _lock = self.lock()?;
        let read = files::read(self.fd(), FILE, LIMIT);
        let there = !matches!(read, Ok(None));
        // Earlier versions of `sess` wrote a bare number, or a PID that may be anyone's by now.
        let marker = read.ok().flatten();
        let marker = marker.and_then(|bytes| serde_json::from_slice::<Marker>(&bytes).ok());
        let before = marker.map_or_else(Vec::new, |marker| {
            std::iter::once(marker.current)
                .chain(marker.before)
                .collect()
        });
        let mut clients: Vec<Client> = before.iter().filter(|it| it.lives()).cloned().collect();
        change(&mut clients);
        match clients.split_first() {
            None if there => self.make_way(FILE)?,
            Some((current, rest)) if clients != before => {
                let marker = Marker {
                    current: current.clone(),
                    before: rest.to_vec(),
                };
                // Texts and numbers are always JSON.
                let text = serde_json::to_vec(&marker).unwrap_or_default();
                self.replace(FILE, &text)?;
            }
            _ => {}
        }
        Ok(clients)
    }
}
