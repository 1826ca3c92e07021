//! Why a holder gave no answer, or which.

use std::io;

use session_protocol::{Code, ProtocolError};

/// What can go wrong between a caller and a holder.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The holder answered, and the answer is no.
    #[error(transparent)]
    Refused(#[from] session_protocol::Error),
    /// The holder went away before it answered.
    #[error("the connection to the session's holder was lost")]
    Closed,
    /// The holder ended the connection and said why.
    #[error("the session's holder gave up: {0}")]
    GaveUp(String),
    /// Nothing came by the deadline.
    #[error("the session's holder did not answer in time")]
    Late,
    /// There is a holder, and it does not answer.
    #[error("{}", unreachable(*pid))]
    Unreachable {
        /// Its pid; 0 if it is not a holder that keeps the session busy.
        pid: i32,
    },
    /// A connection could not be made or used.
    #[error("cannot {act}: {source}")]
    Io {
        /// The act, as a verb.
        act: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The peer speaks something else.
    #[error("the session's holder is not understood: {0}")]
    Protocol(#[from] ProtocolError),
    /// An answer of another form than asked for.
    #[error("the holder's answer is not understood: {0}")]
    Answer(#[from] serde_json::Error),
    /// The socket's other end belongs to someone else.
    #[error("the session's socket is served by user {0}, not by you")]
    ForeignPeer(u32),
    /// The session itself could not be read.
    #[error(transparent)]
    Store(#[from] session_store::Error),
}

fn unreachable(pid: i32) -> String {
    match pid {
        0 => "another command keeps the session busy".to_owned(),
        pid => format!("the holder of the session, PID {pid}, does not answer"),
    }
}

impl Error {
    /// The stable word for programs.
    pub fn code(&self) -> Code {
        match self {
            Self::Refused(error) => error.code,
            Self::Closed | Self::GaveUp(_) | Self::Late | Self::Unreachable { .. } => {
                Code::HolderUnreachable
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Code::Denied
            }
            Self::Io { .. } => Code::Io,
            Self::Protocol(_) | Self::Answer(_) => Code::HolderUnreachable,
            Self::ForeignPeer(_) => Code::Denied,
            Self::Store(error) => error.code(),
        }
    }

    pub(crate) fn io(act: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Self::Closed,
            _ => Self::Io { act, source },
        }
    }
}

impl From<Error> for session_protocol::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(error) => error,
            error => Self::new(error.code(), error.to_string()),
        }
    }
}
