//! Signals as readable events, and the dispositions that must be put right before that works.

#![allow(unsafe_code)] // rustix has no signalfd, no masks and no dispositions

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::signal::set_mask;

/// Signals delivered through a descriptor (signalfd(2)). They stay blocked when it is dropped.
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

impl SignalFd {
    /// Blocks these signals in the calling thread and makes the descriptor, non-blocking and close-on-exec.
    ///
    /// A caller that ignores SIGCHLD needs [`default`] first: the kernel neither sends it nor keeps the exit
    /// codes of children then. Other signals arrive even if ignored, for blocking comes before ignoring.
    pub fn new(signals: &[i32]) -> io::Result<Self> {
        // SAFETY: sigset_t is plain data, and sigemptyset initialises all of it.
        let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: the set is live for each of the calls.
        unsafe { libc::sigemptyset(&raw mut set) };
        for &signo in signals {
            // SAFETY: as above; a bad number is refused with EINVAL.
            if unsafe { libc::sigaddset(&raw mut set, signo) } == -1 {
                return Err(io::Error::last_os_error());
            }
        }
        // SAFETY: the set is initialised and the old mask is not asked for.
        let error =
            unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
        if error != 0 {
            return Err(io::Error::from_raw_os_error(error));
        }
        // SAFETY: -1 asks for a new descriptor; the set is initialised.
        let fd =
            unsafe { libc::signalfd(-1, &raw const set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) };
        if fd == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The next pending signal, or `None`. Several of one kind may have merged into one: after SIGCHLD, reap
    /// until nothing is left.
    pub fn next(&self) -> io::Result<Option<i32>> {
        let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
        match rustix::io::retry_on_intr(|| rustix::io::read(&self.0, &mut info[..])) {
            // The signal number is the first field, a u32 (signalfd(2)).
            Ok(_) => Ok(Some(i32::from_ne_bytes([
                info[0], info[1], info[2], info[3],
            ]))),
            Err(rustix::io::Errno::AGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Every signal that ends a process which does nothing about it. Not KILL, about which nothing can be done, nor those of
/// a process's own mistakes (SEGV, BUS, ILL, FPE), nor those that write(2) reports as well (PIPE, XFSZ).
pub fn fatal() -> impl Iterator<Item = i32> {
    let named = [
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGTRAP,
        libc::SIGABRT,
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGALRM,
        libc::SIGTERM,
        libc::SIGSTKFLT,
        libc::SIGXCPU,
        libc::SIGVTALRM,
        libc::SIGPROF,
        libc::SIGIO,
        libc::SIGPWR,
        libc::SIGSYS,
    ];
    named.into_iter().chain(libc::SIGRTMIN()..=libc::SIGRTMAX())
}

/// Ignores a signal in the whole process. Ignoring is inherited through exec; `spawn` undoes it in its child.
pub fn ignore(signo: i32) -> io::Result<()> {
    dispose(signo, libc::SIG_IGN)
}

/// Gives a signal its default effect back.
pub fn default(signo: i32) -> io::Result<()> {
    dispose(signo, libc::SIG_DFL)
}

/// Unblocks every signal of the calling thread, whatever mask it inherited.
pub fn unblock_all() -> io::Result<()> {
    set_mask(0).map(drop)
}

fn dispose(signo: i32, handler: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: sigaction is plain data for which zero is valid: no flags and an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    // SAFETY: the action is live, and SIG_IGN and SIG_DFL install no code.
    if unsafe { libc::sigaction(signo, &raw const action, std::ptr::null_mut()) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{alone, readable};

    /// To the calling thread alone: the main thread of a test executable blocks nothing.
    fn raise(signo: i32) {
        // SAFETY: the signal is blocked or ignored by the test.
        assert_eq!(unsafe { libc::raise(signo) }, 0);
    }

    #[test]
    fn signals_become_readable() {
        alone("event::tests::signals_become_readable", || {
            let signals = SignalFd::new(&[libc::SIGUSR1, libc::SIGTERM]).unwrap();
            assert_eq!(signals.next().unwrap(), None);
            raise(libc::SIGTERM);
            raise(libc::SIGTERM);
            readable(signals.as_fd());
            assert_eq!(signals.next().unwrap(), Some(libc::SIGTERM));
            assert_eq!(signals.next().unwrap(), None, "two of a kind are one");
            ignore(libc::SIGUSR1).unwrap();
            raise(libc::SIGUSR1);
            assert_eq!(signals.next().unwrap(), Some(libc::SIGUSR1));
            unblock_all().unwrap();
            assert_eq!(set_mask(0).unwrap(), 0);
            raise(libc::SIGUSR1); // ignored, now that it is not blocked
            default(libc::SIGUSR1).unwrap();
        });
    }

    #[test]
    fn bad_numbers_are_errors() {
        assert!(SignalFd::new(&[0]).is_err());
        assert!(SignalFd::new(&[65]).is_err());
        assert!(ignore(libc::SIGKILL).is_err());
    }
}
