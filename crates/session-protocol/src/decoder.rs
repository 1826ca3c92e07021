//! Bytes in, events out: the receiving half of a connection, for either form of the protocol.
//!
//! Bodies of DATA frames are handed on as they come, without waiting for the whole frame, so a relay copies
//! nothing and a large frame costs no memory. Lengths are checked before anything is kept.

use serde_json::Value;

use crate::{
    FIN, FrameType, HEADER_LEN, Header, MAX_CONTROL, PREFACE, SHOWN, Size, StreamId, text,
};

/// What came in.
#[derive(Debug, PartialEq)]
pub enum Event<'a> {
    /// The peer's preface: it speaks frames.
    Preface,
    /// The peer speaks newline-delimited JSON.
    TextMode,
    /// A control message: request, response or notice.
    Control(Value),
    /// Bytes of a stream; a frame's body may come in several pieces.
    Data {
        /// Whose bytes.
        stream: StreamId,
        /// Position of the first.
        offset: u64,
        /// The bytes; empty in a frame that only ends the stream.
        bytes: &'a [u8],
        /// The stream ends behind them.
        fin: bool,
        /// The terminal that the receiver lent has shown them already.
        shown: bool,
    },
    /// The peer consumed everything of `stream` below `offset`.
    Credit {
        /// Of which stream.
        stream: StreamId,
        /// Up to where.
        offset: u64,
    },
    /// The stream goes on at `offset`.
    Reset {
        /// Which stream.
        stream: StreamId,
        /// Where it goes on.
        offset: u64,
        /// Why, and how much is missing.
        reason: Value,
    },
    /// What brings a terminal into the state that the stream has led to; it goes on at `offset`.
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
    /// To be answered by a pong with the same body.
    Ping(Vec<u8>),
    /// The answer to a ping.
    Pong,
    /// The peer will close soon.
    Goaway(Value),
}

/// The peer does not speak the protocol. The connection is of no further use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The first bytes are neither a preface nor `{`.
    #[error("the peer does not speak this protocol")]
    NotSession,
    /// A preface of another major version.
    #[error("the peer speaks version {0} of the protocol, this is version {ours}", ours = crate::VERSION)]
    Version(u8),
    /// A length beyond the frame type's limit.
    #[error("a frame of {len} bytes is longer than the {limit} allowed")]
    TooLong {
        /// What the header says.
        len: usize,
        /// What is allowed.
        limit: usize,
    },
    /// A SCREEN frame too short for its size.
    #[error("a screen without a size")]
    NoSize,
    /// A control body that is not JSON.
    #[error("a control frame is not JSON: {0}")]
    NotJson(String),
}

/// The state of one receiving direction.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Longer than what has come: what a read is given room for is set to zero once, not each time.
    buffer: Vec<u8>,
    /// Bytes of `buffer` that have come.
    come: usize,
    /// Of those, the ones already handed out.
    taken: usize,
    /// Bytes behind those in which there is no line feed.
    scanned: usize,
    mode: Mode,
    /// A DATA body of which a part is still to come: its next offset, and how much.
    partial: Option<Partial>,
}

#[derive(Debug, Default, PartialEq)]
enum Mode {
    #[default]
    Unknown,
    Frames,
    Text,
}

#[derive(Debug, Clone, Copy)]
struct Partial {
    header: Header,
    left: usize,
}

impl Decoder {
    /// Takes what was read from the peer.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.space(bytes.len()).copy_from_slice(bytes);
        self.filled(bytes.len(), bytes.len());
    }

    /// Room for `len` bytes to read into; to be followed by [`Decoder::filled`].
    pub fn space(&mut self, len: usize) -> &mut [u8] {
        self.compact();
        let end = self.come + len;
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        &mut self.buffer[self.come..end]
    }

    /// Of the `len` bytes of [`Decoder::space`], the first `filled` are what came.
    pub fn filled(&mut self, len: usize, filled: usize) {
        self.come += filled.min(len);
    }

    /// Memory that a connection at rest need not hold is given back.
    pub fn shrink(&mut self) {
        self.compact();
        self.buffer.truncate(self.come);
        self.buffer.shrink_to_fit();
    }

    /// Whether everything that has come was handed out.
    pub fn is_empty(&self) -> bool {
        self.come == self.taken
    }

    /// Whether the peer speaks newline-delimited JSON.
    pub fn is_text(&self) -> bool {
        self.mode == Mode::Text
    }

    fn compact(&mut self) {
        if self.taken > 0 {
            self.buffer.copy_within(self.taken..self.come, 0);
            self.come -= self.taken;
            self.taken = 0;
        }
    }

    /// The next event, if enough has come for one.
    ///
    /// # Errors
    /// The peer broke the protocol; every later call says so again or nothing.
    pub fn poll(&mut self) -> Result<Option<Event<'_>>, ProtocolError> {
        match self.mode {
            Mode::Unknown => self.opening(),
            Mode::Text => self.line(),
            Mode::Frames => self.frame(),
        }
    }

    fn opening(&mut self) -> Result<Option<Event<'_>>, ProtocolError> {
        let pending = &self.buffer[self.taken..self.come];
        match pending.first() {
            None => Ok(None),
            Some(b'{') => {
                self.mode = Mode::Text;
                Ok(Some(Event::TextMode))
            }
            Some(_) => {
                let seen = pending.len().min(5);
                if pending[..seen] != PREFACE[..seen] {
                    return Err(ProtocolError::NotSession);
                }
                if pending.len() > 5 && pending[5] != PREFACE[5] {
                    return Err(ProtocolError::Version(pending[5]));
                }
                if pending.len() < PREFACE.len() {
                    return Ok(None);
                }
                self.taken += PREFACE.len();
                self.mode = Mode::Frames;
                Ok(Some(Event::Preface))
            }
        }
    }

    fn line(&mut self) -> Result<Option<Event<'_>>, ProtocolError> {
        loop {
            let pending = &self.buffer[self.taken..self.come];
            let fresh = &pending[self.scanned..];
            let Some(end) = fresh.iter().position(|byte| *byte == b'\n') else {
                self.scanned = pending.len();
                return if pending.len() > MAX_CONTROL {
                    Err(ProtocolError::TooLong {
                        len: pending.len(),
                        limit: MAX_CONTROL,
                    })
                } else {
                    Ok(None)
                };
            };
            let start = self.taken;
            let end = std::mem::take(&mut self.scanned) + end;
            self.taken += end + 1;
            let line = self.buffer[start..start + end].trim_ascii();
            if !line.is_empty() {
                return text::parse(line).map(Some);
            }
        }
    }

    fn frame(&mut self) -> Result<Option<Event<'_>>, ProtocolError> {
        loop {
            if let Some(partial) = self.partial {
                return Ok(self.data(partial));
            }
            let pending = &self.buffer[self.taken..self.come];
            let Some(wire) = pending.first_chunk::<HEADER_LEN>() else {
                return Ok(None);
            };
            let header = Header::decode(wire);
            let (len, limit) = (header.len as usize, header.kind.limit());
            if len > limit {
                return Err(ProtocolError::TooLong { len, limit });
            }
            if header.kind == FrameType::Data {
                self.taken += HEADER_LEN;
                self.partial = Some(Partial { header, left: len });
                continue;
            }
            let Some(body) = pending.get(HEADER_LEN..HEADER_LEN + len) else {
                return Ok(None);
            };
            let event = match header.kind {
                FrameType::Control => Event::Control(json(body)?),
                FrameType::Credit => Event::Credit {
                    stream: header.stream,
                    offset: header.offset,
                },
                FrameType::Reset => Event::Reset {
                    stream: header.stream,
                    offset: header.offset,
                    reason: json(body)?,
                },
                FrameType::Screen => {
                    let Some(([r0, r1, c0, c1], bytes)) = body.split_first_chunk::<4>() else {
                        return Err(ProtocolError::NoSize);
                    };
                    Event::Screen {
                        stream: header.stream,
                        offset: header.offset,
                        size: Size {
                            rows: u16::from_le_bytes([*r0, *r1]),
                            cols: u16::from_le_bytes([*c0, *c1]),
                        },
                        bytes: bytes.to_vec(),
                    }
                }
                FrameType::Ping => Event::Ping(body.to_vec()),
                FrameType::Pong => Event::Pong,
                FrameType::Goaway => Event::Goaway(json(body)?),
                FrameType::Data | FrameType::Unknown(_) => {
                    self.taken += HEADER_LEN + len;
                    continue;
                }
            };
            self.taken += HEADER_LEN + len;
            return Ok(Some(event));
        }
    }

    /// Hands out what has come of a DATA body.
    fn data(&mut self, partial: Partial) -> Option<Event<'_>> {
        let Partial { header, left } = partial;
        let here = left.min(self.come - self.taken);
        if here == 0 && left > 0 {
            return None;
        }
        let start = self.taken;
        self.taken += here;
        let rest = Header {
            offset: header.offset.wrapping_add(here as u64),
            ..header
        };
        self.partial = (here < left).then_some(Partial {
            header: rest,
            left: left - here,
        });
        Some(Event::Data {
            stream: header.stream,
            offset: header.offset,
            bytes: &self.buffer[start..start + here],
            fin: header.flags & FIN != 0 && here == left,
            shown: header.flags & SHOWN != 0,
        })
    }
}

fn json(body: &[u8]) -> Result<Value, ProtocolError> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(body).map_err(|why| ProtocolError::NotJson(why.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Channel, ProcessId, encode_control};

    const STREAM: StreamId = StreamId::new(ProcessId::MAIN, Channel::Pty);

    /// Everything that comes out, with the pieces of one stream put together again.
    fn events(chunks: &[&[u8]]) -> Result<Vec<String>, ProtocolError> {
        let mut decoder = Decoder::default();
        let mut seen = Vec::new();
        let mut data = Vec::new();
        for chunk in chunks {
            decoder.feed(chunk);
            while let Some(event) = decoder.poll()? {
                match event {
                    Event::Data {
                        bytes, offset, fin, ..
                    } => {
                        assert_eq!(offset, 5 + data.len() as u64);
                        data.extend_from_slice(bytes);
                        if fin {
                            seen.push(format!("data {data:?}"));
                        }
                    }
                    other => seen.push(format!("{other:?}")),
                }
            }
        }
        Ok(seen)
    }

    fn conversation() -> Vec<u8> {
        let mut wire = PREFACE.to_vec();
        wire.extend(encode_control(
            &serde_json::json!({ "id": 1, "method": "session.status" }),
        ));
        let unknown = Header {
            len: 3,
            kind: FrameType::Unknown(99),
            flags: 0,
            stream: STREAM,
            offset: 0,
        };
        wire.extend(unknown.encode());
        wire.extend(b"???");
        wire.extend(
            Header {
                flags: FIN,
                ..Header::data(STREAM, 5, 4)
            }
            .encode(),
        );
        wire.extend(b"abcd");
        wire.extend(Header::credit(STREAM, 9).encode());
        wire
    }

    fn cut<'a>(mut rest: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
        let mut chunks = Vec::new();
        for cut in cuts {
            let (chunk, more) = rest.split_at(rest.len().min(*cut));
            chunks.push(chunk);
            rest = more;
        }
        chunks.push(rest);
        chunks
    }

    proptest! {
        #[test]
        fn any_cut_of_a_conversation_gives_the_same_events(cuts in proptest::collection::vec(1usize..40, 0..60)) {
            let wire = conversation();
            let chunks = cut(&wire[..], &cuts);
            prop_assert_eq!(events(&chunks), events(&[&wire]));
            prop_assert_eq!(events(&[&wire]).unwrap().len(), 4);
        }

        #[test]
        fn any_cut_of_lines_gives_the_same_events(cuts in proptest::collection::vec(1usize..9, 0..20)) {
            let wire = b"{\"id\":1,\"method\":\"a\"}\n\n{\"id\":2,\"method\":\"b\"}\r\n{\"id\":3,\"method\":\"c\"}\n";
            let chunks = cut(&wire[..], &cuts);
            prop_assert_eq!(events(&chunks), events(&[wire]));
            prop_assert_eq!(events(&[wire]).unwrap().len(), 4);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = events(&[&bytes]);
            let _ = events(&[&PREFACE, &bytes]);
        }
    }

    #[test]
    fn a_length_is_refused_before_its_bytes_come() {
        let mut decoder = Decoder::default();
        decoder.feed(&PREFACE);
        decoder.feed(&Header::data(STREAM, 0, u32::MAX).encode());
        assert_eq!(decoder.poll(), Ok(Some(Event::Preface)));
        assert!(matches!(decoder.poll(), Err(ProtocolError::TooLong { .. })));
    }

    #[test]
    fn a_long_line_is_looked_through_once() {
        let mut decoder = Decoder::default();
        decoder.feed(b"{");
        assert_eq!(decoder.poll(), Ok(Some(Event::TextMode)));
        for _ in 0..3 {
            decoder.feed(&[b' '; 1000]);
            assert_eq!(decoder.poll(), Ok(None));
            assert_eq!(decoder.scanned, decoder.buffer.len());
        }
        decoder.feed(b"\"id\":1,\"method\":\"a\"}\n{");
        assert!(matches!(decoder.poll(), Ok(Some(Event::Control(_)))));
        assert_eq!(decoder.scanned, 0);
    }

    #[test]
    fn other_protocols_are_told_apart_by_their_first_bytes() {
        for (hello, error) in [
            (&b"\x16\x03\x01\x02\x00"[..], ProtocolError::NotSession),
            (b"GET / HTTP/1.1\r\n", ProtocolError::NotSession),
            (b"SESS\0\x02\0\0", ProtocolError::Version(2)),
        ] {
            assert_eq!(events(&[hello]), Err(error));
        }
        assert_eq!(events(&[b"SES"]), Ok(Vec::new()), "too short to tell");
    }
}
