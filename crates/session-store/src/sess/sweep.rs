//! What is left here of sessions that are gone: removed, unless somebody answers behind it.

use super::Sess;
use crate::{Result, files};

/// The session that a file of this name tells of.
pub(super) fn whose(file: &str) -> Option<&str> {
    let name = file.strip_prefix("session-")?;
    // What is being written, or was left so.
    let begun = name
        .strip_suffix(".tmp")
        .and_then(|name| Some(name.rsplit_once(".meta")?.0));
    begun
        .or_else(|| name.strip_suffix(".sock"))
        .or_else(|| name.strip_suffix(".meta"))
}

impl Sess {
    /// Removes the files of every session that does not live, by the word of `lives` and because nobody listens on its
    /// socket: an earlier version of `sess` may. Files that are called otherwise are nobody's here and stay.
    pub fn sweep(&self, lives: impl Fn(&str) -> bool) -> Result<()> {
        let files = files::entries(self.fd());
        let files = files.map_err(|errno| crate::Error::io("read", &self.path, errno))?;
        for (file, _) in &files {
            let Some(name) = whose(file) else { continue };
            let socket = format!("session-{name}.sock");
            if !lives(name) && !session_sys::socket::is_listened_on(self.fd(), &socket) {
                // A directory with something in it was not made by `sess` and is left alone.
                let _ = self.remove(file);
            }
        }
        Ok(())
    }
}
