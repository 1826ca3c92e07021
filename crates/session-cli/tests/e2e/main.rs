//! Session as a person uses it: the real executable, real terminals, a private state directory a test.
//!
//! One file a subject; `support` is what they share. One executable for all, because linking costs more than running.

mod attach;
mod concurrency;
mod create;
mod exec;
mod output;
mod protocol;
mod seed;
mod state;
mod supervision;
mod support;
mod tree;
mod verbs;
