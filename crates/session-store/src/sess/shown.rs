//! The files of one session: they are there while its shell lives, and tell nothing that is not so.

use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::AtFlags;
use rustix::io::Errno;
use serde::Serialize;
use session_protocol::{Status, Timestamp};

use super::Sess;
use crate::{Error, Result, Session, files};

/// `session-N.meta`.
#[derive(Serialize)]
struct Meta<'a> {
    session_num: &'a str,
    created_at: Timestamp,
    pid: i32,
    command: String,
}

impl Sess {
    /// Shows that the session runs; what its files say already is not written again. Nothing is shown of one that does not.
    pub fn show(&self, session: &Session, status: &Status) -> Result<()> {
        let Some(pid) = status.pid else {
            return self.hide(&status.name);
        };
        let words: Vec<String> = status.command.iter().map(|word| word.escaped()).collect();
        let meta = Meta {
            session_num: &status.name,
            created_at: status.created_at,
            pid,
            command: words.join(" "),
        };
        let file = meta_of(&status.name);
        // Texts and numbers are always JSON.
        let text = serde_json::to_vec_pretty(&meta).unwrap_or_default();
        if !matches!(files::read(self.fd(), &file, 1 << 20), Ok(Some(there)) if there == text) {
            self.replace(&file, &text)?;
        }
        self.link(&socket_of(&status.name), session)
    }

    /// The session called `name` does not run any more.
    pub fn hide(&self, name: &str) -> Result<()> {
        self.make_way(&socket_of(name))?;
        self.make_way(&meta_of(name))
    }

    /// Another name for the holder's socket: a hard link, for a symbolic one is open to all by its mode. Where the state
    /// lies on another file system there is no other way.
    fn link(&self, name: &str, session: &Session) -> Result<()> {
        let directory = session.directory_fd();
        if is_same(directory, self.fd(), name) {
            return Ok(());
        }
        self.make_way(name)?;
        let failed = |errno| Error::io("link", self.path.join(name), errno);
        let socket = Path::new("socket");
        match rustix::fs::linkat(directory, socket, self.fd(), name, AtFlags::empty()) {
            // There is none yet, or none any more; or another was faster.
            Ok(()) | Err(Errno::NOENT | Errno::EXIST) => Ok(()),
            Err(Errno::XDEV | Errno::PERM | Errno::MLINK | Errno::NOTSUP) => {
                let target = session.path().join(socket);
                match rustix::fs::symlinkat(target, self.fd(), name) {
                    Ok(()) | Err(Errno::EXIST) => Ok(()),
                    Err(errno) => Err(failed(errno)),
                }
            }
            Err(errno) => Err(failed(errno)),
        }
    }
}

/// Whether `name` leads to the socket in `session`.
fn is_same(session: BorrowedFd<'_>, directory: BorrowedFd<'_>, name: &str) -> bool {
    let ours = rustix::fs::statat(session, "socket", AtFlags::SYMLINK_NOFOLLOW);
    let shown = rustix::fs::statat(directory, name, AtFlags::empty());
    match (ours, shown) {
        (Ok(ours), Ok(shown)) => (ours.st_dev, ours.st_ino) == (shown.st_dev, shown.st_ino),
        _ => false,
    }
}

fn socket_of(name: &str) -> String {
    format!("session-{name}.sock")
}

fn meta_of(name: &str) -> String {
    format!("session-{name}.meta")
}
