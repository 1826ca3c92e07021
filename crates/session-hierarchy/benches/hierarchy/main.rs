//! This crate beside the published `starry-process`, in one run: `cargo bench -p session-hierarchy [-- SECONDS]`.
//!
//! No timed test: it prints a table with the project's bars and exits with 0 whatever the numbers are. The two take
//! turns in many short rounds, so that whatever else the machine does hits both. Ratios are those of neighbouring
//! measurements; absolute times are those of the machine and its load. Two threads are held to their bar only where
//! no other program took a processor from them. `cargo test --benches` runs one tiny round.

mod library;
mod table;
mod threads;
mod world;

use std::time::{Duration, Instant};
use std::{env, fs, thread};

use crate::library::{Ours, Peer};
use crate::table::{Bar, Row, Unit, quartile};
use crate::world::{LIVE, Measured, Operation, World};

/// What is done in every crowd, in words, and the bar.
const OPERATIONS: [(Operation, &str, Option<Bar>); 7] = [
    (Operation::Fork, FORK, bar("≥ 1 M/s", 1e9 / 1e6)),
    (Operation::ForkBetween, "… numbers have wrapped", None),
    (Operation::Move, "move_to_group", bar("≤ 200 ns", 200.0)),
    (
        Operation::Session,
        "fork+create_session+exit+free",
        bar("≥ 0.7 M/s", 1e9 / 0.7e6),
    ),
    (Operation::Group, "fork+create_group+exit+free", None),
    (Operation::List, "list a group", None),
    (Operation::Orphan, "exit of a parent, per child", None),
];

const FORK: &str = "fork+exit+free";

const fn bar(words: &'static str, at_most: f64) -> Option<Bar> {
    Some(Bar { words, at_most })
}

/// The threads that fork from one parent.
const THREADS: [u32; 3] = [1, 2, 4];

/// Each measurement of threads in one round.
const TURNS: usize = 4;

/// Processors are far from each other if a cache line takes more nanoseconds.
const NEAR: f64 = 100.0;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    // What cargo bench says, and cargo test does not.
    let is_measuring = arguments.iter().any(|argument| argument == "--bench");
    let seconds = arguments.iter().find_map(|argument| argument.parse().ok());
    let (slice, whole) = if is_measuring {
        let whole = Duration::from_secs(seconds.unwrap_or(60));
        (Duration::from_millis(20), whole)
    } else {
        (Duration::ZERO, Duration::ZERO)
    };
    let mut bench = Bench::new(slice);
    println!("{}\n", bench.heading());
    let begin = Instant::now();
    loop {
        bench.round();
        if begin.elapsed() >= whole {
            break;
        }
    }
    table::print(&bench.rows());
}

struct Bench {
    /// Ours, and the peer's.
    worlds: [Box<dyn Measured>; 2],
    /// How long one measurement takes.
    slice: Duration,
    rounds: usize,
    /// Of each operation in each crowd.
    operations: Vec<Row>,
    /// Of each number of threads.
    threads: [Row; THREADS.len()],
    /// What several threads need, divided by what one needs.
    four: Row,
    two: Row,
    /// Those of two that were not disturbed, and those of them in which the processors stayed where they were.
    undisturbed: Row,
    near: Row,
    far: Row,
    lines: Row,
}

impl Bench {
    fn new(slice: Duration) -> Self {
        let operations = OPERATIONS.iter().flat_map(|&(_, label, bar)| {
            LIVE.map(|live| Row {
                live: Some(live),
                ..Row::new(label, bar)
            })
        });
        let times = |label: &str, bar, unit| Row {
            unit,
            ..Row::new(label, bar)
        };
        Self {
            worlds: [
                Box::new(World::<Ours>::new()),
                Box::new(World::<Peer>::new()),
            ],
            slice,
            rounds: 0,
            operations: operations.collect(),
            threads: THREADS.map(|threads| Row {
                live: Some(LIVE[0]),
                ..Row::new(format!("{FORK}, threads: {threads}"), None)
            }),
            four: times("four threads / one", None, Unit::Times),
            two: times("two threads / one", None, Unit::Times),
            undisturbed: times("… undisturbed", bar("≤ 1", 1.0), Unit::TimesOfSome),
            near: times("… and processors near", None, Unit::TimesOfSome),
            far: times("… and processors far", None, Unit::TimesOfSome),
            lines: Row::new("cache line between processors", None),
        }
    }

    /// What the numbers depend on.
    fn heading(&self) -> String {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let load = read("/proc/loadavg");
        let lock = match (cfg!(feature = "kspin"), cfg!(feature = "std")) {
            (true, _) => "kspin",
            (false, true) => "spin, std",
            (false, false) => "spin",
        };
        format!(
            "ours: {} ({lock}), peer: {}; Linux {}, {} processors, load {}",
            self.worlds[0].name(),
            self.worlds[1].name(),
            read("/proc/sys/kernel/osrelease").trim(),
            thread::available_parallelism().map_or(0, usize::from),
            load.split(' ').next().unwrap_or_default(),
        )
    }

    /// Measures everything once, and the threads a few times.
    fn round(&mut self) {
        let cells = OPERATIONS
            .iter()
            .flat_map(|&(operation, ..)| (0..LIVE.len()).map(move |crowd| (operation, crowd)));
        for (row, (operation, crowd)) in self.operations.iter_mut().zip(cells) {
            for library in turns(self.rounds) {
                let sample = self.worlds[library].operation(operation, crowd, self.slice);
                row.samples[library].push(sample);
            }
        }
        for turn in 0..TURNS {
            for library in turns(turn) {
                self.measure_threads(library, (turn / 2).is_multiple_of(2));
            }
        }
        self.rounds += 1;
    }

    /// The numbers of threads one after the other, between two looks at the way of a cache line.
    fn measure_threads(&mut self, library: usize, few_first: bool) {
        // Some slices long, for at the end the last one sleeps before it sees that the lock is free.
        let operations = (self.slice.as_nanos() / 80).max(100) as u32;
        let before = threads::line_transfer();
        let mut runs = [(0.0, false); THREADS.len()];
        let mut order = [0, 1, 2];
        if !few_first {
            order.reverse();
        }
        for index in order {
            runs[index] = self.worlds[library].threads(THREADS[index], operations);
        }
        let after = threads::line_transfer();

        for (row, (sample, _)) in self.threads.iter_mut().zip(runs) {
            row.samples[library].push(sample);
        }
        self.lines.samples[library].push(f64::midpoint(before, after));
        let [(one, was_disturbed), (two, is_disturbed), (four, _)] = runs;
        self.four.samples[library].push(four / one);
        self.two.samples[library].push(two / one);
        if was_disturbed || is_disturbed {
            return;
        }
        self.undisturbed.samples[library].push(two / one);
        let place = match (before <= NEAR, after <= NEAR) {
            (true, true) => &mut self.near,
            (false, false) => &mut self.far,
            _ => return, // it has changed meanwhile
        };
        place.samples[library].push(two / one);
    }

    fn rows(self) -> Vec<Row> {
        let flatness = self.flatness();
        let mut rows = self.operations;
        rows.insert(LIVE.len(), flatness);
        rows.extend(self.threads);
        rows.extend([self.four, self.two, self.undisturbed]);
        rows.extend([self.near, self.far, self.lines]);
        rows
    }

    /// How much longer the same takes in the slowest crowd.
    fn flatness(&self) -> Row {
        let sizes = &self.operations[..LIVE.len()];
        let spread = [0, 1].map(|library| {
            let medians = sizes
                .iter()
                .filter_map(|row| quartile(&row.samples[library], 2));
            let (least, most) = medians.fold((f64::MAX, 0.0_f64), |(least, most), median| {
                (least.min(median), most.max(median))
            });
            vec![most / least]
        });
        Row {
            samples: spread,
            unit: Unit::Times,
            ..Row::new("… slowest size / fastest", bar("≤ 3", 3.0))
        }
    }
}

/// Both libraries, now the one first and now the other.
fn turns(round: usize) -> [usize; 2] {
    if round.is_multiple_of(2) {
        [0, 1]
    } else {
        [1, 0]
    }
}
