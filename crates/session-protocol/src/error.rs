//! Errors that cross a connection: a stable code for programs and a sentence for people.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Stable words; new ones may come, these stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// No such session or process.
    NotFound,
    /// The name is taken.
    Exists,
    /// The name is not allowed.
    BadName,
    /// It runs already, or still.
    Running,
    /// It does not run.
    NotRunning,
    /// The command cannot be executed.
    NotExecutable,
    /// The directory cannot be entered.
    BadDirectory,
    /// The file system or the kernel said no, or the peer is not the owner.
    Denied,
    /// It took longer than it may.
    Timeout,
    /// The call or its parameters are not understood.
    Usage,
    /// The session's holder does not answer.
    HolderUnreachable,
    /// The session's record is damaged.
    RecordDamaged,
    /// The session's record was written by a later version.
    RecordNewer,
    /// An attribute or value that is not known.
    BadAttribute,
    /// Someone else is attached to it.
    Attached,
    /// A file could not be read or written; the sentence names it.
    Io,
    /// Something is left that could not be ended.
    NotEmpty,
    /// A limit of the machine or of Session is reached.
    Limit,
    /// A code of a later version.
    #[serde(other)]
    Other,
}

impl Code {
    /// The word of the code, as in JSON.
    pub fn word(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(word)) => word,
            _ => "other".to_owned(),
        }
    }
}

/// What went wrong, on what, and why, in one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct Error {
    /// For programs.
    pub code: Code,
    /// For people.
    pub message: String,
}

impl Error {
    /// An error of kind `code`.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
