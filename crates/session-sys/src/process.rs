//! What a process sets about itself: its place in the tree, its standard streams, its children's ends.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::WaitOptions;

/// Makes orphaned descendants children of this process, so that none of them can leave its tree.
pub fn become_subreaper() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(
        rustix::process::getpid(),
    ))?)
}

/// Lets nobody but root look into this process or trace it, and no core of it be written (prctl(2), `PR_SET_DUMPABLE`): it
/// holds what others type. An exec undoes it.
pub fn keep_private() -> io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Has the kernel end process `pid` rather than its parent when memory is short (proc_pid_oom_score_adj(5)). What it starts
/// later has the same. A process that is the caller's child and has executed its program.
pub fn end_sooner(pid: i32) -> io::Result<()> {
    /// As much as a tenth of the memory would.
    const MORE: i32 = 100;
    let path = format!("/proc/{pid}/oom_score_adj");
    let now: i32 = std::fs::read_to_string(&path)?
        .trim()
        .parse()
        .map_err(|_| io::ErrorKind::InvalidData)?;
    std::fs::write(path, (now + MORE).min(1000).to_string())
}

/// Starts a new session without a terminal (setsid); `EPERM` if this process leads a group already.
pub fn new_session() -> io::Result<()> {
    rustix::process::setsid()?;
    Ok(())
}

/// Sets the name that `ps` and `top` show; the kernel keeps 15 bytes of it.
pub fn set_name(name: &CStr) -> io::Result<()> {
    Ok(rustix::thread::set_name(name)?)
}

/// Sets the file mode creation mask and returns the old one.
pub fn set_umask(mask: u32) -> u32 {
    rustix::process::umask(Mode::from_raw_mode(mask)).as_raw_mode()
}

/// Duplicates an inherited descriptor to 10 or above, close-on-exec. The low number stays open.
///
/// `EBADF` if nothing is open there.
#[allow(unsafe_code)] // a bare number is all that exec leaves
pub fn take_inherited(fd: i32) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: borrowed for one call that fails with EBADF if the descriptor is not open.
    let inherited = unsafe { BorrowedFd::borrow_raw(fd) };
    Ok(rustix::io::fcntl_dupfd_cloexec(inherited, 10)?)
}

/// The descriptor that whoever executed this program left open under this number for it, close-on-exec from now on.
///
/// `EBADF` if nothing is open there. Each number is to be taken once, before anything else is opened.
#[allow(unsafe_code)] // a bare number is all that exec leaves
pub fn left_open(fd: i32) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: borrowed for one call that fails with EBADF if the descriptor is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    rustix::io::fcntl_setfd(borrowed, rustix::io::FdFlags::CLOEXEC)?;
    // SAFETY: it is open, and by the caller's promise nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Goes on as another program, with the descriptors that are not close-on-exec. Returns only if that failed.
#[allow(unsafe_code)] // execve
pub fn execute(executable: &CStr, argv: &[CString], env: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        let strings = strings.iter().map(|string| string.as_ptr());
        strings.chain([std::ptr::null()]).collect()
    };
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: both arrays end with null and point to strings that the caller keeps alive.
    unsafe { libc::execve(executable.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Closes every descriptor above 2: what the caller leaked (a lock, a pipe's end) is not to live as long as this
/// process. For its very first moment, when none of them is its own.
#[allow(unsafe_code)] // bare numbers are all that exec leaves
pub fn close_inherited() -> io::Result<()> {
    // SAFETY: plain numbers; nothing in this process has opened a descriptor yet.
    if unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) } == 0 {
        return Ok(());
    }
    // Before Linux 5.9.
    let open: Vec<i32> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for fd in open.into_iter().filter(|fd| *fd > 2) {
        // SAFETY: as above; that of the directory just read gives EBADF.
        unsafe { libc::close(fd) };
    }
    Ok(())
}

/// Puts `/dev/null` on descriptors 0, 1 and 2.
pub fn null_standard_streams() -> io::Result<()> {
    // First any that are closed, so that the descriptor below is not itself one of the three.
    ensure_standard_streams()?;
    let null = open_null()?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}

/// Opens `/dev/null` on each of 0, 1 and 2 that the caller left closed (`<&-`), so that no file opened later
/// lands there and is written to as if it were a terminal.
#[allow(unsafe_code)] // whether a bare number is open
pub fn ensure_standard_streams() -> io::Result<()> {
    for fd in 0..=2 {
        // SAFETY: borrowed for one call that only asks whether it is open.
        let stream = unsafe { BorrowedFd::borrow_raw(fd) };
        if rustix::io::fcntl_getfd(stream) != Err(Errno::BADF) {
            continue;
        }
        // The lowest closed number is this one, since all below it are open; yet another thread may take it.
        let null = open_null()?;
        match fd {
            0 => rustix::stdio::dup2_stdin(&null)?,
            1 => rustix::stdio::dup2_stdout(&null)?,
            _ => rustix::stdio::dup2_stderr(&null)?,
        }
        if std::os::fd::AsRawFd::as_raw_fd(&null) == fd {
            std::mem::forget(null); // it is the standard stream now
        }
    }
    Ok(())
}

fn open_null() -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(
        c"/dev/null",
        OFlags::RDWR | OFlags::NOCTTY,
        Mode::empty(),
    )?)
}

/// What one look for ended children found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaped {
    /// This child has ended and is gone now.
    One {
        /// Its pid, free for reuse from here on.
        pid: i32,
        /// Its exit code, if it exited.
        code: Option<i32>,
        /// The signal that ended it, if one did.
        signal: Option<i32>,
    },
    /// There are children, and all of them live.
    Alive,
    /// There are no children: for a subreaper the proof that nothing of its tree is left.
    NoChildren,
}

/// Reaps one ended child, without waiting.
pub fn reap() -> io::Result<Reaped> {
    match rustix::io::retry_on_intr(|| rustix::process::wait(WaitOptions::NOHANG)) {
        Ok(Some((pid, status))) => Ok(Reaped::One {
            pid: pid.as_raw_nonzero().get(),
            code: status.exit_status(),
            signal: status.terminating_signal(),
        }),
        Ok(None) => Ok(Reaped::Alive),
        Err(Errno::CHILD) => Ok(Reaped::NoChildren),
        Err(error) => Err(error.into()),
    }
}

/// The processes that can be seen whose arguments begin with `words`, each with the argument behind them.
pub fn called(words: &[&str]) -> io::Result<Vec<(i32, String)>> {
    let mut found = Vec::new();
    for pid in crate::tree::pids()? {
        if let Some(next) = called_as(pid, words) {
            found.push((pid, next));
        }
    }
    Ok(found)
}

/// The argument behind `words`, if the process's arguments begin with them; `None` also of one that is gone or
/// hidden from us.
pub fn called_as(pid: i32, words: &[&str]) -> Option<String> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let mut arguments = line.split(|byte| *byte == 0);
    let is_called = words
        .iter()
        .all(|word| arguments.next() == Some(word.as_bytes()));
    let next = arguments.next().filter(|_| is_called)?;
    Some(String::from_utf8_lossy(next).into_owned())
}

/// Whether the process has something open below `directory`, which is absolute and without links; `None` where we may not
/// look.
pub fn has_open_below(pid: i32, directory: &std::path::Path) -> Option<bool> {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let mut open = open.flatten();
    let below = open
        .any(|fd| std::fs::read_link(fd.path()).is_ok_and(|target| target.starts_with(directory)));
    Some(below)
}

/// Whether a signal or a debugger has stopped the process.
pub fn is_stopped(pid: i32) -> bool {
    crate::stat::of(pid).is_ok_and(|stat| matches!(stat.state, 'T' | 't'))
}

/// Milliseconds since boot, time asleep included; unmoved by changes of the clock.
pub fn boottime_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds * 1000 + nanoseconds / 1_000_000
}

/// The effective user id.
pub fn effective_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The home directory of a user according to `/etc/passwd`.
///
/// Read by hand: getpwuid_r in a static executable loads the host's NSS libraries, which crash if they were
/// built for another libc. Users known only to a directory service need HOME.
pub fn home_of(uid: u32) -> Option<PathBuf> {
    home_in(&std::fs::read("/etc/passwd").ok()?, uid)
}

fn home_in(passwd: &[u8], uid: u32) -> Option<PathBuf> {
    passwd.split(|&byte| byte == b'\n').find_map(|line| {
        let mut fields = line.split(|&byte| byte == b':');
        let id = std::str::from_utf8(fields.nth(2)?).ok()?;
        let home = fields.nth(2)?;
        (id.parse() == Ok(uid) && home.starts_with(b"/"))
            .then(|| std::ffi::OsString::from_vec(home.to_vec()).into())
    })
}

/// What tells this machine from others that share a file system: the machine id of systemd or D-Bus, else the
/// host name with `-nomid` behind it.
pub fn machine_id() -> io::Result<String> {
    for path in ["/etc/machine-id", "/var/lib/dbus/machine-id"] {
        // Absent, empty or `uninitialized` (a fresh image) all mean: try the next.
        if let Ok(text) = std::fs::read_to_string(path) {
            let id = text.trim();
            if id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Ok(id.to_ascii_lowercase());
            }
        }
    }
    let name = rustix::system::uname();
    Ok(format!("{}-nomid", name.nodename().to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, AsRawFd, FromRawFd};

    use super::*;
    use crate::testing::{Child, alone, read_until, script};

    #[test]
    fn reaps_until_there_is_nobody() {
        alone("process::tests::reaps_until_there_is_nobody", || {
            become_subreaper().unwrap();
            assert_eq!(reap().unwrap(), Reaped::NoChildren);
            // An orphan comes to us when its parent has exited with 3.
            let (orphaning, output) = script("sleep 100 & echo $!; exit 3");
            let parent = Child::start(orphaning);
            let orphan: i32 = read_until(output.as_fd(), "\n").trim().parse().unwrap();
            parent.await_end();
            let ended = Reaped::One {
                pid: parent.pid,
                code: Some(3),
                signal: None,
            };
            assert_eq!(reap().unwrap(), ended);
            assert_eq!(reap().unwrap(), Reaped::Alive);
            let pidfd = crate::identity::open_pid(orphan).unwrap().unwrap();
            let orphan = Child::new(orphan, pidfd);
            orphan.signal(libc::SIGTERM);
            orphan.await_end();
            let ended = Reaped::One {
                pid: orphan.pid,
                code: None,
                signal: Some(libc::SIGTERM),
            };
            assert_eq!(reap().unwrap(), ended);
            assert_eq!(reap().unwrap(), Reaped::NoChildren);
        });
    }

    #[test]
    fn closed_streams_become_null() {
        alone("process::tests::closed_streams_become_null", || {
            let stdout = take_inherited(1).unwrap();
            let is_null = |fd: i32| {
                let target = std::fs::read_link(format!("/proc/self/fd/{fd}"));
                target.is_ok_and(|target| target.as_os_str() == "/dev/null")
            };
            let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
            null_standard_streams().unwrap();
            let before = count();
            for fd in [0, 2] {
                close(fd);
            }
            ensure_standard_streams().unwrap();
            assert!((0..=2).all(is_null));
            assert_eq!(count(), before);
            ensure_standard_streams().unwrap();
            assert_eq!(count(), before);
            rustix::stdio::dup2_stdout(&stdout).unwrap();
        });
    }

    #[allow(unsafe_code)] // a bare number
    fn close(fd: i32) {
        // SAFETY: the test is single-threaded, and nothing uses the stream until it is open again.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
    }

    #[test]
    fn inherited_descriptors_move_up_and_stay() {
        let null = crate::testing::null();
        let taken = take_inherited(null.as_raw_fd()).unwrap();
        assert!(taken.as_raw_fd() >= 10);
        let flags = rustix::io::fcntl_getfd(&taken).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        assert!(rustix::io::fcntl_getfd(&null).is_ok());
        for closed in [-1, i32::MAX] {
            let error = take_inherited(closed).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        }
    }

    #[test]
    fn names_umask_and_session() {
        alone("process::tests::names_umask_and_session", || {
            set_name(c"session: a test").unwrap();
            let name = std::fs::read_to_string("/proc/thread-self/comm").unwrap();
            assert_eq!(name.trim_end(), "session: a test");
            set_umask(0o027);
            assert_eq!(set_umask(0o022), 0o027);
            let _ = new_session(); // EPERM if the test runner made us a group leader
            let pid = std::process::id() as i32;
            let stat = crate::stat::of(pid).unwrap();
            assert!(stat.session == pid || new_session().is_err());
        });
    }

    #[test]
    fn homes_come_from_passwd() {
        let passwd = b"root:x:0:0:root:/root:/bin/sh\n\nbad line\n+::::::\n\
            me:x:1000:1000:Me,,,:/home/m\xe9:/bin/bash\nnone:x:7:7:::/bin/sh\n";
        let home = |uid| home_in(passwd, uid).map(|path| path.into_os_string().into_vec());
        assert_eq!(home(0).unwrap(), b"/root");
        assert_eq!(home(1000).unwrap(), b"/home/m\xe9");
        assert_eq!(home(7), None, "an empty home");
        assert_eq!(home(8), None);
    }

    #[test]
    fn tells_time_user_and_machine() {
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
        let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
        assert!((boottime_ms() as f64 / 1000.0 - uptime).abs() < 60.0);
        assert!(!machine_id().unwrap().is_empty());
        assert_eq!(effective_uid(), rustix::process::geteuid().as_raw());
    }
}
