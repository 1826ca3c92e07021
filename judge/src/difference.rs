//! Where two states differ, for a person to read.

use std::fmt;

use serde_json::Value;

use crate::State;

/// One place that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The part of the state, such as `rows`, `cursor` or `modes.insert`; `wrapped` for the marks of rows that go on
    /// from the row above, wherever they are.
    pub part: String,
    /// The place within it.
    pub place: String,
    /// What is there in the one and in the other.
    pub values: [String; 2],
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [watched, attached] = &self.values;
        let Self { part, place, .. } = self;
        let gap = if place.is_empty() { "" } else { " " };
        write!(out, "{part}{gap}{place}: {watched} became {attached}")
    }
}

/// Every difference between what one terminal shows and another.
pub fn differences(watched: &State, attached: &State) -> Vec<Difference> {
    if watched.is_like(attached) {
        return Vec::new();
    }
    let (watched, attached) = (watched.value(), attached.value());
    let mut found = Vec::new();
    for (part, value) in watched.as_object().into_iter().flatten() {
        match part.as_str() {
            "rows" | "normal" | "scrollback" => screens(part, value, &attached[part], &mut found),
            _ => tree(part, value, &attached[part], &mut found),
        }
    }
    found
}

/// Differences of rows: `[wrapped, cell, …]` each.
fn screens(part: &str, watched: &Value, attached: &Value, found: &mut Vec<Difference>) {
    let (Some(left), Some(right)) = (watched.as_array(), attached.as_array()) else {
        return tree(part, watched, attached, found);
    };
    if left.len() != right.len() {
        let rows = |rows: &[Value]| format!("{} rows", rows.len());
        push(found, part, "", rows(left), rows(right));
    }
    // A scrollback that is longer has more at its top.
    let skipped = |rows: &[Value]| rows.len() - left.len().min(right.len());
    let pairs = left[skipped(left)..].iter().zip(&right[skipped(right)..]);
    for (y, (left, right)) in pairs.enumerate() {
        if left[0] != right[0] {
            let place = format!("{part} row {y}");
            push(
                found,
                "wrapped",
                &place,
                left[0].to_string(),
                right[0].to_string(),
            );
        }
        let [left, right] = [left, right].map(|row| &row.as_array().unwrap()[1..]);
        for x in 0..left.len().max(right.len()) {
            let cell = |row: &[Value]| row.get(x).map_or_else(|| "blank".to_owned(), shown);
            if left.get(x) != right.get(x) {
                let place = format!("row {y} column {x}");
                push(found, part, &place, cell(left), cell(right));
            }
        }
    }
}

/// Differences of everything else, leaf by leaf.
fn tree(part: &str, watched: &Value, attached: &Value, found: &mut Vec<Difference>) {
    match (watched, attached) {
        (Value::Object(left), Value::Object(right)) => {
            let mut keys: Vec<_> = left.keys().chain(right.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let part = format!("{part}.{key}");
                tree(&part, &watched[key], &attached[key], found);
            }
        }
        _ if watched != attached => {
            push(found, part, "", watched.to_string(), attached.to_string());
        }
        _ => {}
    }
}

fn push(found: &mut Vec<Difference>, part: &str, place: &str, left: String, right: String) {
    found.push(Difference {
        part: part.to_owned(),
        place: place.to_owned(),
        values: [left, right],
    });
}

/// `'x' fg=1`: a cell's characters and attributes.
fn shown(cell: &Value) -> String {
    let text = |index: usize| cell[index].as_str().unwrap_or_default();
    let wide = match cell[1].as_u64() {
        Some(0) => " (second half)",
        Some(2) => " (wide)",
        _ => "",
    };
    format!("{:?}{wide} {}", text(0), text(2))
        .trim_end()
        .to_owned()
}
