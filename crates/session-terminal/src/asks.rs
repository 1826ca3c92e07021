//! Whether there may be a question in output: nobody parses what nobody watches, but a question waits for its answer.

use crate::sequence::LONGEST;

/// More bytes than this are no question.
pub const LONGEST_QUESTION: usize = LONGEST;

/// What a look at output came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// There may be a question.
    pub may_ask: bool,
    /// How far the look went: a sequence that is cut off at the end is to be looked at again with its rest.
    pub looked: usize,
}

/// Looks for what may be a question to the terminal. It may find one where there is none, never the other way round, if
/// output is handed to it from where it stopped on.
pub fn asks(bytes: &[u8]) -> Asked {
    let (mut at, mut may_ask) = (0, false);
    while let Some(escape) = memchr::memchr(0x1b, &bytes[at..]) {
        at += escape;
        match sequence(&bytes[at..]) {
            Some((len, asks)) => {
                at += len;
                may_ask |= asks;
            }
            None if bytes.len() - at <= LONGEST => {
                return Asked {
                    may_ask,
                    looked: at,
                };
            }
            // What is that long is no question, but it is not looked at twice.
            None => {
                return Asked {
                    may_ask: true,
                    looked: bytes.len(),
                };
            }
        }
    }
    Asked {
        may_ask,
        looked: bytes.len(),
    }
}

/// How long the sequence is that `bytes` begin with, and whether it may be a question; `None` if it is cut off.
fn sequence(bytes: &[u8]) -> Option<(usize, bool)> {
    // Control bytes in its middle are acted on, and it goes on behind them.
    let is_control = |byte: u8| matches!(byte, 0..0x20 | 0x7f) && !ENDS.contains(&byte);
    let kind = 1 + bytes[1..].iter().position(|byte| !is_control(*byte))?;
    let body = kind + 1;
    match bytes[kind] {
        b'[' => {
            let goes_on = |byte: u8| is_control(byte) || (0x20..0x40).contains(&byte);
            let last = body + bytes[body..].iter().position(|byte| !goes_on(*byte))?;
            let params = &bytes[body..last];
            if ENDS.contains(&bytes[last]) {
                return Some((given_up(bytes, last), false));
            }
            let private = params.iter().any(|byte| (b'<'..=b'?').contains(byte));
            let asks = match bytes[last] {
                // Attributes, status, modes; sizes; versions and keyboard flags are private.
                b'c' | b'n' | b't' | b'x' | b'y' => true,
                b'p' => params.contains(&b'$'),
                b'q' | b'u' | b'm' | b'S' => private,
                0x80.. => true,
                _ => false,
            };
            Some((last + 1, asks))
        }
        b']' => {
            let end = |byte: &u8| *byte == 0x07 || ENDS.contains(byte);
            let end = body + bytes[body..].iter().position(end)?;
            let asks = bytes[body..end].contains(&b'?');
            Some((given_up(bytes, end), asks))
        }
        b'P' | b'_' => {
            let end = body + bytes[body..].iter().position(|byte| ENDS.contains(byte))?;
            Some((given_up(bytes, end), true))
        }
        b'Z' => Some((body, true)),
        byte if ENDS.contains(&byte) => Some((given_up(bytes, kind), false)),
        _ => Some((body, false)),
    }
}

/// What ends any sequence: CAN, SUB, and the ESC of the next one.
const ENDS: [u8; 3] = [0x18, 0x1a, 0x1b];

/// The length of a sequence that ends with the byte at `end`, which may begin the next one.
fn given_up(bytes: &[u8], end: usize) -> usize {
    end + usize::from(bytes[end] != 0x1b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_found_and_ordinary_output_is_none() {
        for question in [
            "\x1b[c",
            "\x1b[>0c",
            "\x1b[6n",
            "\x1b[?6n",
            "\x1b[?2026$p",
            "\x1b[>q",
            "\x1b[?u",
            "\x1b]11;?\x07",
            "\x1b]4;1;?\x1b\\",
            "\x1bP$qm\x1b\\",
            "\x1bZ",
            "\x1b[18t",
            "\x1b[?4m",
            "\x1b[3\x1b[6n",
            "\x1b\x1b[6n",
            "\x1b[6\r\nn",
            "\x1b\n[c",
            "\x1bP+q544e\x1b\\",
        ] {
            assert!(
                asks(format!("text{question}more").as_bytes()).may_ask,
                "{question:?}"
            );
        }
        for text in [
            "plain",
            "\x1b[1;31mred\x1b[0m\x1b[K",
            "\x1b[?2004h\x1b]0;title\x07$ ",
            "\x1b[2 q\x1b[4;5H\x1b(B\x1b7",
            "\x1b[s\x1b[u",
        ] {
            let asked = asks(text.as_bytes());
            assert_eq!(
                asked,
                Asked {
                    may_ask: false,
                    looked: text.len()
                },
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_question_is_found_wherever_it_is_cut_and_whatever_was_found_before_it() {
        for question in [
            "\x1b[c",
            "\x1b[>0c",
            "\x1b[?2026$p",
            "\x1b[>q",
            "\x1b]11;?\x07",
            "\x1b]4;1;?\x1b\\",
            "\x1bP$qm\x1b\\",
            "\x1b\x1b[6n",
        ] {
            for cut in 1..question.len() {
                let (begin, rest) = question.split_at(cut);
                let first = format!("before\x1b[6nmore{begin}");
                let asked = asks(first.as_bytes());
                assert!(asked.may_ask, "{question:?}");
                let second = format!("{}{rest}", &first[asked.looked..]);
                // The ESC of its end is enough.
                assert!(
                    asks(begin.as_bytes()).may_ask || asks(second.as_bytes()).may_ask,
                    "{question:?} cut after {cut}"
                );
                assert!(!asks(&first.as_bytes()[asked.looked..]).may_ask);
            }
        }
        for begun in ["ab\x1b[6", "ab\x1b", "ab\x1b]11;", "ab\x1bP$q"] {
            let asked = asks(begun.as_bytes());
            assert_eq!((asked.may_ask, asked.looked), (false, 2), "{begun:?}");
        }
    }

    #[test]
    fn what_never_ends_is_not_looked_at_for_ever() {
        let picture = [b"\x1bPq", &[b'~'; 2 * LONGEST][..]].concat();
        assert_eq!(asks(&picture).looked, picture.len());
    }
}
