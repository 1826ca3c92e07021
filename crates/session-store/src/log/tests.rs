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

fn mark(offset: u64, cols: u16, screen: Option<&[u8]>) -> Mark {
    Mark {
        offset,
        size: (24, cols),
        screen: screen.map(<[u8]>::to_vec),
    }
}

/// The files of a stream with this ending.
fn files(place: &Place, ending: &str) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(place.place.path().join("streams/main/pty")).unwrap();
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(ending))
        .collect();
    files.sort();
    files
}

#[test]
fn marks_begin_with_the_last_screen_before_and_go_on_with_sizes() {
    let place = Place::new();
    let mut writer = place.writer(128 << 10);
    writer.append(&[&bytes(0, 40_000)], at(0)).unwrap();
    let second = writer.next_start(0).unwrap();
    let third = writer.next_start(second).unwrap();
    assert_eq!((second, third), (16 << 10, 32 << 10));
    assert_eq!(writer.next_start(third), None);
    let all = [
        mark(0, 80, None),
        mark(100, 40, None),
        mark(second, 40, Some(b"second")),
        mark(second + 100, 120, None),
        mark(third, 120, Some(b"third")),
        mark(third + 7, 132, None),
    ];
    all.iter().for_each(|mark| writer.mark(mark));
    let mut reader = place.reader();
    let mut marks = |from, until| reader.marks(from, until).unwrap();
    assert_eq!(marks(0, 50), all[..1]);
    assert_eq!(marks(50, 200), all[..2]);
    assert_eq!(marks(second, second), all[2..3]);
    assert_eq!(marks(third - 1, third - 1), all[2..4]);
    // What is behind the beginning is drawn by the output itself.
    let sizes = [&all[2..4], &[mark(third, 120, None)], &all[5..]].concat();
    assert_eq!(marks(second + 1, u64::MAX), sizes);
    assert_eq!(marks(u64::MAX, u64::MAX), all[4..]);
    // Whatever the writer is, they go on.
    drop(writer);
    let mut writer = place.writer(128 << 10);
    writer.mark(&mark(40_000, 20, None));
    let last = [&all[4..], &[mark(40_000, 20, None)]].concat();
    assert_eq!(place.reader().marks(40_000, 40_000).unwrap(), last);
}

#[test]
fn a_mark_from_before_the_first_byte_is_kept_with_it() {
    let place = Place::new();
    let mut writer = place.writer(MIN_LIMIT);
    writer.mark(&mark(0, 80, None));
    writer.mark(&mark(0, 40, None));
    assert!(!place.place.path().join("streams").exists());
    writer.append(&[b"word"], at(0)).unwrap();
    let kept = [mark(0, 40, None)];
    assert_eq!(place.reader().marks(2, 4).unwrap(), kept);
}

#[test]
fn damaged_marks_end_with_what_is_whole() {
    let place = Place::new();
    let mut writer = place.writer(MIN_LIMIT);
    writer.append(&[b"word"], at(0)).unwrap();
    let whole = [mark(0, 80, None), mark(2, 40, Some(b"drawn"))];
    whole.iter().for_each(|mark| writer.mark(mark));
    let file = files(&place, ".s").pop().unwrap();
    let bytes = std::fs::read(&file).unwrap();
    assert_eq!(bytes.len(), 16 + 16 + 5);
    for len in 0..=bytes.len() {
        std::fs::write(&file, &bytes[..len]).unwrap();
        let expected = match len {
            0..16 => &whole[..0],
            16..37 => &whole[..1],
            // With a screen, what was before it does not matter.
            _ => &whole[1..],
        };
        assert_eq!(place.reader().marks(4, 4).unwrap(), expected, "{len} bytes");
    }
    // A length that nothing could have.
    let mut wrong = bytes.clone();
    wrong[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    std::fs::write(&file, &wrong).unwrap();
    assert_eq!(place.reader().marks(4, 4).unwrap(), []);
    // Not a file at all.
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert_eq!(place.reader().marks(4, 4).unwrap(), []);
    writer.mark(&whole[0]);
    writer.append(&[b"more"], at(0)).unwrap();
}

#[test]
fn marks_take_no_more_room_than_they_may() {
    let place = Place::new();
    let mut writer = place.writer(MIN_LIMIT);
    writer.append(&[b"word"], at(0)).unwrap();
    let large = vec![b'x'; 5 << 20];
    for offset in 0..10 {
        writer.mark(&mark(offset, 80, Some(&large)));
    }
    let len = files(&place, ".s")[0].metadata().unwrap().len();
    assert!(len <= 32 << 20 && len > 25 << 20, "{len}");
    let marks = place.reader().marks(0, 10).unwrap();
    assert_eq!(marks.len() as u64, len / (large.len() as u64 + 16));
    assert_eq!(marks[0].screen.as_deref(), Some(&large[..]));
}

#[test]
fn marks_go_with_their_segment() {
    let place = Place::new();
    let mut writer = place.writer(MIN_LIMIT);
    let mut marked = 0;
    for number in 0..200 {
        let end = writer.end();
        writer.append(&[&bytes(end, 1000)], at(number)).unwrap();
        while let Some(next) = writer.next_start(marked) {
            marked = next;
            writer.mark(&mark(next, 80, Some(b"drawn")));
        }
    }
    let starts: Vec<u64> = place.segments().iter().map(|(start, _)| *start).collect();
    assert_eq!(files(&place, ".s").len(), starts.len());
    // One of a segment that is gone is nobody's.
    writer.mark(&mark(5, 80, Some(b"drawn")));
    assert_eq!(files(&place, ".s").len(), starts.len());
    let mut reader = place.reader();
    let oldest = reader.start().unwrap();
    let first = mark(oldest, 80, Some(b"drawn"));
    assert_eq!(reader.marks(oldest, oldest).unwrap(), [first]);
    // As after a crash between two removals.
    drop(writer);
    let segment = place.place.path().join("streams/main/pty");
    std::fs::remove_file(segment.join(format!("{oldest:016x}"))).unwrap();
    place.writer(MIN_LIMIT);
    assert_eq!(files(&place, ".s").len(), starts.len() - 1);
    assert_eq!(files(&place, ".t").len(), starts.len() - 1);
}

#[test]
fn marks_survive_a_disk_that_takes_nothing() {
    let place = Place::new();
    let mut writer = place.writer(MIN_LIMIT);
    writer.append(&[b"word"], at(0)).unwrap();
    writer.skip(100);
    writer.mark(&mark(104, 40, None));
    // An empty segment takes another name, and its marks with it.
    writer.skip(100);
    writer.mark(&mark(204, 50, None));
    assert_eq!(files(&place, ".s").len(), 1);
    let expected = [mark(104, 40, None), mark(204, 50, None)];
    assert_eq!(place.reader().marks(204, 204).unwrap(), expected);
    let name = files(&place, ".s").pop().unwrap();
    assert!(name.ends_with(format!("{:016x}.s", 204)));
}
