//! Processes that live while something is done among them, and what is done.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::library::Library;
use crate::threads;

/// How many processes live in a crowd: so many are in one group, all but the first are that one's children.
pub(crate) const LIVE: [u32; 3] = [1, 1_000, 100_000];

/// What is measured in every crowd.
#[derive(Clone, Copy)]
pub(crate) enum Operation {
    /// fork, exit, free, in the crowded group.
    Fork,
    /// The same, but the new number is not above all others: numbers have wrapped.
    ForkBetween,
    /// From the crowded group to an own one, or back.
    Move,
    /// As `Fork`, with a session of its own.
    Session,
    /// As `Fork`, with a group of its own.
    Group,
    /// All processes of the crowded group.
    List,
    /// The share of one child in the exit of a parent with as many as live in the crowd.
    Orphan,
}

/// A [`World`], whatever its library.
pub(crate) trait Measured {
    fn name(&self) -> &'static str;
    /// Nanoseconds that an operation takes in one of the crowds.
    fn operation(&self, operation: Operation, crowd: usize, slice: Duration) -> f64;
    /// Nanoseconds per fork, exit and free when threads do so many of them between them, on the parent of the first
    /// crowd; and whether they were disturbed.
    fn threads(&self, threads: u32, operations: u32) -> (f64, bool);
}

/// All processes of one library.
pub(crate) struct World<L: Library> {
    init: Arc<L::Process>,
    crowds: Vec<Crowd<L>>,
}

struct Crowd<L: Library> {
    parent: Arc<L::Process>,
    group: Arc<L::Group>,
    first: u32,
    live: u32,
}

/// Numbers for processes, each higher than the one before until they begin again.
struct Numbers {
    block: u32,
    count: u32,
}

impl<L: Library> World<L> {
    pub(crate) fn new() -> Self {
        let init = L::init();
        let mut first = 2;
        let crowds = LIVE.map(|live| {
            let parent = L::fork(&init, first);
            assert!(L::create_session(&parent));
            // Every other number, so that there is one between any two.
            for index in 1..live {
                L::fork(&parent, first + 2 * index);
            }
            let group = L::group(&parent);
            let crowd = Crowd {
                parent,
                group,
                first,
                live,
            };
            first += 2 * live;
            crowd
        });
        Self {
            init,
            crowds: crowds.into(),
        }
    }

    fn end(&self, process: &Arc<L::Process>) {
        L::exit(process, &self.init);
        L::free(process);
    }

    fn move_to_and_fro(&self, crowd: usize, slice: Duration) -> f64 {
        let crowd = &self.crowds[crowd];
        let mover = L::fork(&crowd.parent, Numbers::block(1).next());
        assert!(L::create_group(&mover).is_some());
        let own = L::group(&mover);
        let mut is_away = true;
        let spent = time(slice, || {
            let target = if is_away { &crowd.group } else { &own };
            assert!(L::move_to_group(&mover, target));
            is_away = !is_away;
        });
        self.end(&mover);
        spent
    }

    fn orphans(&self, crowd: usize, slice: Duration) -> f64 {
        let live = self.crowds[crowd].live;
        // Many parents if they have few children: the clock takes its time too.
        let parents = (1_000 / live).max(1);
        let mut numbers = Numbers::block(1);
        let (begin, mut spent, mut orphans) = (Instant::now(), Duration::ZERO, 0);
        while orphans == 0 || begin.elapsed() < slice {
            let mut left = Vec::new();
            let parents: Vec<_> = (0..parents)
                .map(|_| {
                    let parent = L::fork(&self.init, numbers.next());
                    assert!(L::create_group(&parent).is_some());
                    left.extend((0..live).map(|_| L::fork(&parent, numbers.next())));
                    parent
                })
                .collect();
            let start = Instant::now();
            for parent in &parents {
                L::exit(parent, &self.init);
            }
            spent += start.elapsed();
            orphans += left.len();
            parents.iter().for_each(L::free);
            left.iter().for_each(|orphan| self.end(orphan));
        }
        nanoseconds(spent, orphans)
    }
}

impl<L: Library> Measured for World<L> {
    fn name(&self) -> &'static str {
        L::NAME
    }

    fn operation(&self, operation: Operation, crowd: usize, slice: Duration) -> f64 {
        let mut numbers = Numbers::block(1);
        let place = &self.crowds[crowd];
        let fork = |pid| L::fork(&place.parent, pid);
        match operation {
            Operation::Fork => time(slice, || self.end(&fork(numbers.next()))),
            Operation::ForkBetween => time(slice, || {
                let index = numbers.next().wrapping_mul(0x9E37_79B1) % place.live;
                self.end(&fork(place.first + 2 * index + 1));
            }),
            Operation::Session => time(slice, || {
                let process = fork(numbers.next());
                assert!(L::create_session(&process));
                self.end(&process);
            }),
            Operation::Group => time(slice, || {
                let process = fork(numbers.next());
                assert!(L::create_group(&process).is_some());
                self.end(&process);
            }),
            Operation::List => time(slice, || {
                let listed = black_box(L::processes(&place.group)).len();
                assert_eq!(listed, place.live as usize);
            }),
            Operation::Move => self.move_to_and_fro(crowd, slice),
            Operation::Orphan => self.orphans(crowd, slice),
        }
    }

    fn threads(&self, threads: u32, operations: u32) -> (f64, bool) {
        let share = operations / threads;
        let run = threads::together(threads, |thread| {
            let mut numbers = Numbers::block(1 + thread);
            for _ in 0..share {
                self.end(&L::fork(&self.crowds[0].parent, numbers.next()));
            }
        });
        let spent = nanoseconds(run.whole, (share * threads) as usize);
        (spent, run.is_disturbed())
    }
}

impl Numbers {
    /// Those of one block are apart from those of another; the first one has those that live in a crowd.
    fn block(block: u32) -> Self {
        Self { block, count: 0 }
    }

    fn next(&mut self) -> u32 {
        self.count = (self.count + 1) % (1 << 24);
        (self.block << 24) | self.count
    }
}

/// Nanoseconds per call, of as many as fit into the slice.
fn time(slice: Duration, mut call: impl FnMut()) -> f64 {
    call();
    let once = Instant::now();
    call();
    // So that the clock is read every 10 µs, or after each call if that takes longer.
    let batch = 10_000 / once.elapsed().as_nanos().clamp(100, 10_000);
    let (begin, mut calls) = (Instant::now(), 0);
    loop {
        (0..batch).for_each(|_| call());
        calls += batch as usize;
        let spent = begin.elapsed();
        if spent >= slice {
            return nanoseconds(spent, calls);
        }
    }
}

fn nanoseconds(spent: Duration, calls: usize) -> f64 {
    spent.as_nanos() as f64 / calls as f64
}
