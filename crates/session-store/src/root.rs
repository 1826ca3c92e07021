//! The directory that holds all state of one user, opened once and checked: not a link, ours, closed to others.

use std::env;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustix::fs::CWD;
use rustix::io::Errno;

use crate::files::{self, Unfit};
use crate::{Error, Id, Result, Session};

/// An opened and checked state directory. Clones share the descriptors.
#[derive(Clone, Debug)]
pub struct Root {
    inner: Arc<Inner>,
    machine: OnceLock<String>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    root: OwnedFd,
    names: OwnedFd,
    sessions: OwnedFd,
}

impl Root {
    /// Where state lies: `$SESSION_HOME`, else `$XDG_STATE_HOME/session`, else `~/.local/state/session`.
    pub fn locate() -> Result<PathBuf> {
        if let Some(path) = set("SESSION_HOME") {
            return absolute(path, "SESSION_HOME");
        }
        // A relative XDG directory is to be ignored (XDG base directory specification).
        if let Some(path) = set("XDG_STATE_HOME").filter(|path| path.is_absolute()) {
            return Ok(path.join("session"));
        }
        Ok(home()?.join(".local/state/session"))
    }

    /// Opens the directory at `path`; what is missing of it is made, with mode 0700.
    pub fn open(path: &Path) -> Result<Self> {
        let path = &plain(path);
        match files::open_private(CWD, path) {
            Ok(root) => Self::complete(path, root),
            Err(Unfit::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                make_parents(path)?;
                let root = files::open_private(CWD, path).map_err(|unfit| refuse(path, unfit))?;
                let opened = Self::complete(path, root)?;
                opened.sync_parents()?;
                Ok(opened)
            }
            Err(unfit) => Err(refuse(path, unfit)),
        }
    }

    /// Opens the directory at `path` if there is one; creates nothing.
    pub fn open_existing(path: &Path) -> Result<Option<Self>> {
        let missing = |unfit: &Unfit| matches!(unfit, Unfit::Io(error) if error.kind() == std::io::ErrorKind::NotFound);
        let path = &plain(path);
        let root = match files::open_private(CWD, path) {
            Ok(root) => root,
            Err(unfit) if missing(&unfit) => return Ok(None),
            Err(unfit) => return Err(refuse(path, unfit)),
        };
        match files::open_private(root.as_fd(), "sessions") {
            Err(unfit) if missing(&unfit) => Ok(None),
            // Where there are sessions and the names are lost, the names' directory is made anew.
            _ => Self::complete(path, root).map(Some),
        }
    }

    fn complete(path: &Path, root: OwnedFd) -> Result<Self> {
        let names = inner(path, &root, "names")?;
        let sessions = inner(path, &root, "sessions")?;
        Ok(Self::of(path, root, names, sessions))
    }

    fn of(path: &Path, root: OwnedFd, names: OwnedFd, sessions: OwnedFd) -> Self {
        let inner = Inner {
            path: path.to_owned(),
            root,
            names,
            sessions,
        };
        Self {
            inner: Arc::new(inner),
            machine: OnceLock::new(),
        }
    }

    /// The root that a session's directory lies in.
    pub(crate) fn around(session: BorrowedFd<'_>) -> Result<Self> {
        let above = files::path_of(session).join("../..");
        let root = files::open_private(session, "../..").map_err(|unfit| refuse(&above, unfit))?;
        let path = files::path_of(root.as_fd());
        Self::complete(&path, root)
    }

    /// The same root as the machine `machine` sees it, instead of the one this is.
    pub fn as_machine(mut self, machine: &str) -> Self {
        self.machine = OnceLock::from(machine.to_owned());
        self
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// This machine's id.
    pub fn machine(&self) -> Result<&str> {
        if let Some(machine) = self.machine.get() {
            return Ok(machine);
        }
        let read = session_sys::process::machine_id();
        let machine = read.map_err(|error| Error::io("read", "/etc/machine-id", error))?;
        Ok(self.machine.get_or_init(|| machine))
    }

    /// Where the keeper listens; made if it is missing.
    pub fn keeper(&self) -> Result<OwnedFd> {
        inner(self.path(), &self.inner.root, "keeper")
    }

    pub(crate) fn root_fd(&self) -> BorrowedFd<'_> {
        self.inner.root.as_fd()
    }

    pub(crate) fn names(&self) -> BorrowedFd<'_> {
        self.inner.names.as_fd()
    }

    pub(crate) fn sessions(&self) -> BorrowedFd<'_> {
        self.inner.sessions.as_fd()
    }

    pub(crate) fn session_path(&self, id: &Id) -> PathBuf {
        self.path().join("sessions").join(id.to_string())
    }

    /// Opens the session's directory and checks it, but not what is in it; `None` if there is none.
    pub(crate) fn directory(&self, id: &Id) -> Result<Option<Session>> {
        match files::open_private(self.sessions(), id.to_string()) {
            Ok(directory) => Ok(Some(Session::of(self.clone(), *id, directory))),
            Err(Unfit::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(unfit) => Err(refuse(&self.session_path(id), unfit)),
        }
    }

    /// Makes durable which sessions and names there are.
    pub(crate) fn sync(&self) -> Result<()> {
        for (name, directory) in [("sessions", self.sessions()), ("names", self.names())] {
            rustix::fs::fsync(directory)
                .map_err(|errno| Error::io("sync", self.path().join(name), errno))?;
        }
        Ok(())
    }

    fn sync_parents(&self) -> Result<()> {
        for path in self.path().ancestors() {
            // Above what is ours nothing was made, and not everything there can be opened.
            let Ok(directory) = rustix::fs::openat(
                CWD,
                path,
                rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
                rustix::fs::Mode::empty(),
            ) else {
                break;
            };
            match rustix::fs::fsync(&directory) {
                Ok(()) | Err(Errno::INVAL | Errno::ROFS) => {}
                Err(errno) => return Err(Error::io("sync", path, errno)),
            }
        }
        Ok(())
    }
}

/// The value of a variable that is not empty.
fn set(variable: &str) -> Option<PathBuf> {
    let value = env::var_os(variable).filter(|value| !value.is_empty());
    value.map(PathBuf::from)
}

/// The caller's home directory.
pub(crate) fn home() -> Result<PathBuf> {
    if let Some(home) = set("HOME") {
        return absolute(home, "HOME");
    }
    let user = session_sys::process::effective_uid();
    let home = session_sys::process::home_of(user).filter(|home| home.is_absolute());
    home.ok_or_else(|| {
        Error::Locate(format!(
            "user {user} has no home directory; set SESSION_HOME"
        ))
    })
}

/// Without slashes or dots at its end: behind them the kernel would follow a link.
pub(crate) fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}

fn absolute(path: PathBuf, variable: &str) -> Result<PathBuf> {
    if path.is_absolute() {
        return Ok(path);
    }
    Err(Error::Locate(format!(
        "{variable} is '{}', which is not an absolute path",
        path.display()
    )))
}

pub(crate) fn refuse(path: &Path, unfit: Unfit) -> Error {
    match unfit {
        Unfit::Io(error) => Error::io("open", path, error),
        Unfit::Because(why) => Error::refused(path, why),
    }
}

fn inner(path: &Path, root: &OwnedFd, name: &str) -> Result<OwnedFd> {
    match files::open_private(root.as_fd(), name) {
        Err(Unfit::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {}
        opened => return opened.map_err(|unfit| refuse(&path.join(name), unfit)),
    }
    match files::make_private(root.as_fd(), name) {
        // Another first command was here between the two calls.
        Ok(_) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(Error::io("create", path.join(name), errno)),
    }
    files::open_private(root.as_fd(), name).map_err(|unfit| refuse(&path.join(name), unfit))
}

/// Makes `path` and what is missing above it.
pub(crate) fn make_parents(path: &Path) -> Result<()> {
    let missing: Vec<&Path> = path
        .ancestors()
        .take_while(|path| rustix::fs::lstat(*path).is_err())
        .collect();
    if let Some(above) = missing.last().and_then(|path| path.parent()) {
        // Under sudo HOME may be another user's: root would leave a directory there that its owner cannot use.
        let stat = rustix::fs::stat(above).map_err(|errno| Error::io("open", above, errno))?;
        if stat.st_uid != 0 && stat.st_uid != session_sys::process::effective_uid() {
            return Err(Error::refused(
                path,
                format!("{} belongs to user {}", above.display(), stat.st_uid),
            ));
        }
    }
    for directory in missing.into_iter().rev() {
        match rustix::fs::mkdir(directory, files::DIR_MODE) {
            Ok(()) => rustix::fs::chmod(directory, files::DIR_MODE)
                .map_err(|errno| Error::io("create", directory, errno))?,
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(Error::io("create", directory, errno)),
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "root_tests.rs"]
mod tests;
