//! The binary frame: a 24-byte little-endian header and a body whose length is checked before anything is read.

/// What each side sends first: `SESS`, a zero byte, the major version, two zero bytes.
pub const PREFACE: [u8; 8] = *b"SESS\0\x01\0\0";
/// Major version of the protocol, the sixth byte of the preface.
pub const VERSION: u8 = PREFACE[5];
/// Bytes of a frame's header.
pub const HEADER_LEN: usize = 24;
/// Longest body of a control frame in bytes: above the kernel's ARG_MAX, so that any command line fits.
pub const MAX_CONTROL: usize = 8 << 20;
/// Longest body of a DATA frame in bytes.
pub const MAX_DATA: usize = 256 << 10;
/// Longest body of a SCREEN frame in bytes.
pub const MAX_SCREEN: usize = 16 << 20;
/// Input that a holder takes for one process before it acknowledges some, in bytes.
pub const INPUT_WINDOW: u64 = 64 << 10;
/// Flag of a DATA frame: the stream ends behind this frame's body.
pub const FIN: u8 = 1;
/// Flag of a DATA frame: the terminal that the receiver lent has shown this frame's body already.
pub const SHOWN: u8 = 2;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameType {
    /// A JSON-RPC 2.0 request, response or notification; stream and offset are 0.
    Control,
    /// Raw bytes of a stream, the first of them at `offset`.
    Data,
    /// All bytes of the stream below `offset` were consumed; the window is counted from there.
    Credit,
    /// The stream goes on at `offset`; the body (JSON) says why and how many bytes are missing.
    Reset,
    /// Asks for a [`FrameType::Pong`] with the same body.
    Ping,
    /// Answers a ping.
    Pong,
    /// The sender will close soon; the body (JSON) says why.
    Goaway,
    /// Rows and columns (16 bits each), and bytes that bring a terminal of that size into the state which the stream has
    /// led to at `offset`, where it goes on.
    Screen,
    /// A type of a later version: skipped by its length.
    Unknown(u8),
}

impl FrameType {
    const fn from_wire(byte: u8) -> Self {
        match byte {
            0 => Self::Control,
            1 => Self::Data,
            2 => Self::Credit,
            3 => Self::Reset,
            4 => Self::Ping,
            5 => Self::Pong,
            6 => Self::Goaway,
            7 => Self::Screen,
            other => Self::Unknown(other),
        }
    }

    const fn to_wire(self) -> u8 {
        match self {
            Self::Control => 0,
            Self::Data => 1,
            Self::Credit => 2,
            Self::Reset => 3,
            Self::Ping => 4,
            Self::Pong => 5,
            Self::Goaway => 6,
            Self::Screen => 7,
            Self::Unknown(other) => other,
        }
    }

    /// Longest body this type may have, in bytes.
    pub const fn limit(self) -> usize {
        match self {
            Self::Control | Self::Unknown(_) => MAX_CONTROL,
            Self::Data => MAX_DATA,
            Self::Screen => MAX_SCREEN,
            Self::Credit => 0,
            Self::Reset | Self::Ping | Self::Pong | Self::Goaway => 4096,
        }
    }
}

/// Number of a process within its session. The main process is [`ProcessId::MAIN`]; others count up from 1.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct ProcessId(pub u32);

impl ProcessId {
    /// The process that was given to `create`.
    pub const MAIN: Self = Self(0);
}

/// One direction of bytes of a process.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// Towards the process: keys on a PTY, standard input on pipes.
    In,
    /// From the process: standard output on pipes.
    Out,
    /// From the process: standard error on pipes.
    Err,
    /// From the process: everything its PTY shows.
    Pty,
}

/// A stream on the wire: process and channel in one number.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct StreamId(pub u64);

impl StreamId {
    /// The stream of `process` in direction `channel`.
    pub const fn new(process: ProcessId, channel: Channel) -> Self {
        let channel = match channel {
            Channel::In => 0,
            Channel::Out => 1,
            Channel::Err => 2,
            Channel::Pty => 3,
        };
        Self((process.0 as u64) << 2 | channel)
    }

    /// The process it belongs to; a number beyond 32 bits names none that can exist.
    pub const fn process(self) -> ProcessId {
        ProcessId(if self.0 >> 2 > u32::MAX as u64 {
            u32::MAX
        } else {
            (self.0 >> 2) as u32
        })
    }

    /// Its direction.
    pub const fn channel(self) -> Channel {
        match self.0 & 3 {
            0 => Channel::In,
            1 => Channel::Out,
            2 => Channel::Err,
            _ => Channel::Pty,
        }
    }
}

/// The fixed part of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of body that follow.
    pub len: u32,
    /// What the body is.
    pub kind: FrameType,
    /// [`FIN`] and [`SHOWN`]; unknown bits are ignored.
    pub flags: u8,
    /// The stream concerned, 0 for control frames.
    pub stream: StreamId,
    /// Position in the stream, counted in bytes from its first.
    pub offset: u64,
}

impl Header {
    /// A header for `len` bytes of `stream` from `offset` on.
    pub const fn data(stream: StreamId, offset: u64, len: u32) -> Self {
        Self {
            len,
            kind: FrameType::Data,
            flags: 0,
            stream,
            offset,
        }
    }

    /// "Everything of `stream` below `offset` is consumed."
    pub const fn credit(stream: StreamId, offset: u64) -> Self {
        Self {
            len: 0,
            kind: FrameType::Credit,
            flags: 0,
            stream,
            offset,
        }
    }

    /// The header as it goes over the wire.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut wire = [0; HEADER_LEN];
        wire[0..4].copy_from_slice(&self.len.to_le_bytes());
        wire[4] = self.kind.to_wire();
        wire[5] = self.flags;
        wire[8..16].copy_from_slice(&self.stream.0.to_le_bytes());
        wire[16..24].copy_from_slice(&self.offset.to_le_bytes());
        wire
    }

    /// Reads a header; its length is not yet checked.
    pub fn decode(wire: &[u8; HEADER_LEN]) -> Self {
        let word = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&wire[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        Self {
            len: u32::from_le_bytes([wire[0], wire[1], wire[2], wire[3]]),
            kind: FrameType::from_wire(wire[4]),
            flags: wire[5],
            stream: StreamId(word(8)),
            offset: word(16),
        }
    }
}

/// A whole control frame around `message`.
pub fn encode_control(message: &impl serde::Serialize) -> Vec<u8> {
    let mut frame = vec![0; HEADER_LEN];
    // Messages hold no maps with keys other than strings and writing to a Vec cannot fail.
    let _ = serde_json::to_writer(&mut frame, message);
    let header = Header {
        len: (frame.len() - HEADER_LEN) as u32,
        kind: FrameType::Control,
        flags: 0,
        stream: StreamId(0),
        offset: 0,
    };
    frame[..HEADER_LEN].copy_from_slice(&header.encode());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_survives_the_wire() {
        let header = Header {
            len: 70_000,
            kind: FrameType::Data,
            flags: FIN,
            stream: StreamId::new(ProcessId(7), Channel::Err),
            offset: 0x0102_0304_0506_0708,
        };
        let wire = header.encode();
        assert_eq!(
            wire[..4],
            [0x70, 0x11, 0x01, 0x00],
            "little-endian length first"
        );
        assert_eq!(Header::decode(&wire), header);
        assert_eq!(header.stream.process(), ProcessId(7));
        assert_eq!(header.stream.channel(), Channel::Err);
    }

    #[test]
    fn a_stream_number_beyond_any_process_names_none() {
        assert_eq!(StreamId(u64::MAX).process(), ProcessId(u32::MAX));
    }
}
