//! A keystroke through an attached client to a raw `cat` and back.

use std::ffi::OsStr;
use std::io;
use std::time::{Duration, Instant};

use super::Bench;
use crate::peers::{Kind, Peer};
use crate::series::{Bar, Series, percentile};

const NAME: &str = "echo";

/// Keystrokes in a turn, and those before that are not counted.
const KEYS: usize = 400;
const WARM_UP: usize = 20;

/// Letters that no status line and no escape sequence of the peers has in it.
const LETTERS: [&[u8]; 5] = [b"z", b"v", b"y", b"w", b"k"];

pub(super) fn measure(bench: &mut Bench<'_>) -> io::Result<()> {
    bench.progress("echo");
    let bar = Bar::Ratio(Kind::Dtach, 1.0, None);
    let mut middle = Series::new(
        "echo_p50",
        "echo through an attached client, p50",
        "µs",
        bar,
    );
    let bar = Bar::Shown(Kind::Dtach);
    let mut slow = Series::new("echo_p99", "… p99", "µs", bar);
    for round in 0..bench.options.rounds {
        for peer in bench.turns(round) {
            let Some(times) = bench.attempt(NAME, &peer, |bench| once(bench, &peer)) else {
                continue;
            };
            for (series, percent) in [(&mut middle, 50), (&mut slow, 99)] {
                if let Some(time) = percentile(&times, percent) {
                    series.push(peer.kind, round, time);
                }
            }
        }
    }
    bench.series.extend([middle, slow]);
    Ok(())
}

/// One client's keystrokes, in microseconds.
pub(super) fn once(bench: &mut Bench<'_>, peer: &Peer) -> io::Result<Vec<f64>> {
    let none = OsStr::new("");
    let (name, main) = bench.session(peer, ["stty raw -echo", "exec cat"], [none, none])?;
    let mut client = bench.attached(peer, &name)?;
    let mut times = Vec::with_capacity(KEYS);
    for key in 0..WARM_UP + KEYS {
        let letter = LETTERS[key % LETTERS.len()];
        if key % 20 == 0 {
            client.settle(Duration::from_millis(2), Duration::from_millis(50))?;
        }
        client.drain()?;
        let start = Instant::now();
        client.send(letter)?;
        let seen = client.await_bytes(letter, Duration::from_secs(5))?;
        if key >= WARM_UP {
            times.push((seen.at - start).as_secs_f64() * 1e6);
        }
    }
    drop(client);
    peer.end(&name, main)?;
    Ok(times)
}
