//! Session as a person uses it: the real executable, real terminals, a private state directory a test.
//!
//! One file a subject; `support` is what they share. One executable for all, because linking costs more than running.

#![allow(clippy::unwrap_used, reason = "a failed assumption is a failed test")]

mod adoption;
mod attach;
mod chaos;
mod concurrency;
mod create;
mod doctor;
mod echo;
mod env;
mod exec;
mod lent;
mod output;
mod past;
mod protocol;
mod queries;
mod quiet;
mod record;
mod restore;
mod screen;
mod seed;
mod sess;
mod size;
mod slow_client;
mod state;
mod supervision;
mod support;
mod tree;
mod verbs;
mod whole_tree;
