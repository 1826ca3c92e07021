//! What Session asks of the kernel: processes, terminals, process trees, locks, sockets, and nothing else.
//!
//! The only crate of the workspace with `unsafe` code, so that one reviewer can read all of it. Each module
//! is one subject; none of them knows what a session is. Linux only, written for x86_64 and aarch64.

pub mod adopted;
pub mod cgroup;
mod error;
pub mod event;
pub mod identity;
pub mod lock;
pub mod memory;
pub mod process;
pub mod pty;
mod signal;
pub mod socket;
pub mod spawn;
mod stat;
#[cfg(test)]
mod testing;
pub mod tree;

pub use error::Error;
