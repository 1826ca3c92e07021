//! The command line of Session: parse, call, print. One file a verb, under `verbs`.
//!
//! It is a library so that the man page and the completions are made from the very definitions that parse.

mod attaching;
mod attributes;
mod candidates;
mod cast;
mod changes;
mod cli;
mod context;
mod creating;
mod detach_key;
mod display;
mod environment;
mod failure;
mod follow;
mod health;
mod interactive;
mod json;
mod keys;
mod lifecycle;
mod merge;
mod outlet;
mod past;
mod picture;
mod relay;
mod sess;
mod table;
mod terminal;
mod trace;
mod verbs;

pub use cli::{command, run};
pub use sess::command as sess_command;
