//! Lines of text out of a terminal's output: what a person would have read, without what moved the cursor.

use anstream::adapter::StripBytes;

/// A longer line is given out in parts.
const LONGEST: usize = 64 << 10;

/// One stream of output becoming lines.
#[derive(Debug, Default)]
pub struct Cleaner {
    strip: StripBytes,
    /// The beginning of a character whose rest has not come.
    partial: Vec<u8>,
    line: Vec<u8>,
    /// Where in the output the line begins.
    start: u64,
    begun: bool,
    /// A carriage return came: what follows overwrites the line.
    returned: bool,
}

/// A line, without its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line<'a> {
    /// Offset in the output of its first byte.
    pub offset: u64,
    /// Its text; usually UTF-8.
    pub text: &'a [u8],
}

impl Cleaner {
    /// Takes output that begins at `offset` and gives each line that it ends to `each`.
    ///
    /// # Errors
    /// Those of `each`, which is not called again then.
    pub fn feed<E>(
        &mut self,
        offset: u64,
        output: &[u8],
        mut each: impl FnMut(Line<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut at = 0;
        while at < output.len() {
            let rest = &output[at..];
            let control = rest
                .iter()
                .position(|byte| matches!(byte, b'\n' | b'\r' | 8));
            let text = &rest[..control.unwrap_or(rest.len())];
            if !self.begun {
                (self.begun, self.start) = (true, offset + at as u64);
            }
            let (strip, line, returned) = (&mut self.strip, &mut self.line, &mut self.returned);
            // What is no character shows as one that says so, and begins nothing: no byte of it can hide another.
            let text_now = decode(&mut self.partial, text, control.is_some());
            for piece in strip
                .strip_next(text_now.as_bytes())
                .filter(|piece| !piece.is_empty())
            {
                if std::mem::take(returned) {
                    line.clear();
                }
                let piece = String::from_utf8_lossy(piece);
                let shown = piece.chars().filter(|c| *c == '\t' || !c.is_control());
                line.extend(shown.collect::<String>().into_bytes());
            }
            at += text.len();
            match control.map(|index| rest[index]) {
                Some(b'\n') => self.end(&mut each)?,
                Some(b'\r') => self.returned = true,
                Some(_) if !self.returned => self.rub_out(),
                Some(_) => {}
                None if self.line.len() > LONGEST => self.end(&mut each)?,
                None => {}
            }
            at += usize::from(control.is_some());
        }
        Ok(())
    }

    /// The line that is not ended yet, if there is anything of it.
    pub fn unfinished(&self) -> Option<Line<'_>> {
        (!self.line.is_empty()).then_some(Line {
            offset: self.start,
            text: &self.line,
        })
    }

    /// Ends the line here, as where bytes are missing.
    ///
    /// # Errors
    /// Those of `each`.
    pub fn cut<E>(&mut self, mut each: impl FnMut(Line<'_>) -> Result<(), E>) -> Result<(), E> {
        self.strip = StripBytes::new();
        self.partial.clear();
        if self.line.is_empty() {
            (self.begun, self.returned) = (false, false);
            return Ok(());
        }
        self.end(&mut each)
    }

    fn end<E>(&mut self, each: &mut impl FnMut(Line<'_>) -> Result<(), E>) -> Result<(), E> {
        let ended = each(Line {
            offset: self.start,
            text: &self.line,
        });
        self.line.clear();
        (self.begun, self.returned) = (false, false);
        ended
    }

    /// A backspace: the character before it will be written over.
    fn rub_out(&mut self) {
        while let Some(byte) = self.line.pop() {
            if byte & 0xc0 != 0x80 {
                break;
            }
        }
    }
}

/// Bytes as text, with U+FFFD for what is none. A character that is cut at the end waits in `partial`, unless the
/// text `ends` here.
fn decode(partial: &mut Vec<u8>, bytes: &[u8], ends: bool) -> String {
    partial.extend_from_slice(bytes);
    let mut text = String::with_capacity(partial.len());
    let mut rest = 0;
    for chunk in partial.utf8_chunks() {
        text.push_str(chunk.valid());
        rest += chunk.valid().len() + chunk.invalid().len();
        if chunk.invalid().is_empty() {
            continue;
        }
        let cut = rest == partial.len()
            && std::str::from_utf8(chunk.invalid()).is_err_and(|why| why.error_len().is_none());
        if cut && !ends {
            rest -= chunk.invalid().len();
            break;
        }
        text.push('\u{fffd}');
    }
    partial.drain(..rest);
    text
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn lines(output: &[u8], cut: usize) -> Vec<(u64, String)> {
        let mut cleaner = Cleaner::default();
        let mut seen = Vec::new();
        let mut offset = 100;
        let mut keep = |line: Line<'_>| {
            let text = String::from_utf8_lossy(line.text).into_owned();
            seen.push((line.offset, text));
            Ok::<_, Infallible>(())
        };
        for piece in output.chunks(cut) {
            let Ok(()) = cleaner.feed(offset, piece, &mut keep);
            offset += piece.len() as u64;
        }
        let Ok(()) = cleaner.cut(&mut keep);
        seen
    }

    #[test]
    fn no_byte_hides_another_and_none_is_dropped() {
        for (output, text) in [
            (&b"a\xe9\x1b[31mred\x07\n"[..], "a\u{fffd}red"),
            (b"\xc2\x9b32m\xe0\xa0\x1b]0;T\x07x\n", "32m\u{fffd}x"),
            (b"d\xff]\x80\n", "d\u{fffd}]\u{fffd}"),
            ("\u{4e16}\n".as_bytes(), "\u{4e16}"),
        ] {
            for cut in 1..=output.len() {
                let (mut cleaner, mut lines) = (Cleaner::default(), Vec::new());
                for piece in output.chunks(cut) {
                    let each = |line: Line<'_>| {
                        lines.push(String::from_utf8(line.text.to_vec()).unwrap());
                        Ok::<_, ()>(())
                    };
                    cleaner.feed(0, piece, each).unwrap();
                }
                assert_eq!(lines, [text], "cut every {cut}");
            }
        }
    }

    #[test]
    fn text_is_what_a_person_would_have_read() {
        for (output, expected) in [
            (&b"plain\r\ntext\n"[..], vec!["plain", "text"]),
            (b"\x1b[31mred\x1b[0m \x1b]0;title\x07x\r\r\n", vec!["red x"]),
            (b" 10%\r 50%\r100%\r\n", vec!["100%"]),
            (b"lsx\x08 \x08\r\n", vec!["ls"]),
            (b"\n\nunfinished", vec!["", "", "unfinished"]),
            ("\u{e9}\u{20ac}\x08o\n".as_bytes(), vec!["\u{e9}o"]),
            (b"same\r", vec!["same"]),
            (b"", vec![]),
        ] {
            for cut in [1, 2, 3, 1000] {
                let seen: Vec<String> = lines(output, cut).into_iter().map(|line| line.1).collect();
                assert_eq!(seen, expected, "cut every {cut}");
            }
        }
    }

    #[test]
    fn lines_know_where_they_begin() {
        let seen = lines(b"ab\x1b[1mc\r\n\x1b[0mdef", 4);
        assert_eq!(seen, [(100, "abc".to_owned()), (109, "def".to_owned())]);
    }

    #[test]
    fn a_line_without_end_does_not_fill_memory() {
        let mut cleaner = Cleaner::default();
        let mut parts = 0;
        for _ in 0..100 {
            let Ok(()) = cleaner.feed(0, &[b'x'; 10_000], |_| {
                parts += 1;
                Ok::<_, Infallible>(())
            });
            assert!(cleaner.line.len() <= LONGEST + 10_000);
        }
        assert!(parts > 5);
    }
}
