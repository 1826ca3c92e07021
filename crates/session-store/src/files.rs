//! Files and directories relative to an open directory: never through a symbolic link, never for anyone else.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

/// Modes of everything here: the owner's alone.
pub(crate) const FILE_MODE: Mode = Mode::from_raw_mode(0o600);
pub(crate) const DIR_MODE: Mode = Mode::from_raw_mode(0o700);
const DIRECTORY: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::RDONLY);
/// Opening neither follows a link nor waits for the other end of a FIFO.
const PLAIN: OFlags = OFlags::NOFOLLOW
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

/// Why a directory is not used.
pub(crate) enum Unfit {
    Io(io::Error),
    Because(String),
}

impl From<Errno> for Unfit {
    fn from(errno: Errno) -> Self {
        Self::Io(errno.into())
    }
}

/// Opens a directory that is the caller's own and nobody else's to look into.
pub(crate) fn open_private(
    at: BorrowedFd<'_>,
    path: impl rustix::path::Arg,
) -> Result<OwnedFd, Unfit> {
    let directory = match rustix::fs::openat(at, path, DIRECTORY, Mode::empty()) {
        Ok(directory) => directory,
        Err(Errno::LOOP | Errno::NOTDIR) => {
            return Err(Unfit::Because("it is not a directory".to_owned()));
        }
        Err(errno) => return Err(errno.into()),
    };
    let stat = rustix::fs::fstat(&directory)?;
    let user = session_sys::process::effective_uid();
    if stat.st_uid != user {
        return Err(Unfit::Because(format!(
            "it belongs to user {}, not to {user}",
            stat.st_uid
        )));
    }
    if stat.st_mode & 0o077 != 0 {
        return Err(Unfit::Because(format!(
            "its mode is {:04o}, not 0700: look who could have been there, then use chmod 700",
            stat.st_mode & 0o7777
        )));
    }
    Ok(directory)
}

/// Makes a directory and opens it. The caller's umask may take bits away; they are given back.
pub(crate) fn make_private(at: BorrowedFd<'_>, name: &str) -> rustix::io::Result<OwnedFd> {
    rustix::fs::mkdirat(at, name, DIR_MODE)?;
    match rustix::fs::openat(at, name, DIRECTORY, Mode::empty()) {
        Ok(directory) => {
            if rustix::fs::fstat(&directory)?.st_mode & 0o777 != 0o700 {
                rustix::fs::fchmod(&directory, DIR_MODE)?;
            }
            Ok(directory)
        }
        Err(Errno::ACCESS) => {
            rustix::fs::chmodat(at, name, DIR_MODE, AtFlags::empty())?;
            rustix::fs::openat(at, name, DIRECTORY, Mode::empty())
        }
        Err(errno) => Err(errno),
    }
}

/// Creates a file that was not there, or empties one that was.
pub(crate) fn create(at: BorrowedFd<'_>, name: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let file = rustix::fs::openat(at, name, PLAIN | OFlags::CREATE | flags, FILE_MODE)?;
    rustix::fs::fchmod(&file, FILE_MODE)?;
    Ok(file)
}

/// Opens a file that is there.
pub(crate) fn open(at: BorrowedFd<'_>, name: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(at, name, PLAIN | flags, Mode::empty())
}

/// Reads a whole file of at most `limit` bytes; `None` if there is none.
pub(crate) fn read(at: BorrowedFd<'_>, name: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match open(at, name, OFlags::RDONLY) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    let stat = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is not a regular file",
        ));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(stat.st_size).unwrap_or(0).min(1 << 20) + 1);
    File::from(file).take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is too large",
        ));
    }
    Ok(Some(bytes))
}

/// Writes all of `bytes`: a full disk shortens the first write without an error (write(2)).
pub(crate) fn write_all(file: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(file, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Locks the file `name` (flock(2)) until the descriptor is dropped; `None` if another process keeps it locked for a
/// second. Everyone has such a lock for an instant; who was stopped in that instant does not keep others for ever.
pub(crate) fn lock(at: BorrowedFd<'_>, name: &str) -> rustix::io::Result<Option<OwnedFd>> {
    let mut tries = 0..100;
    'open: loop {
        let file = create(at, name, OFlags::RDWR)?;
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                // A file that was removed meanwhile locks nothing.
                Ok(()) if rustix::fs::fstat(&file)?.st_nlink == 0 => continue 'open,
                Ok(()) => return Ok(Some(file)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if tries.next().is_some() => {
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                Err(Errno::AGAIN) => return Ok(None),
                Err(errno) => return Err(errno),
            }
        }
    }
}

/// The names in a directory, with the type where the file system tells it.
pub(crate) fn entries(directory: BorrowedFd<'_>) -> rustix::io::Result<Vec<(String, FileType)>> {
    let mut found = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if let Ok(name) = entry.file_name().to_str()
            && name != "."
            && name != ".."
        {
            found.push((name.to_owned(), entry.file_type()));
        }
    }
    Ok(found)
}

/// Removes everything in a directory but `spared`, never following a link.
pub(crate) fn clear(
    directory: BorrowedFd<'_>,
    spared: Option<&str>,
    depth: u32,
) -> rustix::io::Result<()> {
    // Names that are not UTF-8 are nobody's here, but they keep a directory from being removed: hence bytes.
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_owned();
        if name.to_bytes() != b"."
            && name.to_bytes() != b".."
            && Some(name.to_bytes()) != spared.map(str::as_bytes)
        {
            names.push(name);
        }
    }
    for name in names {
        match rustix::fs::unlinkat(directory, &name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::ISDIR | Errno::PERM) if depth > 0 => {
                let inner = rustix::fs::openat(directory, &name, DIRECTORY, Mode::empty())?;
                clear(inner.as_fd(), None, depth - 1)?;
                rustix::fs::unlinkat(directory, &name, AtFlags::REMOVEDIR)?;
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Where a descriptor points, for messages.
pub(crate) fn path_of(fd: BorrowedFd<'_>) -> PathBuf {
    use std::os::fd::AsRawFd;
    use std::os::unix::ffi::OsStringExt;
    let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
    match rustix::fs::readlinkat(CWD, link.as_str(), Vec::new()) {
        Ok(path) => PathBuf::from(std::ffi::OsString::from_vec(path.into_bytes())),
        Err(_) => PathBuf::from(link),
    }
}
