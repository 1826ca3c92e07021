//! Pseudo-terminals: opened with sane settings, and resized.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios,
    Winsize, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};

/// Opens a pseudo-terminal: master (non-blocking) and slave, both close-on-exec, neither made the caller's
/// controlling terminal.
pub fn open(rows: u16, cols: u16) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).map_err(|error| match error {
        Errno::NOSPC => io::Error::new(
            io::ErrorKind::StorageFull,
            "no pseudo-terminal is free: all that kernel.pty.max (sysctl) allows are in use",
        ),
        error => error.into(),
    })?;
    unlockpt(&master)?;
    // Through the master, not by path: /dev/pts may be another one in this mount namespace.
    let slave = ioctl_tiocgptpeer(&master, flags)?;

    let mut termios = tcgetattr(&slave)?;
    make_sane(&mut termios);
    tcsetattr(&slave, OptionalActions::Now, &termios)?;
    resize(&master, rows, cols)?;
    // On the open file of the master alone; the slave has its own.
    rustix::io::ioctl_fionbio(&master, true)?;
    Ok((master, slave))
}

/// What `stty sane` sets, and UTF-8 input, so that erase removes a whole character.
fn make_sane(termios: &mut Termios) {
    termios.input_modes = InputModes::ICRNL
        | InputModes::IXON
        | InputModes::BRKINT
        | InputModes::IMAXBEL
        | InputModes::IUTF8;
    termios.output_modes = OutputModes::OPOST | OutputModes::ONLCR;
    // Not set as a whole: the speed lives in these bits too, and a speed of 0 means hang up.
    termios
        .control_modes
        .remove(ControlModes::CSIZE | ControlModes::PARENB | ControlModes::CSTOPB);
    termios
        .control_modes
        .insert(ControlModes::CS8 | ControlModes::CREAD);
    termios.local_modes = LocalModes::ISIG
        | LocalModes::ICANON
        | LocalModes::IEXTEN
        | LocalModes::ECHO
        | LocalModes::ECHOE
        | LocalModes::ECHOK
        | LocalModes::ECHOCTL
        | LocalModes::ECHOKE;
    let codes = &mut termios.special_codes;
    codes[SpecialCodeIndex::VINTR] = 0x03;
    codes[SpecialCodeIndex::VQUIT] = 0x1c;
    codes[SpecialCodeIndex::VERASE] = 0x7f;
    codes[SpecialCodeIndex::VKILL] = 0x15;
    codes[SpecialCodeIndex::VEOF] = 0x04;
    codes[SpecialCodeIndex::VTIME] = 0;
    codes[SpecialCodeIndex::VMIN] = 1;
    codes[SpecialCodeIndex::VSTART] = 0x11;
    codes[SpecialCodeIndex::VSTOP] = 0x13;
    codes[SpecialCodeIndex::VSUSP] = 0x1a;
    codes[SpecialCodeIndex::VREPRINT] = 0x12;
    codes[SpecialCodeIndex::VDISCARD] = 0x0f;
    codes[SpecialCodeIndex::VWERASE] = 0x17;
    codes[SpecialCodeIndex::VLNEXT] = 0x16;
}

/// Sets the size; the foreground group gets SIGWINCH if it changed.
pub fn resize<Fd: AsFd>(master: Fd, rows: u16, cols: u16) -> io::Result<()> {
    let size = Winsize {
        ws_row: rows,
        ws_col: cols,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    Ok(tcsetwinsize(master, size)?)
}

/// The size of a terminal in rows and columns; `ENOTTY` if it is none.
pub fn size<Fd: AsFd>(fd: Fd) -> io::Result<(u16, u16)> {
    let size = tcgetwinsize(fd)?;
    Ok((size.ws_row, size.ws_col))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_with_sane_settings() {
        let (master, slave) = open(24, 80).unwrap();
        let flags = rustix::fs::fcntl_getfl(&master).unwrap();
        assert!(flags.contains(rustix::fs::OFlags::NONBLOCK));
        let flags = rustix::fs::fcntl_getfl(&slave).unwrap();
        assert!(!flags.contains(rustix::fs::OFlags::NONBLOCK));
        for fd in [&master, &slave] {
            let flags = rustix::io::fcntl_getfd(fd).unwrap();
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        }
        let termios = tcgetattr(&slave).unwrap();
        assert!(termios.input_modes.contains(InputModes::IUTF8));
        assert!(
            termios
                .local_modes
                .contains(LocalModes::ICANON | LocalModes::ECHO)
        );
        assert_eq!(termios.special_codes[SpecialCodeIndex::VERASE], 0x7f);
        assert_ne!(termios.output_speed(), 0, "B0 means hang up");
        let error = rustix::io::read(&master, &mut [0; 1][..]).unwrap_err();
        assert_eq!(error, Errno::AGAIN);
    }

    #[test]
    fn sizes_are_seen_on_both_sides() {
        let (master, slave) = open(24, 80).unwrap();
        assert_eq!(size(&slave).unwrap(), (24, 80));
        resize(&master, 1, 65535).unwrap();
        assert_eq!(size(&slave).unwrap(), (1, 65535));
        assert_eq!(size(&master).unwrap(), (1, 65535));
        let error = size(crate::testing::null()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
    }
}
