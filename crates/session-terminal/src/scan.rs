//! Looks through output eight bytes at a time.

const ONES: u64 = 0x0101_0101_0101_0101;
const TOPS: u64 = 0x8080_8080_8080_8080;

/// The next ESC from `at` on, or the end. Sequences often follow upon one another closely.
#[inline]
pub(crate) fn find_escape(bytes: &[u8], at: usize) -> usize {
    let mut at = at;
    for _ in 0..4 {
        let Some(word) = word(bytes, at) else {
            break;
        };
        // A byte that is zero borrows from its top bit; the lowest such bit is right.
        let word = word ^ (ONES * 0x1b);
        let zeros = word.wrapping_sub(ONES) & !word & TOPS;
        if zeros != 0 {
            return at + first(zeros);
        }
        at += 8;
    }
    memchr::memchr(0x1b, &bytes[at..]).map_or(bytes.len(), |len| at + len)
}

/// How many bytes from `at` on are from 0x30 to 0x3f: parameters, or what ECMA-48 reserves. `None` up to the end.
#[inline]
pub(crate) fn params(bytes: &[u8], at: usize) -> Option<usize> {
    if let Some(word) = word(bytes, at) {
        let other = (word ^ (ONES * 0x30)) & (ONES * 0xf0);
        if other != 0 {
            return Some(first(other));
        }
    }
    bytes[at..].iter().position(|byte| byte & 0xf0 != 0x30)
}

/// As [`params`], where fewer than 16 bytes are and 16 bytes lie in `bytes`.
#[inline]
pub(crate) fn short_params(bytes: &[u8], at: usize) -> Option<usize> {
    let word = u128::from_le_bytes(*bytes[at..].first_chunk::<16>()?);
    const HIGH: u128 = u128::from_le_bytes([0xf0; 16]);
    const DIGITS: u128 = u128::from_le_bytes([0x30; 16]);
    let other = (word ^ DIGITS) & HIGH;
    (other != 0).then(|| (other.trailing_zeros() / 8) as usize)
}

/// How many bytes at the beginning are printable ASCII.
#[inline]
pub(crate) fn printable(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(word) = word(bytes, at) {
        // Below a space, DEL, or not ASCII; what carries or borrows comes from a byte that is one of these itself.
        let other = (word | word.wrapping_sub(ONES * 0x20) | word.wrapping_add(ONES)) & TOPS;
        if other != 0 {
            return at + first(other);
        }
        at += 8;
    }
    let rest = bytes[at..]
        .iter()
        .position(|byte| !matches!(byte, 0x20..0x7f));
    rest.map_or(bytes.len(), |rest| at + rest)
}

#[inline]
fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes[at..]
        .first_chunk::<8>()
        .map(|chunk| u64::from_le_bytes(*chunk))
}

/// The byte with the lowest bit that is set.
#[inline]
fn first(bits: u64) -> usize {
    (bits.trailing_zeros() / 8) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_finds_what_a_look_at_every_byte_finds(
            bytes in proptest::collection::vec(prop_oneof![3 => 0x1eu8..0x22, 3 => 0x7eu8..0x82, 2 => 0x2eu8..0x42, 1 => Just(0x1b), 1 => any::<u8>()], 0..40),
            at in 0usize..40,
        ) {
            let at = at.min(bytes.len());
            let from = |is: &dyn Fn(&u8) -> bool| bytes[at..].iter().position(is);
            prop_assert_eq!(find_escape(&bytes, at), from(&|byte| *byte == 0x1b).map_or(bytes.len(), |len| at + len));
            prop_assert_eq!(params(&bytes, at), from(&|byte| !(0x30..0x40).contains(byte)));
            if let Some(len) = short_params(&bytes, at) {
                prop_assert_eq!(Some(len), params(&bytes, at));
            }
            prop_assert_eq!(printable(&bytes[at..]), from(&|byte| !(0x20..0x7f).contains(byte)).unwrap_or(bytes.len() - at));
        }
    }
}
