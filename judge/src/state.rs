//! The state of a terminal, as the judge has put it.

use base64::Engine as _;
use serde_json::Value;

/// What can be seen of a terminal, or felt by what is typed and printed next; `state.mjs` says what there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Everything but what was answered and done; equal states have equal text.
    lasting: String,
    replies: String,
    effects: String,
}

impl State {
    pub(crate) fn new(line: String) -> Self {
        let at = line.find(",\"replies\":").unwrap();
        let passing: Value = serde_json::from_str(&format!("{{{}", &line[at + 1..])).unwrap();
        let mut lasting = line;
        lasting.truncate(at);
        lasting.push('}');
        Self {
            lasting,
            replies: passing["replies"].as_str().unwrap().to_owned(),
            effects: passing["effects"].to_string(),
        }
    }

    /// Whether both terminals are alike from here on. What they have answered on the way does not count.
    pub fn is_like(&self, other: &Self) -> bool {
        self.lasting == other.lasting
    }

    /// The state, as a tree.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.lasting).unwrap()
    }

    /// What the terminal has answered since the last report.
    pub fn replies(&self) -> Vec<u8> {
        base64::prelude::BASE64_STANDARD
            .decode(&self.replies)
            .unwrap()
    }

    /// What it did at once since then, as a list: bells, queries that the judge does not answer, clipboards.
    pub fn effects(&self) -> &str {
        &self.effects
    }

    /// Whether it has answered or done nothing since then: what a snapshot must not make it do.
    pub fn is_silent(&self) -> bool {
        self.replies.is_empty() && self.effects == "[]"
    }
}
