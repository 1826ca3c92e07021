//! Which titles a program has put aside on a terminal and not had again (XTWINOPS 22 and 23, xterm's ctlseqs): whoever
//! gives the terminal back has to have them again first, for its own is below.

use memchr::memmem;

/// More than a terminal keeps.
const MOST: usize = 32;
/// Longest sequence that is looked at: `CSI 22;0;0t` with room for zeros.
const LONGEST: usize = 16;

/// Watches output on its way to a terminal for titles that are put aside.
#[derive(Debug, Default)]
pub(crate) struct TitlesAside {
    /// What was put aside: 0 both, 1 the icon's name, 2 the window's.
    kinds: Vec<u8>,
    /// The start of a sequence that output ended in.
    begun: Vec<u8>,
}

/// What some bytes are.
enum Read {
    Aside(u8),
    Again(u8),
    Other,
    /// Perhaps the beginning of one.
    Cut,
}

impl TitlesAside {
    /// Takes the next bytes that the terminal gets.
    pub(crate) fn watch(&mut self, bytes: &[u8]) {
        if !self.begun.is_empty() {
            let mut joined = std::mem::take(&mut self.begun);
            joined.extend_from_slice(&bytes[..bytes.len().min(LONGEST)]);
            if self.act(read(&joined)) {
                joined.truncate(LONGEST);
                self.begun = joined;
                return;
            }
        }
        // One that is cut is at the end.
        let cut = memmem::find_iter(bytes, b"\x1b[2").find(|at| self.act(read(&bytes[*at..])));
        let mut ends = [&b"\x1b["[..], b"\x1b"].into_iter();
        let begun = match cut {
            Some(at) => &bytes[at..],
            None => ends.find(|end| bytes.ends_with(end)).unwrap_or_default(),
        };
        self.begun.extend_from_slice(begun);
    }

    /// Bytes that have them again, the last one first.
    pub(crate) fn again(&self) -> Vec<u8> {
        let again = |kind: &u8| format!("\x1b[23;{kind}t").into_bytes();
        self.kinds.iter().rev().flat_map(again).collect()
    }

    /// True if there is more to come.
    fn act(&mut self, read: Read) -> bool {
        match read {
            Read::Aside(kind) if self.kinds.len() < MOST => self.kinds.push(kind),
            Read::Again(kind) => {
                if let Some(at) = self.kinds.iter().rposition(|aside| *aside == kind) {
                    self.kinds.remove(at);
                }
            }
            Read::Aside(_) | Read::Other => {}
            Read::Cut => return true,
        }
        false
    }
}

/// Reads the sequence that `bytes` begin with; those are an ESC and more.
fn read(bytes: &[u8]) -> Read {
    const INTRODUCED: &[u8] = b"\x1b[2";
    let known = bytes.len().min(INTRODUCED.len());
    if bytes[..known] != INTRODUCED[..known] {
        return Read::Other;
    }
    if known < INTRODUCED.len() {
        return Read::Cut;
    }
    // `CSI 22 ; KIND ; INDEX t`, of which all but the first may be missing.
    let body = &bytes[INTRODUCED.len() - 1..];
    let is_parameter = |byte: &u8| matches!(byte, b'0'..=b'9' | b';');
    let Some(end) = body.iter().position(|byte| !is_parameter(byte)) else {
        return if bytes.len() < LONGEST {
            Read::Cut
        } else {
            Read::Other
        };
    };
    let mut parameters = body[..end].split(|byte| *byte == b';');
    let operation = parameters.next().unwrap_or_default();
    let kind = match parameters.next().unwrap_or_default() {
        b"" | b"0" => 0,
        b"1" => 1,
        b"2" => 2,
        _ => return Read::Other,
    };
    match (operation, body[end]) {
        (b"22", b't') => Read::Aside(kind),
        (b"23", b't') => Read::Again(kind),
        _ => Read::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_aside_is_known_however_output_is_cut() {
        let steps = [
            ("text \x1b[22;39m \x1b[2K\x1b[23;4H", ""),
            ("\x1b]2;one\x07\x1b[22;2t\x1b[22;1t", "\x1b[23;1t\x1b[23;2t"),
            (
                "\x1b[22t\x1b\x1b[\x1b[2\x1b[22;",
                "\x1b[23;0t\x1b[23;1t\x1b[23;2t",
            ),
            ("\x1b[23;0t\x1b[23;2t", "\x1b[23;1t"),
            ("\x1b[23;1t\x1b[23;1t\x1b[23t", ""),
            ("\x1b[22;3t\x1b[22;0\x1b[220t\x1b[22;0;0m", ""),
            // As `less` has it, on a terminal that is described as xterm-256color.
            ("\x1b[?1049h\x1b[22;0;0t", "\x1b[23;0t"),
            ("\x1b[?1049l\x1b[23;0;0t", ""),
        ];
        let (mut whole, mut cut) = (TitlesAside::default(), TitlesAside::default());
        for (output, again) in steps {
            whole.watch(output.as_bytes());
            output.as_bytes().chunks(1).for_each(|byte| cut.watch(byte));
            for seen in [&whole, &cut] {
                assert_eq!(
                    String::from_utf8(seen.again()).unwrap(),
                    again,
                    "{output:?}"
                );
            }
        }
    }

    #[test]
    fn no_more_are_counted_than_a_terminal_keeps() {
        let mut titles = TitlesAside::default();
        titles.watch(&b"\x1b[22;0t".repeat(1000));
        assert_eq!(titles.again(), b"\x1b[23;0t".repeat(MOST));
    }
}
