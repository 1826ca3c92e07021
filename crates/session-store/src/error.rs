//! What can go wrong with state on disk: what failed, on what, why, and where there is one, what to do.

use std::io;
use std::path::PathBuf;

use session_protocol::{ByteString, Code};

use crate::name::{BadName, Name};

/// The result of everything that touches the store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No session has this name or id.
    #[error("there is no session '{0}'")]
    NotFound(String),
    /// A prefix of several ids.
    #[error("'{given}' begins several ids: {}", first(.ids))]
    Ambiguous {
        /// What was given.
        given: String,
        /// The ids it begins.
        ids: Vec<String>,
    },
    /// The name is taken.
    #[error("a session named '{0}' exists already")]
    Exists(Name),
    /// The name is not allowed.
    #[error(transparent)]
    Name(#[from] BadName),
    /// An attribute or value that is not known; the sentence lists what is.
    #[error("{0}")]
    Attribute(String),
    /// The record cannot be understood.
    #[error("the record {} is damaged: {why}", .path.display())]
    Damaged {
        /// Where it lies now.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The record was written by a later version and is left as it is.
    #[error("the record {} has version {version}, this program reads up to 1; use a newer session", .path.display())]
    Newer {
        /// Where it lies.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// The session belongs to another machine that shares this directory.
    #[error("session '{name}' belongs to another machine ({machine})")]
    Foreign {
        /// Its name.
        name: String,
        /// The other machine's id.
        machine: String,
    },
    /// Not what it should be, and therefore neither used nor repaired.
    #[error("{} is refused: {why}", .path.display())]
    Refused {
        /// What is refused.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Someone else has the right to write this session.
    #[error("session '{0}' is being changed by another process")]
    Busy(String),
    /// No place for state could be found.
    #[error("no place for state: {0}")]
    Locate(String),
    /// The kernel or the file system said no.
    #[error("cannot {act} {}: {source}", .path.display())]
    Io {
        /// The act, as a verb.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// As many as a line has room for.
fn first(ids: &[String]) -> String {
    const ROOM: usize = 5;
    let shown = ids[..ids.len().min(ROOM)].join(", ");
    match ids.len().checked_sub(ROOM) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

impl Error {
    /// The stable word for programs.
    pub fn code(&self) -> Code {
        match self {
            Self::NotFound(_) | Self::Ambiguous { .. } => Code::NotFound,
            Self::Exists(_) => Code::Exists,
            Self::Name(_) => Code::BadName,
            Self::Attribute(_) => Code::BadAttribute,
            Self::Damaged { .. } => Code::RecordDamaged,
            Self::Newer { .. } => Code::RecordNewer,
            Self::Foreign { .. } | Self::Refused { .. } => Code::Denied,
            Self::Busy(_) => Code::Running,
            Self::Locate(_) => Code::Io,
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => Code::Denied,
                _ => Code::Io,
            },
        }
    }

    pub(crate) fn io(
        act: &'static str,
        path: impl Into<PathBuf>,
        source: impl Into<io::Error>,
    ) -> Self {
        Self::Io {
            act,
            path: path.into(),
            source: source.into(),
        }
    }

    /// There is no session called `given`.
    pub fn not_found(given: &str) -> Self {
        Self::NotFound(ByteString::from(given).brief())
    }

    pub(crate) fn refused(path: impl Into<PathBuf>, why: impl Into<String>) -> Self {
        Self::Refused {
            path: path.into(),
            why: why.into(),
        }
    }
}

impl From<Error> for session_protocol::Error {
    fn from(error: Error) -> Self {
        Self::new(
            error.code(),
            ByteString::from(error.to_string().as_str()).escaped(),
        )
    }
}
