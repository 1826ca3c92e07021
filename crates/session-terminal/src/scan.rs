//! Looks through output many bytes at a time.

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

/// Bytes of which it is known at once whether all sequences in them are usual.
const BLOCK: usize = 64;

/// Most sequences in lines of output are SGR and EL. How far from `at` on, which is outside any, only these are and text,
/// to a place outside any; and behind where it is worthwhile to ask again.
pub(crate) fn usual(bytes: &[u8], at: usize) -> (usize, usize) {
    // An ESC ends the block before this one; parameters begin, or go on, with this one.
    let (mut escaped, mut begun) = (0, 0);
    let mut known = at;
    for (block, start) in bytes[at..].chunks_exact(BLOCK).zip((at..).step_by(BLOCK)) {
        let [escapes, brackets, params, lasts] = classes(block);
        let kinds = escapes << 1 | escaped;
        if kinds | begun | escapes == 0 {
            return (start, start);
        }
        // From where parameters begin the sum carries through all of them, to what ends them.
        let begins = (kinds & brackets) << 1 | begun;
        let (sum, beyond) = params.overflowing_add(begins);
        let ends = sum & !params;
        if kinds & !brackets | ends & !lasts != 0 {
            return (known, start + BLOCK);
        }
        escaped = escapes >> (BLOCK - 1);
        begun = (kinds & brackets) >> (BLOCK - 1) | u64::from(beyond);
        known = start
            + match (escaped | begun, escapes) {
                (0, _) => BLOCK,
                // As many parameters as nobody needs.
                (_, 0) => return (known, start + BLOCK),
                _ => BLOCK - 1 - escapes.leading_zeros() as usize,
            };
    }
    (known, bytes.len())
}

/// Which bytes of a block are ESC, which `[`, which digits or what is between numbers, which `m` or `K`: the lowest bit is
/// the first byte's.
#[inline]
fn classes(block: &[u8]) -> [u64; 4] {
    let mut marked = [0; BLOCK];
    // Without branches, so that the compiler has many bytes looked at in one instruction.
    for (mark, &byte) in marked.iter_mut().zip(block) {
        *mark = u8::from(byte == 0x1b)
            | u8::from(byte == b'[') << 1
            | u8::from(byte.wrapping_sub(b'0') < 12) << 2
            | u8::from((byte == b'm') | (byte == b'K')) << 3;
    }
    let mut classes = [0; 4];
    for (index, word) in marked.as_chunks::<8>().0.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        for (class, bits) in classes.iter_mut().enumerate() {
            // The lowest bits of eight bytes, side by side.
            let lowest = (word >> class & ONES).wrapping_mul(0x0102_0408_1020_4080) >> 56;
            *bits |= lowest << (8 * index);
        }
    }
    classes
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

    /// Which places are outside any sequence, from `at` to the first unusual one.
    fn outside(bytes: &[u8], mut at: usize) -> Vec<usize> {
        let mut outside = vec![at];
        while at < bytes.len() {
            if bytes[at] == 0x1b {
                let params = bytes[at..]
                    .iter()
                    .skip(2)
                    .take_while(|byte| (b'0'..=b';').contains(byte));
                let last = at + 2 + params.count();
                if bytes.get(at + 1) != Some(&b'[') || !matches!(bytes.get(last), Some(b'm' | b'K'))
                {
                    break;
                }
                at = last;
            }
            at += 1;
            outside.push(at);
        }
        outside
    }

    #[test]
    fn what_is_usual_is_known_a_block_at_a_time() {
        let line = b"\x1b[3;1mtext\x1b[K".repeat(100);
        assert_eq!(usual(&line, 0).1, line.len());
        assert!(usual(&line, 0).0 > line.len() - BLOCK - 10);
        let moved = [&line[..130], b"\x1b[H", &line[130..]].concat();
        assert_eq!(usual(&moved, 0).1, 3 * BLOCK);
        assert!(usual(&moved, 0).0 > BLOCK);
    }

    proptest! {
        #[test]
        fn what_is_usual_is_known_to_be(
            bytes in proptest::collection::vec(prop_oneof![
                12 => Just(&b"\x1b[m"[..]), 12 => Just(&b"\x1b[38;5;12m"[..]), 12 => Just(&b"\x1b[1;2K"[..]), 4 => Just(&b"text1;2"[..]),
                2 => Just(&b"0123456789012345678901234567890123456789"[..]), 1 => Just(&b"\x1b"[..]), 1 => Just(&b"["[..]),
                1 => Just(&b"\x1b[?25h"[..]), 1 => Just(&b"\x1b[1:2"[..]), 1 => Just(&b"\xc3\xa9"[..]),
            ], 0..120),
            at in 0usize..10,
        ) {
            let bytes = bytes.concat();
            let at = at.min(bytes.len());
            let (known, again) = usual(&bytes, at);
            prop_assert!(outside(&bytes, at).contains(&known), "{known}");
            prop_assert!(again >= known && again <= bytes.len());
        }

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
