//! The holder: one small process per live session, parent of its processes, owner of their PTYs and pipes,
//! their supervisor, and the server of the session's socket.
//!
//! | file | duty |
//! | --- | --- |
//! | `startup` | from `session __hold ID` to the loop |
//! | `parking`, `handover` | what the keeper has, should this holder be killed |
//! | `adopted` | processes that an earlier holder started |
//! | `adopt`, `upgrade` | from what a killed holder left to the loop, or this one as another executable |
//! | `holder` | what a holder owns, and the loop |
//! | `supervision`, `budget` | the state × event table and the restart arithmetic: pure |
//! | `supervise`, `whole_tree`, `ends` | carry the table's actions out |
//! | `process`, `program`, `limits` | how a process comes to be |
//! | `output`, `ring` | one stream: ring in memory, log on disk |
//! | `token` | what an epoll event is about |
//! | `serve`, `relay`, `connection`, `attachment` | clients, and how bytes reach them |
//! | `lent` | a client's terminal that is written to directly |
//! | `calls`, `process_calls`, `typing`, `report` | what clients ask, type, and are told |
//! | `given` | what was typed lately |
//! | `lookout` | who waits for a text or for silence |
//! | `screen`, `screens` | what a client would see, and who answers what is asked |
//! | `sizing`, `environment` | whose size a terminal has, whose display a shell in it |
//! | `announce` | record, `live`, waiters, subscribers |
//! | `shown` | what scripts around `sess` read |
//! | `reclaim` | ends what a killed holder left |

mod adopt;
mod adopted;
mod announce;
mod attachment;
mod budget;
mod calls;
mod connection;
mod ends;
mod environment;
mod given;
mod handover;
mod holder;
mod lent;
mod limits;
mod lookout;
mod output;
mod parking;
mod process;
mod process_calls;
mod program;
mod reclaim;
mod relay;
mod report;
mod ring;
mod screen;
mod screens;
mod serve;
mod shown;
mod sizing;
mod startup;
mod supervise;
mod supervision;
mod token;
mod typing;
mod upgrade;
mod whole_tree;

use std::io::Write as _;
use std::process::ExitCode;

pub use program::resolve;
pub use reclaim::{Reclaimed, left, reclaim};

/// What keeps a holder from holding.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A step of starting failed.
    #[error("cannot {what}: {source}")]
    Start {
        /// Which one.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The session's files.
    #[error(transparent)]
    Store(#[from] session_store::Error),
    /// Whether what an earlier holder left still runs cannot be known.
    #[error(
        "whether process {pid} of an earlier run still lives is unknown: {source}; `session stop` gives it up"
    )]
    Unknown {
        /// The earlier main process.
        pid: i32,
        /// Why.
        source: std::io::Error,
    },
    /// What an earlier holder left running does not end.
    #[error("process {pid} of an earlier run does not end: {source}")]
    Reclaim {
        /// The earlier main process.
        pid: i32,
        /// Why.
        source: std::io::Error,
    },
}

/// The hidden role `session __hold ID [COLUMNSxLINES]`, with the size of the main process's terminal until somebody attaches.
///
/// With `adopt` or `revive` in the place of the size, descriptor 0 is the keeper's connection, which hands over what a killed holder left.
///
/// Else inherited: descriptor 0, the first client's connection, and the environment, limits and umask for its processes. Over that
/// connection comes the session's `live` file, locked, with one byte that belongs to nothing else; it also says where the
/// session's directory is.
pub fn run(_id: &str, size: Option<&str>) -> ExitCode {
    let mut client = None;
    if size == Some("check") {
        return if upgrade::check() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    let heir = match size {
        Some("adopt") => Some(adopt::adopt(false)),
        Some("revive") => Some(adopt::adopt(true)),
        Some("upgrade") => Some(upgrade::go_on()),
        _ => None,
    };
    if let Some(held) = heir {
        return match held {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                // The keeper tries again; the diagnostics are where somebody may look.
                startup::report(&error);
                ExitCode::FAILURE
            }
        };
    }
    let size = size.and_then(|size| size.parse().ok()).unwrap_or_default();
    match startup::hold(&mut client, size) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let told = client.is_some_and(|client| connection::farewell(client, &error).is_ok());
            if !told {
                let _ = writeln!(std::io::stderr(), "session: {error}");
            }
            ExitCode::FAILURE
        }
    }
}
