//! What the screen costs a byte of output, in instructions: callgrind counts the same ones on any machine and load.

use std::hint::black_box;
use std::io;
use std::process::{Command, ExitCode, Stdio};

use session_terminal::Screen;

use crate::generator::Text;

/// How the output gets to the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Way {
    /// It is generated and does not.
    None,
    /// Every byte is parsed.
    Every,
    /// In pieces of 128 KiB of which only what counts is parsed, as a holder does it.
    Lag,
}

/// Bytes that a holder lets come before it parses them.
const LAG: usize = 128 << 10;

/// Puts `mib` MiB of output through a screen.
pub(crate) fn feed(text: Text, way: Way, mib: u32) {
    let block = String::from_utf8_lossy(&text.block()).replace('\n', "\r\n");
    let bytes = mib as usize * (1 << 20);
    let output = block.as_bytes().iter().cycle().take(bytes).copied();
    let output: Vec<u8> = output.collect();
    let mut screen = Screen::new(24, 80);
    for piece in output.chunks(LAG) {
        match way {
            Way::None => {}
            Way::Every => screen.feed(piece),
            Way::Lag => screen.catch_up(piece),
        }
    }
    black_box(screen.snapshot());
}

/// Counts with callgrind and prints a table.
pub(crate) fn count(mib: u32) -> io::Result<ExitCode> {
    println!("| instructions a byte | every byte | 128 KiB behind | bar |");
    println!("| --- | --- | --- | --- |");
    for (text, bar) in [(Text::Plain, 12), (Text::Mix, 20)] {
        let bytes = f64::from(mib) * f64::from(1 << 20);
        let none = instructions(text, "none", mib)?;
        let every = (instructions(text, "every", mib)? - none) / bytes;
        let lag = (instructions(text, "lag", mib)? - none) / bytes;
        println!("| {} | {every:.1} | {lag:.1} | {bar} |", text.word());
    }
    Ok(ExitCode::SUCCESS)
}

fn instructions(text: Text, way: &str, mib: u32) -> io::Result<f64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["__emulate", text.word(), way, &mib.to_string()])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| io::Error::other(format!("cannot run valgrind: {error}")))?;
    let told = String::from_utf8_lossy(&output.stderr);
    let collected = told
        .lines()
        .find_map(|line| line.split("Collected :").nth(1));
    let count = collected.and_then(|count| count.trim().parse().ok());
    count.ok_or_else(|| io::Error::other(format!("valgrind told no count: {told}")))
}
