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
    let rate = |key, label| Series::new(key, label, "MB/s", Bar::RatioAtLeast(Kind::Dtach, 1.25));
    let received = |key| Series::new(key, "… received by the client, of 16", "MB", Bar::None);
    // Of all processes and of the kernel's workers for terminals, since that is where most of it goes.
    let busy = |key| {
        let bar = Bar::Ratio(Kind::Dtach, 0.8, None);
        Series::new(key, "… processor time a MB, of all", "ms", bar)
    };
    // The terminal itself is the ceiling: no program between can carry more than it does with none.
    let share = |key| Series::new(key, "… of what the terminal carries alone", "%", Bar::None);
    let mut all = [
        (
            Text::Plain,
            rate("plain", "attached throughput, plain"),
            busy("plain_busy"),
            share("plain_share"),
            received("plain_received"),
        ),
        (
            Text::Mix,
            rate("mix", "attached throughput, mix"),
            busy("mix_busy"),
            share("mix_share"),
            received("mix_received"),
        ),
    ];
    let megabytes = |time: Duration| BYTES as f64 / 1e6 / time.as_secs_f64();
    for round in 0..bench.options.rounds {
        for (text, rate, busy, share, received) in &mut all {
            let bare = megabytes(alone(bench, *text)?);
            for peer in bench.turns(round) {
                let found = bench.attempt(NAME, &peer, |bench| once(bench, &peer, *text));
                if let Some((time, bytes, worked)) = found {
                    busy.push(peer.kind, round, worked / (BYTES as f64 / 1e6));
                    rate.push(peer.kind, round, megabytes(time));
                    share.push(peer.kind, round, 100.0 * megabytes(time) / bare);
                    received.push(peer.kind, round, bytes as f64 / 1e6);
                }
            }
        }
    }
    for (_, rate, busy, share, received) in all {
        bench.series.extend([rate, busy, share, received]);
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

/// The time, the bytes that came, and the milliseconds that the processors worked.
fn once(bench: &mut Bench<'_>, peer: &Peer, text: Text) -> io::Result<(Duration, u64, f64)> {
    let go = Fifo::make(bench.file())?;
    let script = format!("exec \"$0\" __print {} {BYTES} \"$1\"", text.word());
    let (name, main) = bench.session(peer, [":", &script], [go.path(), "".as_ref()])?;
    let mut client = bench.attached(peer, &name)?;
    let (start, before) = (Instant::now(), worked()?);
    go.send()?;
    let seen = client.await_bytes(END, Duration::from_secs(120))?;
    let (time, worked) = (seen.at - start, worked()? - before);
    drop(client);
    peer.end(&name, main)?;
    Ok((time, seen.bytes, worked))
}

/// Milliseconds that the machine's processors have worked since it started (proc_stat(5)).
fn worked() -> io::Result<f64> {
    let text = std::fs::read_to_string("/proc/stat")?;
    let first = text.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = first
        .split_whitespace()
        .skip(1)
        .filter_map(|ticks| ticks.parse().ok())
        .collect();
    // user, nice, system, idle, iowait, irq, softirq; a tick is 10 ms.
    let idle = ticks.iter().skip(3).take(2).sum::<f64>();
    Ok((ticks.iter().take(7).sum::<f64>() - idle) * 10.0)
}
