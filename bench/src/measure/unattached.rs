//! Output with nobody attached: from the word to begin until the program has written its last line.

use std::io;
use std::time::{Duration, Instant};

use super::Bench;
use crate::fifo::Fifo;
use crate::generator::Text;
use crate::peers::{Kind, Peer};
use crate::series::{Bar, Series};

const NAME: &str = "unattached";

/// What a program prints in a turn.
const BYTES: u64 = 16_000_000;

pub(super) fn measure(bench: &mut Bench<'_>) -> io::Result<()> {
    bench.progress("unattached throughput");
    let rate = |key, label, bar| Series::new(key, label, "MB/s", bar);
    let plain = Bar::RatioAtLeast(Kind::Dtach, 0.95);
    let mix = Bar::RatioAtLeast(Kind::Dtach, 0.8);
    let mut all = [
        (
            Text::Plain,
            rate("unattached_plain", "nobody attached, plain", plain),
        ),
        (
            Text::Mix,
            rate("unattached_mix", "nobody attached, mix", mix),
        ),
    ];
    let twice = Bar::RatioAtLeast(Kind::Tmux, 2.0);
    let mut beside_tmux = rate("unattached_mix_tmux", "… beside tmux", twice);
    for round in 0..bench.options.rounds {
        for (text, rate) in &mut all {
            for peer in bench.turns(round) {
                let found = bench.attempt(NAME, &peer, |bench| once(bench, &peer, *text));
                if let Some(time) = found {
                    let megabytes = BYTES as f64 / 1e6 / time.as_secs_f64();
                    rate.push(peer.kind, round, megabytes);
                    if let Text::Mix = text {
                        beside_tmux.push(peer.kind, round, megabytes);
                    }
                }
            }
        }
    }
    bench.series.extend(all.map(|(_, rate)| rate));
    bench.series.push(beside_tmux);
    Ok(())
}

fn once(bench: &mut Bench<'_>, peer: &Peer, text: Text) -> io::Result<Duration> {
    let (go, done) = (Fifo::make(bench.file())?, Fifo::make(bench.file())?);
    let script = format!("exec \"$0\" __print {} {BYTES} \"$1\" \"$2\"", text.word());
    let (name, main) = bench.session(peer, [":", &script], [go.path(), done.path()])?;
    let start = Instant::now();
    go.send()?;
    done.receive(Duration::from_secs(120))?;
    let time = start.elapsed();
    peer.end(&name, main)?;
    Ok(time)
}
