//! Tests of screens that lag behind: judged by one that is given every byte when it comes.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;

use session_protocol::{ProcessId, StreamId};
use session_store::log::{LogWriter, MIN_LIMIT};

use super::*;

/// A session's directory, and what one screen was given that saw everything.
struct Place {
    place: tempfile::TempDir,
    directory: File,
    output: Output,
    all: Screen,
}

fn output(directory: &File, limit: u64) -> Output {
    let log = LogWriter::open(directory.as_fd(), "main", Channel::Pty, limit).unwrap();
    let mut ring = crate::ring::Ring::new(Channel::Pty).unwrap();
    ring.begin(log.end());
    Output::new(StreamId::new(ProcessId::MAIN, Channel::Pty), log, ring)
}

fn size(rows: u16, cols: u16) -> Size {
    Size { rows, cols }
}

impl Place {
    fn new(limit: u64) -> Self {
        let place = tempfile::tempdir().unwrap();
        let directory = File::open(place.path()).unwrap();
        let mut place = Self {
            output: output(&directory, limit),
            place,
            directory,
            all: Screen::new(24, 80),
        };
        place.resize(size(24, 80));
        place
    }

    /// The process says this.
    fn say(&mut self, bytes: &[u8]) {
        let (read, write) = std::io::pipe().unwrap();
        for bytes in bytes.chunks(4096) {
            (&write).write_all(bytes).unwrap();
            self.output.ring.put(&read, bytes.len());
            self.output.journal_pieces();
            self.all.feed(bytes);
            if self.output.is_behind() {
                self.output
                    .catch_up_with_log((self.directory.as_fd(), "main"));
            }
        }
    }

    fn resize(&mut self, size: Size) {
        let log = (self.directory.as_fd(), "main");
        self.output.resized(log, size);
        self.all.resize(size.rows, size.cols);
    }

    fn is_exact(&mut self) {
        let log = (self.directory.as_fd(), "main");
        let snapshot = self.output.snapshot(log).unwrap();
        let (rows, cols) = self.all.size();
        assert_eq!(snapshot.size, size(rows, cols));
        assert_eq!(snapshot.offset, self.output.head());
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(shown(&snapshot.drawn), shown(&self.all.snapshot()));
    }

    fn rest(&mut self) {
        self.output.journal();
        self.output.rest_screen((self.directory.as_fd(), "main"));
        self.output.rest(true);
    }

    /// The holder ends, without a word, and there is another one.
    fn restart(&mut self, limit: u64) {
        self.output.journal();
        self.output = output(&self.directory, limit);
    }

    fn answers(&mut self) -> Vec<u8> {
        if !self.output.may_ask() {
            return Vec::new();
        }
        self.output.catch_up((self.directory.as_fd(), "main"));
        self.output.unanswered()
    }

    fn marks(&self) -> Vec<Mark> {
        let reader = LogReader::open(self.directory.as_fd(), "main", Channel::Pty);
        let marks = reader.unwrap().unwrap().marks(0, u64::MAX);
        marks.unwrap()
    }

    fn tracked(&self) -> &Tracked {
        self.output.screen.as_ref().unwrap()
    }
}

/// So many lines in colour, numbered from `from` on.
fn lines(from: usize, count: usize) -> Vec<u8> {
    (from..from + count)
        .flat_map(|line| format!("\x1b[3{}mline {line}\r\n", line % 8).into_bytes())
        .collect()
}

#[test]
fn a_screen_lags_only_so_far_and_is_exact_when_it_is_wanted() {
    let mut place = Place::new(16 << 20);
    place.say(b"\x1b[1;4m");
    for number in 0..24 {
        place.say(&lines(number * 1000, 1000));
        let lag = place.output.head() - place.tracked().at;
        assert!(lag < LAG, "{lag}");
        if number % 7 == 0 {
            place.is_exact();
        }
        if number % 11 == 0 {
            place.rest();
            assert!(place.tracked().live.is_none());
        }
    }
    place.is_exact();
}

#[test]
fn resizes_happen_where_they_happened_and_few_of_them_wait() {
    let mut place = Place::new(16 << 20);
    for number in 0..400_u16 {
        place.resize(size(10 + number % 30, 40 + number % 90));
        place.say(b"text that is long enough to be wrapped on a terminal that is narrow\r\n");
        assert!(place.tracked().resizes.len() <= MOST_RESIZES + 1);
    }
    place.is_exact();
    // Those between two bytes are one.
    for number in 0..1000 {
        let log = (place.directory.as_fd(), "main");
        place.output.resized(log, size(24, 10 + number));
    }
    place.resize(size(30, 100));
    assert_eq!(place.tracked().resizes.len(), 1);
    place.is_exact();
}

#[test]
fn sizes_are_known_to_the_next_holder_and_are_not_kept_twice() {
    let mut place = Place::new(16 << 20);
    place.resize(size(24, 40));
    place.say(&lines(0, 5));
    place.resize(size(30, 100));
    place.say(&lines(5, 5));
    place.rest();
    let known = place.marks();
    let sizes: Vec<_> = known.iter().map(|mark| mark.size).collect();
    assert_eq!(sizes, [(24, 40), (30, 100)]);
    for _ in 0..20 {
        place.restart(16 << 20);
        place.is_exact();
        place.rest();
        assert_eq!(place.marks(), known);
    }
    // Each new one may say a size where nothing was said since.
    for _ in 0..20 {
        place.restart(16 << 20);
        place.resize(size(30, 100));
        place.is_exact();
    }
    assert!(place.marks().len() <= known.len() + 20);
    place.restart(16 << 20);
    place.output.catch_up((place.directory.as_fd(), "main"));
    place.is_exact();
}

#[test]
fn the_next_holder_goes_on_from_the_last_mark() {
    for (limit, rest) in [(16 << 20, false), (MIN_LIMIT, true)] {
        let mut place = Place::new(limit);
        place.say(b"\x1b[?2004h\x1b[1;31m");
        place.say(&lines(0, 20_000));
        if rest {
            // What the log has lost must be somewhere.
            place.rest();
        }
        for _ in 0..3 {
            place.restart(limit);
            place.is_exact();
            place.say(&lines(0, 3));
            place.restart(limit);
            place.say(&lines(0, 300));
            place.is_exact();
        }
    }
}

#[test]
fn every_segment_that_is_kept_begins_with_its_screen() {
    let mut place = Place::new(MIN_LIMIT);
    place.say(b"\x1b[4m");
    place.say(&lines(0, 1200));
    // Exactly up to where the next one begins.
    let rest = (16 << 10) - place.output.head() % (16 << 10);
    place.say(&vec![b'x'; rest as usize]);
    place.is_exact();
    place.say(&lines(0, 3000));
    place.is_exact();
    let starts: Vec<u64> = files(&place, "");
    assert!(starts.len() > 3 && starts[0] > 0);
    assert_eq!(files(&place, ".s"), starts);
    let reader = LogReader::open(place.directory.as_fd(), "main", Channel::Pty);
    let mut reader = reader.unwrap().unwrap();
    for start in starts {
        let marks = reader.marks(start, start).unwrap();
        assert!(marks[0].offset == start && marks[0].screen.is_some());
        assert_eq!(marks.iter().filter(|mark| mark.screen.is_some()).count(), 1);
    }
}

/// The offsets that files of the log are named by which end like this.
fn files(place: &Place, ending: &str) -> Vec<u64> {
    let entries = std::fs::read_dir(place.place.path().join("streams/main/pty")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let starts = names.filter_map(|name| {
        let start = name
            .strip_suffix(ending)
            .filter(|start| start.len() == 16)?;
        u64::from_str_radix(start, 16).ok()
    });
    let mut starts: Vec<u64> = starts.collect();
    starts.sort_unstable();
    starts
}

#[test]
fn a_log_with_a_hole_leaves_a_screen_that_goes_on_behind_it() {
    let mut place = Place::new(16 << 20);
    place.say(b"before\r\n\x1b[31");
    place.output.journal();
    // As if the disk had been full while the ring was let go.
    let (read, write) = std::io::pipe().unwrap();
    (&write).write_all(&[b'x'; 1000]).unwrap();
    place.output.ring.read_from(&read, 1000).unwrap();
    place.output.lose(1000);
    place.output.ring.release();
    place.say(b"behind");
    let log = (place.directory.as_fd(), "main");
    let snapshot = place.output.snapshot(log).unwrap();
    let mut shown = Screen::new(24, 80);
    shown.feed(&snapshot.drawn);
    let text = String::from_utf8(snapshot.drawn).unwrap();
    assert!(
        text.contains("before") && text.contains("behind"),
        "{text:?}"
    );
    assert!(!text.contains("\x1b[31"), "{text:?}");
    assert_eq!(place.tracked().at, place.output.head());
}

#[test]
fn what_is_asked_is_answered_once_and_nothing_that_another_holder_saw() {
    let mut place = Place::new(16 << 20);
    place.say(b"text\x1b[5n");
    assert_eq!(place.answers(), b"\x1b[0n");
    assert_eq!(place.answers(), b"");
    place.say(b"\x1b[>");
    assert_eq!(place.answers(), b"");
    place.is_exact();
    place.say(b"c");
    assert_eq!(place.answers(), b"\x1b[>1;10;0c");
    place.say(b"\x1b[5n\x1b[");
    assert_eq!(place.answers(), b"\x1b[0n");
    place.say(b"6n");
    assert_eq!(place.answers(), b"\x1b[1;5R");
    place.say(b"\x1b[6");
    assert_eq!(place.answers(), b"");
    place.rest();
    place.say(b"n");
    assert_eq!(place.answers(), b"\x1b[1;5R");
    place.say(b"\x1b[6n\x1b[c\x1b[>c");
    place.restart(16 << 20);
    place.say(b"\x1b[5n");
    assert_eq!(place.answers(), b"\x1b[0n");
}

#[test]
fn what_a_terminal_was_not_sent_is_answered_and_nothing_that_it_was() {
    let mut place = Place::new(16 << 20);
    // However far the screen has come meanwhile.
    for looks in [false, true] {
        let begin = place.output.head();
        place.say(b"\x1b[6n\x1b]11;?\x1b\\\x1b[5n");
        place.output.sent(begin + 4);
        if looks {
            place.is_exact();
        }
        place.say(b"text\x1b[c");
        place.output.sent(begin + 10);
        place.is_exact();
        let answers = b"\x1b]11;rgb:0000/0000/0000\x1b\\\x1b[0n\x1b[?62;22c";
        assert_eq!(text(&place.output.unanswered()), text(answers));
        assert_eq!(place.output.unanswered(), b"");
        assert_eq!(place.output.turn(), (begin + 10, place.output.head()));
    }
    // That one byte more ends it: the terminal has answered.
    let begin = place.output.head();
    place.say(b"\x1b]11;?\x1b\\");
    place.output.sent(begin + 7);
    place.is_exact();
    assert_eq!(place.output.unanswered(), b"");
    // Nor does anybody wait for what another program asked.
    place.say(b"\x1b[5n");
    place.is_exact();
    place.output.begin_run();
    assert_eq!(place.output.unanswered(), b"");
}

#[test]
fn who_asks_and_never_reads_costs_no_more_than_a_terminal_holds() {
    let mut place = Place::new(16 << 20);
    place.say(&b"\x1b[5n".repeat(100_000));
    place.is_exact();
    assert_eq!(place.output.unanswered(), b"\x1b[0n".repeat(1024));
    // What it was sent makes room.
    place.say(&b"\x1b[5n".repeat(100_000));
    place.is_exact();
    place.output.sent(place.output.head());
    place.say(b"\x1b[c");
    place.is_exact();
    assert_eq!(place.output.unanswered(), b"\x1b[?62;22c");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
