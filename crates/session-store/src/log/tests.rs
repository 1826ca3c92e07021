//! Tests of logs: bytes, offsets, gaps and times against a model.

use super::*;
use proptest::prelude::*;
use session_protocol::{Channel, Timestamp};
use std::fs::File;
use std::os::fd::AsFd;

struct Place {
    place: tempfile::TempDir,
    session: File,
}

impl Place {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let session = File::open(place.path()).unwrap();
        Self { place, session }
    }

    fn writer(&self, limit: u64) -> LogWriter {
        LogWriter::open(self.session.as_fd(), "main", Channel::Pty, limit).unwrap()
    }

    fn reader(&self) -> LogReader {
        // As if something had been said before.
        segments::make(self.session.as_fd(), "main", Channel::Pty).unwrap();
        LogReader::open(self.session.as_fd(), "main", Channel::Pty)
            .unwrap()
            .unwrap()
    }

    fn segments(&self) -> Vec<(u64, u64)> {
        let directory = File::open(self.place.path().join("streams/main/pty")).unwrap();
        let starts = segments::list(directory.as_fd()).unwrap();
        starts
            .iter()
            .map(|start| (*start, segments::size(directory.as_fd(), *start).unwrap()))
            .collect()
    }
}

#[test]
fn a_stream_that_says_nothing_leaves_nothing() {
    let place = Place::new();
    let mut writer = place.writer(MIN_LIMIT);
    assert!(!place.place.path().join("streams").exists());
    let open = LogReader::open(place.session.as_fd(), "main", Channel::Pty);
    assert!(open.unwrap().is_none());
    writer.append(&[b"word"], at(0)).unwrap();
    assert_eq!(place.segments(), [(0, 4)]);
}

/// Everything from `offset` on: pieces with their offsets.
fn read(reader: &mut LogReader, mut offset: u64) -> Vec<(u64, Vec<u8>)> {
    let mut pieces: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut buffer = [0; 5000];
    loop {
        match reader.read_at(offset, &mut buffer).unwrap() {
            ReadAt::Bytes(read) => {
                match pieces
                    .last_mut()
                    .filter(|(start, bytes)| start + bytes.len() as u64 == offset)
                {
                    Some((_, bytes)) => bytes.extend(&buffer[..read]),
                    None => pieces.push((offset, buffer[..read].to_vec())),
                }
                offset += read as u64;
            }
            ReadAt::Gap { next } => offset = next,
            ReadAt::End => return pieces,
        }
    }
}

/// The byte that the tests write at an offset.
fn byte(offset: u64) -> u8 {
    (offset.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

fn bytes(from: u64, len: u64) -> Vec<u8> {
    (from..from + len).map(byte).collect()
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + millis)
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<u16>),
    Skip(u16),
    Limit(u64),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => prop::collection::vec(0..9000_u16, 0..4).prop_map(Step::Append),
        1 => Just(Step::Append(vec![60_000, 60_000])),
        1 => any::<u16>().prop_map(Step::Skip),
        1 => (0..400_000_u64).prop_map(Step::Limit),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn logs_are_what_was_appended(steps in steps()) {
        let place = Place::new();
        let mut limit = 100_000;
        let mut writer = place.writer(limit);
        let mut reader = place.reader();
        let mut follower = place.reader();
        let (mut end, mut gaps, mut followed) = (0_u64, Vec::new(), 0_u64);
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Append(parts) => {
                    let mut written = Vec::new();
                    for part in parts {
                        let from = end + written.iter().map(|part: &Vec<u8>| part.len() as u64).sum::<u64>();
                        written.push(bytes(from, part.into()));
                    }
                    let parts: Vec<&[u8]> = written.iter().map(Vec::as_slice).collect();
                    writer.append(&parts, at(number as i64)).unwrap();
                    end += parts.iter().map(|part| part.len() as u64).sum::<u64>();
                }
                Step::Skip(count) => {
                    writer.skip(count.into());
                    gaps.push(end..end + u64::from(count));
                    end += u64::from(count);
                }
                Step::Limit(new) => {
                    limit = new;
                    writer.set_limit(new);
                }
                Step::Reopen => {
                    drop(writer);
                    writer = place.writer(limit);
                }
            }
            prop_assert_eq!(writer.end(), end);
            prop_assert_eq!(reader.end().unwrap(), end);
            prop_assert_eq!(reader.start().unwrap(), if place.segments().is_empty() { 0 } else { writer.start() });
            let total: u64 = place.segments().iter().map(|(_, size)| size).sum();
            prop_assert!(total <= limit.max(MIN_LIMIT), "{} > {}", total, limit);
            let lost = |offset: u64| gaps.iter().any(|gap| gap.contains(&offset));
            let mut seen = 0;
            for (start, piece) in read(&mut reader, 0) {
                prop_assert_eq!(&piece, &bytes(start, piece.len() as u64));
                prop_assert!(!lost(start) && !lost(start + piece.len() as u64 - 1));
                seen += piece.len() as u64;
            }
            prop_assert_eq!(seen, total);
            for (start, piece) in read(&mut follower, followed) {
                prop_assert_eq!(&piece, &bytes(start, piece.len() as u64));
                followed = start + piece.len() as u64;
            }
        }
    }
}

#[test]
fn the_newest_bytes_up_to_the_limit_are_kept() {
    let place = Place::new();
    let mut writer = place.writer(128 << 10);
    for number in 0..1000 {
        let end = writer.end();
        writer.append(&[&bytes(end, 1000)], at(number)).unwrap();
    }
    let kept = writer.end() - writer.start();
    assert!(kept <= 128 << 10 && kept > 100 << 10, "{kept}");
    assert_eq!(
        read(&mut place.reader(), 0),
        [(writer.start(), bytes(writer.start(), kept))]
    );
    let stray = place.segments().len();
    let all = std::fs::read_dir(place.place.path().join("streams/main/pty"))
        .unwrap()
        .count();
    assert_eq!(all, stray * 2, "each segment and its index, nothing else");
}

#[test]
fn the_last_lines_begin_where_they_do() {
    let place = Place::new();
    let mut writer = place.writer(128 << 10);
    assert_eq!(place.reader().last_lines(3).unwrap(), 0);
    for number in 0..4000 {
        writer
            .append(&[format!("line {number:05}\n").as_bytes()], at(0))
            .unwrap();
    }
    let mut reader = place.reader();
    let end = writer.end();
    for lines in [0, 1, 2, 2000, 3999] {
        assert_eq!(
            reader.last_lines(lines).unwrap(),
            end - lines * 11,
            "{lines}"
        );
    }
    assert_eq!(reader.last_lines(4000).unwrap(), 0);
    assert_eq!(reader.last_lines(u64::MAX).unwrap(), 0);
    writer.append(&[b"open"], at(0)).unwrap();
    assert_eq!(reader.last_lines(1).unwrap(), end);
    assert_eq!(reader.last_lines(2).unwrap(), end - 11);
    writer.skip(1000);
    writer.append(&[b"a\nb\n"], at(0)).unwrap();
    let end = writer.end();
    assert_eq!(
        reader.last_lines(2).unwrap(),
        end - 4 - 1000 - 4,
        "a line with a hole in it is one"
    );
}

#[test]
fn times_are_found_and_the_index_stays_small() {
    let place = Place::new();
    let mut writer = place.writer(256 << 10);
    for number in 0..20_000_i64 {
        writer.append(&[b"0123456789"], at(number * 5)).unwrap();
    }
    let mut reader = place.reader();
    let start = reader.start().unwrap();
    assert_eq!(start % 10, 0);
    for number in (start / 10..20_000).step_by(97) {
        let came = 5 * number as i64;
        let (told, until) = reader.time_of(number * 10).unwrap();
        assert_eq!(reader.time_of(until - 1).unwrap().0, told);
        let next = reader.time_of(until).unwrap().0;
        assert!(until >= writer.end() || next > told, "{until}");
        let told = told.unwrap();
        let late = at(came).millis() - told.millis();
        assert!((0..200).contains(&late), "{late}");
        let since = reader.since(at(came)).unwrap();
        assert!(
            since >= number * 10 && since < number * 10 + 500,
            "{since} {number}"
        );
    }
    assert_eq!(reader.since(at(-5)).unwrap(), start);
    assert_eq!(reader.since(at(1_000_000)).unwrap(), writer.end());
    assert_eq!(
        reader.time_of(u64::MAX).unwrap(),
        reader.time_of(writer.end() - 1).unwrap()
    );
    // One byte at a time, ten milliseconds apart.
    let slow = Place::new();
    let mut writer = slow.writer(64 << 10);
    for number in 0..40_000 {
        writer.append(&[b"."], at(number * 10)).unwrap();
    }
    let index: u64 = std::fs::read_dir(slow.place.path().join("streams/main/pty"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().extension().is_some())
        .map(|entry| entry.metadata().unwrap().len())
        .sum();
    assert!(index <= 40_000 / 4 + 3 * 66 * 16, "{index}");
}

#[test]
fn a_clock_that_was_set_back_loses_nothing() {
    let place = Place::new();
    let mut writer = place.writer(64 << 10);
    for millis in [1_000_000, 0, 20, 2_000_000] {
        writer.append(&[b"x"], at(millis)).unwrap();
    }
    let mut reader = place.reader();
    assert_eq!(reader.since(at(1_500_000)).unwrap(), 3);
    assert_eq!(reader.time_of(1).unwrap(), (Some(at(0)), 2));
}

#[test]
fn where_a_run_began_is_known_to_the_byte() {
    let place = Place::new();
    let mut writer = place.writer(64 << 10);
    // Too soon and too often for entries of their own.
    for millis in 0..1000 {
        writer.append(&[b"one"], at(millis)).unwrap();
    }
    writer.begin_run();
    for _ in 0..2 {
        writer.append(&[b"two"], at(1000)).unwrap();
    }
    assert_eq!(place.reader().since(at(1000)).unwrap(), 3000);
}

#[test]
fn streams_are_apart_and_only_known_ones_exist() {
    let place = Place::new();
    let open = |process, channel| LogWriter::open(place.session.as_fd(), process, channel, 0);
    open("p3", Channel::Out)
        .unwrap()
        .append(&[b"out"], at(0))
        .unwrap();
    open("p3", Channel::Err)
        .unwrap()
        .append(&[b"err"], at(0))
        .unwrap();
    let mut reader = LogReader::open(place.session.as_fd(), "p3", Channel::Err)
        .unwrap()
        .unwrap();
    assert_eq!(read(&mut reader, 0), [(0, b"err".to_vec())]);
    assert!(
        LogReader::open(place.session.as_fd(), "main", Channel::Pty)
            .unwrap()
            .is_none()
    );
    for (process, channel) in [
        ("../x", Channel::Out),
        ("p", Channel::Out),
        ("", Channel::Out),
        ("main", Channel::In),
    ] {
        assert!(open(process, channel).is_err());
        assert!(LogReader::open(place.session.as_fd(), process, channel).is_err());
    }
}

#[test]
fn streams_of_a_process_are_removed_and_nothing_else() {
    let place = Place::new();
    for process in ["p3", "p4"] {
        let mut writer = LogWriter::open(place.session.as_fd(), process, Channel::Out, 0).unwrap();
        writer.append(&[b"out"], at(0)).unwrap();
    }
    let outside = place.place.path().join("streams/outside");
    std::fs::create_dir(&outside).unwrap();
    let link = place.place.path().join("streams/p5");
    std::os::unix::fs::symlink(&outside, &link).unwrap();
    remove(place.session.as_fd(), "p3").unwrap();
    remove(place.session.as_fd(), "p3").unwrap();
    assert!(
        LogReader::open(place.session.as_fd(), "p3", Channel::Out)
            .unwrap()
            .is_none()
    );
    assert!(
        LogReader::open(place.session.as_fd(), "p4", Channel::Out)
            .unwrap()
            .is_some()
    );
    for refused in ["..", "../streams", "", "p", "p5"] {
        assert!(remove(place.session.as_fd(), refused).is_err(), "{refused}");
    }
    assert!(outside.exists() && link.is_symlink());
}
