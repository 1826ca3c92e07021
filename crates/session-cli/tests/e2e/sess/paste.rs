//! Whatever is typed or pasted is the program's: there is no command in it.

use super::{PROMPT, World};

/// Ten megabytes with everything in it that an earlier `sess` took for itself.
fn paste() -> Vec<u8> {
    let commands = [
        &b"RESIZE 1 1\n"[..],
        b"PING\n",
        b"DISCONNECT\n",
        b"READY\n",
        b"\x18",
        b"\x18\x18\x18",
        b"RESIZE 1 1",
        b"\x1b[120;5u",
    ];
    let mut bytes = Vec::with_capacity(10 << 20);
    let mut random = 12345_u32;
    while bytes.len() < 10 << 20 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes.extend_from_slice(commands[(random >> 24) as usize % commands.len()]);
        let filler = (random >> 16) as usize % 300;
        bytes.extend((0..filler).map(|at| b' ' + (at as u8 % 90)));
    }
    bytes.truncate(10 << 20);
    bytes
}

#[test]
fn ten_megabytes_arrive_byte_for_byte() {
    let sess = World::new();
    let mut terminal = sess.create();
    let bytes = paste();
    let take = format!(
        "stty raw -echo; echo $((20+2)) go; head -c {} >pasted; stty sane; echo $((20+3)) done\r",
        bytes.len()
    );
    terminal.send(&take);
    terminal.shows("22 go");
    terminal.send_bytes(&bytes);
    terminal.shows("23 done");
    let pasted = std::fs::read(sess.sandbox.path("pasted")).unwrap();
    let differs = bytes.iter().zip(&pasted).position(|(a, b)| a != b);
    assert_eq!((pasted.len(), differs), (bytes.len(), None));
    // Nobody was detached, and the size is what it was.
    terminal.send("stty size\r");
    terminal.shows("24 80");
    terminal.shows(PROMPT);
    terminal.send("\x18");
    assert_eq!(terminal.exit(), 0);
}

#[test]
fn a_line_of_the_old_protocol_is_a_line() {
    let sess = World::new();
    let mut terminal = sess.create();
    for line in ["RESIZE 1 1", "PING", "DISCONNECT"] {
        terminal.send("cat\r");
        terminal.send(&format!("{line}\r"));
        // The terminal's echo, and then what came of it.
        terminal.until(line, |screen| screen.contents().matches(line).count() == 2);
        terminal.send("\x04");
    }
    terminal.send("stty size\r");
    terminal.shows("24 80");
}
