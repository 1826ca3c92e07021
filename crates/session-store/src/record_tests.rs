//! Tests of the record's form.

use super::*;
use session_protocol::ByteString;

pub(crate) fn record(name: &str) -> Record {
    let mut spec = Spec::new(
        vec!["sleep".into(), ByteString(b"\xff".to_vec())],
        "/bin/sleep".into(),
        "/".into(),
    );
    spec.set("env.A", Some(b"b")).unwrap();
    Record {
        id: "0123456789abcdef".parse().unwrap(),
        name: name.parse().unwrap(),
        machine: "m".into(),
        created_at: Timestamp::from_millis(1_700_000_000_000),
        desired: Desired::Up,
        spec,
        last: Last {
            state: LastState::Up,
            started_at: Some(Timestamp::from_millis(7)),
            ..Last::default()
        },
        kept: Kept::new(),
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    let record = record("web");
    let file = record.encode().unwrap();
    assert_eq!(Record::decode(&file), Ok(record.clone()));
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut flipped = file.clone();
            flipped[at] ^= 1 << bit;
            match Record::decode(&flipped) {
                Ok(read) => assert_eq!(read, record, "byte {at} bit {bit}"),
                // The digit of the version: refused and left alone, which loses nothing either.
                Err(Unreadable::Newer(_)) => assert_eq!(at, MAGIC.len() + 1),
                Err(Unreadable::Damaged(_)) => {}
            }
        }
        assert!(
            matches!(Record::decode(&file[..at]), Err(Unreadable::Damaged(_))),
            "cut at {at}"
        );
    }
    let longer = [&file[..], b"x"].concat();
    assert!(matches!(
        Record::decode(&longer),
        Err(Unreadable::Damaged(_))
    ));
}

#[test]
fn unknown_fields_survive_a_rewrite() {
    let mut json = serde_json::to_value(record("web")).unwrap();
    json["later"] = serde_json::json!({ "a": [1] });
    json["spec"]["later-too"] = 2.into();
    json["last"]["core"] = true.into();
    let read: Record = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), json);
}

#[test]
fn fields_that_an_old_record_lacks_have_their_default() {
    let json = serde_json::json!({
        "id": "0123456789abcdef", "name": "n", "machine": "m", "created_at": "2026-01-01T00:00:00Z", "desired": "down",
        "spec": { "command": ["a"], "executable": "/a", "directory": "/" },
    });
    let read: Record = serde_json::from_value(json).unwrap();
    assert_eq!(
        read.spec,
        Spec::new(vec!["a".into()], "/a".into(), "/".into())
    );
    assert_eq!(read.last, Last::default());
}

/// Records of the first version are read for ever: this file is never regenerated.
#[test]
fn the_first_version_is_still_read() {
    let file = include_bytes!("../fixtures/record-v1");
    let read = Record::decode(file).unwrap();
    assert_eq!(read, record("web"));
    assert_eq!(read.encode().unwrap(), file, "and written the same");
}
