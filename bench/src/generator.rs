//! The programs inside the sessions: output of a known size, plain or as programs with colours make it.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

/// What the output looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Text {
    /// Lines of ASCII.
    Plain,
    /// Colours, cursor movements and UTF-8.
    Mix,
}

/// The last line of the output.
pub(crate) const END: &[u8] = b"END-OF-OUTPUT";

/// Bytes that each session of the fleet prints before it paints.
const HEAVY: u64 = 2_000_000;

/// Waits for a byte from `go`, prints at least `bytes`, then [`END`], says so in `done`, and stays.
pub(crate) fn print(
    text: Text,
    bytes: u64,
    go: &OsStr,
    done: Option<&OsStr>,
) -> io::Result<ExitCode> {
    let block = text.block();
    let mut output = stdout()?;
    File::open(go)?.read_exact(&mut [0])?;
    write_at_least(&mut output, &block, bytes)?;
    output.write_all(b"\x1b[0m\r\n")?;
    output.write_all(END)?;
    output.write_all(b"\r\n")?;
    if let Some(done) = done {
        File::options().write(true).open(done)?.write_all(b"x\n")?;
    }
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

/// Prints, paints full screens on the alternate screen, leaves it, and says so in `done`.
pub(crate) fn burst(done: &OsStr) -> io::Result<ExitCode> {
    let mut output = stdout()?;
    write_at_least(&mut output, &Text::Plain.block(), HEAVY)?;
    let mut frames = String::from("\x1b[?1049h\x1b[2J");
    for frame in 0..12 {
        for row in 1..=24 {
            let colour = 16 + (frame * 24 + row) % 216;
            let _ = write!(frames, "\x1b[{row};1H\x1b[1;38;5;{colour};48;5;{row}m");
            for column in 0..80u8 {
                frames.push(char::from(b'!' + (column + row) % 90));
            }
        }
    }
    frames.push_str("\x1b[0m\x1b[?1049l\x1b[1;32mready\x1b[0m $ ");
    output.write_all(frames.as_bytes())?;
    File::options().write(true).open(done)?.write_all(b"x")?;
    Ok(ExitCode::SUCCESS)
}

impl Text {
    /// As an argument.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Mix => "mix",
        }
    }

    /// About 64 KiB that can be repeated.
    pub(crate) fn block(self) -> Vec<u8> {
        let mut block = String::new();
        let mut line = 0;
        while block.len() < 64 * 1024 {
            // A String takes everything.
            let _ = match self {
                Self::Plain => writeln!(
                    block,
                    "{line:06} pack my box with five dozen liquor jugs and sphinx of quartz"
                ),
                Self::Mix => writeln!(
                    block,
                    "\x1b[3{}m{line:06}\x1b[0m \x1b[1;38;5;{}mbuilding\x1b[22;39m grüße, 世界 → \
                     \x1b[48;2;{};40;60mcell\x1b[0m\x1b[K{}",
                    line % 8,
                    line % 256,
                    line % 256,
                    // Progress bars go up, erase a line and come back.
                    if line % 12 == 0 {
                        "\x1b[A\x1b[2K\x1b[B\r"
                    } else {
                        ""
                    },
                ),
            };
            line += 1;
        }
        block.into_bytes()
    }
}

fn write_at_least(output: &mut File, block: &[u8], bytes: u64) -> io::Result<()> {
    let mut written = 0;
    while written < bytes {
        output.write_all(block)?;
        written += block.len() as u64;
    }
    Ok(())
}

/// Standard output without the line buffer of std, which would cut the writes.
fn stdout() -> io::Result<File> {
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}
