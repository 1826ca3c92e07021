//! A keystroke through one session and back while another one pours out `yes`, watched by a client of its own.

use std::ffi::OsStr;
use std::io;
use std::thread;
use std::time::Duration;

use super::{Bench, echo};
use crate::peers::Peer;
use crate::series::{Bar, Series, percentile};

const NAME: &str = "neighbour";

pub(super) fn measure(bench: &mut Bench<'_>) -> io::Result<()> {
    bench.progress("neighbour");
    let mut series = Series::new(
        "neighbour",
        "echo p50 while another session says `yes` / when it is quiet",
        "times",
        Bar::AtMost(2.0),
    );
    for round in 0..bench.options.rounds {
        for peer in bench.turns(round) {
            let found = bench.attempt(NAME, &peer, |bench| once(bench, &peer));
            if let Some(times) = found {
                series.push(peer.kind, round, times);
            }
        }
    }
    bench.series.push(series);
    Ok(())
}

fn once(bench: &mut Bench<'_>, peer: &Peer) -> io::Result<f64> {
    let none = OsStr::new("");
    let middle = |times: &[f64]| percentile(times, 50).ok_or(io::ErrorKind::InvalidData);
    let quiet = middle(&echo::once(bench, peer)?)?;
    let (name, main) = bench.session(peer, [":", "exec yes"], [none, none])?;
    let mut client = bench.client(peer, &name)?;
    let reader = thread::spawn(move || {
        // Until it ends with its session.
        while client
            .settle(Duration::from_secs(1), Duration::from_secs(60))
            .is_ok()
        {}
    });
    let loud = echo::once(bench, peer);
    peer.end(&name, main)?;
    let _ = reader.join();
    Ok(middle(&loud?)? / quiet)
}
