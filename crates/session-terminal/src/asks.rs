//! Whether there may be a question in output: nobody parses what nobody watches, but a question waits for its answer.

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
    let found = |looked| Asked {
        may_ask: true,
        looked,
    };
    let mut at = 0;
    while let Some(escape) = memchr::memchr(0x1b, &bytes[at..]) {
        let start = at + escape;
        let cut = Asked {
            may_ask: false,
            looked: start,
        };
        let Some(&kind) = bytes.get(start + 1) else {
            return cut;
        };
        at = start + 2;
        match kind {
            b'[' => {
                let params = bytes[at..]
                    .iter()
                    .position(|byte| !(0x20..0x40).contains(byte));
                let Some(params) = params else {
                    // A longer one is no sequence that a terminal knows.
                    return if bytes.len() - at > 4096 {
                        found(bytes.len())
                    } else {
                        cut
                    };
                };
                let (params, last) = (&bytes[at..at + params], bytes[at + params]);
                at += params.len();
                match last {
                    // Attributes, status, modes; sizes; versions and keyboard flags are private.
                    b'c' | b'n' | b't' | b'x' | b'y' => return found(at),
                    b'p' if params.contains(&b'$') => return found(at),
                    b'q' | b'u' | b'm' | b'S'
                        if matches!(params.first(), Some(b'>' | b'?' | b'=')) =>
                    {
                        return found(at);
                    }
                    // A control byte, or ESC, within the sequence.
                    0x00..0x20 | 0x7f.. => return found(at),
                    _ => {}
                }
            }
            b'P' | b'Z' | b'_' => return found(at),
            b']' => {
                let end = bytes[at..]
                    .iter()
                    .position(|byte| matches!(byte, 0x07 | 0x1b | 0x18 | 0x1a));
                let Some(end) = end else {
                    return if bytes.len() - at > 4096 {
                        found(bytes.len())
                    } else {
                        cut
                    };
                };
                if bytes[at..at + end].contains(&b'?') {
                    return found(at);
                }
                at += end;
            }
            _ => {}
        }
    }
    Asked {
        may_ask: false,
        looked: bytes.len(),
    }
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
        assert_eq!(asks(b"ab\x1b[6").looked, 2);
        assert_eq!(asks(b"ab\x1b").looked, 2);
        assert_eq!(asks(b"ab\x1b]11;").looked, 2);
    }
}
