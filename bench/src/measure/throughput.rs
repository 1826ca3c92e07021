//! Output through an attached client: from the word to begin until the client has printed the last line.

use std::io;
use std::time::{Duration, Instant};

use super::Bench;
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
    let mut all = [
        (
            Text::Plain,
            rate("plain", "attached throughput, plain"),
            received("plain_received"),
        ),
        (
            Text::Mix,
            rate("mix", "attached throughput, mix"),
            received("mix_received"),
        ),
    ];
    for round in 0..bench.options.rounds {
        for (text, rate, received) in &mut all {
            for peer in bench.turns(round) {
                let found = bench.attempt(NAME, &peer, |bench| once(bench, &peer, *text));
                if let Some((time, bytes)) = found {
                    rate.push(peer.kind, round, BYTES as f64 / 1e6 / time.as_secs_f64());
                    received.push(peer.kind, round, bytes as f64 / 1e6);
                }
            }
        }
    }
    for (_, rate, received) in all {
        bench.series.extend([rate, received]);
    }
    Ok(())
}

/// The time, and the bytes that came.
fn once(bench: &mut Bench<'_>, peer: &Peer, text: Text) -> io::Result<(Duration, u64)> {
    let go = Fifo::make(bench.file())?;
    let kind = match text {
        Text::Plain => "plain",
        Text::Mix => "mix",
    };
    let script = format!("exec \"$0\" __print {kind} {BYTES} \"$1\"");
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
