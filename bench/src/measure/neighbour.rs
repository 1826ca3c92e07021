//! A keystroke through one session and back while another one pours out `yes`.

use std::ffi::OsStr;
use std::io;

use super::{Bench, echo};
use crate::peers::Peer;
use crate::series::{Bar, Series, percentile};

const NAME: &str = "neighbour";

pub(super) fn measure(bench: &mut Bench<'_>) -> io::Result<()> {
    bench.progress("neighbour");
    bench.warm_up(NAME);
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
    let loud = echo::once(bench, peer);
    peer.end(&name, main)?;
    Ok(middle(&loud?)? / quiet)
}
