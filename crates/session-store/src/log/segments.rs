//! The directory of a stream, `streams/PROCESS/CHANNEL`, and the names in it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use session_protocol::Channel;

use crate::files::{self, Unfit};
use crate::{Error, Result};

/// What ends the name of a segment's time index.
pub(super) const INDEX: &str = ".t";

/// What ends the name of the marks of a segment's screens.
pub(super) const MARKS: &str = ".s";

/// The name of the segment that starts at `start`.
pub(super) fn name(start: u64) -> String {
    format!("{start:016x}")
}

/// The starts of all segments, in order.
pub(super) fn list(directory: BorrowedFd<'_>) -> rustix::io::Result<Vec<u64>> {
    let mut starts: Vec<u64> = files::entries(directory)?
        .iter()
        .filter_map(|(name, _)| start_of(name))
        .collect();
    starts.sort_unstable();
    Ok(starts)
}

pub(super) fn start_of(name: &str) -> Option<u64> {
    let plain = name.len() == 16
        && name
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if plain {
        u64::from_str_radix(name, 16).ok()
    } else {
        None
    }
}

/// The size of the segment that starts at `start`; 0 if it is gone.
pub(super) fn size(directory: BorrowedFd<'_>, start: u64) -> rustix::io::Result<u64> {
    match rustix::fs::statat(directory, name(start), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(u64::try_from(stat.st_size).unwrap_or(0)),
        Err(Errno::NOENT) => Ok(0),
        Err(errno) => Err(errno),
    }
}

/// Refuses what is not called like a process: it becomes part of a path.
pub(super) fn check(process: &str) -> Result<()> {
    let numbered =
        |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if process == "main" || process.strip_prefix('p').is_some_and(numbered) {
        return Ok(());
    }
    Err(Error::refused(
        Path::new("streams"),
        "a process is called main or p and a number",
    ))
}

fn path(process: &str, channel: Channel) -> Result<[String; 3]> {
    check(process)?;
    let channel = match channel {
        Channel::Pty => "pty",
        Channel::Out => "out",
        Channel::Err => "err",
        Channel::In => return Err(Error::refused(Path::new("streams"), "input is not kept")),
    };
    Ok(["streams".to_owned(), process.to_owned(), channel.to_owned()])
}

/// Opens a stream's directory; `None` if there is none.
pub(super) fn open(
    session: BorrowedFd<'_>,
    process: &str,
    channel: Channel,
) -> Result<Option<OwnedFd>> {
    let path = path(process, channel)?.join("/");
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    match rustix::fs::openat(session, &path, flags, Mode::empty()) {
        Ok(directory) => Ok(Some(directory)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(Error::io("open", files::path_of(session).join(path), errno)),
    }
}

/// Opens a stream's directory, which is made if need be.
pub(super) fn make(session: BorrowedFd<'_>, process: &str, channel: Channel) -> Result<OwnedFd> {
    let mut full: PathBuf = files::path_of(session);
    let mut directory: Option<OwnedFd> = None;
    for part in path(process, channel)? {
        full.push(&part);
        let at = directory.as_ref().map_or(session, AsFd::as_fd);
        let opened = match files::open_private(at, part.as_str()) {
            Err(Unfit::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                files::make_private(at, &part).map_err(|errno| Error::io("create", &full, errno))?
            }
            opened => opened.map_err(|unfit| crate::root::refuse(&full, unfit))?,
        };
        directory = Some(opened);
    }
    directory.ok_or_else(|| Error::not_found(process))
}
