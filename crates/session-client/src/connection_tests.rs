//! A holder of a few lines at the other end of a socket pair.

use session_protocol::{Channel, Code, FIN, Notice, ProcessId};

use super::*;

const PTY: StreamId = StreamId::new(ProcessId::MAIN, Channel::Pty);

fn pair() -> (Connection, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (Connection::over(ours), theirs)
}

fn answer(id: u64, result: serde_json::Value) -> Vec<u8> {
    encode_control(&serde_json::json!({ "jsonrpc": "2.0", "id": id, "result": result }))
}

fn data(offset: u64, bytes: &[u8]) -> Vec<u8> {
    [
        &Header::data(PTY, offset, bytes.len() as u32).encode()[..],
        bytes,
    ]
    .concat()
}

/// Everything the peer was sent, decoded.
fn received(peer: &mut UnixStream, events: usize) -> Vec<String> {
    let (mut decoder, mut seen) = (Decoder::default(), Vec::new());
    let mut buffer = [0; 4096];
    while seen.len() < events {
        let read = peer.read(&mut buffer).unwrap();
        decoder.feed(&buffer[..read]);
        while let Some(event) = decoder.poll().unwrap() {
            seen.push(format!("{event:?}"));
        }
    }
    seen
}

#[test]
fn a_call_gets_its_answer_and_keeps_what_came_before() {
    let (mut connection, mut peer) = pair();
    peer.write_all(&PREFACE).unwrap();
    peer.write_all(&data(5, b"out")).unwrap();
    peer.write_all(&Header::credit(PTY, 9).encode()).unwrap();
    peer.write_all(&answer(1, 42.into())).unwrap();
    peer.write_all(&data(8, b"put")).unwrap();
    assert_eq!(connection.call::<u32>(Call::Status {}).unwrap(), 42);
    assert_eq!(
        connection.poll().unwrap(),
        Some(Incoming::Data {
            stream: PTY,
            offset: 5,
            bytes: b"out",
            fin: false,
            shown: false,
        })
    );
    assert_eq!(
        connection.poll().unwrap(),
        Some(Incoming::Credit {
            stream: PTY,
            offset: 9
        })
    );
    assert!(matches!(
        connection.poll().unwrap(),
        Some(Incoming::Data { offset: 8, .. })
    ));
    assert_eq!(connection.poll().unwrap(), None);
    assert_eq!(received(&mut peer, 2)[0], "Preface");
}

#[test]
fn order_is_kept_over_several_calls() {
    let (mut connection, mut peer) = pair();
    peer.write_all(&PREFACE).unwrap();
    peer.write_all(&data(0, b"a")).unwrap();
    peer.write_all(&answer(1, 1.into())).unwrap();
    peer.write_all(&data(1, b"b")).unwrap();
    peer.write_all(&answer(2, 2.into())).unwrap();
    connection.call::<u32>(Call::Status {}).unwrap();
    connection.call::<u32>(Call::Status {}).unwrap();
    for expected in 0..2 {
        match connection.poll().unwrap() {
            Some(Incoming::Data { offset, .. }) => assert_eq!(offset, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn refusals_and_the_end_are_told_apart() {
    let (mut connection, mut peer) = pair();
    peer.write_all(&PREFACE).unwrap();
    let no = Response {
        id: 1.into(),
        outcome: Err(session_protocol::Error::new(Code::NotRunning, "it sleeps")),
    };
    peer.write_all(&encode_control(&no.to_json())).unwrap();
    match connection.call::<u32>(Call::Status {}) {
        Err(Error::Refused(error)) => assert_eq!(error.code, Code::NotRunning),
        other => panic!("{other:?}"),
    }
    drop(peer);
    assert!(matches!(
        connection.call::<u32>(Call::Status {}),
        Err(Error::Closed)
    ));
}

#[test]
fn the_last_words_of_a_holder_are_read_though_writing_fails() {
    let (mut connection, mut peer) = pair();
    peer.write_all(&PREFACE).unwrap();
    peer.write_all(&answer(1, 7.into())).unwrap();
    drop(peer);
    assert_eq!(connection.call::<u32>(Call::Status {}).unwrap(), 7);
}

#[test]
fn a_deadline_passes() {
    let (mut connection, _peer) = pair();
    let soon = Some(Instant::now());
    assert!(matches!(
        connection.call_until::<u32>(Call::Status {}, soon),
        Err(Error::Late)
    ));
}

#[test]
fn a_silent_peer_is_named() {
    let (mut connection, _peer) = pair();
    connection.greet_by = Some((Instant::now(), 4711));
    assert!(matches!(
        connection.call::<u32>(Call::Status {}),
        Err(Error::Unreachable { pid: 4711 })
    ));
}

#[test]
fn another_protocol_is_refused() {
    let (mut connection, mut peer) = pair();
    peer.write_all(b"HTTP/1.1 400 Bad Request\r\n").unwrap();
    assert!(matches!(
        connection.call::<u32>(Call::Status {}),
        Err(Error::Protocol(ProtocolError::NotSession))
    ));
}

#[test]
fn input_pings_notices_and_resets() {
    let (mut connection, mut peer) = pair();
    let input = StreamId::new(ProcessId::MAIN, Channel::In);
    connection.send_data(input, 3, b"keys").unwrap();
    connection.credit(PTY, 11).unwrap();
    peer.write_all(&PREFACE).unwrap();
    let frame = |kind, len: usize, offset| {
        Header {
            len: len as u32,
            kind,
            flags: 0,
            stream: PTY,
            offset,
        }
        .encode()
    };
    peer.write_all(&frame(FrameType::Ping, 2, 0)).unwrap();
    peer.write_all(b"hi").unwrap();
    let body = br#"{"reason":"behind","lost":7,"head":50}"#;
    peer.write_all(&frame(FrameType::Reset, body.len(), 20))
        .unwrap();
    peer.write_all(body).unwrap();
    let detached = Notice::Detached {
        process: ProcessId::MAIN,
    };
    peer.write_all(&encode_control(&detached.to_json()))
        .unwrap();
    let end = Header {
        flags: FIN,
        ..Header::data(PTY, 20, 0)
    };
    peer.write_all(&end.encode()).unwrap();
    connection.receive().unwrap();
    let mut seen = Vec::new();
    while let Some(incoming) = connection.poll().unwrap() {
        seen.push(format!("{incoming:?}"));
    }
    assert_eq!(seen[0], "Other");
    assert!(
        seen[1].contains("offset: 20, lost: 7, head: 50"),
        "{seen:?}"
    );
    assert!(seen[2].contains("Detached"), "{seen:?}");
    assert!(seen[3].contains("fin: true"), "{seen:?}");
    let sent = received(&mut peer, 4);
    assert!(sent[1].contains("offset: 3") && sent[2].contains("offset: 11"));
    assert_eq!(sent[3], "Pong");
}
