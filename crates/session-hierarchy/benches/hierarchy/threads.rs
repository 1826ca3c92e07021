//! Threads that begin together on processors of their own, and how far those are from each other.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::table::quartile;

/// From the moment when every thread is there to the end of the last one's work, which is told the thread's index.
pub(crate) fn together(threads: u32, work: impl Fn(u32) + Sync) -> Duration {
    let ready = AtomicU32::new(0);
    let run = |thread| {
        settle(thread);
        ready.fetch_add(1, Ordering::SeqCst);
        while ready.load(Ordering::SeqCst) < threads {
            thread::yield_now();
        }
        let begin = Instant::now();
        work(thread);
        (begin, Instant::now())
    };
    thread::scope(|scope| {
        let run = &run;
        let running: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || run(thread)))
            .collect();
        let times = running.into_iter().filter_map(|thread| thread.join().ok());
        let whole = times.reduce(|(begin, end), other| (begin.min(other.0), end.max(other.1)));
        whole.map_or(Duration::ZERO, |(begin, end)| end - begin)
    })
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
        let spent = together(2, |thread| {
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
        spent.as_nanos() as f64 / f64::from(TRANSFERS)
    });
    quartile(&samples, 2).unwrap_or_default()
}
