//! The protocol from a shell: one JSON object a line, as with `socat` and `jq`.
//!
//! Control messages are the same JSON-RPC objects; the other frames are objects with one key:
//! `{"data":{"stream":3,"offset":0,"text":"ls\n"}}` (or `"b64"`), `{"credit":{"stream":3,"offset":10}}`,
//! `{"reset":{…}}`, `{"screen":{"stream":3,"offset":10,"rows":24,"cols":80,"text":"…"}}`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::{Event, ProtocolError, Size, StreamId};

/// Reads one line.
pub(crate) fn parse(line: &[u8]) -> Result<Event<'static>, ProtocolError> {
    let value: Value =
        serde_json::from_slice(line).map_err(|why| ProtocolError::NotJson(why.to_string()))?;
    if let Some(credit) = value.get("credit") {
        let number = |key| credit.get(key).and_then(Value::as_u64).unwrap_or(0);
        return Ok(Event::Credit {
            stream: StreamId(number("stream")),
            offset: number("offset"),
        });
    }
    // Input comes as `process.write`, which needs no offset from a person who types it.
    Ok(Event::Control(value))
}

/// Bytes of a stream as a line.
pub fn data(stream: StreamId, offset: u64, bytes: &[u8], fin: bool) -> Vec<u8> {
    let mut body = piece(stream, offset, bytes);
    if fin {
        body["fin"] = true.into();
    }
    line(&json!({ "data": body }))
}

/// What brings a terminal into the state of a stream, as a line.
pub fn screen(stream: StreamId, offset: u64, size: Size, bytes: &[u8]) -> Vec<u8> {
    let mut body = piece(stream, offset, bytes);
    (body["rows"], body["cols"]) = (size.rows.into(), size.cols.into());
    line(&json!({ "screen": body }))
}

fn piece(stream: StreamId, offset: u64, bytes: &[u8]) -> Value {
    let mut body = json!({ "stream": stream, "offset": offset });
    match std::str::from_utf8(bytes) {
        Ok(text) => body["text"] = text.into(),
        Err(_) => body["b64"] = STANDARD.encode(bytes).into(),
    }
    body
}

/// A credit, as a line.
pub fn credit(stream: StreamId, offset: u64) -> Vec<u8> {
    line(&json!({ "credit": { "stream": stream, "offset": offset } }))
}

/// A jump in a stream, as a line.
pub fn reset(stream: StreamId, offset: u64, reason: &Value) -> Vec<u8> {
    line(&json!({ "reset": { "stream": stream, "offset": offset, "reason": reason } }))
}

/// A control message as a line.
pub fn line(message: &Value) -> Vec<u8> {
    let mut line = message.to_string().into_bytes();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Channel, Decoder, ProcessId};

    #[test]
    fn a_line_is_a_message() {
        let mut decoder = Decoder::default();
        decoder.feed(b"{\"id\":1,\"method\":\"session.status\"}\n\n{\"credit\":{\"stream\":3,\"offset\":9}}\n{\"id\"");
        assert_eq!(decoder.poll(), Ok(Some(Event::TextMode)));
        assert!(matches!(decoder.poll(), Ok(Some(Event::Control(_)))));
        assert_eq!(
            decoder.poll(),
            Ok(Some(Event::Credit {
                stream: StreamId(3),
                offset: 9
            }))
        );
        assert_eq!(decoder.poll(), Ok(None), "half a line waits");
        decoder.feed(b" oops\n");
        assert!(matches!(decoder.poll(), Err(ProtocolError::NotJson(_))));
    }

    #[test]
    fn bytes_are_text_where_they_can_be() {
        let stream = StreamId::new(ProcessId::MAIN, Channel::Pty);
        assert_eq!(
            data(stream, 2, b"hi\n", false),
            b"{\"data\":{\"offset\":2,\"stream\":3,\"text\":\"hi\\n\"}}\n"
        );
        assert_eq!(
            data(stream, 0, b"\xff", true),
            b"{\"data\":{\"b64\":\"/w==\",\"fin\":true,\"offset\":0,\"stream\":3}}\n"
        );
    }
}
