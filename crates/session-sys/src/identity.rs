//! Which process a number means: a pid is reused, but not together with boot, pid namespace and start time.

use std::fmt::Write as _;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Bytes of an encoded identity.
const LEN: usize = 96;

/// One process, told from every other of this machine's past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The boot it was started in.
    pub boot_id: [u8; 16],
    /// The inode of the pid namespace in which `pid` is meant.
    pub pid_namespace: u64,
    /// Its number.
    pub pid: i32,
    /// When it started, in clock ticks since boot (field 22 of `/proc/PID/stat`).
    pub start_time: u64,
}

impl Identity {
    /// The identity of a process that exists now, zombies included; `NotFound` if there is none.
    pub fn of(pid: i32) -> io::Result<Self> {
        Self::in_boot(boot_id()?, pid)
    }

    /// The same, where this boot's id is known.
    pub fn in_boot(boot_id: [u8; 16], pid: i32) -> io::Result<Self> {
        Ok(Self {
            boot_id,
            pid_namespace: own_pid_namespace()?,
            pid,
            start_time: crate::stat::of(pid)?.starttime,
        })
    }

    /// One line of text, `BOOT PIDNS PID START`, padded with spaces to a fixed size, so that it can be
    /// written in place.
    pub fn encode(&self) -> [u8; LEN] {
        let mut text = String::with_capacity(LEN);
        for (index, byte) in self.boot_id.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            let _ = write!(text, "{byte:02x}"); // a String takes everything
        }
        let _ = write!(
            text,
            " {} {} {}",
            self.pid_namespace, self.pid, self.start_time
        );
        let mut bytes = [b' '; LEN];
        // At most 36 + 21 + 12 + 21 = 90 bytes.
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        bytes[LEN - 1] = b'\n';
        bytes
    }

    /// Reads what [`Identity::encode`] wrote; `None` for anything else, such as a torn or empty file.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let line = bytes.strip_suffix(b"\n").filter(|_| bytes.len() == LEN)?;
        let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
        let identity = Self {
            boot_id: parse_uuid(words.next()?)?,
            pid_namespace: words.next()?.parse().ok()?,
            pid: words.next()?.parse().ok().filter(|&pid| pid > 0)?,
            start_time: words.next()?.parse().ok()?,
        };
        words.next().is_none().then_some(identity)
    }

    /// Opens the process if that very one still lives; `None` if it is proven gone (a zombie is gone).
    ///
    /// An error means: not known. Among them a pid of another pid namespace, which cannot be looked up here.
    pub fn open(&self) -> io::Result<Option<OwnedFd>> {
        if self.boot_id != boot_id()? {
            return Ok(None);
        }
        if self.pid_namespace != own_pid_namespace()? {
            return Err(io::Error::other(
                "the process belongs to another pid namespace (a container, perhaps) and cannot be seen from here",
            ));
        }
        let Some(pidfd) = open_pid(self.pid)? else {
            return Ok(None);
        };
        // After the open: the number cannot change hands any more unless the descriptor's process is dead.
        match crate::stat::of(self.pid) {
            Ok(stat) if stat.starttime == self.start_time && !dead(&pidfd) => Ok(Some(pidfd)),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Gone, or hidden from us (hidepid): the descriptor knows which.
                if dead(&pidfd) { Ok(None) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }
}

/// The random id of this boot. Always read anew, so that a test can put another in its place.
pub fn boot_id() -> io::Result<[u8; 16]> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    parse_uuid(text.trim_end())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "boot_id does not hold a UUID"))
}

/// Whether all threads of the process have ended, reaped or not.
pub fn dead<Fd: AsFd>(pidfd: Fd) -> bool {
    let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let ready = rustix::io::retry_on_intr(|| poll(&mut fds, Some(&now)));
    matches!(ready, Ok(1)) && fds[0].revents().intersects(PollFlags::IN | PollFlags::HUP)
}

/// A descriptor of whatever process has this number now; `None` if none has.
pub(crate) fn open_pid(pid: i32) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = Pid::from_raw(pid) else {
        return Ok(None);
    };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => Ok(Some(pidfd)),
        // The number belongs to a thread that leads no process: EINVAL, ENOENT since 6.15.
        Err(Errno::SRCH | Errno::INVAL | Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The pid namespace in which the numbers of our /proc are meant: our own.
fn own_pid_namespace() -> io::Result<u64> {
    Ok(std::fs::metadata("/proc/self/ns/pid")?.ino())
}

fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let mut digits = text.bytes().filter(|&byte| byte != b'-');
    let mut uuid = [0; 16];
    for byte in &mut uuid {
        let high = char::from(digits.next()?).to_digit(16)?;
        let low = char::from(digits.next()?).to_digit(16)?;
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    digits.next().is_none().then_some(uuid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Child, program};

    const ANY: Identity = Identity {
        boot_id: [0xab; 16],
        pid_namespace: u64::MAX,
        pid: i32::MAX,
        start_time: u64::MAX,
    };

    #[test]
    fn encodes_to_one_line_and_back() {
        let own = Identity::of(std::process::id() as i32).unwrap();
        for identity in [ANY, own] {
            let bytes = identity.encode();
            assert_eq!(Identity::decode(&bytes), Some(identity));
            assert_eq!(bytes.iter().filter(|&&byte| byte == b'\n').count(), 1);
        }
        let text = String::from_utf8(own.encode().to_vec()).unwrap();
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        assert!(text.starts_with(boot_id.trim_end()));
    }

    #[test]
    fn refuses_torn_and_foreign_bytes() {
        let good = ANY.encode();
        assert_eq!(Identity::decode(&good[..95]), None);
        assert_eq!(Identity::decode(&good[1..]), None);
        assert_eq!(Identity::decode(&[]), None);
        assert_eq!(Identity::decode(&[0; 96]), None);
        assert_eq!(Identity::decode(&[b'\n'; 96]), None);
        let mut negative = good;
        let at = good.iter().rposition(|&byte| byte == b'1').unwrap(); // in the start time
        negative[at] = b'-';
        assert_eq!(Identity::decode(&negative), None);
        let mut longer = good;
        longer[94] = b'x';
        assert_eq!(Identity::decode(&longer), None);
    }

    #[test]
    fn opens_only_the_very_process() {
        let mut child = Child::start(program("/bin/sleep", &["100"]));
        let identity = Identity::of(child.pid).unwrap();
        let pidfd = identity.open().unwrap().unwrap();
        assert!(!dead(&pidfd));
        let other = |change: fn(&mut Identity)| {
            let mut other = identity;
            change(&mut other);
            other.open()
        };
        assert!(other(|id| id.start_time += 1).unwrap().is_none());
        assert!(other(|id| id.boot_id[0] ^= 1).unwrap().is_none());
        assert!(other(|id| id.pid_namespace += 1).is_err());
        assert!(other(|id| id.pid = i32::MAX).unwrap().is_none());

        child.signal(libc::SIGKILL);
        child.await_end();
        assert!(dead(&pidfd));
        assert!(identity.open().unwrap().is_none(), "a zombie");
        assert_eq!(Identity::of(child.pid).unwrap(), identity);
        child.wait();
        assert!(dead(&pidfd));
        assert!(identity.open().unwrap().is_none());
        let error = Identity::of(i32::MAX).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
