//! Output kept on disk: a stream of bytes in segments, each named by the offset of its first byte.
//!
//! The offset space of a stream goes on over restarts. Bytes that could not be written keep their offsets: the
//! next segment then starts behind the end of the one before, and readers see a gap. Oldest segments go first.

mod index;
mod marks;
mod reader;
mod segments;
mod writer;

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::AtFlags;
use rustix::io::Errno;

use crate::files::{self, Unfit};
use crate::{Error, Result};

pub use marks::Mark;
pub use reader::{LogReader, ReadAt};
pub use writer::{LogWriter, MIN_LIMIT, PIECE};

/// Deletes what is kept of all streams of `process` (`p3`); none is no error.
///
/// # Errors
/// The directory that could not be deleted, or that is not the caller's own.
pub fn remove(session: BorrowedFd<'_>, process: &str) -> Result<()> {
    segments::check(process)?;
    let Some(streams) = present(session, "streams")? else {
        return Ok(());
    };
    let Some(directory) = present(streams.as_fd(), process)? else {
        return Ok(());
    };
    files::clear(directory.as_fd(), None, 2)
        .and_then(|()| rustix::fs::unlinkat(&streams, process, AtFlags::REMOVEDIR))
        .or_else(|errno| {
            if errno == Errno::NOENT {
                Ok(())
            } else {
                Err(errno)
            }
        })
        .map_err(|errno| Error::io("remove", files::path_of(directory.as_fd()), errno))
}

/// Opens a directory; `None` if there is none.
fn present(at: BorrowedFd<'_>, name: &str) -> Result<Option<std::os::fd::OwnedFd>> {
    match files::open_private(at, name) {
        Ok(directory) => Ok(Some(directory)),
        Err(Unfit::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(unfit) => Err(crate::root::refuse(&files::path_of(at).join(name), unfit)),
    }
}

#[cfg(test)]
mod tests;
