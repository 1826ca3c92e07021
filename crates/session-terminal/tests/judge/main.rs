//! A snapshot makes a terminal what one is that has seen everything: judged by a second emulator, for output cut at every
//! byte.
//!
//! A terminal that has watched from the start is compared with one that gets the snapshot and then the rest: right
//! behind the snapshot, and at the end. Without the second emulator (`npm ci` in `judge/`) everything here is skipped,
//! loudly. `SESSION_JUDGE_LONG=1` tries many more random streams; `SESSION_JUDGE_ONLY=WORD` only the corpus files with
//! this word in their names.

#![allow(clippy::unwrap_used, reason = "a failed assumption is a failed test")]

mod corpus;
mod cuts;
mod random;
mod screen;

use std::sync::Mutex;
use std::thread;

use session_judge::Judge;

use corpus::Output;
use cuts::Verdict;

#[test]
fn the_corpus_cut_at_every_byte() {
    let only = std::env::var("SESSION_JUDGE_ONLY").unwrap_or_default();
    let mut files = corpus::read();
    files.retain(|output| output.name.contains(&only));
    all_restored(files);
}

#[test]
fn random_sequences_cut_at_every_byte() {
    let seeds = if is_long() { 0..600 } else { 0..24 };
    all_restored(seeds.map(random::sequences).collect());
}

#[test]
fn random_characters_cut_at_every_byte() {
    let seeds = if is_long() { 0..600 } else { 0..24 };
    all_restored(seeds.map(random::characters).collect());
}

fn is_long() -> bool {
    std::env::var_os("SESSION_JUDGE_LONG").is_some()
}

/// Judges every output, on two processors; fails with all that differs.
fn all_restored(outputs: Vec<Output>) {
    let (queue, verdicts) = (Mutex::new(outputs), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let Some(mut judge) = Judge::start() else {
                    return;
                };
                loop {
                    let next = queue.lock().unwrap().pop();
                    let Some(output) = next else { break };
                    let verdict = cuts::judge(&mut judge, &output);
                    verdicts.lock().unwrap().push(verdict);
                }
            });
        }
    });
    let mut verdicts = verdicts.into_inner().unwrap();
    let judged = verdicts.len();
    verdicts.retain(|verdict| verdict.failed > 0);
    verdicts.sort_by(|one, other| one.name.cmp(&other.name));
    let told: Vec<_> = verdicts.iter().map(Verdict::to_string).collect();
    assert!(
        verdicts.is_empty(),
        "{} of {judged} outputs are not restored:\n{}",
        verdicts.len(),
        told.join("\n")
    );
}
