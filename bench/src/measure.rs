//! What is measured, in which order, and by whom: a round gives each program its turn, in rotated order.

mod attach;
mod create;
mod echo;
mod fleet;
mod neighbour;
mod prompt;
mod restart;
mod stopped;
mod throughput;
mod unattached;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::Options;
use crate::arena::Arena;
use crate::client::Client;
use crate::fifo::Fifo;
use crate::peers::{Kind, LIMIT, Peer, words};
use crate::report;
use crate::series::Series;

/// A group of numbers that are found together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Measure {
    /// The time from `create` to the command's first instruction, and to the answer
    Create,
    /// The time from the start of a client to the prompt of the shell it makes a session with
    Prompt,
    /// The time of a keystroke through an attached client and back
    Echo,
    /// Output through an attached client, and what it costs the processors
    Throughput,
    /// Output with nobody attached
    Unattached,
    /// The time from the start of a client to the text on its screen
    Attach,
    /// A keystroke beside a session that is loud
    Neighbour,
    /// A program whose client is stopped, for as long as --seconds says
    Stopped,
    /// `ls`, memory and wake-ups with many sessions
    Fleet,
    /// The time from the death of a main process to the next one
    Restart,
}

/// Finds a group's numbers.
type Act = fn(&mut Bench<'_>) -> io::Result<()>;

/// One run: the programs, and the numbers found so far.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    /// What was asked for.
    pub(crate) options: &'a Options,
    /// Where all of it happens.
    pub(crate) arena: Arena,
    /// The rows, in the order of the table.
    pub(crate) series: Vec<Series>,
    /// Programs that are not installed.
    pub(crate) missing: Vec<Kind>,
    /// Of those that are.
    pub(crate) versions: BTreeMap<Kind, String>,
    /// What could not be measured, and why.
    pub(crate) failures: Vec<String>,
    peers: Vec<Peer>,
    failed: BTreeSet<(&'static str, Kind)>,
    names: u32,
}

/// Measures and prints; runs below the guard.
pub(crate) fn run(options: &Options, directory: &Path) -> io::Result<ExitCode> {
    // The guard blocks signals, which would be inherited by all peers; and what a keyboard sends is for it alone.
    session_sys::event::unblock_all()?;
    session_sys::process::new_session()?;
    let arena = Arena::open(directory)?;
    let (peers, missing) = Peer::installed(&arena, options.session.as_deref());
    for peer in &peers {
        arena.furnish(peer.kind.name())?;
    }
    let mut bench = Bench {
        options,
        arena,
        series: Vec::new(),
        missing,
        versions: peers
            .iter()
            .map(|peer| (peer.kind, peer.version()))
            .collect(),
        failures: Vec::new(),
        peers,
        failed: BTreeSet::new(),
        names: 0,
    };
    let measures: [(Measure, Act); 10] = [
        (Measure::Create, create::measure),
        (Measure::Prompt, prompt::measure),
        (Measure::Echo, echo::measure),
        (Measure::Throughput, throughput::measure),
        (Measure::Unattached, unattached::measure),
        (Measure::Attach, attach::measure),
        (Measure::Neighbour, neighbour::measure),
        (Measure::Stopped, stopped::measure),
        (Measure::Fleet, fleet::measure),
        (Measure::Restart, restart::measure),
    ];
    for (measure, function) in measures {
        if options.only.is_empty() || options.only.contains(&measure) {
            function(&mut bench)?;
            bench.clear()?;
        }
    }
    print!("{}", report::markdown(&bench));
    io::stdout().flush()?;
    if let Some(file) = &options.json {
        std::fs::write(file, format!("{}\n", report::json(&bench)))?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Bench<'_> {
    /// The programs in the order of a round, which begins with another one each time.
    fn turns(&self, round: u32) -> Vec<Peer> {
        let mut peers = self.peers.clone();
        let count = peers.len().max(1);
        peers.rotate_left(round as usize % count);
        peers
    }

    /// Does something with a program; one that failed once in a measure is left out of the rest of it.
    fn attempt<T>(
        &mut self,
        measure: &'static str,
        peer: &Peer,
        act: impl FnOnce(&mut Self) -> io::Result<T>,
    ) -> Option<T> {
        if self.failed.contains(&(measure, peer.kind)) {
            return None;
        }
        let error = match act(self) {
            Ok(found) => return Some(found),
            Err(error) => error,
        };
        let failure = format!("{measure} with {}: {error}", peer.kind.name());
        eprintln!("session-bench: {failure}");
        self.failures.push(failure);
        self.failed.insert((measure, peer.kind));
        None
    }

    /// Says on standard error what is going on.
    fn progress(&self, what: &str) {
        eprintln!("session-bench: {what}");
    }

    /// A name that was not used before.
    fn fresh(&mut self) -> String {
        self.names += 1;
        format!("s{}", self.names)
    }

    /// A path for a file of the bench itself.
    fn file(&mut self) -> PathBuf {
        let name = self.fresh();
        self.arena.directory.join(name)
    }

    /// Brings all programs up.
    fn warm_up(&mut self, measure: &'static str) {
        for peer in self.turns(0) {
            self.attempt(measure, &peer, |_| peer.warm_up());
        }
    }

    /// Ends all sessions.
    fn clear(&mut self) -> io::Result<()> {
        self.peers
            .iter()
            .try_for_each(|peer| peer.clear(&self.arena))
    }

    /// A session that runs a shell's script (`$0` is the bench, `$1` and `$2` are free); between its two parts
    /// it tells its pid.
    fn session(
        &mut self,
        peer: &Peer,
        [before, after]: [&str; 2],
        arguments: [&OsStr; 2],
    ) -> io::Result<(String, i32)> {
        let fifo = Fifo::make(self.file())?;
        let name = self.fresh();
        let script = format!("{before}; echo $$ > \"$3\"; {after}");
        let myself = std::env::current_exe()?;
        let mut program = words(&["sh", "-c", &script]);
        program.extend([myself.as_os_str(), arguments[0], arguments[1], fifo.path()]);
        peer.done(&mut peer.create(&name, &program))?;
        Ok((name, fifo.receive_pid(LIMIT)?))
    }

    /// A client that is attached to a session beyond doubt.
    fn attached(&self, peer: &Peer, name: &str) -> io::Result<Client> {
        let mut client = Client::start(&peer.attach(name))?;
        client.prove_attached()?;
        Ok(client)
    }
}
