//! From a command to a session that runs it: what `create` and `sess` share.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use session_client::{Connection, Launch};
use session_protocol::{ByteString, Call, Code, Size, Status};
use session_store::{Id, Owned, Root, Spec, Wanted};

use crate::failure::{Failure, eprint_line, reason};
use crate::lifecycle;

/// A session that is being made, and its holder, which starts meanwhile.
pub(crate) struct Creation {
    id: Id,
    holder: Launch,
}

/// A session whose holder starts the main process.
pub(crate) struct Starting {
    pub(crate) owned: Owned,
    connection: Connection,
    ready: u64,
    ahead: Option<u64>,
}

/// A session whose main process runs.
pub(crate) struct Created {
    pub(crate) owned: Owned,
    pub(crate) connection: Connection,
    pub(crate) status: Status,
    /// The number of what was asked ahead, which is not answered yet.
    pub(crate) ahead: Option<u64>,
}

impl Creation {
    /// Begins. `size` is that of the session's terminal until someone attaches.
    pub(crate) fn begin(size: Option<Size>) -> Result<Self, Failure> {
        lifecycle::check_open_files()?;
        let id = Id::random();
        let holder = Launch::begin(&id, size)?;
        Ok(Self { id, holder })
    }

    /// Makes the session under a name that may be taken; then another can be tried.
    pub(crate) fn make(&self, root: &Root, wanted: Wanted, spec: Spec) -> Result<Owned, Failure> {
        Ok(root.create_as(self.id, wanted, spec)?)
    }

    /// Has the main process started. `ahead` is asked before it is known whether it was: the first output need not wait for a
    /// second question. A session that cannot be started leaves nothing.
    pub(crate) fn start(self, owned: Owned, ahead: Option<Call>) -> Result<Starting, Failure> {
        let mut connection = match self.holder.hand_over(&owned) {
            Ok(connection) => connection,
            Err(error) => {
                discard(owned);
                return Err(error.into());
            }
        };
        let asked = (|| {
            let ready = connection.send(Call::Ready {})?;
            let ahead = ahead.map(|call| connection.send(call)).transpose()?;
            Ok((ready, ahead))
        })();
        match asked {
            Ok((ready, ahead)) => Ok(Starting {
                owned,
                connection,
                ready,
                ahead,
            }),
            Err(failure) => {
                take_back(owned, &mut connection);
                Err(failure)
            }
        }
    }
}

impl Starting {
    /// Waits until it runs; `durably`, the record gets onto the disk meanwhile. A session that cannot be started, or not so,
    /// leaves nothing.
    pub(crate) fn run(mut self, durably: bool) -> Result<Created, Failure> {
        let run = (|| {
            if durably {
                self.owned.make_durable()?;
            }
            Ok(self.connection.answer(self.ready, None)?)
        })();
        match run {
            Ok(status) => Ok(Created {
                owned: self.owned,
                connection: self.connection,
                status,
                ahead: self.ahead,
            }),
            Err(failure) => {
                take_back(self.owned, &mut self.connection);
                Err(failure)
            }
        }
    }
}

impl Created {
    /// Undoes it.
    pub(crate) fn take_back(mut self) {
        take_back(self.owned, &mut self.connection);
    }
}

/// Where the command's file is, found as a shell in the caller's directory finds it.
pub(crate) fn executable(command: &OsStr, spec: &Spec) -> Result<ByteString, Failure> {
    let path = match spec.env.get("PATH") {
        Some(path) => Some(path.as_os_str().to_owned()),
        None => std::env::var_os("PATH"),
    };
    let here = std::env::current_dir();
    let from = here.as_deref().unwrap_or(Path::new(""));
    let file = session_holder::resolve(command, path.as_deref(), from)?;
    match here {
        Err(why) if file.is_relative() => Err(Failure::io("find", "the current directory", why)),
        _ => Ok(file.into_os_string().into()),
    }
}

/// A directory that can be entered, absolute; the caller's where none is given.
pub(crate) fn directory(given: Option<&Path>) -> Result<PathBuf, Failure> {
    let directory = match given {
        Some(given) if given.is_absolute() || given.as_os_str().is_empty() => given.to_owned(),
        given => {
            let here = std::env::current_dir().map_err(|why| {
                Failure::new(
                    Code::BadDirectory,
                    format!("the current directory cannot be found: {}", reason(&why)),
                )
            })?;
            match given {
                Some(given) => here.join(given).components().collect(),
                None => here,
            }
        }
    };
    check_directory(&directory)?;
    Ok(directory)
}

fn check_directory(directory: &Path) -> Result<(), Failure> {
    let refused = |why: std::io::Error| {
        let shown = directory.display();
        Failure::new(
            Code::BadDirectory,
            format!("cannot enter the directory '{shown}': {}", reason(&why)),
        )
    };
    let found = std::fs::metadata(directory).map_err(refused)?;
    if !found.is_dir() {
        return Err(refused(rustix::io::Errno::NOTDIR.into()));
    }
    rustix::fs::accessat(
        rustix::fs::CWD,
        directory,
        rustix::fs::Access::EXEC_OK,
        rustix::fs::AtFlags::EACCESS,
    )
    .map_err(|errno| refused(errno.into()))
}

/// A session that could not be started, or not as asked, leaves nothing.
fn take_back(owned: Owned, connection: &mut Connection) {
    // A holder that failed to start is exiting by itself; one that did not is told to.
    let ended = lifecycle::end(connection).and_then(|()| lifecycle::remove_owned(owned));
    if let Err(failure) = ended {
        tell(failure);
    }
}

pub(crate) fn discard(owned: Owned) {
    if let Err(error) = owned.remove() {
        tell(error.into());
    }
}

/// Why there is no session comes from the caller; this is what is left of it.
fn tell(failure: Failure) {
    if let Some(message) = failure.message() {
        eprint_line(&format!("session: while cleaning up: {message}"));
    }
}
