//! What calls carry, and what they are answered with.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{ByteString, Channel, Exit, ProcessId, StreamId, Variables};

/// Attributes to change, in order; `None` restores the default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Set {
    /// Attribute and new value.
    pub changes: Vec<(String, Option<ByteString>)>,
    /// The file of a new `command`, absolute; without it the holder looks in the session's `PATH`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<ByteString>,
}

/// A further process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spawn {
    /// Argument vector; its first word is looked up in the session's `PATH`.
    pub command: Vec<ByteString>,
    /// Working directory; the session's if absent.
    #[serde(default)]
    pub directory: Option<ByteString>,
    /// Added to the session's environment.
    #[serde(default)]
    pub env: BTreeMap<String, ByteString>,
    /// A PTY of this size, or pipes.
    #[serde(default)]
    pub stdio: Stdio,
    /// Bytes of output that may be on the way to the caller, a stream; 0 leaves it unattached.
    #[serde(default)]
    pub window: u64,
    /// Chosen by the caller, for a call that may be made again because its answer was lost: a process that was begun with
    /// this token is the one that is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// What a process's standard streams are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stdio {
    /// Three pipes.
    #[default]
    Pipes,
    /// A terminal.
    Pty(Size),
}

/// A terminal's size in character cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Lines, 1 to 65535.
    pub rows: u16,
    /// Columns, 1 to 65535.
    pub cols: u16,
}

impl Default for Size {
    /// 24 lines of 80 columns, what a process sees before anyone attached.
    fn default() -> Self {
        Self { rows: 24, cols: 80 }
    }
}

impl fmt::Display for Size {
    /// Columns and lines: `120x40`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.cols, self.rows)
    }
}

/// The text is no size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a size is columns and lines such as 120x40")]
pub struct BadSize;

impl FromStr for Size {
    type Err = BadSize;

    fn from_str(text: &str) -> Result<Self, BadSize> {
        let cells = |text: &str| {
            // `parse` alone would take a sign.
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            let cells = text.parse().ok().filter(|cells| digits && *cells > 0);
            cells.ok_or(BadSize)
        };
        let (cols, rows) = text.split_once('x').ok_or(BadSize)?;
        Ok(Self {
            rows: cells(rows)?,
            cols: cells(cols)?,
        })
    }
}

/// The new process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spawned {
    /// Its number in the session.
    pub process: ProcessId,
    /// Its pid.
    pub pid: i32,
    /// Its streams, attached from their start if a window was given.
    pub attached: Attached,
}

/// A request to watch a process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attach {
    /// Which one.
    #[serde(default)]
    pub process: ProcessId,
    /// Where to begin.
    #[serde(default)]
    pub from: From,
    /// Bytes of output that may be on the way, a stream.
    pub window: u64,
    /// A person's terminal: counted as a client, may lead the size, and is moved on to the present when it
    /// falls behind. Others get every byte that is still kept.
    #[serde(default)]
    pub interactive: bool,
    /// Without input and without a say in the size.
    #[serde(default)]
    pub read_only: bool,
    /// The terminal's size.
    #[serde(default)]
    pub size: Option<Size>,
    /// Detach every other client first.
    #[serde(default)]
    pub detach_others: bool,
    /// Only if nobody else types into the process: else [`crate::Code::Attached`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exclusive: bool,
    /// Variables of the caller's environment, of those in [`crate::variables::FOLLOWED`], if it is a person's who types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Variables>,
    /// Streams that begin at another offset than `from` says: of who was attached to a holder that is no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resume: Vec<(StreamId, u64)>,
    /// The process is to wait rather than that the caller loses a byte.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lossless: bool,
}

/// Where an attachment begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum From {
    /// At what comes next.
    #[default]
    Live,
    /// At the oldest byte kept.
    Start,
    /// At this offset, or the oldest byte kept behind it.
    Offset(u64),
    /// At most this many bytes before the end.
    Tail(u64),
    /// At what comes next, behind a SCREEN frame that shows what there is.
    Screen,
}

/// What the caller is attached to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Attached {
    /// Output streams.
    pub streams: Vec<AttachedStream>,
    /// The input stream and the offset of the next byte to send, unless read-only.
    pub input: Option<(StreamId, u64)>,
    /// With [`From::Screen`]: what of the past a person's terminal is to be given, the attribute `restore`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<String>,
    /// Whether the caller's terminal is the one that answers the queries in the output.
    #[serde(default)]
    pub answers: bool,
}

/// One output stream of an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedStream {
    /// Its number on the wire.
    pub stream: StreamId,
    /// Offset of the first byte that will be sent.
    pub from: u64,
    /// Offset behind the last byte that exists now: what lies before it is replay.
    pub head: u64,
    /// Milliseconds since the last byte came.
    pub quiet_ms: u64,
}

/// Who holds a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HolderInfo {
    /// The version of the executable it runs.
    pub version: String,
    /// Its pid.
    pub pid: i32,
    /// The device and inode of that executable.
    pub executable: (u64, u64),
    /// An earlier holder was killed, and this one took over what that had started.
    #[serde(default)]
    pub adopted: bool,
    /// The keeper has what another holder would need, should this one be killed.
    #[serde(default)]
    pub parked: bool,
}

/// One process of the session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessInfo {
    /// Its number; 0 is the main process.
    pub process: ProcessId,
    /// Its pid, while it lives.
    pub pid: Option<i32>,
    /// Its argument vector.
    pub command: Vec<ByteString>,
    /// How it ended.
    pub exit: Option<Exit>,
    /// The size of its terminal, if it lives on one.
    #[serde(default)]
    pub size: Option<Size>,
}

/// Input for a process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Write {
    /// Which one.
    #[serde(default)]
    pub process: ProcessId,
    /// The bytes.
    pub data: ByteString,
}

/// Where the input stands in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Offset behind the last byte of output that came before the input: what the process says to it, its terminal's
    /// echo too, has this offset or a higher one. Earlier holders do not tell.
    #[serde(default)]
    pub offset: Option<u64>,
}

/// What to wait for: either a text or silence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Wait {
    /// Whose output.
    #[serde(default)]
    pub process: ProcessId,
    /// Until a line matches this regular expression, the line that is not ended yet included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Until it runs and for so many milliseconds neither said anything nor was given any input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<u64>,
    /// Look at the output from this offset on, but not at the echo of what was typed; without it, at all output since
    /// the last start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Answer null at once where what is kept does not have it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub now: bool,
}

/// The line that was waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// In which stream.
    pub stream: Channel,
    /// Offset of the line's first byte.
    pub offset: u64,
    /// The line as it was matched: without terminal sequences, and with `since` without what was an echo.
    pub line: String,
}

/// The silence that was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quiet {
    /// For so many milliseconds by now.
    pub quiet_ms: u64,
}

/// A request for kept output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Read {
    /// Which process.
    #[serde(default)]
    pub process: ProcessId,
    /// Which of its streams; its PTY or standard output if absent.
    #[serde(default)]
    pub channel: Option<Channel>,
    /// First offset wanted.
    #[serde(default)]
    pub from: u64,
    /// At most this many bytes, and never more than 64 KiB.
    #[serde(default)]
    pub max: Option<u32>,
}

/// Kept output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReadResult {
    /// Offset of the first byte of `data`; larger than asked for where bytes are gone.
    pub offset: u64,
    /// The bytes; empty at the end.
    pub data: ByteString,
    /// Offset behind the last byte that exists now.
    pub head: u64,
}

/// A process's screen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScreenResult {
    /// Its lines.
    pub rows: u16,
    /// Its columns.
    pub cols: u16,
    /// Offset behind the last byte of output that is on it.
    pub offset: u64,
    /// Terminal sequences that rebuild it, whatever a terminal of this size showed before.
    pub snapshot: ByteString,
}
