//! From the start of a client until the text that was on the screen is on its terminal.

use std::io;
use std::time::{Duration, Instant};

use super::Bench;
use crate::client::Client;
use crate::peers::{Kind, Peer};
use crate::series::{Bar, Series};

const NAME: &str = "attach";

/// Clients in a turn.
const TIMES: usize = 10;
/// On the screen; not in the command, which a title may show.
const MARK: &[u8] = b"MARK-ON-SCREEN";

pub(super) fn measure(bench: &mut Bench<'_>) -> io::Result<()> {
    bench.progress("attach");
    let bar = Bar::Ratio(Kind::Tmux, 0.8, None);
    let mut series = Series::new("attach", "attach → screen text back", "ms", bar);
    for round in 0..bench.options.rounds {
        for peer in bench.turns(round) {
            if peer.kind == Kind::Dtach {
                continue; // it keeps no screen
            }
            let found = bench.attempt(NAME, &peer, |bench| once(bench, &peer));
            for time in found.into_iter().flatten() {
                series.push(peer.kind, round, time.as_secs_f64() * 1e3);
            }
        }
    }
    bench.series.push(series);
    Ok(())
}

fn once(bench: &mut Bench<'_>, peer: &Peer) -> io::Result<Vec<Duration>> {
    let none = "".as_ref();
    let before = "printf 'MARK-%s\\r\\n' ON-SCREEN";
    let (name, main) = bench.session(peer, [before, "exec sleep 100000"], [none, none])?;
    let mut times = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let command = peer.attach(&name);
        let start = Instant::now();
        let mut client = Client::start(&command)?;
        let seen = client.await_bytes(MARK, Duration::from_secs(10))?;
        times.push(seen.at - start);
    }
    peer.end(&name, main)?;
    Ok(times)
}
