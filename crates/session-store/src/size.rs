//! Numbers of bytes as people write them: `64K`, `16M`, `2G`, each unit 1024 times the one before.

const UNITS: [(&str, u64); 4] = [
    ("T", 1 << 40),
    ("G", 1 << 30),
    ("M", 1 << 20),
    ("K", 1 << 10),
];

/// Reads a number of bytes; `None` if the text is none.
pub fn parse(text: &str) -> Option<u64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let bytes = match unit {
        "" => 1,
        unit => {
            UNITS
                .iter()
                .find(|(word, _)| word.eq_ignore_ascii_case(unit))?
                .1
        }
    };
    number.parse::<u64>().ok()?.checked_mul(bytes)
}

/// Writes a number of bytes so that [`parse`] reads the same, in the largest unit that is exact.
pub fn show(bytes: u64) -> String {
    match UNITS
        .iter()
        .find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit))
    {
        Some((word, unit)) => format!("{}{word}", bytes / unit),
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_they_are_shown() {
        for (text, bytes, shown) in [
            ("16M", 16 << 20, "16M"),
            ("64k", 64 << 10, "64K"),
            ("1000", 1000, "1000"),
            ("0", 0, "0"),
            ("1024K", 1 << 20, "1M"),
        ] {
            assert_eq!((parse(text), show(bytes).as_str()), (Some(bytes), shown));
        }
        for text in ["", "M", "1.5M", "1MB", "-1", "99999999999T"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
