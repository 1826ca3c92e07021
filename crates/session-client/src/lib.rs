//! The Rust SDK: what every verb, and any other program, uses to speak to a session's holder.
//!
//! Blocking, without threads and without async: a [`Connection`] is a descriptor to poll together with others.
//! [`ask()`] answers the question that comes before: does a holder have this session, or may the caller act?
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use session_protocol::{Call, Status};
//! let root = session_store::Root::open(&session_store::Root::locate()?)?;
//! if let Some(mut connection) = session_client::connect(&root.find("backend")?)? {
//!     let status: Status = connection.call(Call::Status {})?;
//!     println!("{}", status.sentence());
//! }
//! # Ok(())
//! # }
//! ```

mod agent;
mod connection;
mod error;
mod incoming;
mod launch;
mod reach;

pub use agent::lend_agent;
pub use connection::Connection;
pub use error::Error;
pub use incoming::Incoming;
pub use launch::{Launch, launch};
pub use reach::{Asked, ask, connect, hung_up, is_awaited};
