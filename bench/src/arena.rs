//! The private directory of one run, and the environment that keeps a peer inside it.

use std::ffi::OsString;
use std::fs::{DirBuilder, remove_dir_all};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::process::{PEER_TAG, TAG, Tag};

/// A directory below the system's one for temporary files, and the word that marks this run's processes.
#[derive(Debug)]
pub(crate) struct Arena {
    /// Short, for the paths of sockets have at most 107 bytes.
    pub(crate) directory: PathBuf,
    /// The value of [`TAG`].
    pub(crate) token: String,
}

impl Arena {
    /// Makes a new one, open to nobody else.
    pub(crate) fn make() -> io::Result<Self> {
        let mut random = [0u8; 4];
        std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut random)?;
        let token = format!("sb{:08x}", u32::from_ne_bytes(random));
        let directory = std::env::temp_dir().join(&token);
        DirBuilder::new().mode(0o700).create(&directory)?;
        Ok(Self { directory, token })
    }

    /// The one that the guard made.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        let token = directory.file_name().and_then(|name| name.to_str());
        let token = token.ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        let directory = directory.to_owned();
        Ok(Self { directory, token })
    }

    /// Removes the directory and all in it.
    pub(crate) fn remove(&self) -> io::Result<()> {
        remove_dir_all(&self.directory)
    }

    /// What every process of this run carries.
    pub(crate) fn tag(&self) -> Tag {
        Tag::new(vec![format!("{TAG}={}", self.token)])
    }

    /// What every process of one peer carries.
    pub(crate) fn tag_of(&self, peer: &str) -> Tag {
        let run = format!("{TAG}={}", self.token);
        Tag::new(vec![run, format!("{PEER_TAG}={peer}")])
    }

    /// The whole environment of a peer: its own home and state, and nothing of the caller's but PATH.
    pub(crate) fn environment(&self, peer: &str) -> Vec<(&'static str, OsString)> {
        let root = self.directory.join(peer);
        let inside = |name: &str| root.join(name).into_os_string();
        vec![
            ("HOME", inside("home")),
            ("XDG_RUNTIME_DIR", inside("run")),
            ("XDG_STATE_HOME", inside("state")),
            ("XDG_DATA_HOME", inside("data")),
            ("XDG_CONFIG_HOME", inside("config")),
            ("XDG_CACHE_HOME", inside("cache")),
            ("TMPDIR", inside("tmp")),
            ("SESSION_HOME", inside("state/session")),
            ("TMUX_TMPDIR", inside("run")),
            ("SCREENDIR", inside("screens")),
            ("PATH", std::env::var_os("PATH").unwrap_or_default()),
            ("TERM", "xterm-256color".into()),
            ("LANG", "C.UTF-8".into()),
            ("SHELL", "/bin/sh".into()),
            (TAG, (&self.token).into()),
            (PEER_TAG, peer.into()),
        ]
    }

    /// Makes a peer's directories, those that are missing.
    pub(crate) fn furnish(&self, peer: &str) -> io::Result<()> {
        let root = self.directory.join(peer);
        for name in [
            "home", "run", "state", "data", "config", "cache", "tmp", "screens",
        ] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(root.join(name))?;
        }
        Ok(())
    }

    /// Empties a peer's directories.
    pub(crate) fn refurnish(&self, peer: &str) -> io::Result<()> {
        remove_dir_all(self.directory.join(peer))?;
        self.furnish(peer)
    }
}
