//! Looks for a line of output that matches, as output comes: what `session wait --text` waits for.

use std::convert::Infallible;

use regex_lite::{Regex, RegexBuilder};

use crate::{Cleaner, Echoes, Line, Typed};

/// The longest source of a pattern, in bytes.
const LONGEST: usize = 1024;
/// The most that one takes in memory: it also bounds the time that a line takes.
const LARGEST: usize = 256 << 10;
/// Whose echo may still be to come is known from so much of the output before.
const LEAD: u64 = 256 << 10;

/// A regular expression on lines of text.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

/// The line that matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Offset in the output of its first byte.
    pub offset: u64,
    /// Its text, without what the search leaves out.
    pub line: String,
}

/// One stream of output being searched.
#[derive(Debug)]
pub struct Search {
    /// What lies before is not looked at.
    since: u64,
    begin: u64,
    cleaner: Cleaner,
    echoes: Option<Echoes>,
}

impl Pattern {
    /// Reads a regular expression.
    ///
    /// # Errors
    /// Why it is none, or that it is too large to be matched on the way.
    pub fn new(source: &str) -> Result<Self, String> {
        if source.len() > LONGEST {
            return Err(format!(
                "the regular expression is longer than {LONGEST} bytes"
            ));
        }
        let regex = RegexBuilder::new(source).size_limit(LARGEST).build();
        regex.map(Self).map_err(|why| why.to_string())
    }

    /// The expression as it was written.
    pub fn source(&self) -> &str {
        self.0.as_str()
    }

    fn find(&self, line: Line<'_>) -> Option<Found> {
        let text = String::from_utf8_lossy(line.text);
        self.0.is_match(&text).then(|| Found {
            offset: line.offset,
            line: text.into_owned(),
        })
    }
}

impl Search {
    /// Of everything from `since` on.
    pub fn new(since: u64) -> Self {
        Self {
            since,
            begin: since,
            cleaner: Cleaner::default(),
            echoes: None,
        }
    }

    /// Of what follows `since`, but not of the echo of what is typed. It is to be fed from [`Search::begin`] on, and
    /// to [`Search::learn`] what was typed.
    pub fn past_echoes(since: u64, typed: &Typed) -> Self {
        let first = typed.first_between(since.saturating_sub(LEAD), since);
        Self {
            begin: first.unwrap_or(since),
            echoes: Some(Echoes::default()),
            ..Self::new(since)
        }
    }

    /// Offset of the first byte that it needs.
    pub fn begin(&self) -> u64 {
        self.begin
    }

    /// Something may have been typed since.
    pub fn learn(&mut self, typed: &Typed) {
        if let Some(echoes) = &mut self.echoes {
            echoes.learn(typed, self.begin);
        }
    }

    /// Takes output that begins at `offset` and follows what came before; the first line that ends in it and matches.
    pub fn feed(&mut self, pattern: &Pattern, offset: u64, output: &[u8]) -> Option<Found> {
        let Self {
            since,
            cleaner,
            echoes,
            ..
        } = self;
        let mut found = None;
        let mut each =
            |offset, output: &[u8]| look(cleaner, *since, pattern, offset, output, &mut found);
        match echoes {
            Some(echoes) => echoes.pass(offset, output, each),
            None => each(offset, output),
        }
        found
    }

    /// The line that is not ended yet, if it matches: a prompt never is.
    pub fn unfinished(&self, pattern: &Pattern) -> Option<Found> {
        pattern.find(self.cleaner.unfinished()?)
    }

    /// Bytes are missing here, or there are no more: the line ends.
    pub fn cut(&mut self, pattern: &Pattern) -> Option<Found> {
        let Self {
            since,
            cleaner,
            echoes,
            ..
        } = self;
        let mut found = None;
        if let Some(echoes) = echoes {
            echoes.cut(|offset, output| look(cleaner, *since, pattern, offset, output, &mut found));
        }
        let Ok(()) = cleaner.cut(|line| {
            found = found.take().or_else(|| pattern.find(line));
            Ok::<_, Infallible>(())
        });
        found
    }
}

fn look(
    cleaner: &mut Cleaner,
    since: u64,
    pattern: &Pattern,
    offset: u64,
    output: &[u8],
    found: &mut Option<Found>,
) {
    // At most the length of `output`.
    let before = since.saturating_sub(offset).min(output.len() as u64) as usize;
    let Ok(()) = cleaner.feed(offset + before as u64, &output[before..], |line| {
        *found = found.take().or_else(|| pattern.find(line));
        Ok::<_, Infallible>(())
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Shown;

    fn search(regex: &str, parts: &[&str]) -> bool {
        let pattern = Pattern::new(regex).unwrap();
        let mut search = Search::new(0);
        let mut offset = 0;
        parts.iter().any(|part| {
            let ended = search.feed(&pattern, offset, part.as_bytes());
            offset += part.len() as u64;
            ended.or_else(|| search.unfinished(&pattern)).is_some()
        })
    }

    #[test]
    fn text_is_found_in_lines_prompts_and_under_colours() {
        assert!(search("^ready$", &["starting\r\n", "rea", "dy\r\n"]));
        assert!(search(
            "^ready$",
            &["\x1b[32mrea\x1b[1mdy\x1b[0m\r\nmore\r\n"]
        ));
        assert!(search(r"\$ $", &["user@host$ "]));
        assert!(!search("ab", &["a\r\nb\r\n"]));
        assert!(search("password:", &["Enter pass", "word: "]));
    }

    #[test]
    fn a_pattern_that_would_take_long_is_refused() {
        assert!(Pattern::new("(").is_err());
        assert!(Pattern::new(&"x".repeat(LONGEST + 1)).is_err());
        assert!(Pattern::new("(((x{99}){99}){99})").is_err());
        assert_eq!(Pattern::new("^a+$").unwrap().source(), "^a+$");
    }

    #[test]
    fn what_was_typed_before_and_is_shown_later_is_an_echo_too() {
        let mut typed = Typed::default();
        let output = b"$ sleep 1\r\necho A\r\n$ echo A\r\nA\r\n";
        typed.record(2, b"sleep 1\recho A\r", Shown::ByTerminal);
        let pattern = Pattern::new("A").unwrap();
        let mut search = Search::past_echoes(11, &typed);
        let begin = search.begin();
        assert_eq!(begin, 2);
        search.learn(&typed);
        let kept = &output[begin as usize..19];
        assert_eq!(search.feed(&pattern, begin, kept), None);
        let found = search.feed(&pattern, 19, b"\r\nA\r\n").unwrap();
        assert_eq!((found.offset, found.line.as_str()), (21, "A"));
    }
}
