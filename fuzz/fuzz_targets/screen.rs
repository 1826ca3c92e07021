//! Output and resizes at random, to a screen.
#![no_main]

#[path = "../../crates/session-terminal/tests/hostile/invariants.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|input: &[u8]| invariants::hold(input));
