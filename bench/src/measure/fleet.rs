//! Many sessions at once: what they keep in memory, whether they sleep, how fast they are listed.

use std::io;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::Bench;
use crate::fifo::{self, Fifo};
use crate::peers::{Kind, LIMIT, Peer};
use crate::process::{pss, run, switches};
use crate::series::{Bar, Series};

const NAME: &str = "fleet";

/// Nothing happens for so long before idle sessions are looked at.
const QUIET: Duration = Duration::from_secs(4);
/// How long switches are counted.
const WATCHED: Duration = Duration::from_secs(3);
/// How often each program lists.
const LISTS: u32 = 15;
/// Sessions that print at the same time.
const PRINTING: usize = 8;

/// What one program was given to do.
struct Fleet {
    peer: Peer,
    /// FIFOs by which its sessions are told to print.
    gos: Vec<std::path::PathBuf>,
    /// Where each of them says that it has printed.
    done: Fifo,
}

pub(super) fn measure(bench: &mut Bench<'_>) -> io::Result<()> {
    let count = bench.options.sessions;
    let mut list = Series::new(
        "ls",
        format!("`ls` at {count} sessions"),
        "ms",
        Bar::Ratio(Kind::Tmux, 1.0, None),
    );
    let mut stopped = Series::new(
        "ls_stopped",
        "… while all holders are stopped (SIGSTOP)",
        "ms",
        // Enough for a slow listing, and less than any wait for an answer that does not come.
        Bar::AtMost(500.0),
    );
    let memory = |key, label: String| Series::new(key, label, "KiB PSS", Bar::AtMost(200.0));
    let mut fresh = memory(
        "memory_fresh",
        format!("memory per session at {count}, fresh"),
    );
    let mut used = memory("memory_used", "… after heavy output, once quiet".to_owned());
    let mut wakeups = Series::new(
        "wakeups",
        format!("wake-ups of {count} idle sessions"),
        "in 3 s",
        Bar::AtMost(0.0),
    );

    let mut fleets = Vec::new();
    for peer in bench.turns(0) {
        bench.progress(&format!("fleet: {count} sessions of {}", peer.kind.name()));
        fleets.extend(bench.attempt(NAME, &peer, |bench| fill(bench, &peer)));
    }
    std::thread::sleep(QUIET);
    weigh(bench, &fleets, &mut fresh);
    for Fleet { peer, .. } in &fleets {
        if let Some(sum) = bench.attempt(NAME, peer, |_| watch(peer)) {
            wakeups.push(peer.kind, 0, sum as f64);
        }
    }
    for round in 0..LISTS {
        for peer in bench.turns(round) {
            if let Some(Some(time)) = bench.attempt(NAME, &peer, |_| list_once(&peer)) {
                list.push(peer.kind, round, time.as_secs_f64() * 1e3);
            }
        }
    }
    for Fleet { peer, .. } in &fleets {
        if peer.kind == Kind::Session {
            let time = bench.attempt("ls with stopped holders", peer, |_| list_stopped(peer));
            if let Some(Some(time)) = time {
                stopped.push(peer.kind, 0, time.as_secs_f64() * 1e3);
            }
        }
    }
    for fleet in &fleets {
        let kind = fleet.peer.kind.name();
        bench.progress(&format!("fleet: heavy output in {kind}"));
        bench.attempt(NAME, &fleet.peer, |_| print_all(fleet));
    }
    std::thread::sleep(QUIET);
    weigh(bench, &fleets, &mut used);
    bench.series.extend([list, stopped, fresh, used, wakeups]);
    Ok(())
}

/// Makes the sessions, which wait.
fn fill(bench: &mut Bench<'_>, peer: &Peer) -> io::Result<Fleet> {
    let done = Fifo::make(bench.file())?;
    let mut gos = Vec::new();
    for _ in 0..bench.options.sessions {
        let go = bench.file();
        fifo::make(&go)?;
        let script = "read x < \"$1\"; \"$0\" __burst \"$2\"; exec sleep 100000";
        bench.session(peer, [":", script], [go.as_os_str(), done.path()])?;
        gos.push(go);
    }
    let peer = peer.clone();
    Ok(Fleet { peer, gos, done })
}

/// What a session's share of the memory is.
fn weigh(bench: &mut Bench<'_>, fleets: &[Fleet], series: &mut Series) {
    for Fleet { peer, gos, .. } in fleets {
        let sum = bench.attempt(NAME, peer, |_| pss(&peer.own()?));
        if let Some(sum) = sum {
            series.push(peer.kind, 0, sum as f64 / gos.len() as f64);
        }
    }
}

/// How often its own processes are switched while nothing happens.
fn watch(peer: &Peer) -> io::Result<u64> {
    let own = peer.own()?;
    let before = switches(&own)?;
    std::thread::sleep(WATCHED);
    let after = switches(&own)?;
    Ok(after.iter().map(|(pid, count)| count - before[pid]).sum())
}

fn list_once(peer: &Peer) -> io::Result<Option<Duration>> {
    let Some(mut command) = peer.list() else {
        return Ok(None);
    };
    let start = Instant::now();
    let status = run(&mut command, LIMIT)?;
    let time = start.elapsed();
    // Older releases of screen count the sessions in their exit code.
    if status.success() || peer.kind == Kind::Screen {
        return Ok(Some(time));
    }
    Err(peer.failure(&format!("ls: {status}")))
}

fn list_stopped(peer: &Peer) -> io::Result<Option<Duration>> {
    let own = peer.own()?;
    peer.signal(&own, Signal::STOP);
    let time = list_once(peer);
    peer.signal(&own, Signal::CONT);
    time
}

/// Lets all sessions print, a few at a time.
fn print_all(fleet: &Fleet) -> io::Result<()> {
    for some in fleet.gos.chunks(PRINTING) {
        let mut gos = Vec::new();
        for path in some {
            let go = Fifo::open(path.clone())?;
            go.send()?;
            gos.push(go);
        }
        let mut ended = 0;
        while ended < gos.len() {
            ended += fleet.done.receive(Duration::from_secs(60))?.len();
        }
    }
    Ok(())
}
