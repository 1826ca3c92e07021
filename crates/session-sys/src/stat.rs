//! `/proc/PID/stat` of one process, through procfs, which knows that a name may hold spaces and parentheses.

use std::io;

use procfs::FromRead;
use procfs::process::Stat;

/// The stat of a process; an error of kind `NotFound` means that it is gone.
pub(crate) fn of(pid: i32) -> io::Result<Stat> {
    at(&format!("/proc/{pid}/stat"))
}

/// The stat of a process or thread in the file at `path`.
pub(crate) fn at(path: &str) -> io::Result<Stat> {
    let line = std::fs::read(path).map_err(|error| {
        // Between open and read the process went away: the same as never having found it.
        match error.raw_os_error() {
            Some(libc::ESRCH) => io::ErrorKind::NotFound.into(),
            _ => error,
        }
    })?;
    Stat::from_read(&line[..])
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
}

/// True for a process of which nothing runs any more and that only waits for its parent.
///
/// A leader that has ended before its other threads is shown as a zombie too, but still counts them.
pub(crate) fn has_ended(state: char, threads: i64) -> bool {
    matches!(state, 'Z' | 'X' | 'x') && threads <= 1
}
