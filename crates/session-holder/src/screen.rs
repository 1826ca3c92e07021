//! The screen of one terminal, some output behind it.
//!
//! Output goes to the clients first. The screen catches up when somebody wants to see it, when a question in the output
//! has nobody else to answer it, and before it is so far behind that the ring would lose what it has not seen. In
//! between it does nothing; a stream that is quiet keeps of it only the bytes that draw it. Where a segment of the
//! log begins, the screen is kept beside it, and every change of its size: from there on the past can be looked at as
//! it was (`docs/adr/0019-screens-lag-and-are-packed.md`).

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;

use session_protocol::{Channel, Size};
use session_store::log::{LogReader, Mark, PIECE};
use session_terminal::{LONGEST_QUESTION, Screen};

use crate::output::{BATCH, Output, Piece};
use crate::ring::{CAPACITY, joined};

/// A screen is at most so many bytes behind the log, …
const LAG: u64 = 128 << 10;
/// … which may lack most of a piece and all of a batch: the ring keeps that much.
const _: () = assert!(LAG as usize + PIECE as usize + BATCH <= CAPACITY);
/// Changes of the size that may wait to be made.
const MOST_RESIZES: usize = 64;
/// Output before the first mark that is looked at, where the log has lost its beginning.
const UNMARKED: u64 = 256 << 10;

/// Where a stream's log is: the session's directory, and what the process is called there.
pub(crate) type Log<'a> = (BorrowedFd<'a>, &'a str);

/// The state of a terminal at an offset of its output.
pub(crate) struct Tracked {
    /// Everything below this offset has been taken in.
    at: u64,
    /// The log's marks, which tell what there was before this holder, have been read.
    recalled: bool,
    /// What lies before is another program's, or another holder's: whoever asked there does not wait any more.
    begun: u64,
    /// The segment of the log that got its screen last begins here.
    marked: u64,
    /// In use; else it can be had from what follows.
    live: Option<Box<Screen>>,
    /// The bytes that draw it, and its size.
    drawn: Vec<u8>,
    size: Size,
    /// Sizes that the terminal has from an offset on.
    resizes: VecDeque<Resize>,
    /// Questions were looked for up to here.
    looked: u64,
    /// The terminal that answers has been sent everything below this offset, …
    sent: u64,
    /// … and may yet be spared what lies behind: what is asked there.
    asked: Vec<Asked>,
}

/// A question, and what a terminal answers.
struct Asked {
    /// Where it ends.
    offset: u64,
    answer: Vec<u8>,
}

/// Answers that are kept, in bytes: what a program's terminal holds of what it does not read (N_TTY_BUF_SIZE).
const MOST_ANSWERS: usize = 4096;

/// The terminal has this size from an offset on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Resize {
    offset: u64,
    size: Size,
    /// The log has it.
    kept: bool,
}

/// What a terminal is given to look like another.
pub(crate) struct Snapshot {
    /// Of the next byte behind it.
    pub(crate) offset: u64,
    pub(crate) size: Size,
    pub(crate) drawn: Vec<u8>,
}

impl Tracked {
    /// A screen at the end of the stream so far.
    pub(crate) fn new(at: u64) -> Self {
        Self {
            at,
            recalled: false,
            begun: at,
            marked: 0,
            live: None,
            drawn: Vec::new(),
            size: Size::default(),
            resizes: VecDeque::new(),
            looked: at,
            sent: at,
            asked: Vec::new(),
        }
    }

    /// What another program says begins at `offset`.
    pub(crate) fn begin_run(&mut self, offset: u64) {
        self.begun = offset;
        self.asked.clear();
    }

    /// From `offset` on the terminal has this size.
    fn resize(&mut self, offset: u64, size: Size) {
        let resize = Resize {
            offset,
            size,
            kept: false,
        };
        match self.resizes.back_mut() {
            Some(last) if last.offset == offset && !last.kept => *last = resize,
            _ => self.resizes.push_back(resize),
        }
    }

    /// The screen itself, built from what is kept of it.
    fn live(&mut self) -> &mut Screen {
        let (drawn, size) = (std::mem::take(&mut self.drawn), self.size);
        self.live.get_or_insert_with(|| {
            let mut screen = Screen::new(size.rows, size.cols);
            screen.feed(&drawn);
            Box::new(screen)
        })
    }

    /// Something is asked that ends at `offset`.
    fn ask(&mut self, offset: u64, answer: &[u8]) {
        if offset <= self.begun.max(self.sent) {
            return;
        }
        self.asked.retain(|it| it.offset > self.sent);
        let kept = self.asked.iter().map(|it| it.answer.len()).sum::<usize>();
        if kept == 0 || kept + answer.len() <= MOST_ANSWERS {
            let answer = answer.to_vec();
            self.asked.push(Asked { offset, answer });
        }
    }

    /// Goes back to the last mark, the first time; what came since is taken in again.
    fn recall(&mut self, marks: impl FnOnce(u64) -> Vec<Mark>) {
        if std::mem::replace(&mut self.recalled, true) {
            return;
        }
        let size = |(rows, cols)| Size { rows, cols };
        let mut marks = marks(self.at).into_iter();
        if let Some(mark) = marks.next() {
            self.at = mark.offset;
            self.marked = mark.offset;
            self.size = size(mark.size);
            self.drawn = mark.screen.unwrap_or_default();
        }
        let mut resizes: VecDeque<Resize> = VecDeque::new();
        for mark in marks {
            // Of those at one offset the last counts.
            resizes.pop_back_if(|last| last.offset == mark.offset);
            resizes.push_back(Resize {
                offset: mark.offset,
                size: size(mark.size),
                kept: true,
            });
        }
        resizes.append(&mut self.resizes);
        self.resizes = resizes;
    }

    /// What comes next.
    fn take_in(&mut self, bytes: &[u8]) {
        self.at += bytes.len() as u64;
        let mut asked = Vec::new();
        let answer = |behind, answer: &[u8]| asked.push((behind, answer.to_vec()));
        self.live().catch_up_answering(bytes, answer);
        for (behind, answer) in asked {
            self.ask(self.at - behind as u64, &answer);
        }
    }

    /// Keeps no more than what draws it.
    fn pack(&mut self) {
        if let Some(mut screen) = self.live.take() {
            let (rows, cols) = screen.size();
            self.size = Size { rows, cols };
            self.drawn = screen.snapshot();
            self.drawn.shrink_to_fit();
        }
    }
}

impl Output {
    /// The terminal has this size for what comes next.
    pub(crate) fn resized(&mut self, log: Log<'_>, size: Size) {
        let head = self.head();
        let Some(tracked) = &mut self.screen else {
            return;
        };
        tracked.resize(head, size);
        if tracked.resizes.len() > MOST_RESIZES {
            self.catch_up(log);
        }
    }

    /// The terminal that answers has been sent what lies below `offset`.
    pub(crate) fn sent(&mut self, offset: u64) {
        if let Some(tracked) = &mut self.screen {
            tracked.sent = offset;
        }
    }

    /// Another terminal answers from now on, or none: up to where the one before was sent everything, and from where on it
    /// is the other's turn. What is asked in between is to be answered already.
    pub(crate) fn turn(&mut self) -> (u64, u64) {
        let head = self.head();
        let sent = self.screen.as_mut().map(|tracked| {
            let sent = tracked.sent.min(head);
            tracked.sent = head;
            sent
        });
        (sent.unwrap_or(head), head)
    }

    /// Answers to what was asked, as far as the screen has come, behind what the terminal that answers was sent. It will
    /// not be sent it any more.
    pub(crate) fn unanswered(&mut self) -> Vec<u8> {
        let Some(tracked) = &mut self.screen else {
            return Vec::new();
        };
        let asked = std::mem::take(&mut tracked.asked).into_iter();
        let unsent = asked.filter(|it| it.offset > tracked.sent);
        unsent.flat_map(|it| it.answer).collect()
    }

    /// Whether the screen should catch up before more comes.
    pub(crate) fn is_behind(&self) -> bool {
        let tracked = self.screen.as_ref();
        tracked.is_some_and(|tracked| self.logged().saturating_sub(tracked.at) >= LAG)
    }

    /// Whether the output may end in the middle of a question.
    pub(crate) fn is_asking(&self) -> bool {
        let tracked = self.screen.as_ref();
        let question = 1..=LONGEST_QUESTION as u64;
        tracked.is_some_and(|it| question.contains(&self.head().saturating_sub(it.looked)))
    }

    /// Whether there may be a question in what came since this was asked last.
    pub(crate) fn may_ask(&mut self) -> bool {
        let head = self.head();
        let Some(tracked) = &mut self.screen else {
            return false;
        };
        let parts = self
            .ring
            .slices(tracked.looked, (head - tracked.looked.min(head)) as usize);
        let bytes = joined(parts);
        let asked = session_terminal::asks(&bytes);
        tracked.looked = head - (bytes.len() - asked.looked) as u64;
        asked.may_ask
    }

    /// Has the screen take in everything that there is.
    pub(crate) fn catch_up(&mut self, log: Log<'_>) {
        // The past of whoever is shown this is in the log.
        self.journal();
        self.catch_up_with_log(log);
    }

    /// As [`Output::catch_up`], as far as the log has it: only there is it known where segments begin.
    pub(crate) fn catch_up_with_log(&mut self, log: Log<'_>) {
        let Some(mut tracked) = self.screen.take() else {
            return;
        };
        let (oldest, channel) = (self.start(), self.stream.channel());
        tracked.recall(|offset| marks(log, channel, offset, oldest));
        self.follow(&mut tracked, log);
        if let Some(screen) = &tracked.live {
            // What is asked in what was taken in is known.
            let asked = tracked.at.saturating_sub(screen.unfinished() as u64);
            tracked.looked = tracked.looked.max(asked);
        }
        self.screen = Some(tracked);
    }

    fn follow(&mut self, tracked: &mut Tracked, log: Log<'_>) {
        let head = self.logged();
        if tracked.at == head && tracked.resizes.is_empty() {
            return;
        }
        let mut buffer = Vec::new();
        loop {
            self.log_segment(tracked);
            while let Some(resize) = tracked
                .resizes
                .pop_front_if(|resize| resize.offset <= tracked.at)
            {
                if !resize.kept {
                    self.log_mark(tracked.at, resize.size, None);
                }
                let Size { rows, cols } = resize.size;
                tracked.live().resize(rows, cols);
            }
            if tracked.at >= head {
                return;
            }
            let resize = tracked.resizes.front().map(|resize| resize.offset);
            let stops = [self.log_next_start(tracked.at), resize];
            let stops = stops.into_iter().flatten();
            let stop = stops.filter(|stop| *stop > tracked.at).min();
            let stop = stop.map_or(head, |stop| stop.min(head));
            let most = (stop - tracked.at).min(LAG) as usize;
            match self.piece(log.0, log.1, tracked.at, most, &mut buffer) {
                Piece::Ring(parts) => tracked.take_in(&joined(parts)),
                Piece::Log(len) => tracked.take_in(&buffer[..len]),
                Piece::Gap(next) => {
                    // Whatever was begun before it does not go on behind it.
                    tracked.live().feed(b"\x18");
                    tracked.at = next.max(tracked.at + 1);
                }
                Piece::End => return,
            }
        }
    }

    /// Keeps the screen with the log, where a segment begins with what it has not seen yet.
    fn log_segment(&mut self, tracked: &mut Tracked) {
        let at = tracked.at;
        let begins = at > tracked.marked && self.log_next_start(at - 1) == Some(at);
        if begins {
            tracked.marked = at;
            let screen = tracked.live();
            let (rows, cols) = screen.size();
            let drawn = screen.snapshot();
            self.log_mark(at, Size { rows, cols }, Some(drawn));
        }
    }

    /// What a terminal needs to show the screen as it is now.
    pub(crate) fn snapshot(&mut self, log: Log<'_>) -> Option<Snapshot> {
        self.catch_up(log);
        let offset = self.head();
        let screen = self.screen.as_mut()?.live();
        let (rows, cols) = screen.size();
        let drawn = screen.snapshot();
        Some(Snapshot {
            offset,
            size: Size { rows, cols },
            drawn,
        })
    }

    /// The stream is quiet: what the screen has not seen must be somewhere, and it keeps only what draws it.
    pub(crate) fn rest_screen(&mut self, log: Log<'_>) {
        let (oldest, lost) = (self.log_start(), self.lost() > 0);
        let Some(tracked) = &mut self.screen else {
            return;
        };
        // The log is to know the sizes even of a holder that is killed.
        if tracked.at < oldest || lost || !tracked.resizes.is_empty() {
            self.catch_up(log);
        }
        if let Some(tracked) = &mut self.screen {
            tracked.pack();
        }
    }

    fn log_mark(&mut self, offset: u64, size: Size, screen: Option<Vec<u8>>) {
        self.mark(&Mark {
            offset,
            size: (size.rows, size.cols),
            screen,
        });
    }
}

/// What the log tells of the screen before `offset`: what it was at some place before, and its sizes since. Where the
/// log has lost that, an empty one a little before `offset`.
fn marks((session, process): Log<'_>, channel: Channel, offset: u64, oldest: u64) -> Vec<Mark> {
    let reader = LogReader::open(session, process, channel).ok().flatten();
    let marks = reader.and_then(|mut reader| reader.marks(offset, offset).ok());
    let mut marks = marks.unwrap_or_default();
    let is_whole = |mark: &Mark| mark.screen.is_some() || mark.offset == 0;
    if offset > 0 && !marks.first().is_some_and(is_whole) {
        let begin = oldest.max(offset.saturating_sub(UNMARKED)).min(offset);
        let before = marks.partition_point(|mark| mark.offset <= begin);
        let default = Size::default();
        let size = marks[..before]
            .last()
            .map_or((default.rows, default.cols), |mark| mark.size);
        marks.drain(..before);
        marks.insert(
            0,
            Mark {
                offset: begin,
                size,
                screen: None,
            },
        );
    }
    marks
}

#[cfg(test)]
#[path = "screen_tests.rs"]
mod tests;
