//! A recording as the players of terminals have it: [asciicast v2](https://docs.asciinema.org/manual/asciicast/v2/),
//! a line of JSON a moment. Only whole lines are ever written, so a recording that is cut off is one as well.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;
use session_protocol::{Channel, Size, Timestamp};

use crate::json;

/// Lines that are written at once.
const PIECE: usize = 64 << 10;

/// The first line.
#[derive(Debug, Serialize)]
pub(crate) struct Header {
    version: u8,
    width: u16,
    height: u16,
    timestamp: i64,
    title: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    env: BTreeMap<String, String>,
}

impl Header {
    /// Of a recording that begins at `began` on a terminal of this size.
    pub(crate) fn new(
        size: Size,
        began: Timestamp,
        title: String,
        env: BTreeMap<String, String>,
    ) -> Self {
        Self {
            version: 2,
            width: size.cols,
            height: size.rows,
            timestamp: began.millis().div_euclid(1000),
            title,
            env,
        }
    }
}

/// A recording that is being written.
#[derive(Debug)]
pub(crate) struct Cast<W> {
    out: W,
    lines: Vec<u8>,
    began: i64,
    /// Milliseconds of the last event. A clock that was set back does not take the recording with it.
    last: i64,
    texts: Vec<(Channel, Text)>,
}

impl<W: io::Write> Cast<W> {
    /// Begins with the header.
    pub(crate) fn begin(out: W, header: &Header, began: Timestamp) -> io::Result<Self> {
        let mut cast = Self {
            out,
            lines: Vec::new(),
            began: began.millis(),
            last: 0,
            texts: Vec::new(),
        };
        cast.lines.extend_from_slice(json::line(header)?.as_bytes());
        cast.lines.push(b'\n');
        Ok(cast)
    }

    /// Output came.
    pub(crate) fn output(
        &mut self,
        at: Option<Timestamp>,
        channel: Channel,
        bytes: &[u8],
    ) -> io::Result<()> {
        let text = text(&mut self.texts, channel).feed(bytes);
        self.event(at, 'o', &text)
    }

    /// Bytes are missing: a character that they cut is none.
    pub(crate) fn cut(&mut self, channel: Channel) -> io::Result<()> {
        let text = text(&mut self.texts, channel).cut();
        self.event(None, 'o', text)
    }

    /// The terminal has another size.
    pub(crate) fn resize(&mut self, at: Option<Timestamp>, size: Size) -> io::Result<()> {
        self.event(at, 'r', &format!("{}x{}", size.cols, size.rows))
    }

    /// Writes out what there is.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.lines)?;
        self.lines.clear();
        self.out.flush()
    }

    /// The end.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        let channels: Vec<Channel> = self.texts.iter().map(|(channel, _)| *channel).collect();
        for channel in channels {
            self.cut(channel)?;
        }
        self.flush()?;
        Ok(self.out)
    }

    fn event(&mut self, at: Option<Timestamp>, code: char, data: &str) -> io::Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        let since = at.map_or(self.last, |at| at.millis() - self.began);
        self.last = self.last.max(since);
        let (seconds, millis) = (self.last / 1000, self.last % 1000);
        let data = json::line(&data)?;
        let line = format!("[{seconds}.{millis:03}, \"{code}\", {data}]\n");
        self.lines.extend_from_slice(line.as_bytes());
        if self.lines.len() >= PIECE {
            self.out.write_all(&self.lines)?;
            self.lines.clear();
        }
        Ok(())
    }
}

fn text(texts: &mut Vec<(Channel, Text)>, channel: Channel) -> &mut Text {
    let known = texts.iter().position(|(known, _)| *known == channel);
    let index = known.unwrap_or_else(|| {
        texts.push((channel, Text::new(channel)));
        texts.len() - 1
    });
    &mut texts[index].1
}

/// A stream of bytes as text.
#[derive(Debug)]
struct Text {
    /// A character of which only the beginning has come.
    begun: Vec<u8>,
    /// What came through no terminal ends its lines with a line feed alone; a player wants the carriage return, too,
    /// that a terminal would have made of it.
    plain: bool,
    last: char,
}

impl Text {
    fn new(channel: Channel) -> Self {
        Self {
            begun: Vec::new(),
            plain: channel != Channel::Pty,
            last: '\0',
        }
    }

    /// What of it is whole.
    fn feed(&mut self, bytes: &[u8]) -> String {
        let mut joined = std::mem::take(&mut self.begun);
        let bytes = if joined.is_empty() {
            bytes
        } else {
            joined.extend_from_slice(bytes);
            &joined
        };
        let mut text = String::with_capacity(bytes.len());
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            self.push(&mut text, chunk.valid());
            let invalid = chunk.invalid();
            let is_begun = chunks.peek().is_none()
                && std::str::from_utf8(invalid).is_err_and(|why| why.error_len().is_none());
            if is_begun {
                self.begun = invalid.to_vec();
            } else if !invalid.is_empty() {
                self.push(&mut text, "\u{fffd}");
            }
        }
        text
    }

    fn push(&mut self, text: &mut String, valid: &str) {
        if !self.plain {
            return text.push_str(valid);
        }
        for c in valid.chars() {
            if c == '\n' && self.last != '\r' {
                text.push('\r');
            }
            text.push(c);
            self.last = c;
        }
    }

    /// What is left of a character that does not go on.
    fn cut(&mut self) -> &'static str {
        if std::mem::take(&mut self.begun).is_empty() {
            ""
        } else {
            "\u{fffd}"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Option<Timestamp> {
        Some(Timestamp::from_millis(millis))
    }

    fn cast() -> Cast<Vec<u8>> {
        let header = Header::new(
            Size { rows: 24, cols: 80 },
            Timestamp::from_millis(1500),
            "web \"1\"".to_owned(),
            BTreeMap::from([("TERM".to_owned(), "xterm".to_owned())]),
        );
        Cast::begin(Vec::new(), &header, Timestamp::from_millis(1500)).unwrap()
    }

    fn lines(cast: Cast<Vec<u8>>) -> Vec<serde_json::Value> {
        let bytes = cast.finish().unwrap();
        let text = std::str::from_utf8(&bytes).unwrap();
        let parsed = text.lines().map(|line| serde_json::from_str(line).unwrap());
        parsed.collect()
    }

    #[test]
    fn a_recording_is_a_header_and_events() {
        let mut cast = cast();
        cast.output(at(1500), Channel::Pty, b"\x1b[1mone\r\n")
            .unwrap();
        cast.output(at(63_042), Channel::Pty, b"\"two\"").unwrap();
        let size = Size {
            rows: 30,
            cols: 100,
        };
        cast.resize(at(63_050), size).unwrap();
        assert_eq!(
            lines(cast),
            [
                serde_json::json!({
                    "version": 2, "width": 80, "height": 24, "timestamp": 1,
                    "title": "web \"1\"", "env": { "TERM": "xterm" },
                }),
                serde_json::json!([0.0, "o", "\u{1b}[1mone\r\n"]),
                serde_json::json!([61.542, "o", "\"two\""]),
                serde_json::json!([61.55, "r", "100x30"]),
            ]
        );
    }

    #[test]
    fn time_never_goes_back() {
        let mut cast = cast();
        for millis in [2500, 2000, 0] {
            cast.output(at(millis), Channel::Pty, b"x").unwrap();
        }
        cast.output(None, Channel::Pty, b"x").unwrap();
        for line in &lines(cast)[1..] {
            assert_eq!(line[0], 1.0);
        }
    }

    #[test]
    fn characters_are_whole_wherever_they_were_cut() {
        let text = "aé€\u{1f600}z";
        for cut in 0..=text.len() {
            let mut cast = cast();
            let (one, two) = text.as_bytes().split_at(cut);
            for bytes in [one, two] {
                cast.output(at(1500), Channel::Pty, bytes).unwrap();
            }
            let joined: String = lines(cast)[1..]
                .iter()
                .map(|line| line[2].as_str().unwrap().to_owned())
                .collect();
            assert_eq!(joined, text, "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_text_is_replaced() {
        for (parts, expected) in [
            (&[&b"a\xffb"[..]][..], "a\u{fffd}b"),
            (&[b"\xe2\x82", b"x"], "\u{fffd}x"),
            // Nothing follows.
            (&[b"x\xe2\x82"], "x\u{fffd}"),
            (&[b"\xe2", b"\x82", b"\xac"], "\u{20ac}"),
        ] {
            let mut text = Text::new(Channel::Pty);
            let mut joined: String = parts.iter().map(|part| text.feed(part)).collect();
            joined.push_str(text.cut());
            assert_eq!(joined, expected, "{parts:?}");
        }
    }

    #[test]
    fn lines_of_pipes_end_as_on_a_terminal() {
        let mut text = Text::new(Channel::Out);
        assert_eq!(text.feed(b"a\nb\r\nc\r"), "a\r\nb\r\nc\r");
        assert_eq!(text.feed(b"\n\n"), "\n\r\n");
    }
}
