//! However much hostile output comes, a screen takes the memory of a screen, and no byte takes much longer than another.
//!
//! One test, alone in its process: what the process has allocated is what the screen has. Where a time is given it is a
//! hundred times what is needed, and tells a hang from a slow machine.

#![allow(clippy::unwrap_used, reason = "a failed assumption is a failed test")]

use std::time::{Duration, Instant};

use session_terminal::Screen;

const KIB: usize = 1024;
const MIB: usize = KIB * KIB;

#[test]
fn a_screen_neither_grows_nor_hangs() {
    output_is_endless();
    sizes_are_changed_a_thousand_times();
}

fn output_is_endless() {
    let mut links = Vec::new();
    for number in 0..3000 {
        links.extend(format!("\x1b]8;;http://{number}/{}\x1b\\x", "y".repeat(1900)).bytes());
    }
    let coloured = "\x1b[58:2::1:2:3mx".repeat(5000);
    for (what, begin, each, times) in [
        (
            "a command without an end",
            &b"\x1b]0;"[..],
            &[b'x'; 64 * KIB][..],
            1600,
        ),
        (
            "a device string without an end",
            b"\x1bPq",
            &[b'#'; 64 * KIB],
            1600,
        ),
        (
            "a string that is ignored, without an end",
            b"\x1b_G",
            &[b'A'; 64 * KIB],
            1600,
        ),
        (
            "a sequence of endless parameters",
            b"\x1b[",
            &[b';'; 64 * KIB],
            160,
        ),
        (
            "a sequence of endless digits",
            b"\x1b[",
            &[b'9'; 64 * KIB],
            160,
        ),
        (
            "combining characters",
            b"x",
            &"\u{301}".repeat(16 * KIB).into_bytes(),
            20,
        ),
        (
            "titles",
            b"",
            &b"\x1b]0;title\x07\x1b[22;0t\x1b[22;1t\x1b[22;2t".repeat(500),
            200,
        ),
        ("titles taken back", b"", &b"\x1b[23;0t".repeat(500), 200),
        ("keyboard flags", b"", &b"\x1b[>31u".repeat(500), 200),
        (
            "keyboard flags taken back",
            b"",
            &b"\x1b[<65535u".repeat(500),
            200,
        ),
        ("links", b"", &links, 5),
        ("underlines in colours", b"", coloured.as_bytes(), 20),
        (
            "saved cursors, and screens",
            b"",
            &b"\x1b7\x1b[?1049h\x1b7x\x1b[?1049l".repeat(500),
            20,
        ),
        (
            "palettes",
            b"",
            &b"\x1b]4;1;#fff;2;#eee\x07\x1b]104\x07".repeat(500),
            20,
        ),
        (
            "modes",
            b"",
            &b"\x1b[?1;2;3;4;5;45;1000;1006;1049;2004;2026;9999h".repeat(500),
            20,
        ),
        ("characters repeated", b"", &b"x\x1b[65535b".repeat(500), 10),
        (
            "rows inserted",
            b"",
            &b"\x1b[65535L\x1b[65535M\x1b[65535S\x1b[65535T".repeat(500),
            10,
        ),
        (
            "characters inserted",
            b"\x1b[4h",
            &b"x\x1b[65535@\x1b[65535P\x1b[65535X".repeat(500),
            10,
        ),
        (
            "tabs",
            b"\x1b[3g",
            &b"\x1b[65535I\x1b[65535Z\t".repeat(500),
            20,
        ),
        ("half a character", b"", &[0xf0; 64 * KIB], 20),
    ] {
        for history in [0, 100] {
            let (before, start) = (resident(), Instant::now());
            let mut screen = Screen::with_history(24, 80, history);
            screen.feed(begin);
            let mut replies = 0;
            for _ in 0..times {
                screen.answer(each, |reply| replies += reply.len());
            }
            let (grown, took) = (resident().saturating_sub(before), start.elapsed());
            eprintln!("{what}: {} KiB, {took:?}", grown / KIB);
            assert!(grown < 12 * MIB, "{what}: {grown} bytes more");
            assert!(took < Duration::from_secs(60), "{what}: {took:?}");
            assert_eq!(replies, 0, "{what}");
            let snapshot = screen.snapshot();
            assert!(
                snapshot.len() < 4 * MIB,
                "{what}: a snapshot of {} bytes",
                snapshot.len()
            );
        }
    }
}

fn sizes_are_changed_a_thousand_times() {
    let mut screen = Screen::with_history(24, 80, 100);
    screen.feed(
        "a line of text that is wrapped, 世界\r\n"
            .repeat(200)
            .as_bytes(),
    );
    let start = Instant::now();
    for turn in 0..1000_u16 {
        screen.resize(1 + turn % 60, 1 + turn.wrapping_mul(7) % 200);
        screen.feed(b"x");
    }
    eprintln!("{:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(60));
    for (rows, cols) in [
        (0, 0),
        (1, 1),
        (u16::MAX, 1),
        (1, u16::MAX),
        (u16::MAX, u16::MAX),
        (0, 7),
    ] {
        let before = resident();
        screen.resize(rows, cols);
        screen.feed("世x\r\n".repeat(9).as_bytes());
        assert_eq!(screen.size(), Screen::size_for(rows, cols));
        assert!(resident().saturating_sub(before) < 64 * MIB);
        assert!(screen.snapshot().len() < MIB);
    }
}

/// Bytes that the process has in memory.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4 * KIB
}
