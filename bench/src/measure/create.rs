//! `create`: how long until the command runs, how long until the answer, and what the disk takes of it.

use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::Bench;
use crate::fifo::Fifo;
use crate::peers::{Kind, LIMIT, Peer, words};
use crate::process::{first_readable, open, readable};
use crate::series::{Bar, Series};

const NAME: &str = "create";

/// How often each program creates in a round.
const TURNS: u32 = 8;

pub(super) fn measure(bench: &mut Bench<'_>) -> io::Result<()> {
    bench.progress("create");
    let mut runs = Series::new(
        "create_runs",
        "create → first instruction of the command",
        "ms",
        Bar::Ratio(Kind::Dtach, 2.0, Some(1.5)),
    );
    let mut returns = Series::new("create_returns", "create returns", "ms", Bar::None);
    let mut disk = Series::new("fsync", "… its fsyncs on this disk", "ms", Bar::None);
    bench.warm_up(NAME);
    for round in 0..bench.options.rounds {
        for turn in 0..TURNS {
            for peer in bench.turns(round * TURNS + turn) {
                let times = bench.attempt(NAME, &peer, |bench| once(bench, &peer));
                if let Some((run, answer)) = times {
                    runs.push(peer.kind, round, run.as_secs_f64() * 1e3);
                    returns.push(peer.kind, round, answer.as_secs_f64() * 1e3);
                }
            }
            let took = durable(&bench.arena.directory.join("disk"), round * TURNS + turn)?;
            disk.push(Kind::Session, round, took.as_secs_f64() * 1e3);
        }
    }
    let extra = disk.value(Kind::Session).unwrap_or(0.0);
    returns.bar = Bar::RatioPlus(Kind::Dtach, 2.5, extra);
    bench.series.extend([runs, returns, disk]);
    Ok(())
}

/// Creates a session and ends it; when its command ran and when the answer came.
fn once(bench: &mut Bench<'_>, peer: &Peer) -> io::Result<(Duration, Duration)> {
    let fifo = Fifo::make(bench.file())?;
    let name = bench.fresh();
    let mut script = OsString::from("echo $$ > ");
    script.push(fifo.path());
    script.push("; exec sleep 100000");
    let mut program = words(&["sh", "-c"]);
    program.push(&script);
    let mut command = peer.create(&name, &program);

    let start = Instant::now();
    let mut child = command.spawn()?;
    let process = open(child.id().cast_signed())?;
    // Either may come first.
    let both = [fifo.as_fd(), process.as_fd()];
    let until = Some(start + LIMIT);
    let first = first_readable(&both, until)?;
    let first_at = start.elapsed();
    let second_came = match first {
        Some(0) => readable(&process, until)?,
        Some(_) => readable(&fifo, until)?,
        None => false,
    };
    let second_at = start.elapsed();
    if !second_came {
        child.kill()?;
    }
    let status = child.wait()?;
    if !second_came || !status.success() {
        return Err(peer.failure(&format!("create: {status}")));
    }
    let main = fifo.receive_pid(LIMIT)?;
    peer.end(&name, main)?;
    // What the end of a session leaves to do is not to be found in the next one's beginning.
    std::thread::sleep(Duration::from_millis(15));
    Ok(match first {
        Some(0) => (first_at, second_at),
        _ => (second_at, first_at),
    })
}

/// How long a new record takes to be on the disk: its file, its directory and the two above.
fn durable(disk: &Path, number: u32) -> io::Result<Duration> {
    let parent = disk.join("sessions");
    let directory = parent.join(number.to_string());
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)?;
    let start = Instant::now();
    let temporary = directory.join("new");
    let mut file = File::create(&temporary)?;
    file.write_all(&[b'x'; 700])?;
    file.sync_all()?;
    std::fs::rename(&temporary, directory.join("record"))?;
    for path in [&directory, &parent, disk] {
        File::open(path)?.sync_all()?;
    }
    Ok(start.elapsed())
}
