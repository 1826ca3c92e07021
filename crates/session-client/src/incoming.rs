//! What a holder sends, as a caller sees it.

use serde_json::Value;
use session_protocol::{Event, Notice, Response, Size, StreamId};

/// One thing that came.
#[derive(Debug, PartialEq)]
pub enum Incoming<'a> {
    /// Bytes of a stream.
    Data {
        /// Whose bytes.
        stream: StreamId,
        /// Position of the first.
        offset: u64,
        /// The bytes; empty where only the end is told.
        bytes: &'a [u8],
        /// The stream ends behind them.
        fin: bool,
        /// The terminal that was lent has shown them already ([`crate::Connection::lend`]).
        shown: bool,
    },
    /// The holder took the caller's input up to this offset.
    Credit {
        /// Of which stream.
        stream: StreamId,
        /// Up to where.
        offset: u64,
    },
    /// The stream goes on at `offset`: bytes are gone, or the caller was too slow for the present.
    Reset {
        /// Which stream.
        stream: StreamId,
        /// Where it goes on.
        offset: u64,
        /// How many bytes are missing.
        lost: u64,
        /// Behind the last byte that exists now: what comes before it is replay.
        head: u64,
    },
    /// What brings a terminal into the state that the stream has led to at `offset`, where it goes on.
    Screen {
        /// Which stream.
        stream: StreamId,
        /// Where it goes on.
        offset: u64,
        /// The size that it has.
        size: Size,
        /// Bytes for a terminal.
        bytes: Vec<u8>,
    },
    /// Something happened.
    Notice(Notice),
    /// The answer to a call of [`crate::Connection::call`].
    Response(Response),
    /// Nothing for the caller: a ping, or a message of a later version.
    Other,
}

impl<'a> Incoming<'a> {
    pub(crate) fn of(event: Event<'a>) -> Self {
        match event {
            Event::Data {
                stream,
                offset,
                bytes,
                fin,
                shown,
            } => Self::Data {
                stream,
                offset,
                bytes,
                fin,
                shown,
            },
            Event::Credit { stream, offset } => Self::Credit { stream, offset },
            Event::Reset {
                stream,
                offset,
                reason,
            } => {
                let number = |key| reason.get(key).and_then(Value::as_u64);
                Self::Reset {
                    stream,
                    offset,
                    lost: number("lost").unwrap_or(0),
                    head: number("head").unwrap_or(offset),
                }
            }
            Event::Screen {
                stream,
                offset,
                size,
                bytes,
            } => Self::Screen {
                stream,
                offset,
                size,
                bytes,
            },
            Event::Control(json) => match Response::parse(&json) {
                Some(response) => Self::Response(response),
                None => serde_json::from_value(json).map_or(Self::Other, Self::Notice),
            },
            Event::Preface | Event::TextMode | Event::Ping(_) | Event::Pong | Event::Goaway(_) => {
                Self::Other
            }
        }
    }

    /// The same with bytes of its own.
    pub(crate) fn keep(self) -> Kept {
        match self {
            Self::Data {
                stream,
                offset,
                bytes,
                fin,
                shown,
            } => Kept::Data {
                stream,
                offset,
                bytes: bytes.to_vec(),
                fin,
                shown,
            },
            Self::Credit { stream, offset } => Kept::Plain(Incoming::Credit { stream, offset }),
            Self::Reset {
                stream,
                offset,
                lost,
                head,
            } => Kept::Plain(Incoming::Reset {
                stream,
                offset,
                lost,
                head,
            }),
            Self::Screen {
                stream,
                offset,
                size,
                bytes,
            } => Kept::Plain(Incoming::Screen {
                stream,
                offset,
                size,
                bytes,
            }),
            Self::Notice(notice) => Kept::Plain(Incoming::Notice(notice)),
            Self::Response(response) => Kept::Plain(Incoming::Response(response)),
            Self::Other => Kept::Plain(Incoming::Other),
        }
    }
}

/// What came while an answer was waited for.
#[derive(Debug)]
pub(crate) enum Kept {
    Data {
        stream: StreamId,
        offset: u64,
        bytes: Vec<u8>,
        fin: bool,
        shown: bool,
    },
    Plain(Incoming<'static>),
}
