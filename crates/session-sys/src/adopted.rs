//! How a process ended that is not our child: its parent was killed, and it lives on under another.
//!
//! Nobody but the parent can wait(2) for it. What is left is a ladder, from what is known at once to what is known
//! once somebody reaped it (`docs/adr/0022-the-keeper.md`); what it cannot say is unknown, and not guessed.

#![allow(unsafe_code)] // rustix has no PIDFD_GET_INFO

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How it ended, in the form of wait(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// Its exit code, if it exited.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
}

/// What is known of the end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It lives.
    Alive,
    /// It has ended, and how will be known once its parent has reaped it, if that ever does.
    Unreaped,
    /// It has ended like this.
    Known(Ending),
    /// It has ended, and how nobody can say any more.
    Unknown,
}

/// The kernel's `struct pidfd_info` as of Linux 6.15 (include/uapi/linux/pidfd.h): a mask, and the exit status as its
/// last field.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

const PIDFD_INFO_EXIT: u64 = 1 << 3;
/// `_IOWR(0xFF, 11, struct pidfd_info)`.
const PIDFD_GET_INFO: u64 = (3 << 30) | ((size_of::<PidfdInfo>() as u64) << 16) | (0xFF << 8) | 11;

/// How the process behind `pidfd` ended, as far as it can be known now. `pid` is its number.
pub fn end_of(pidfd: impl AsFd, pid: i32) -> End {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
    let ready = rustix::io::retry_on_intr(|| poll(&mut fds, Some(&now)));
    let events = fds[0].revents();
    if !matches!(ready, Ok(1)) || !events.intersects(PollFlags::IN | PollFlags::HUP) {
        return End::Alive;
    }
    if events.contains(PollFlags::HUP) {
        // Reaped. A kernel before 6.15 has forgotten how it ended.
        return reaped(&pidfd).map_or(End::Unknown, End::Known);
    }
    // A zombie. Its record says 0 also where we may not look, so only something else can be believed.
    match zombie(pid) {
        Ok(status) if status != 0 && !is_reaped(&pidfd) => End::Known(decode(status)),
        _ => reaped(&pidfd).map_or(End::Unreaped, End::Known),
    }
}

/// Field 52 of the record of a zombie (proc_pid_stat(5)).
fn zombie(pid: i32) -> io::Result<i32> {
    let stat = crate::stat::of(pid)?;
    stat.exit_code.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// It was reaped, so that its number may be another's.
fn is_reaped(pidfd: impl AsFd) -> bool {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut fds = [PollFd::new(&pidfd, PollFlags::empty())];
    let _ = rustix::io::retry_on_intr(|| poll(&mut fds, Some(&now)));
    fds[0].revents().contains(PollFlags::HUP)
}

/// What the kernel keeps of a process that was reaped.
fn reaped(pidfd: impl AsFd) -> Option<Ending> {
    let mut info = PidfdInfo {
        mask: PIDFD_INFO_EXIT,
        ..PidfdInfo::default()
    };
    // SAFETY: the descriptor is borrowed for the call, and the pointer refers to a live struct of the size that the number
    // of the call says.
    let result = unsafe {
        libc::ioctl(
            pidfd.as_fd().as_raw_fd(),
            PIDFD_GET_INFO as _,
            &raw mut info,
        )
    };
    (result == 0 && info.mask & PIDFD_INFO_EXIT != 0).then(|| decode(info.exit_code))
}

/// A wait status (wait(2)).
fn decode(status: i32) -> Ending {
    match status & 0x7f {
        0 => Ending {
            code: Some((status >> 8) & 0xff),
            signal: None,
        },
        signal => Ending {
            code: None,
            signal: Some(signal),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::eventually;

    /// The pid of a process that is not ours to wait for, and its pidfd: a shell starts it, tells its number and is gone.
    /// It waits for a byte in `fifo`.
    fn stranger(fifo: &std::path::Path, then: &str) -> (i32, std::os::fd::OwnedFd) {
        let script = format!("(read x <\"$0\"; {then}) </dev/null >/dev/null 2>&1 & echo $!");
        let told = std::process::Command::new("/bin/sh")
            .args(["-c", &script])
            .arg(fifo)
            .output()
            .unwrap();
        let pid = String::from_utf8(told.stdout).unwrap();
        let pid = pid.trim().parse().unwrap();
        (pid, crate::identity::open_pid(pid).unwrap().unwrap())
    }

    #[test]
    fn tells_how_a_stranger_ended() {
        let root = tempfile::tempdir().unwrap();
        let fifo = root.path().join("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
        for (then, code, signal) in [
            ("exit 7", Some(7), None),
            ("exit 0", Some(0), None),
            ("kill -9 $(exec sh -c 'echo $PPID')", None, Some(9)),
        ] {
            let (pid, pidfd) = stranger(&fifo, then);
            assert_eq!(end_of(&pidfd, pid), End::Alive);
            std::fs::write(&fifo, "\n").unwrap();
            let mut end = End::Alive;
            // Until whoever is its parent now reaps it.
            eventually("its end", || {
                end = end_of(&pidfd, pid);
                !matches!(end, End::Alive | End::Unreaped)
            });
            if end == End::Unknown {
                eprintln!(
                    "SKIPPED: this kernel does not tell how a reaped process ended (Linux 6.15 does)"
                );
                continue;
            }
            assert_eq!(end, End::Known(Ending { code, signal }), "{then}");
        }
    }
}
