//! The one language of Session: frames and messages between a holder and whoever speaks to it.
//!
//! Nothing here opens, reads or waits: bytes go in, events come out (sans-IO), so the same code serves the
//! holder's socket, a pipe through ssh and a test. `docs/protocol.md` is the specification.
//!
//! A connection starts with [`PREFACE`] from both sides, then carries frames ([`Header`] and a body). One
//! that starts with `{` is newline-delimited JSON instead ([`text`]): the protocol from a shell.

mod bytestring;
mod decoder;
mod error;
mod frame;
mod message;
mod parameters;
mod signal;
mod status;
pub mod text;
pub mod variables;

pub use bytestring::{ByteString, is_unseen};
pub use decoder::{Decoder, Event, ProtocolError};
pub use error::{Code, Error};
pub use frame::{
    Channel, FIN, FrameType, HEADER_LEN, Header, INPUT_WINDOW, MAX_CONTROL, MAX_DATA, MAX_SCREEN,
    PREFACE, ProcessId, SHOWN, StreamId, VERSION, encode_control,
};
pub use message::{Call, Notice, Request, Response};
pub use parameters::{
    Attach, Attached, AttachedStream, BadSize, Found, From, HolderInfo, ProcessInfo, Quiet, Read,
    ReadResult, ScreenResult, Set, Size, Spawn, Spawned, Stdio, Wait, Write, Written,
};
pub use signal::Signal;
pub use status::{Desired, Exit, Scope, State, Status, Timestamp};
pub use variables::{Environment, Variables};
