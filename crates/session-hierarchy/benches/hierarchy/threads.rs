//! Threads that begin together on processors of their own, and how far those are from each other.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::table::quartile;

/// What threads did together.
#[derive(Default)]
pub(crate) struct Run {
    /// From the moment when all of them were there to the end of the last one's work.
    pub(crate) whole: Duration,
    /// How long the one that had to wait for a processor most waited, with work to do.
    waited: Duration,
}

impl Run {
    /// Whether other programs had a good part of a processor. Then two threads do not have two.
    pub(crate) fn is_disturbed(&self) -> bool {
        self.waited > self.whole / 50
    }
}

/// Runs the work, which is told the thread's index, in so many threads at once.
pub(crate) fn together(threads: u32, work: impl Fn(u32) + Sync) -> Run {
    let ready = AtomicU32::new(0);
    let run = |thread| {
        settle(thread);
        let waited_before = waited();
        ready.fetch_add(1, Ordering::SeqCst);
        while ready.load(Ordering::SeqCst) < threads {
            thread::yield_now();
        }
        let begin = Instant::now();
        work(thread);
        let end = Instant::now();
        (begin, end, waited().saturating_sub(waited_before))
    };
    thread::scope(|scope| {
        let run = &run;
        let running: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || run(thread)))
            .collect();
        let times = running.into_iter().filter_map(|thread| thread.join().ok());
        let whole = times.reduce(|(begin, end, waited), other| {
            (begin.min(other.0), end.max(other.1), waited.max(other.2))
        });
        whole.map_or_else(Run::default, |(begin, end, waited)| Run {
            whole: end - begin,
            waited,
        })
    })
}

/// How long this thread has waited for a processor so far, and nothing where the kernel does not say
/// (`schedstat` in proc(5)).
fn waited() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let waited = text.split(' ').nth(1).and_then(|word| word.parse().ok());
    Duration::from_nanos(waited.unwrap_or_default())
}

/// Stays on the processor of this index, of those that the program may use: two threads that the kernel leaves on one
/// would never meet. Where that cannot be said, the kernel decides.
fn settle(index: u32) {
    let Ok(all) = sched_getaffinity(None) else {
        return;
    };
    let mut allowed = (0..CpuSet::MAX_CPU).filter(|&processor| all.is_set(processor));
    if let Some(processor) = allowed.nth((index % all.count()) as usize) {
        let mut own = CpuSet::new();
        own.set(processor);
        let _ = sched_setaffinity(None, &own);
    }
}

/// Nanoseconds that a cache line takes from one processor to another: two threads hand a number to and fro.
///
/// On a virtual machine that changes by the second, and tenfold: its processors are sometimes two threads of one
/// core, and sometimes far apart.
pub(crate) fn line_transfer() -> f64 {
    const TRANSFERS: u32 = 400;
    let samples = [(); 9].map(|()| {
        let turn = AtomicU32::new(0);
        let run = together(2, |thread| {
            for mine in (thread..TRANSFERS).step_by(2) {
                let mut tries = 0_u32;
                while turn.load(Ordering::Acquire) != mine {
                    tries += 1;
                    if tries.is_multiple_of(10_000) {
                        thread::yield_now(); // there is one processor, and the other thread needs it
                    }
                }
                turn.store(mine + 1, Ordering::Release);
            }
        });
        run.whole.as_nanos() as f64 / f64::from(TRANSFERS)
    });
    quartile(&samples, 2).unwrap_or_default()
}
