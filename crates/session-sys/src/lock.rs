//! Open-file-description locks on single bytes: they survive fork and exec with the descriptor, and end with
//! its last copy, so a killed process never leaves one behind (fcntl(2), `F_OFD_SETLK`).

#![allow(unsafe_code)] // rustix has only the POSIX locks, which a close of any descriptor of the file drops

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Takes the write lock on one byte if nobody else has it; false if somebody has. Needs a writable descriptor.
pub fn try_lock<Fd: AsFd>(fd: Fd, byte: u64) -> io::Result<bool> {
    match control(fd, libc::F_OFD_SETLK, libc::F_WRLCK, byte) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Waits for the write lock on one byte.
pub fn lock<Fd: AsFd>(fd: Fd, byte: u64) -> io::Result<()> {
    control(fd, libc::F_OFD_SETLKW, libc::F_WRLCK, byte).map(drop)
}

/// Gives up the lock on one byte; not an error if it was not held.
pub fn unlock<Fd: AsFd>(fd: Fd, byte: u64) -> io::Result<()> {
    control(fd, libc::F_OFD_SETLK, libc::F_UNLCK, byte).map(drop)
}

/// Whether somebody else holds the lock on one byte; takes nothing, and a read-only descriptor will do.
///
/// A lock held through this very open file (or a duplicate or inherited copy of it) does not count.
pub fn is_locked<Fd: AsFd>(fd: Fd, byte: u64) -> io::Result<bool> {
    Ok(control(fd, libc::F_OFD_GETLK, libc::F_WRLCK, byte)? != libc::F_UNLCK)
}

/// One fcntl on one byte; returns the kind of lock the kernel wrote back.
fn control<Fd: AsFd>(fd: Fd, command: i32, kind: i32, byte: u64) -> io::Result<i32> {
    let start = libc::off_t::try_from(byte).map_err(|_| io::ErrorKind::InvalidInput)?;
    loop {
        // SAFETY: flock is plain data for which zero is a valid value; l_pid must be 0 for these commands.
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        lock.l_type = kind as libc::c_short;
        lock.l_whence = libc::SEEK_SET as libc::c_short;
        lock.l_start = start;
        lock.l_len = 1;
        // SAFETY: the descriptor is borrowed for the call and the pointer refers to a live flock.
        if unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), command, &raw mut lock) } == 0 {
            return Ok(i32::from(lock.l_type));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;

    use super::*;
    use crate::spawn::ChildStdio;
    use crate::testing::{Child, null, program};

    fn open(path: &Path) -> File {
        let mut options = File::options();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .unwrap()
    }

    #[test]
    fn excludes_by_byte_and_by_open_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("live");
        let (first, second) = (open(&path), open(&path));
        assert!(try_lock(&first, 0).unwrap());
        assert!(try_lock(&first, 0).unwrap(), "one's own is no obstacle");
        assert!(!try_lock(&second, 0).unwrap());
        assert!(try_lock(&second, 1).unwrap());
        assert!(is_locked(&second, 0).unwrap());
        assert!(!is_locked(&first, 0).unwrap(), "one's own does not count");
        let reader = File::open(&path).unwrap();
        assert!(is_locked(&reader, 0).unwrap() && is_locked(&reader, 1).unwrap());
        assert!(!is_locked(&reader, 2).unwrap());
        unlock(&first, 0).unwrap();
        lock(&second, 0).unwrap();
        unlock(&second, 5).unwrap();
        assert!(is_locked(&first, 0).unwrap());
        assert!(try_lock(&first, u64::MAX).is_err());
    }

    #[test]
    fn closing_another_descriptor_of_the_file_keeps_it() {
        // What POSIX locks get wrong.
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("live");
        let first = open(&path);
        assert!(try_lock(&first, 0).unwrap());
        drop(open(&path));
        assert!(is_locked(open(&path), 0).unwrap());
    }

    #[test]
    fn lives_as_long_as_the_last_inherited_copy() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("live");
        let ours = open(&path);
        assert!(try_lock(&ours, 1).unwrap());
        let mut sleep = program("/bin/sleep", &["100"]);
        sleep.stdio = ChildStdio::Pipes {
            stdin: null(),
            stdout: ours.into(),
            stderr: null(),
        };
        let mut child = Child::start(sleep); // which drops our copy
        let reader = File::open(&path).unwrap();
        assert!(is_locked(&reader, 1).unwrap());
        child.signal(libc::SIGKILL);
        child.await_end();
        assert!(!is_locked(&reader, 1).unwrap(), "gone with a zombie too");
        child.wait();
    }
}
