//! Output through an attached client: from the word to begin until the client has printed the last line.

use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

use super::Bench;
use crate::client::Client;
use crate::fifo::Fifo;
use crate::generator::{END, Text};
use crate::peers::{Kind, Peer};
use crate::series::{Bar, Series};

const NAME: &str = "throughput";

/// What a program prints in a turn.
const BYTES: u64 = 16_000_000;

pub(super) fn measure(bench: &mut Bench<'_>) -> io::Result<()> {
    bench.progress("throughput");
    let rate = |key, label| Series::new(key, label, "MB/s", Bar::RatioAtLeast(Kind::Dtach, 1.2));
    let received = |key| Series::new(key, "… received by the client, of 16", "MB", Bar::None);
    // The terminal itself is the ceiling: no program between can carry more than it does with none.
    let share = |key| Series::new(key, "… of what the terminal carries alone", "%", Bar::None);
    let mut all = [
        (
            Text::Plain,
            rate("plain", "attached throughput, plain"),
            share("plain_share"),
            received("plain_received"),
        ),
        (
            Text::Mix,
            rate("mix", "attached throughput, mix"),
            share("mix_share"),
            received("mix_received"),
        ),
    ];
    let megabytes = |time: Duration| BYTES as f64 / 1e6 / time.as_secs_f64();
    for round in 0..bench.options.rounds {
        for (text, rate, share, received) in &mut all {
            let bare = megabytes(alone(bench, *text)?);
            for peer in bench.turns(round) {
                let found = bench.attempt(NAME, &peer, |bench| once(bench, &peer, *text));
                if let Some((time, bytes)) = found {
                    rate.push(peer.kind, round, megabytes(time));
                    share.push(peer.kind, round, 100.0 * megabytes(time) / bare);
                    received.push(peer.kind, round, bytes as f64 / 1e6);
                }
            }
        }
    }
    for (_, rate, share, received) in all {
        bench.series.extend([rate, share, received]);
    }
    Ok(())
}

/// The time without anyone between the program and the terminal.
fn alone(bench: &mut Bench<'_>, text: Text) -> io::Result<Duration> {
    let go = Fifo::make(bench.file())?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["__print", text.word(), &BYTES.to_string()]);
    let mut client = Client::start(command.arg(go.path()))?;
    client.settle(Duration::from_millis(50), Duration::from_secs(1))?;
    let start = Instant::now();
    go.send()?;
    let seen = client.await_bytes(END, Duration::from_secs(120))?;
    Ok(seen.at - start)
}

/// The time, and the bytes that came.
fn once(bench: &mut Bench<'_>, peer: &Peer, text: Text) -> io::Result<(Duration, u64)> {
    let go = Fifo::make(bench.file())?;
    let script = format!("exec \"$0\" __print {} {BYTES} \"$1\"", text.word());
    let (name, main) = bench.session(peer, [":", &script], [go.path(), "".as_ref()])?;
    let mut client = bench.attached(peer, &name)?;
    let start = Instant::now();
    go.send()?;
    let seen = client.await_bytes(END, Duration::from_secs(120))?;
    let time = seen.at - start;
    drop(client);
    peer.end(&name, main)?;
    Ok((time, seen.bytes))
}
