//! Which size a terminal has that several clients watch, as the attribute `size` says: a pure choice.

use session_protocol::Size;
use session_store::SizeRule;

/// What one client has to say. Moments are counted over all clients; 0 is never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Say {
    /// Its own terminal's size.
    pub(crate) size: Size,
    /// Rises from one client that connects to the next.
    pub(crate) client: u64,
    /// When it typed last.
    pub(crate) typed: u64,
    /// When it came, or its size changed last.
    pub(crate) sized: u64,
}

/// The size that `says` come to; `None` keeps what is.
pub(crate) fn choose(rule: SizeRule, says: impl Iterator<Item = Say>) -> Option<Size> {
    let chosen = match rule {
        SizeRule::Fixed(size) => return Some(size),
        // Among those that never typed, the one that came last.
        SizeRule::Leader => says.max_by_key(|say| (say.typed, say.client)),
        SizeRule::Latest => says.max_by_key(|say| (say.sized, say.client)),
        // All of it is to be seen by everyone.
        SizeRule::Smallest => says.reduce(|one, other| Say {
            size: Size {
                rows: one.size.rows.min(other.size.rows),
                cols: one.size.cols.min(other.size.cols),
            },
            ..one
        }),
    };
    chosen.map(|say| say.size)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn size(cols: u16, rows: u16) -> Size {
        Size { rows, cols }
    }

    const fn say(client: u64, typed: u64, sized: u64, size: Size) -> Say {
        Say {
            size,
            client,
            typed,
            sized,
        }
    }

    #[test]
    fn the_table() {
        let (wide, tall, small) = (size(200, 20), size(100, 60), size(80, 24));
        let nobody: &[Say] = &[];
        let one = &[say(4, 0, 1, wide)][..];
        // The first typed, then the second came, then the third, then the first's size changed.
        let three = &[say(1, 5, 9, wide), say(2, 0, 7, tall), say(3, 0, 8, small)][..];
        // Nobody typed.
        let silent = &[say(1, 0, 1, wide), say(2, 0, 2, tall)][..];
        let fixed = SizeRule::Fixed(size(120, 40));
        for (rule, says, expected) in [
            (SizeRule::Leader, nobody, None),
            (SizeRule::Leader, one, Some(wide)),
            (SizeRule::Leader, three, Some(wide)),
            (SizeRule::Leader, &three[1..], Some(small)),
            (SizeRule::Leader, silent, Some(tall)),
            (SizeRule::Smallest, nobody, None),
            (SizeRule::Smallest, one, Some(wide)),
            (SizeRule::Smallest, three, Some(size(80, 20))),
            (SizeRule::Smallest, &three[1..], Some(small)),
            (SizeRule::Smallest, silent, Some(size(100, 20))),
            (SizeRule::Latest, nobody, None),
            (SizeRule::Latest, one, Some(wide)),
            (SizeRule::Latest, three, Some(wide)),
            (SizeRule::Latest, &three[1..], Some(small)),
            (SizeRule::Latest, silent, Some(tall)),
            (fixed, nobody, Some(size(120, 40))),
            (fixed, three, Some(size(120, 40))),
        ] {
            assert_eq!(
                choose(rule, says.iter().copied()),
                expected,
                "{rule} {says:?}"
            );
        }
    }
}
