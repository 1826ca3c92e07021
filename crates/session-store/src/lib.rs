//! State on disk: records, names, locks and logs, and the only crate that writes any of it.
//!
//! A session is one directory with one small record, so that damage to one never touches another. Its right
//! to be written is a lock on a byte of its `live` file ([`Owned`]); a name is a symbolic link that only one
//! can make. Everything is reached relative to a directory that was opened and checked once ([`Root`]).

mod agent;
pub mod attribute;
mod claim;
mod create;
mod error;
mod files;
mod id;
mod list;
mod live;
pub mod log;
mod name;
mod owned;
mod python;
mod record;
mod restore;
mod root;
mod sess;
mod session;
pub mod size;
mod size_rule;
pub mod span;
mod spec;
mod survey;

pub use create::Wanted;
pub use error::{Error, Result};
pub use id::Id;
pub use list::Listed;
pub use live::Live;
pub use log::{LogReader, LogWriter, ReadAt};
pub use name::{BadName, Name};
pub use owned::Owned;
pub use python::repr;
pub use record::{Kept, Last, LastState, Record};
pub use restore::{BadRestore, Restore};
pub use root::Root;
pub use sess::{Client, Sess, numbered};
pub use session::Session;
pub use size_rule::{BadSizeRule, SizeRule};
pub use spec::{OnBoot, Restart, RestartLimit, Spec};
pub use survey::{Damaged, Finding, Trouble};

#[cfg(test)]
mod crash_tests;
