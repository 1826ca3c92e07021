//! Output that is made to crash a screen, to make it hang or grow, or to have it drawn otherwise than it is: what the
//! fuzzer starts from and what it has found, in `fuzz/corpus/screen`, and the corpus that the judge reads.
//!
//! `SESSION_SEEDS=1` writes the judge's corpus down for the fuzzer.

#![allow(clippy::unwrap_used, reason = "a failed assumption is a failed test")]

#[path = "../judge/corpus.rs"]
mod corpus;
mod invariants;

use std::path::Path;

fn directory() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/screen")
}

#[test]
fn nothing_in_the_corpora_breaks_a_screen() {
    let mut files: Vec<_> = std::fs::read_dir(directory())
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        eprintln!("{}", file.display());
        invariants::hold(&std::fs::read(file).unwrap());
    }
    for output in corpus::read() {
        eprintln!("{}", output.name);
        let seed = seed(&output);
        invariants::hold(&seed);
        if std::env::var_os("SESSION_SEEDS").is_some() {
            std::fs::write(directory().join(output.name), seed).unwrap();
        }
    }
}

fn seed(output: &corpus::Output) -> Vec<u8> {
    let head = [output.rows as u8, output.cols as u8, 0, 3];
    [&head[..], &output.bytes].concat()
}
