//! Output that nobody thought of, the same for the same seed.
//!
//! What terminals do not agree on stays out: half a wide character that is written over, and characters beyond ASCII
//! within a sequence; REP (`b`) behind anything but a character; CHT, CBT (`I`, `Z`), ED and EL
//! while a wrap is due; SL, SR, DECIC and DECDC (`CSI SP @`, `CSI SP A`, `CSI ' }`, `CSI ' ~`); a cursor saved or restored while
//! a link is open. Numbers stay small, for xterm.js counts a large one down row by row.

use crate::corpus::Output;

/// A stream of small numbers: xorshift64*.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

const ROWS: u16 = 5;
const COLS: u16 = 12;

fn output(
    name: String,
    seed: u64,
    mut each: impl FnMut(&mut Dice, &mut String),
    pieces: usize,
) -> Output {
    let mut dice = Dice((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut text = String::new();
    for _ in 0..pieces {
        each(&mut dice, &mut text);
    }
    Output {
        name,
        bytes: text.into_bytes(),
        rows: ROWS,
        cols: COLS,
        except: Vec::new(),
    }
}

const TEXT: [&str; 10] = [
    "word",
    "a",
    "two words",
    "qxlk",
    "Ünï",
    "e\u{301}",
    "~",
    "0123456789",
    "    ",
    "wrap at the margin",
];
const CONTROLS: [&str; 10] = [
    "\r", "\n", "\r\n", "\x08", "\t", "\x0b", "\x0e", "\x0f", "\r\n", "\x07",
];
const WHOLE: [&str; 24] = [
    "\x1bD",
    "\x1bE",
    "\x1bM",
    "\x1bH",
    "\x1b]8;;\x1b\\\x1b7",
    "\x1b]8;;\x1b\\\x1b8",
    "\x1b=",
    "\x1b>",
    "\x1b(0",
    "\x1b(B",
    "\x1b)0",
    "\x1b)B",
    "\x1b]2;title\x07",
    "\x1b]2;other\x1b\\",
    "\x1b]8;;http://a.example/\x1b\\",
    "\x1b]8;;\x1b\\",
    "\x1b]8;id=1;http://b.example/\x1b\\",
    "\x1b]8;;\x1b\\\x1b[?1049h",
    "\x1b]8;;\x1b\\\x1b[?1049l",
    "\x1b[3g",
    "\x1b[m",
    "\x1b[r",
    "\x1b[?6l",
    "\x1b[4l",
];
const MODES: [&str; 14] = [
    "?1", "?6", "?7", "?25", "?66", "?1000", "?1002", "?1003", "?1004", "?1006", "?2004", "4",
    "20", "?1007",
];
/// Finals of sequences with numbers that move, erase, insert, delete and scroll.
const MOVING: [&str; 19] = [
    "A", "B", "C", "D", "E", "F", "G", "H", "d", "f", "J", "K", "L", "M", "P", "X", "@", "`", "a",
];
const ATTRIBUTES: [&str; 25] = [
    "1",
    "2",
    "3",
    "4",
    "5",
    "7",
    "8",
    "9",
    "22",
    "23",
    "24",
    "25",
    "27",
    "28",
    "29",
    "31",
    "42",
    "93",
    "105",
    "38;5;200",
    "48:5:17",
    "38;2;1;2;3",
    "48:2::9:8:7",
    "4:3",
    "58:5:3",
];

/// Sequences that terminals agree on, in any order.
pub(crate) fn sequences(seed: u64) -> Output {
    let one = |dice: &mut Dice, text: &mut String| match dice.below(10) {
        0..3 => text.push_str(dice.one(&TEXT)),
        3 => text.push_str(dice.one(&CONTROLS)),
        4 => text.push_str(dice.one(&WHOLE)),
        5 => {
            let (mode, how) = (dice.one(&MODES), dice.one(&["h", "l"]));
            text.push_str(&format!("\x1b[{mode}{how}"));
        }
        6 | 7 => {
            let (row, column) = (dice.below(7), dice.below(14));
            match dice.one(&MOVING) {
                last @ ("H" | "f") => text.push_str(&format!("\x1b[{row};{column}{last}")),
                last @ ("J" | "K") => text.push_str(&format!("\r\x1b[{}{last}", row % 3)),
                last => text.push_str(&format!("\x1b[{row}{last}")),
            }
        }
        8 => {
            let (one, other) = (dice.one(&ATTRIBUTES), dice.one(&ATTRIBUTES));
            text.push_str(&format!("\x1b[{one};{other}m"));
        }
        _ => {
            let top = 1 + dice.below(3);
            text.push_str(&format!("\x1b[{top};{}r", top + 1 + dice.below(3)));
        }
    };
    output(format!("sequences {seed}"), seed, one, 60)
}

/// Characters that make up sequences, thrown together.
pub(crate) fn characters(seed: u64) -> Output {
    let one = |dice: &mut Dice, text: &mut String| match dice.below(12) {
        0 | 1 => text.push('\x1b'),
        2 | 3 => text.push_str("\x1b["),
        4 => text.push(char::from(dice.below(32) as u8)),
        5 => text.push_str(dice.one(&["?", ";", ":", ">", "=", "!", " ", "#", "(", ")", "$"])),
        // At most two digits, whatever stands before.
        6 => text.push_str(&format!("{};", dice.below(60))),
        7 => text.extend(["\x18", dice.one(&TEXT)]),
        8 => text.push_str(dice.one(&["\x1b\\", "\x07", "\x18", "\x1a"])),
        _ => loop {
            let printable = char::from(0x20 + dice.below(95) as u8);
            if !printable.is_ascii_digit() && !"bIZJKA@'".contains(printable) {
                break text.push(printable);
            }
        },
    };
    output(format!("characters {seed}"), seed, one, 150)
}
