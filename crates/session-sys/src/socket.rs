//! Local sockets in a directory: any length of path, never open to others, not even for an instant.

use std::ffi::CString;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, statat, unlinkat};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    bind, listen as start_listening, socket_with, socketpair,
};

/// Listens on a socket `name` in `directory`: non-blocking, close-on-exec, mode 0600 from the first instant.
///
/// A socket already there is taken to be stale and replaced; anything else there is refused (`AlreadyExists`).
/// The caller makes sure, by a lock, that nobody lives behind the old one.
pub fn listen(directory: BorrowedFd<'_>, name: &str, backlog: i32) -> io::Result<OwnedFd> {
    listen_as(SocketType::STREAM, directory, name, backlog)
}

/// As [`listen`], for [`connect_for_messages`].
pub fn listen_for_messages(
    directory: BorrowedFd<'_>,
    name: &str,
    backlog: i32,
) -> io::Result<OwnedFd> {
    listen_as(SocketType::SEQPACKET, directory, name, backlog)
}

fn listen_as(
    kind: SocketType,
    directory: BorrowedFd<'_>,
    name: &str,
    backlog: i32,
) -> io::Result<OwnedFd> {
    let address = address_in(directory, name)?;
    match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Socket => {
            unlinkat(directory, name, AtFlags::empty())?;
        }
        Ok(_) => return Err(not_a_socket(name, io::ErrorKind::AlreadyExists)),
        Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, kind, flags, None)?;
    // The file is made with the mode of the unbound socket (less the umask): no instant with a wider one,
    // and no change of the umask, which belongs to the whole process.
    let mode = Mode::RUSR | Mode::WUSR;
    rustix::fs::fchmod(&socket, mode)?;
    bind(&socket, &address)?;
    // A umask such as 0777 took away even our own bits.
    rustix::fs::chmodat(directory, name, mode, AtFlags::empty())?;
    start_listening(&socket, backlog)?;
    Ok(socket)
}

/// Connects to the socket `name` in `directory`; blocking, close-on-exec. `ConnectionRefused` if nobody listens,
/// `NotFound` if nothing is there, `InvalidInput` if it is not a socket, `WouldBlock` never: it waits for a
/// place in the backlog.
pub fn connect(directory: BorrowedFd<'_>, name: &str) -> io::Result<UnixStream> {
    connect_as(SocketType::STREAM, SocketFlags::empty(), directory, name).map(UnixStream::from)
}

/// As [`connect`], to a socket that keeps messages apart (`SOCK_SEQPACKET`), non-blocking: `WouldBlock` if its backlog is
/// full.
pub fn connect_for_messages(directory: BorrowedFd<'_>, name: &str) -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK;
    connect_as(SocketType::SEQPACKET, flags, directory, name)
}

fn connect_as(
    kind: SocketType,
    flags: SocketFlags,
    directory: BorrowedFd<'_>,
    name: &str,
) -> io::Result<OwnedFd> {
    // Held open while looked at and connected to: it cannot be swapped in between.
    let file = openat(
        directory,
        name,
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let stat = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
        return Err(not_a_socket(name, io::ErrorKind::InvalidInput));
    }
    let address = SocketAddrUnix::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let flags = flags | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, kind, flags, None)?;
    rustix::io::retry_on_intr(|| rustix::net::connect(&socket, &address))?;
    Ok(socket)
}

/// Whether somebody listens on the socket `name` in `directory`, or on the one that a link of this name leads to, as far as
/// can be known without being served. What cannot be connected to for another reason may be.
pub fn is_listened_on(directory: BorrowedFd<'_>, name: &str) -> bool {
    let connected = (|| {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let file = openat(directory, name, flags, Mode::empty())?;
        if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != FileType::Socket {
            return Err(Errno::CONNREFUSED);
        }
        let address = SocketAddrUnix::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
        let socket = socket_with(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )?;
        rustix::net::connect(&socket, &address)
    })();
    // EAGAIN: its backlog is full.
    !matches!(connected, Err(Errno::CONNREFUSED | Errno::NOENT))
}

/// Two connected sockets, blocking and close-on-exec: one to keep, one to give away.
pub fn pair() -> io::Result<(UnixStream, OwnedFd)> {
    let (ours, theirs) = pair_of(SocketType::STREAM)?;
    Ok((ours.into(), theirs))
}

/// Two connected sockets that keep messages apart, as [`pair`].
pub fn pair_for_messages() -> io::Result<(OwnedFd, OwnedFd)> {
    pair_of(SocketType::SEQPACKET)
}

fn pair_of(kind: SocketType) -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(
        AddressFamily::UNIX,
        kind,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

/// The effective user id of whoever connected (or, on the connecting side, listened).
pub fn peer_uid<Fd: AsFd>(fd: Fd) -> io::Result<u32> {
    Ok(peer(fd)?.uid)
}

/// The pid of whoever connected: it may be dead and its number reused, and is 0 for one of a pid namespace
/// that cannot be seen from here.
pub fn peer_pid<Fd: AsFd>(fd: Fd) -> io::Result<i32> {
    Ok(peer(fd)?.pid)
}

/// Sends bytes and, with the first of them, a descriptor. How many bytes were taken: at least one, of any.
pub fn send_with(socket: impl AsFd, bytes: &[u8], handed: BorrowedFd<'_>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let handed = [handed];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&handed));
    let bytes = [IoSlice::new(bytes)];
    let send = || rustix::net::sendmsg(&socket, &bytes, &mut ancillary, SendFlags::NOSIGNAL);
    Ok(rustix::io::retry_on_intr(send)?)
}

/// Receives bytes (0 at the end) and a descriptor, if one came with them; of several the first.
pub fn receive(
    socket: impl AsFd,
    space: &mut [u8],
) -> rustix::io::Result<(usize, Option<OwnedFd>)> {
    let mut rights = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut rights);
    let mut space = [IoSliceMut::new(space)];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = rustix::net::recvmsg(&socket, &mut space, &mut ancillary, flags)?;
    let handed = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut handed) => handed.next(),
        _ => None,
    });
    Ok((received.bytes, handed))
}

/// Most descriptors of one message of [`send_message`]; the kernel's SCM_MAX_FD is 253.
pub const MOST_HANDED: usize = 32;

/// Sends one message with descriptors, whole or not at all.
pub fn send_message(
    socket: impl AsFd,
    message: &[u8],
    handed: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_HANDED))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if handed.len() > MOST_HANDED {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    if !handed.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(handed));
    }
    let bytes = [IoSlice::new(message)];
    let send = || rustix::net::sendmsg(&socket, &bytes, &mut ancillary, SendFlags::NOSIGNAL);
    rustix::io::retry_on_intr(send)?;
    Ok(())
}

/// Receives one message of at most `space`: how long it is (0 at the end, for no message is empty) and its descriptors. One
/// that is longer is an error (`MSGSIZE`), and so is one of which descriptors could not be taken (`TOOMANYREFS`).
pub fn receive_message(
    socket: impl AsFd,
    space: &mut [u8],
) -> rustix::io::Result<(usize, Vec<OwnedFd>)> {
    let mut rights = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_HANDED))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut rights);
    let mut space = [IoSliceMut::new(space)];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = rustix::net::recvmsg(&socket, &mut space, &mut ancillary, flags)?;
    let mut handed = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(more) = message {
            handed.extend(more);
        }
    }
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(Errno::TOOMANYREFS);
    }
    if received.flags.contains(ReturnFlags::TRUNC) {
        return Err(Errno::MSGSIZE);
    }
    Ok((received.bytes, handed))
}

/// Whoever connected, as a descriptor that cannot come to mean another process; `NotFound` if it is gone.
#[allow(unsafe_code)] // rustix has no SO_PEERPIDFD
pub fn peer_pidfd<Fd: AsFd>(fd: Fd) -> io::Result<OwnedFd> {
    /// include/uapi/asm-generic/socket.h; since Linux 6.5.
    const SO_PEERPIDFD: i32 = 77;
    let mut pidfd: i32 = -1;
    let mut len = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the descriptor is borrowed for the call, and the pointers refer to a live int and its size.
    let result = unsafe {
        libc::getsockopt(
            fd.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PEERPIDFD,
            (&raw mut pidfd).cast(),
            &raw mut len,
        )
    };
    if result == 0 && pidfd >= 0 {
        // SAFETY: the kernel made a new descriptor, which nobody else owns.
        return Ok(unsafe { OwnedFd::from_raw_fd(pidfd) });
    }
    // An older kernel: the peer has this number as long as the connection, unless it is dead already.
    let pid = peer_pid(&fd)?;
    crate::identity::open_pid(pid)?.ok_or_else(|| io::ErrorKind::NotFound.into())
}

#[allow(unsafe_code)] // rustix takes the pid for never 0, which it can be
fn peer<Fd: AsFd>(fd: Fd) -> io::Result<libc::ucred> {
    let mut peer = libc::ucred {
        pid: 0,
        uid: u32::MAX,
        gid: u32::MAX,
    };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the descriptor is borrowed for the call, and the pointers refer to a live ucred and its size.
    let result = unsafe {
        libc::getsockopt(
            fd.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut len,
        )
    };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(peer)
}

/// An address holds 107 bytes, so the directory is named by its descriptor.
fn address_in(directory: BorrowedFd<'_>, name: &str) -> io::Result<SocketAddrUnix> {
    if name.is_empty() || name.contains('/') {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let path = CString::new(format!("/proc/self/fd/{}/{name}", directory.as_raw_fd()))?;
    Ok(SocketAddrUnix::new(path.as_c_str())?)
}

fn not_a_socket(name: &str, kind: io::ErrorKind) -> io::Error {
    io::Error::new(kind, format!("{name} exists and is not a socket"))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read as _, Write as _};
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    use super::*;
    use crate::testing::{alone, eventually};

    fn accept(listener: &OwnedFd) -> UnixStream {
        let listener = UnixListener::from(listener.try_clone().unwrap());
        listener.accept().unwrap().0
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn works_below_a_path_longer_than_an_address() {
        let root = tempfile::tempdir().unwrap();
        let mut path = root.path().to_path_buf();
        for _ in 0..4 {
            path.push("d".repeat(100));
        }
        std::fs::create_dir_all(&path).unwrap();
        let directory = File::open(&path).unwrap();
        let listener = listen(directory.as_fd(), "socket", 16).unwrap();
        assert!(
            std::fs::metadata(path.join("socket"))
                .unwrap()
                .file_type()
                .is_socket()
        );
        let mut client = connect(directory.as_fd(), "socket").unwrap();
        let mut server = accept(&listener);
        client.write_all(b"hello").unwrap();
        drop(client);
        let mut text = String::new();
        server.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
    }

    #[test]
    fn messages_are_whole_and_bring_their_descriptors() {
        let root = tempfile::tempdir().unwrap();
        let directory = File::open(root.path()).unwrap();
        let listener = listen_for_messages(directory.as_fd(), "keeper", 16).unwrap();
        let client = connect_for_messages(directory.as_fd(), "keeper").unwrap();
        let server = rustix::net::accept(&listener).unwrap();
        let file = File::open("/dev/null").unwrap();
        for count in [0, 1, MOST_HANDED] {
            send_message(&client, b"one", &vec![file.as_fd(); count]).unwrap();
            send_message(&client, b"another", &[]).unwrap();
            let mut space = [0; 16];
            let (len, handed) = receive_message(&server, &mut space).unwrap();
            assert_eq!((&space[..len], handed.len()), (&b"one"[..], count));
            let (len, handed) = receive_message(&server, &mut space).unwrap();
            assert_eq!((&space[..len], handed.len()), (&b"another"[..], 0));
        }
        assert!(send_message(&client, b"x", &[file.as_fd(); MOST_HANDED + 1]).is_err());
        send_message(&client, b"too long", &[]).unwrap();
        assert_eq!(
            receive_message(&server, &mut [0; 4]).unwrap_err(),
            Errno::MSGSIZE
        );
        let own = peer_pidfd(&server).unwrap();
        assert!(!crate::identity::dead(&own));
        drop(client);
        assert_eq!(receive_message(&server, &mut [0; 4]).unwrap().0, 0);
    }

    #[test]
    fn tells_the_peer() {
        let root = tempfile::tempdir().unwrap();
        let directory = File::open(root.path()).unwrap();
        let listener = listen(directory.as_fd(), "socket", 16).unwrap();
        let _client = connect(directory.as_fd(), "socket").unwrap();
        let server = accept(&listener);
        let uid = crate::process::effective_uid();
        assert_eq!(peer_uid(&server).unwrap(), uid);
        assert_eq!(peer_pid(&server).unwrap(), std::process::id() as i32);
        let (ours, theirs) = pair().unwrap();
        assert_eq!(peer_uid(&ours).unwrap(), uid);
        let flags = rustix::io::fcntl_getfd(&theirs).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    }

    #[test]
    fn stale_sockets_are_replaced_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let directory = File::open(root.path()).unwrap();
        let error = connect(directory.as_fd(), "socket").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        drop(listen(directory.as_fd(), "socket", 16).unwrap());
        // Another test's child, forked meanwhile, has a copy of the listener until it closes it.
        eventually("refused", || {
            connect(directory.as_fd(), "socket")
                .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
        });
        let _listener = listen(directory.as_fd(), "socket", 16).unwrap();
        connect(directory.as_fd(), "socket").unwrap();

        std::fs::write(root.path().join("file"), "kept").unwrap();
        std::os::unix::fs::symlink("socket", root.path().join("link")).unwrap();
        std::os::unix::fs::symlink("nothing", root.path().join("dangling")).unwrap();
        for name in ["file", "link", "dangling"] {
            let error = listen(directory.as_fd(), name, 16).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{name}");
            let error = connect(directory.as_fd(), name).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name}");
        }
        assert_eq!(std::fs::read(root.path().join("file")).unwrap(), b"kept");
        for name in ["", "a/b", "../x", "nul\0"] {
            assert!(listen(directory.as_fd(), name, 16).is_err());
        }
    }

    #[test]
    fn is_private_whatever_the_umask() {
        alone("socket::tests::is_private_whatever_the_umask", || {
            let root = tempfile::tempdir().unwrap();
            let directory = File::open(root.path()).unwrap();
            for (name, umask) in [("open", 0), ("usual", 0o022), ("shut", 0o777)] {
                crate::process::set_umask(umask);
                let _listener = listen(directory.as_fd(), name, 16).unwrap();
                assert_eq!(mode(&root.path().join(name)), 0o600, "{name}");
            }
            // The first instant, before the chmod that undoes a strict umask.
            crate::process::set_umask(0);
            let flags = SocketFlags::CLOEXEC;
            let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
            rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR).unwrap();
            bind(&socket, &address_in(directory.as_fd(), "first").unwrap()).unwrap();
            assert_eq!(mode(&root.path().join("first")), 0o600);
        });
    }
}
