//! A screen: output in, and out what a terminal needs to look the same.

use alacritty_terminal::vte::ansi::{Processor, Timeout};

use crate::draw;
use crate::model::{Model, Size};
use crate::sequence::{Kind, LONGEST, Sequences};
use crate::skip::Plan;
use crate::special::{self, Special};

/// Larger screens exist only as mistakes (a size of 65535 columns) and would cost gigabytes.
const LONGEST_SIDE: u16 = 1000;
/// Cells of the largest screen that is kept; a cell takes 24 bytes, and there are two screens.
const MOST_CELLS: u32 = 1 << 18;
/// Less output than this is parsed as it is.
const WORTHWHILE: usize = 2048;
/// Output that is parsed at once where it cannot be told whether it counts.
const STEP: usize = 256;

/// The screen that output leads to, in bounded memory whatever the output.
///
/// Nothing it is fed ever reaches a terminal; only [`Screen::snapshot`] and the replies to queries do.
pub struct Screen {
    processor: Processor<Unsynchronised>,
    pub(crate) model: Model,
    sequences: Sequences,
    /// The first bytes of a character whose rest is still to come.
    held: Vec<u8>,
    plan: Plan,
}

/// Synchronised output (mode 2026) is drawn as it comes: nobody watches this screen while it does.
#[derive(Default)]
struct Unsynchronised;

impl Timeout for Unsynchronised {
    fn set_timeout(&mut self, _: std::time::Duration) {}
    fn clear_timeout(&mut self) {}
    fn pending_timeout(&self) -> bool {
        false
    }
}

impl Screen {
    /// An empty screen.
    pub fn new(rows: u16, cols: u16) -> Self {
        Self::with_history(rows, cols, 0)
    }

    /// An empty screen that keeps the last `lines` rows that scroll off.
    pub fn with_history(rows: u16, cols: u16, lines: usize) -> Self {
        Self {
            processor: Processor::new(),
            model: Model::new(clamp(rows, cols), lines),
            sequences: Sequences::default(),
            held: Vec::new(),
            plan: Plan::default(),
        }
    }

    /// Rows and columns.
    pub fn size(&self) -> (u16, u16) {
        let Size { rows, cols } = self.model.size();
        (rows as u16, cols as u16)
    }

    /// The size that is kept for a terminal of this size: 0 by 0 is what a serial line says.
    pub fn size_for(rows: u16, cols: u16) -> (u16, u16) {
        let Size { rows, cols } = clamp(rows, cols);
        (rows as u16, cols as u16)
    }

    /// Another size. The main screen's lines are wrapped anew.
    pub fn resize(&mut self, rows: u16, cols: u16) {
        self.model.resize(clamp(rows, cols));
    }

    /// Takes the next bytes of output.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.answer(bytes, |_| ());
    }

    /// Takes the next bytes of output and answers the queries in them, as a terminal would.
    pub fn answer(&mut self, bytes: &[u8], mut reply: impl FnMut(&[u8])) {
        self.answer_each(bytes, |_, bytes| reply(bytes));
    }

    /// As [`Screen::answer`], and says how many of `bytes` are behind each question.
    pub(crate) fn answer_each(&mut self, bytes: &[u8], mut reply: impl FnMut(usize, &[u8])) {
        let joined;
        let mut bytes = bytes;
        if !self.held.is_empty() {
            self.held.extend_from_slice(bytes);
            joined = std::mem::take(&mut self.held);
            bytes = &joined;
        }
        let mut at = 0;
        while let Some((kind, range)) = self.sequences.next(bytes, at) {
            at = range.end;
            match kind {
                Kind::Text => {
                    let mut text = &bytes[range];
                    if at == bytes.len() {
                        let (now, later) = text.split_at(text.len() - incomplete(text));
                        self.held.extend_from_slice(later);
                        text = now;
                    }
                    self.model.text(text);
                }
                Kind::Part => {}
                Kind::Embedded => self.model.control(bytes[range.start]),
                _ => {
                    if let Some(whole) = self.sequences.whole(bytes, range) {
                        let (processor, model) = (&mut self.processor, &mut self.model);
                        // Of ST, the ESC ended it.
                        let by_escape = match kind {
                            Kind::Command => !whole.ends_with(b"\x07"),
                            kind => kind == Kind::Device,
                        };
                        let behind = bytes.len() - at - usize::from(by_escape);
                        sequence(processor, model, kind, whole, |bytes| reply(behind, bytes));
                    }
                    self.model.noted.last = None;
                }
            }
        }
    }

    /// As [`Screen::feed`], but what provably leaves no trace on the screen is passed over: for output that nobody is
    /// shown line by line. A screen with a history has every line parsed.
    pub fn catch_up(&mut self, bytes: &[u8]) {
        self.catch_up_answering(bytes, |_, _| ());
    }

    /// As [`Screen::catch_up`], and answers the queries in `bytes`: none of them is ever passed over. `reply` gets how
    /// many of `bytes` are behind each, too.
    pub fn catch_up_answering(&mut self, mut bytes: &[u8], mut reply: impl FnMut(usize, &[u8])) {
        while bytes.len() >= WORTHWHILE {
            let begun = self.sequences.is_inside() || !self.held.is_empty();
            if begun || !self.model.scrolls_whole() {
                // In a sequence, or one is needed that gives the whole screen back.
                let (now, later) = bytes.split_at(STEP.min(bytes.len()));
                self.answer_each(now, |behind, answer| reply(later.len() + behind, answer));
                bytes = later;
                continue;
            }
            let mut plan = std::mem::take(&mut self.plan);
            let rows = self.model.size().rows;
            plan.make(bytes, self.model.row(), rows);
            let mut from = 0;
            if let Some(begin) = plan.begin(bytes, rows) {
                plan.state(begin).for_each(|range| self.feed(&bytes[range]));
                plan.attributes(bytes, begin)
                    .for_each(|range| self.feed(&bytes[range]));
                self.feed(format!("\x1b[{rows};1H").as_bytes());
                from = begin;
            }
            // With what ends the stretch, so that the next one begins behind it.
            let end = (plan.end() + STEP).min(bytes.len());
            plan.shrink();
            self.plan = plan;
            let (now, later) = (&bytes[from..end], &bytes[end..]);
            self.answer_each(now, |behind, answer| reply(later.len() + behind, answer));
            bytes = later;
        }
        self.answer_each(bytes, reply);
    }

    /// A question that is not all there began at most so many bytes before the end of what came.
    pub fn unfinished(&self) -> usize {
        if self.sequences.is_inside() {
            LONGEST
        } else {
            0
        }
    }

    /// Bytes that bring a terminal of this size into the same state: both screens with all attributes, cursor, modes,
    /// margins, tab stops, character sets, title, colours, and the middle of the sequence that the output was cut in.
    /// They hold no query, no clipboard and no bell.
    pub fn snapshot(&mut self) -> Vec<u8> {
        let mut drawn = draw::screen(&mut self.model);
        // What comes next goes to the terminal as it is and may be the rest of these.
        drawn.extend_from_slice(self.sequences.unfinished());
        drawn.extend_from_slice(&self.held);
        drawn
    }

    /// Whether the lines that had scrolled off were erased (`CSI 3 J`) since this was asked last.
    pub fn take_erased(&mut self) -> bool {
        std::mem::take(&mut self.model.erased)
    }

    /// The lines that scrolled off, at most the last `most`, as text with attributes for a terminal of `cols` columns,
    /// and how many of its rows they take.
    pub fn history(&self, most: usize, cols: u16) -> (Vec<u8>, usize) {
        draw::history(&self.model, most, usize::from(cols))
    }
}

/// Acts on a sequence that is all there. The parser gets whole ones alone, and none that it need not know.
fn sequence(
    processor: &mut Processor<Unsynchronised>,
    model: &mut Model,
    kind: Kind,
    whole: &[u8],
    reply: impl FnMut(&[u8]),
) {
    let special = special::special(kind, whole);
    if special.as_ref().is_none_or(Special::is_the_emulators_too) {
        match kind {
            Kind::Escape | Kind::Control => processor.advance(model, whole),
            Kind::Command => command(processor, model, whole),
            // Pictures and the like, and what was given up.
            _ => {}
        }
    }
    if let Some(special) = special {
        special.act(model, reply);
    }
}

/// The parser takes sixteen parameters of a command, and none of one that has more. Only palettes have.
fn command(processor: &mut Processor<Unsynchronised>, model: &mut Model, whole: &[u8]) {
    let body = &whole[2..];
    let mut params = body
        .strip_suffix(b"\x07")
        .unwrap_or(body)
        .split(|byte| *byte == b';');
    let (code, params) = (
        params.next().unwrap_or_default(),
        params.collect::<Vec<_>>(),
    );
    let each = match code {
        b"4" => 2,
        b"104" => 1,
        _ => params.len().max(1),
    };
    if params.len() <= each {
        processor.advance(model, whole);
        return processor.advance(model, b"\x1b\\");
    }
    for some in params.chunks(each) {
        let one = [b"\x1b]", code, b";", &some.join(&b';'), b"\x1b\\"].concat();
        processor.advance(model, &one);
    }
}

/// How many bytes at the end begin a UTF-8 character that is not all there.
fn incomplete(bytes: &[u8]) -> usize {
    for (back, byte) in bytes.iter().rev().take(3).enumerate() {
        let len = match byte {
            0x80..0xc0 => continue,
            0xc2..0xe0 => 2,
            0xe0..0xf0 => 3,
            0xf0..0xf5 => 4,
            _ => 1,
        };
        return if len > back + 1 { back + 1 } else { 0 };
    }
    0
}

/// 0 by 0 is what a serial line says; 80 by 24 is what programs take it for. The emulator has two columns at least.
fn clamp(rows: u16, cols: u16) -> Size {
    if rows == 0 || cols == 0 {
        return Size { rows: 24, cols: 80 };
    }
    let cols = cols.clamp(2, LONGEST_SIDE);
    let most = MOST_CELLS / u32::from(cols);
    let rows = rows.min(most.min(LONGEST_SIDE.into()) as u16);
    Size {
        rows: rows.into(),
        cols: cols.into(),
    }
}

#[cfg(test)]
#[path = "screen_tests.rs"]
pub(crate) mod tests;
