//! The durable truth about a session, and its form on disk: a header line that tells a whole record from a
//! damaged one, then JSON. Fields that this version does not know survive a rewrite.

use serde::{Deserialize, Serialize};
use session_protocol::{Desired, Exit, Timestamp};

use crate::{Id, Name, Spec};

/// Fields of a later version.
pub type Kept = serde_json::Map<String, serde_json::Value>;

/// Version of the form; a record with a larger one is refused and left alone.
const VERSION: u64 = 1;
const MAGIC: &str = "session-record";

/// What is known of a session whether or not it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its id, the name of its directory.
    pub id: Id,
    /// Its name; the claim in `names/` is valid only if it says the same.
    pub name: Name,
    /// The machine it runs on: homes can be shared.
    pub machine: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// What the verbs asked for last.
    pub desired: Desired,
    /// How to run it.
    pub spec: Spec,
    /// What became of it last.
    #[serde(default)]
    pub last: Last,
    /// Fields of a later version, kept as they are.
    #[serde(flatten)]
    pub kept: Kept,
}

/// What became of the main process, as far as it was seen.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Last {
    /// In one word.
    pub state: LastState,
    /// How it ended last.
    pub exit: Option<Exit>,
    /// Automatic restarts since the last `start`.
    pub restarts: u32,
    /// When it was last started.
    pub started_at: Option<Timestamp>,
    /// What a person should know.
    pub notes: Vec<String>,
    /// Fields of a later version, kept as they are.
    #[serde(flatten)]
    pub kept: Kept,
}

/// The last state that was worth a durable write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LastState {
    /// It was never started.
    #[default]
    NotStarted,
    /// It was started.
    Up,
    /// It was ended by `stop`.
    Stopped,
    /// It ended by itself and is not started again.
    Exited,
    /// It ended too often, or could not be started.
    Failed,
}

impl Record {
    /// The bytes of the file.
    pub(crate) fn encode(&self) -> serde_json::Result<Vec<u8>> {
        let json = serde_json::to_vec(self)?;
        let mut file = format!(
            "{MAGIC} {VERSION} {:08x} {}\n",
            crc32fast::hash(&json),
            json.len()
        )
        .into_bytes();
        file.extend(json);
        Ok(file)
    }

    /// Reads the bytes of a file.
    pub(crate) fn decode(file: &[u8]) -> Result<Self, Unreadable> {
        let damaged = |why: &str| Unreadable::Damaged(why.to_owned());
        let end = file
            .iter()
            .take(128)
            .position(|byte| *byte == b'\n')
            .ok_or_else(|| damaged("it has no header"))?;
        let header =
            std::str::from_utf8(&file[..end]).map_err(|_| damaged("its header is not text"))?;
        let mut words = header.split(' ');
        if words.next() != Some(MAGIC) {
            return Err(damaged("its header is not that of a record"));
        }
        let version = words
            .next()
            .and_then(number)
            .ok_or_else(|| damaged("its version is not a number"))?;
        if version > VERSION {
            return Err(Unreadable::Newer(
                u32::try_from(version).unwrap_or(u32::MAX),
            ));
        }
        let crc = words
            .next()
            .filter(|word| word.len() == 8)
            .and_then(|word| u32::from_str_radix(word, 16).ok());
        let len = words.next().and_then(number);
        let json = &file[end + 1..];
        if version != VERSION || words.next().is_some() || len != Some(json.len() as u64) {
            return Err(damaged("its length is not what its header says"));
        }
        if crc != Some(crc32fast::hash(json)) {
            return Err(damaged("its checksum is wrong"));
        }
        serde_json::from_slice(json).map_err(|error| Unreadable::Damaged(error.to_string()))
    }
}

/// A decimal number without sign: `parse` alone would take a `+`.
pub(crate) fn number(word: &str) -> Option<u64> {
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        word.parse().ok()
    } else {
        None
    }
}

/// Why bytes are no record of this version.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    Damaged(String),
    Newer(u32),
}

#[cfg(test)]
#[path = "record_tests.rs"]
pub(crate) mod tests;
