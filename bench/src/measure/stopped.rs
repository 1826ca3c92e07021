//! A client that is stopped under `yes`: what becomes of the program's rate, of the holder's memory, and of what the
//! client shows when it goes on. With `--seconds 60` it is the proof that nobody waits for a client.

use std::ffi::OsStr;
use std::io;
use std::time::{Duration, Instant};

use rustix::process::{Signal, pidfd_send_signal};
use session_terminal::Screen;

use super::Bench;
use crate::client::Client;
use crate::peers::{Kind, LIMIT, Peer};
use crate::process;
use crate::series::{Bar, Series};

const NAME: &str = "stopped";

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// `yes` until the shell is told to draw something else, which no old screen could be taken for.
const SCRIPT: &str = "trap 'kill $!; printf \"\\033[2J\\033[H\\033[1;31m\"; seq 40; echo END-OF-OUTPUT' USR1; \
    yes & wait; exec sleep 100000";

pub(super) fn measure(bench: &mut Bench<'_>) -> io::Result<()> {
    bench.progress("stopped client");
    bench.warm_up(NAME);
    let series = |key, label, unit, bar| Series::new(key, label, unit, bar);
    let mut all = [
        series(
            "stopped_rate",
            "rate of `yes` beside a stopped client / with nobody attached",
            "times",
            Bar::AtLeast(0.9),
        ),
        series(
            "stopped_memory",
            "most private memory meanwhile",
            "KiB",
            Bar::AtMost(4096.0),
        ),
        series(
            "stopped_truth",
            "rows that differ from the screen once it goes on",
            "rows",
            Bar::AtMost(0.0),
        ),
    ];
    // Others cannot be asked what is on their screen, and some of them wait for ever.
    let session = |peer: &Peer| peer.kind == Kind::Session;
    if let Some(peer) = bench.turns(0).into_iter().find(session)
        && let Some(found) = bench.attempt(NAME, &peer, |bench| once(bench, &peer))
    {
        for (series, found) in all.iter_mut().zip(found) {
            series.push(peer.kind, 0, found);
        }
    }
    bench.series.extend(all);
    Ok(())
}

/// Rate, memory and wrong rows.
fn once(bench: &mut Bench<'_>, peer: &Peer) -> io::Result<[f64; 3]> {
    let seconds = Duration::from_secs(bench.options.seconds.into());
    // Before and behind: what a machine gives to one program changes.
    let before = Loud::start(bench, peer)?;
    let (rate_before, _) = before.watch(seconds)?;
    let mut client = Client::start(&peer.attach(&before.name))?;
    client.await_bytes(b"y\r\ny\r\n", LIMIT)?;
    client.signal(Signal::STOP)?;
    let (rate, memory) = before.watch(seconds)?;
    pidfd_send_signal(process::open(before.main)?, Signal::USR1)?;
    let truth = peer.screen(&before.name, "END-OF-OUTPUT")?;
    client.signal(Signal::CONT)?;
    let mut screen = Screen::new(24, 80);
    client.show(&mut screen, Duration::from_secs(2), LIMIT)?;
    let shown = truth.lines().chain(std::iter::repeat(""));
    let wrong = screen
        .lines()
        .zip(shown)
        .filter(|(one, other)| one != other);
    let wrong = wrong.count() as f64;
    drop(client);
    peer.end(&before.name, before.main)?;
    let after = Loud::start(bench, peer)?;
    let (rate_after, _) = after.watch(seconds)?;
    peer.end(&after.name, after.main)?;
    let [alone_before, alone_after, beside] = [rate_before, rate_after, rate].map(|it| it / 1e6);
    bench.progress(&format!(
        "stopped client: `yes` writes {beside:.1} MB/s, with nobody attached {alone_before:.1} before and \
         {alone_after:.1} after"
    ));
    Ok([rate / f64::midpoint(rate_before, rate_after), memory, wrong])
}

/// A session of `yes`.
struct Loud {
    name: String,
    /// The shell, and what it has started.
    main: i32,
    yes: i32,
    holders: Vec<i32>,
}

impl Loud {
    fn start(bench: &mut Bench<'_>, peer: &Peer) -> io::Result<Self> {
        let none = OsStr::new("");
        let others = peer.own()?;
        let (name, main) = bench.session(peer, [":", SCRIPT], [none, none])?;
        let mut holders = peer.own()?;
        holders.retain(|pid| !others.contains(pid));
        let until = Instant::now() + LIMIT;
        let yes = loop {
            if let Some(&yes) = process::children(main)?.first() {
                break yes;
            }
            if Instant::now() > until {
                return Err(io::ErrorKind::TimedOut.into());
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        Ok(Self {
            name,
            main,
            yes,
            holders,
        })
    }

    /// Bytes a second that `yes` writes for so long, and the most memory of the holder, in KiB.
    fn watch(&self, span: Duration) -> io::Result<(f64, f64)> {
        let (begun, from, mut most) = (Instant::now(), process::written(self.yes)?, 0);
        while begun.elapsed() < span {
            std::thread::sleep(LOOK);
            most = most.max(process::private(&self.holders)?);
        }
        let written = process::written(self.yes)? - from;
        Ok((written as f64 / begun.elapsed().as_secs_f64(), most as f64))
    }
}
