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
            "rate of `yes` with a stopped client / of another one with nobody attached",
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
    let span = Duration::from_secs(bench.options.seconds.into());
    let (watched, alone) = (Loud::start(bench, peer)?, Loud::start(bench, peer)?);
    let mut client = Client::start(&peer.attach(&watched.name))?;
    client.await_bytes(b"y\r\ny\r\n", LIMIT)?;
    client.signal(Signal::STOP)?;
    // At the same time: what a machine gives to one program changes.
    let [(rate, memory), (rate_alone, _)] = watch([&watched, &alone], span)?;
    peer.end(&alone.name, alone.main)?;
    pidfd_send_signal(process::open(watched.main)?, Signal::USR1)?;
    let truth = peer.screen(&watched.name, "END-OF-OUTPUT")?;
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
    peer.end(&watched.name, watched.main)?;
    bench.progress(&format!(
        "stopped client: `yes` writes {:.1} MB/s, another one with nobody attached {:.1}",
        rate / 1e6,
        rate_alone / 1e6
    ));
    Ok([rate / rate_alone, memory, wrong])
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
}

/// Bytes a second that each `yes` writes for so long, and the most memory of its holder, in KiB.
fn watch<const N: usize>(sessions: [&Loud; N], span: Duration) -> io::Result<[(f64, f64); N]> {
    let begun = Instant::now();
    let (mut from, mut most) = ([0; N], [0; N]);
    for (session, from) in sessions.iter().zip(&mut from) {
        *from = process::written(session.yes)?;
    }
    while begun.elapsed() < span {
        std::thread::sleep(LOOK);
        for (session, most) in sessions.iter().zip(&mut most) {
            *most = process::private(&session.holders)?.max(*most);
        }
    }
    let mut found = [(0.0, 0.0); N];
    for (index, session) in sessions.iter().enumerate() {
        let written = process::written(session.yes)? - from[index];
        found[index] = (
            written as f64 / begun.elapsed().as_secs_f64(),
            most[index] as f64,
        );
    }
    Ok(found)
}
