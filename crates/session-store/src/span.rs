//! Spans of time as people write them: `500ms`, `1s`, `2m`, `1h`; a bare number counts seconds.

use std::time::Duration;

const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Reads a span; `None` if the text is none.
pub fn parse(text: &str) -> Option<Duration> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let millis = match unit {
        "" => 1000,
        unit => UNITS.iter().find(|(word, _)| *word == unit)?.1,
    };
    number
        .parse::<u64>()
        .ok()?
        .checked_mul(millis)
        .map(Duration::from_millis)
}

/// Writes a span so that [`parse`] reads the same, in the largest unit that is exact. Below a millisecond it is cut.
pub fn show(span: Duration) -> String {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    match UNITS
        .iter()
        .find(|(_, unit)| millis >= *unit && millis.is_multiple_of(*unit))
    {
        Some((word, unit)) => format!("{}{word}", millis / unit),
        None => "0s".to_owned(),
    }
}

/// As text in a record.
pub(crate) mod text {
    use super::{Duration, parse, show};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(
        span: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&show(*span))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| D::Error::custom("not a span of time"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_they_are_shown() {
        for (text, millis, shown) in [
            ("500ms", 500, "500ms"),
            ("1s", 1000, "1s"),
            ("10", 10_000, "10s"),
            ("2m", 120_000, "2m"),
            ("1h", 3_600_000, "1h"),
            ("90s", 90_000, "90s"),
            ("60s", 60_000, "1m"),
            ("0", 0, "0s"),
            ("1500ms", 1500, "1500ms"),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)));
            assert_eq!(show(Duration::from_millis(millis)), shown);
            assert_eq!(parse(shown), parse(text));
        }
        for text in [
            "",
            "s",
            "-1s",
            "+1s",
            "1.5s",
            "1 s",
            "1d",
            "1S",
            "99999999999999999999",
            "18446744073709551615h",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
