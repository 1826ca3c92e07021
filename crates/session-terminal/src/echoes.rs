//! Takes out of a terminal's output what only repeats what was typed (`docs/adr/0015-the-echo-is-not-the-answer.md`).
//!
//! A filter in front of everything that makes lines of output: bytes in, the same bytes but for the echoes out. It
//! looks at the raw bytes, for a line editor that wraps a long line moves the cursor about, and lines made of that
//! have lost the beginning. What may become an echo is held back until it is known.

use std::collections::VecDeque;

use crate::typed::{End, Shown, Typed, TypedLine};

/// Between the characters of an echo there may be so much that is not seen, times its length and once more.
const UNSEEN: usize = 64;

/// The echoes that are to come in one stream of output.
#[derive(Debug, Default)]
pub struct Echoes {
    expected: VecDeque<Expected>,
    /// The number of the first line that is not known yet.
    next: u64,
    editor: Editor,
    reader: Reader,
    /// What may be an echo's beginning, and what was not looked at yet.
    held: Vec<u8>,
    kinds: Vec<Kind>,
    /// Offset of the first byte held.
    start: u64,
    /// How far it is known what the first byte held is.
    trial: Trial,
    /// The bytes that an expected echo begins with: most output begins none, and is not compared.
    firsts: Firsts,
}

/// A set of bytes.
#[derive(Debug, Default)]
struct Firsts([u64; 4]);

/// An echo that is to come.
#[derive(Debug)]
struct Expected {
    line: TypedLine,
    /// So much of it was seen.
    seen: usize,
    /// It was seen whole, shown by the terminal; a line editor may show it once more.
    again: bool,
    /// Whether a line editor that tells when it reads was reading when it was typed, once that is known.
    edited: Option<bool>,
}

/// What the program has said of its line editor: `ESC[?2004h`, which asks for pastes to be framed, stands before the
/// prompt, `ESC[?2004l` behind the line (readline, zle, fish).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Editor {
    #[default]
    Unknown,
    Reads,
    Rests,
}

/// What a byte of output does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Part of a character that is seen.
    Seen,
    /// A blank, a sequence, a carriage return.
    Unseen,
    /// The cursor goes back: the next character may be one that was there.
    Back,
    /// The line ends.
    Break,
    /// The line editor begins, or ends.
    Turns(Editor),
}

/// The comparison of what is held with one expected echo.
#[derive(Clone, Copy, Debug, Default)]
struct Trial {
    /// Which one.
    index: usize,
    /// Characters compared, and bytes looked at; none yet if the latter is 0.
    matched: usize,
    looked: usize,
    /// The cursor stands so many characters before the last one compared.
    back: usize,
}

/// What the bytes from a position on are.
enum Verdict {
    /// An echo of this length.
    Echo(usize),
    /// The first byte belongs to none.
    Output,
    /// More has to come first.
    Undecided,
}

impl Echoes {
    /// Brings what is expected up to date with what was typed where the output was at `from` or later. To be called
    /// before each piece of output that came behind it.
    pub fn learn(&mut self, typed: &Typed, from: u64) {
        // The last known line may have grown.
        let first = self.next.saturating_sub(1);
        let newer = typed.lines().rev().take_while(|line| line.number >= first);
        let mut newer: Vec<&TypedLine> = newer.collect();
        newer.reverse();
        for line in newer {
            let known = self
                .expected
                .iter_mut()
                .find(|it| it.line.number == line.number);
            match known {
                Some(known) if known.line.end == End::Open && known.line != *line => {
                    known.line = line.clone();
                    self.trial = Trial::default();
                }
                None if line.number >= self.next && line.at >= from => {
                    self.expected.push_back(Expected {
                        line: line.clone(),
                        seen: 0,
                        again: false,
                        edited: None,
                    });
                }
                _ => {}
            }
            self.next = self.next.max(line.number + 1);
        }
        self.retire();
    }

    /// Takes output that begins at `offset` and follows what came before; gives what is no echo to `each`, in pieces
    /// with their offsets.
    pub fn pass(&mut self, offset: u64, output: &[u8], mut each: impl FnMut(u64, &[u8])) {
        if self.expected.is_empty() {
            // Then nothing is held either.
            for byte in output {
                if let Kind::Turns(editor) = self.reader.kind(*byte) {
                    self.editor = editor;
                }
            }
            return each(offset, output);
        }
        if self.held.is_empty() {
            self.start = offset;
        }
        self.held.extend_from_slice(output);
        let reader = &mut self.reader;
        self.kinds
            .extend(output.iter().map(|byte| reader.kind(*byte)));
        let (mut given, mut at) = (0, 0);
        while at < self.held.len() {
            match self.kinds[at] {
                Kind::Turns(editor) => self.turn(editor, self.start + at as u64),
                Kind::Seen => match self.judge(at) {
                    Verdict::Undecided => break,
                    Verdict::Output => {}
                    Verdict::Echo(len) => {
                        each(self.start + given as u64, &self.held[given..at]);
                        self.echoed();
                        at += len;
                        given = at;
                        continue;
                    }
                },
                Kind::Unseen | Kind::Back | Kind::Break => {}
            }
            at += 1;
        }
        if given < at {
            each(self.start + given as u64, &self.held[given..at]);
        }
        self.held.drain(..at);
        self.kinds.drain(..at);
        self.start += at as u64;
    }

    /// Bytes are missing here, or there are no more: what is held was no echo.
    pub fn cut(&mut self, mut each: impl FnMut(u64, &[u8])) {
        if !self.held.is_empty() {
            each(self.start, &self.held);
        }
        self.held.clear();
        self.kinds.clear();
        self.trial = Trial::default();
        self.reader = Reader::default();
        self.editor = Editor::Unknown;
    }

    /// What the bytes held from `at` on are. The expected echoes are tried in the order they were typed in.
    fn judge(&mut self, at: usize) -> Verdict {
        if self.trial.looked == 0 && !self.firsts.has(self.held[at]) {
            return Verdict::Output;
        }
        let offset = self.start + at as u64;
        while let Some(expected) = self.expected.get(self.trial.index) {
            let text = &expected.line.text;
            let trial = &mut self.trial;
            let mut fits = trial.looked > 0 || expected.is_due(offset, self.editor);
            if trial.looked == 0 {
                trial.matched = expected.seen;
            }
            // Where the echo ends, if it ends in what is held.
            while fits && trial.matched < text.len() {
                let Some(kind) = self.kinds.get(at + trial.looked) else {
                    return Verdict::Undecided;
                };
                let byte = self.held[at + trial.looked];
                trial.looked += 1;
                match kind {
                    Kind::Seen if trial.back > 0 && text[trial.matched - trial.back] == byte => {
                        trial.back -= 1;
                    }
                    Kind::Seen if text[trial.matched] == byte => {
                        (trial.matched, trial.back) = (trial.matched + 1, 0);
                    }
                    Kind::Back => trial.back = (trial.back + 1).min(trial.matched),
                    Kind::Unseen => fits = trial.looked <= (text.len() + 1) * UNSEEN,
                    Kind::Seen | Kind::Break | Kind::Turns(_) => fits = false,
                }
            }
            if fits && expected.again {
                // An editor was given the whole line: it ends here. That keeps a short one out of a prompt.
                let mut behind = self.kinds[at + trial.looked..].iter();
                match behind.find(|kind| !matches!(kind, Kind::Unseen)) {
                    Some(Kind::Break | Kind::Turns(Editor::Rests)) => {}
                    None if behind.len() == 0
                        && self.kinds.len() - at < (text.len() + 1) * UNSEEN =>
                    {
                        return Verdict::Undecided;
                    }
                    _ => fits = false,
                }
            }
            if fits {
                return Verdict::Echo(trial.looked);
            }
            *trial = Trial {
                index: trial.index + 1,
                ..Trial::default()
            };
        }
        self.trial = Trial::default();
        Verdict::Output
    }

    /// The echo that is tried has come.
    fn echoed(&mut self) {
        let mut index = std::mem::take(&mut self.trial).index;
        let shown = self.expected[index].line.shown;
        if shown == Shown::ByTerminal && !self.expected[index].again {
            // The terminal shows what is typed in order, and what it has shown an editor may show again.
            for earlier in self.expected.range_mut(..index) {
                if earlier.line.shown == Shown::ByTerminal && !earlier.again {
                    earlier.seen = earlier.line.text.len();
                }
            }
        } else {
            // The program has read so far: what was typed before is not shown any more.
            self.expected.drain(..index);
            index = 0;
        }
        self.expected[index].seen = self.expected[index].line.text.len();
        self.retire();
    }

    /// What was seen whole is expected again, or no more.
    fn retire(&mut self) {
        let before = self.expected.len();
        self.expected.retain_mut(|it| {
            if it.line.end == End::Open || it.seen < it.line.text.len() {
                return true;
            }
            let first = it.line.shown == Shown::ByTerminal && !it.again;
            (it.seen, it.again) = (0, true);
            first && it.line.end == End::Entered
        });
        if self.expected.len() < before {
            self.trial = Trial::default();
        }
        let firsts = self.expected.iter();
        let firsts = firsts.filter_map(|it| it.line.text.get(it.seen).copied());
        self.firsts = Firsts::default();
        firsts.for_each(|byte| self.firsts.add(byte));
    }

    fn turn(&mut self, editor: Editor, offset: u64) {
        for expected in &mut self.expected {
            if expected.line.at <= offset {
                let before = match self.editor {
                    // It turned from the other.
                    Editor::Unknown => editor == Editor::Rests,
                    known => known == Editor::Reads,
                };
                expected.edited.get_or_insert(before);
            }
        }
        self.editor = editor;
    }
}

impl Firsts {
    fn add(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] & (1 << (byte & 63)) != 0
    }
}

impl Expected {
    /// Whether its echo can begin at `offset`.
    fn is_due(&self, offset: u64, editor: Editor) -> bool {
        let reads = editor == Editor::Reads;
        let shows = match self.line.shown {
            _ if self.again => reads,
            Shown::ByTerminal => true,
            Shown::ByProgram => reads || self.edited != Some(true),
            Shown::Not => false,
        };
        shows && self.line.at <= offset && self.seen < self.line.text.len()
    }
}

/// Tells what each byte of output does.
#[derive(Debug, Default)]
struct Reader {
    state: Sequence,
    /// Of a control sequence: it is private, its last number, and one of them was 2004.
    private: bool,
    number: u32,
    paste: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum Sequence {
    #[default]
    None,
    Escape,
    /// `ESC [ … final`
    Control,
    /// `ESC ] … BEL` and others that end so or with `ESC \`.
    Text,
    TextEscape,
}

impl Reader {
    fn kind(&mut self, byte: u8) -> Kind {
        let (state, kind) = match (self.state, byte) {
            (Sequence::None | Sequence::Control | Sequence::Escape, 0x1b) => {
                (Sequence::Escape, Kind::Unseen)
            }
            (Sequence::None, b'\n') => (Sequence::None, Kind::Break),
            (Sequence::None, 8) => (Sequence::None, Kind::Back),
            (Sequence::None, 0..=b' ' | 0x7f) => (Sequence::None, Kind::Unseen),
            (Sequence::None, _) => (Sequence::None, Kind::Seen),
            (Sequence::Escape, b'[') => {
                (self.private, self.number, self.paste) = (false, 0, false);
                (Sequence::Control, Kind::Unseen)
            }
            (Sequence::Escape, b']' | b'P' | b'X' | b'^' | b'_') => (Sequence::Text, Kind::Unseen),
            // Those of a sequence such as ESC ( B.
            (Sequence::Escape, b' '..=b'/') => (Sequence::Escape, Kind::Unseen),
            (Sequence::Escape, _) => (Sequence::None, Kind::Unseen),
            (Sequence::Control, 0x40..) => {
                self.parameter();
                let turns = match byte {
                    b'h' if self.private && self.paste => Kind::Turns(Editor::Reads),
                    b'l' if self.private && self.paste => Kind::Turns(Editor::Rests),
                    _ => Kind::Unseen,
                };
                (Sequence::None, turns)
            }
            (Sequence::Control, _) => {
                match byte {
                    b'?' => self.private = true,
                    b'0'..=b'9' => {
                        let digit = u32::from(byte - b'0');
                        self.number = self.number.saturating_mul(10).saturating_add(digit);
                    }
                    _ => self.parameter(),
                }
                (Sequence::Control, Kind::Unseen)
            }
            (Sequence::Text | Sequence::TextEscape, 7) | (Sequence::TextEscape, b'\\') => {
                (Sequence::None, Kind::Unseen)
            }
            (Sequence::Text | Sequence::TextEscape, 0x1b) => (Sequence::TextEscape, Kind::Unseen),
            (Sequence::Text | Sequence::TextEscape, _) => (Sequence::Text, Kind::Unseen),
        };
        self.state = state;
        kind
    }

    fn parameter(&mut self) {
        self.paste |= self.number == 2004;
        self.number = 0;
    }
}

#[cfg(test)]
#[path = "echoes_tests.rs"]
mod tests;
