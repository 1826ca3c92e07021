//! From the start of a client that makes a session with a shell until the shell's first prompt is on the terminal.

use std::io;
use std::time::{Duration, Instant};

use super::Bench;
use crate::client::Client;
use crate::peers::{Kind, Peer};
use crate::series::{Bar, Series};

const NAME: &str = "prompt";

/// How often each program does it in a round.
const TURNS: u32 = 8;
/// What the shell asks with.
const PROMPT: &str = "PROMPT-OF-SHELL ";

pub(super) fn measure(bench: &mut Bench<'_>) -> io::Result<()> {
    bench.progress("prompt");
    let bar = Bar::Ratio(Kind::Dtach, 1.0, None);
    let mut series = Series::new("prompt", "`sess` → first prompt of the shell", "ms", bar);
    bench.warm_up(NAME);
    for round in 0..bench.options.rounds {
        for turn in 0..TURNS {
            for peer in bench.turns(round * TURNS + turn) {
                let time = bench.attempt(NAME, &peer, |bench| once(bench, &peer));
                if let Some(time) = time {
                    series.push(peer.kind, round, time.as_secs_f64() * 1e3);
                }
            }
        }
    }
    bench.series.push(series);
    Ok(())
}

fn once(bench: &mut Bench<'_>, peer: &Peer) -> io::Result<Duration> {
    let command = peer.shell(&bench.fresh(), PROMPT);
    let limit = Duration::from_secs(10);
    let start = Instant::now();
    let mut client = Client::start(&command)?;
    // What draws a screen may leave out the blank at its end.
    let seen = client.await_bytes(PROMPT.trim_end().as_bytes(), limit)?;
    client.send(b"exit\r")?;
    // It ends with its shell, and what that leaves to do is not to be found in the next one's beginning.
    let _ = client.await_bytes(b"\0", limit);
    drop(client);
    std::thread::sleep(Duration::from_millis(15));
    Ok(seen.at - start)
}
