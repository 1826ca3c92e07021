//! From `kill -9` of the main process to the first instruction of the next one.

use std::ffi::OsStr;
use std::io;
use std::time::{Duration, Instant};

use rustix::process::{Signal, pidfd_send_signal};

use super::Bench;
use crate::fifo::Fifo;
use crate::peers::{Kind, LIMIT, Peer};
use crate::process::open;
use crate::series::{Bar, Series};

const NAME: &str = "restart";

/// Sessions that lose their main process, each for the first time.
const SESSIONS: u32 = 15;

pub(super) fn measure(bench: &mut Bench<'_>) -> io::Result<()> {
    let peers = bench.turns(0);
    let Some(session) = peers.iter().find(|peer| peer.kind == Kind::Session) else {
        return Ok(()); // the others restart nothing
    };
    bench.progress("restart");
    let mut series = Series::new(
        "restart",
        "kill -9 of the main process → running again",
        "ms",
        Bar::AtMost(10.0),
    );
    for round in 0..SESSIONS {
        let time = bench.attempt(NAME, session, |bench| once(bench, session));
        if let Some(time) = time {
            series.push(Kind::Session, round, time.as_secs_f64() * 1e3);
        }
    }
    bench.series.push(series);
    Ok(())
}

fn once(bench: &mut Bench<'_>, peer: &Peer) -> io::Result<Duration> {
    let starts = Fifo::make(bench.file())?;
    let name = bench.fresh();
    let script = "echo $$ > \"$0\"; exec sleep 100000";
    let program: [&OsStr; 4] = ["sh".as_ref(), "-c".as_ref(), script.as_ref(), starts.path()];
    peer.done(&mut peer.create(&name, &program))?;
    let first = open(starts.receive_pid(LIMIT)?)?;
    // A start is over for the holder a little after it is for the command.
    std::thread::sleep(Duration::from_millis(50));
    let start = Instant::now();
    pidfd_send_signal(&first, Signal::KILL)?;
    let second = starts.receive_pid(LIMIT)?;
    let time = start.elapsed();
    peer.end(&name, second)?;
    Ok(time)
}
