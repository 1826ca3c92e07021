//! A cgroup of our own (version 2): who is in it, freeze all, kill all, in one write each.
//!
//! It lies under the cgroup the caller runs in, because that is the one a service manager may have delegated
//! to us, and works in the hybrid layout too, where version 2 is mounted without controllers.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, Mode, OFlags};

/// A cgroup made by us. Dropping it leaves the cgroup as it is.
#[derive(Debug)]
pub struct Group {
    path: PathBuf,
    directory: OwnedFd,
    fresh: Cell<bool>,
}

impl Group {
    /// Makes the cgroup `session-NAME` under the caller's own one.
    ///
    /// One of that name is taken over if it is empty or our user's own. Errors: no version 2 hierarchy or no
    /// `cgroup.kill` (`Unsupported`), not delegated to us (`PermissionDenied`).
    pub fn create(name: &str) -> io::Result<Self> {
        let path = path_of(name)?;
        match Self::make(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let group = Self::at(&path)?;
                let owner = std::fs::metadata(&path)?.uid();
                if owner != crate::process::effective_uid() && group.is_populated()? {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                Ok(group)
            }
            made => made,
        }
    }

    fn make(path: &Path) -> io::Result<Self> {
        rustix::fs::mkdir(path, Mode::from_raw_mode(0o755))?;
        let group = Self::at(path);
        match &group {
            Ok(group) => group.fresh.set(true),
            Err(_) => drop(std::fs::remove_dir(path)), // made a moment ago, of no use
        }
        group
    }

    /// Another in its place, which nothing is in; an error while something is.
    pub fn renewed(&self) -> io::Result<Self> {
        self.remove()?;
        Self::make(&self.path)
    }

    /// Whether it was made by this process and never killed.
    ///
    /// Linux (seen on 6.18) sends SIGKILL to every process that clone3(2) creates in a cgroup that was ever killed:
    /// it compares that group's count of kills with the count of the parent's group. Such a cgroup takes
    /// processes by [`Group::add`] only.
    pub fn is_fresh(&self) -> bool {
        self.fresh.get()
    }

    /// Opens the cgroup `session-NAME` under the caller's own one; `NotFound` if there is none. From another
    /// cgroup than the maker's use [`Group::at`].
    pub fn open_existing(name: &str) -> io::Result<Self> {
        Self::at(&path_of(name)?)
    }

    /// Opens the cgroup at the path that [`Group::path`] told.
    pub fn at(path: &Path) -> io::Result<Self> {
        let directory = rustix::fs::open(
            path,
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let group = Self {
            path: path.to_path_buf(),
            directory,
            fresh: Cell::new(false),
        };
        match rustix::fs::statat(&group.directory, "cgroup.kill", AtFlags::empty()) {
            Ok(_) => Ok(group),
            Err(_) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "no cgroup.kill: not a cgroup of version 2, or a kernel before 5.14",
            )),
        }
    }

    /// The open directory, for `spawn`.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Kills every process in it and below, those being forked included.
    pub fn kill(&self) -> io::Result<()> {
        self.fresh.set(false);
        self.set("cgroup.kill", "1")
    }

    /// Freezes or thaws all of it. The kernel gets there a moment later: [`Group::is_frozen`].
    pub fn freeze(&self, frozen: bool) -> io::Result<()> {
        self.set("cgroup.freeze", if frozen { "1" } else { "0" })
    }

    /// Whether any process, ended but unreaped ones aside, is in it or below.
    pub fn is_populated(&self) -> io::Result<bool> {
        self.event("populated")
    }

    /// Whether all of it is frozen.
    pub fn is_frozen(&self) -> io::Result<bool> {
        self.event("frozen")
    }

    /// The processes in it and below. Those of a pid namespace that cannot be seen from here are left out.
    pub fn processes(&self) -> io::Result<Vec<i32>> {
        let mut pids = Vec::new();
        for directory in self.with_nested() {
            let text = match std::fs::read_to_string(directory.join("cgroup.procs")) {
                Ok(text) => text,
                // A nested one was removed meanwhile.
                Err(error) if is_gone(&error) && directory != self.path => continue,
                Err(error) => return Err(error),
            };
            pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
        }
        pids.retain(|&pid| pid > 0);
        Ok(pids)
    }

    /// `cgroup.events`, open: epoll reports EPOLLPRI when `populated` or `frozen` changes. Read it from the
    /// start (or ask this group) after each change.
    pub fn events(&self) -> io::Result<File> {
        self.open("cgroup.events", OFlags::RDONLY)
    }

    /// Moves a process into it, where it could not be created there.
    pub fn add(&self, pid: i32) -> io::Result<()> {
        self.set("cgroup.procs", &pid.to_string())
    }

    /// Writes a value to one of its files, such as `memory.max`; `NotFound` if its controller is not enabled.
    pub fn set(&self, file: &str, value: &str) -> io::Result<()> {
        let file = self.open(file, OFlags::WRONLY)?;
        // One write: the kernel parses each on its own.
        rustix::io::retry_on_intr(|| rustix::io::write(&file, value.as_bytes()))?;
        Ok(())
    }

    /// Removes it and the empty ones that its processes made below; `ResourceBusy` while any process is left.
    pub fn remove(&self) -> io::Result<()> {
        for directory in self.with_nested().iter().rev() {
            match std::fs::remove_dir(directory) {
                Err(error) if !is_gone(&error) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn event(&self, key: &str) -> io::Result<bool> {
        let text = io::read_to_string(self.events()?)?;
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))
            .map(|value| value == "1")
            .ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn open(&self, file: &str, flags: OFlags) -> io::Result<File> {
        if file.contains('/') {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let file = rustix::fs::openat(
            &self.directory,
            file,
            flags | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        Ok(file.into())
    }

    /// This cgroup's directory and all below it, each before those it holds.
    fn with_nested(&self) -> Vec<PathBuf> {
        let mut found = vec![self.path.clone()];
        let mut next = 0;
        while next < found.len() {
            // An unreadable one is gone, which is as good as empty.
            for entry in std::fs::read_dir(&found[next])
                .into_iter()
                .flatten()
                .flatten()
            {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    found.push(entry.path());
                }
            }
            next += 1;
        }
        found
    }
}

/// The directory in which groups would be made, or in words why there can be none.
pub fn available() -> Result<PathBuf, String> {
    let own = own_directory().map_err(|error| error.to_string())?;
    if let Err(error) = rustix::fs::access(&own, Access::WRITE_OK | Access::EXEC_OK) {
        return Err(format!(
            "the cgroup {} is not delegated to this user: {}",
            own.display(),
            io::Error::from(error)
        ));
    }
    // The root cgroup itself has none of these files; in any other this tells the kernel's age.
    let root_has_none = !own.join("cgroup.events").exists();
    if !root_has_none && !own.join("cgroup.kill").exists() {
        return Err("no cgroup.kill: the kernel is older than 5.14".to_owned());
    }
    Ok(own)
}

fn path_of(name: &str) -> io::Result<PathBuf> {
    if name.is_empty() || name.contains(['/', '\0']) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(own_directory()?.join(format!("session-{name}")))
}

/// The directory of the caller's own version 2 cgroup.
fn own_directory() -> io::Result<PathBuf> {
    directory_from(
        &std::fs::read("/proc/self/cgroup")?,
        &std::fs::read("/proc/self/mountinfo")?,
    )
}

fn directory_from(cgroup: &[u8], mountinfo: &[u8]) -> io::Result<PathBuf> {
    let unsupported = |reason: &str| io::Error::new(io::ErrorKind::Unsupported, reason.to_owned());
    let own = cgroup
        .split(|&byte| byte == b'\n')
        .find_map(|line| line.strip_prefix(b"0::"))
        .ok_or_else(|| unsupported("the kernel has no cgroups of version 2"))?;
    let own = Path::new(std::ffi::OsStr::from_bytes(own));
    // ID PARENT MAJ:MIN ROOT MOUNTPOINT OPTIONS [FIELD…] - TYPE SOURCE OPTIONS (proc_pid_mountinfo(5))
    mountinfo
        .split(|&byte| byte == b'\n')
        .filter_map(|line| {
            let mut fields = line.split(|&byte| byte == b' ');
            let root = unescape(fields.nth(3)?);
            let mount_point = unescape(fields.next()?);
            let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
            if kind != b"cgroup2" {
                return None;
            }
            // A mount may show only a part of the hierarchy, and a cgroup namespace may not show ours (`/..`).
            let below = own.strip_prefix(root).ok()?;
            let visible = !below.components().any(|part| part.as_os_str() == "..");
            visible.then(|| mount_point.join(below))
        })
        .next()
        .ok_or_else(|| {
            unsupported("no cgroup file system of version 2 is mounted that shows the own cgroup")
        })
}

/// Undoes the `\ooo` that mountinfo has for blanks and backslashes.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail
            .get(..3)
            .filter(|_| first == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        rest = if octal.is_some() { &tail[3..] } else { tail };
        bytes.push(octal.unwrap_or(first));
    }
    std::ffi::OsString::from_vec(bytes).into()
}

/// A cgroup removed while its files are open or looked for.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
}

#[cfg(test)]
pub(crate) mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;
    use crate::spawn::spawn;
    use crate::testing::{Child, program};

    /// A new group, or none, said loudly, where this machine has no cgroups for us.
    pub(crate) fn group(purpose: &str) -> Option<Group> {
        let made = available().and_then(|_| {
            let name = format!("test-{purpose}-{}", std::process::id());
            Group::create(&name).map_err(|error| error.to_string())
        });
        match made {
            Ok(group) => Some(group),
            Err(reason) => {
                eprintln!("SKIPPED: no cgroup: {reason}");
                None
            }
        }
    }

    #[test]
    fn freezes_thaws_and_kills() {
        let Some(group) = group("life") else { return };
        assert!(!group.is_populated().unwrap());
        let events = group.events().unwrap();
        let changed = || {
            let mut fds = [PollFd::new(&events, PollFlags::PRI)];
            let patience = Timespec {
                tv_sec: 20,
                tv_nsec: 0,
            };
            assert_eq!(poll(&mut fds, Some(&patience)), Ok(1));
            io::read_to_string(&events).unwrap();
            rustix::fs::seek(&events, rustix::fs::SeekFrom::Start(0)).unwrap();
        };
        let gated = spawn(&program("/bin/sleep", &["100"]), Some(group.fd())).unwrap();
        assert!(gated.in_cgroup());
        let (mut child, _) = Child::report(gated.open().unwrap());
        assert!(group.is_populated().unwrap());
        changed();

        group.freeze(true).unwrap();
        while !group.is_frozen().unwrap() {
            changed();
        }
        group.freeze(false).unwrap();
        while group.is_frozen().unwrap() {
            changed();
        }
        assert_eq!(
            group.remove().unwrap_err().kind(),
            io::ErrorKind::ResourceBusy
        );
        // Killed even while frozen.
        group.freeze(true).unwrap();
        group.kill().unwrap();
        assert_eq!(child.wait(), (None, Some(libc::SIGKILL)));
        while group.is_populated().unwrap() {
            changed();
        }
        let renewed = group.renewed().unwrap();
        assert!(renewed.is_fresh() && !group.is_fresh());
        renewed.remove().unwrap();
        assert!(!group.path().exists());
    }

    #[test]
    fn takes_over_its_own_and_removes_nested_ones() {
        let Some(group) = group("again") else { return };
        let name = format!("test-again-{}", std::process::id());
        assert_eq!(Group::create(&name).unwrap().path(), group.path());
        assert_eq!(Group::open_existing(&name).unwrap().path(), group.path());
        std::fs::create_dir_all(group.path().join("inner/most")).unwrap();
        let mut child = Child::start(program("/bin/sleep", &["100"]));
        Group::at(&group.path().join("inner/most"))
            .unwrap()
            .add(child.pid)
            .unwrap();
        assert_eq!(group.processes().unwrap(), [child.pid]);
        child.signal(libc::SIGKILL);
        child.wait();
        group.remove().unwrap();
        let error = Group::open_existing(&name).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_file_that_is_absent_is_an_error() {
        let Some(group) = group("absent") else { return };
        let error = group.set("nothing.max", "1").unwrap_err();
        let error_of_path = group.set("../cgroup.procs", "1").unwrap_err();
        group.remove().unwrap();
        assert!(matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
        ));
        assert_eq!(error_of_path.kind(), io::ErrorKind::InvalidInput);
        for name in ["", "a/b", ".\0"] {
            assert!(Group::create(name).is_err());
        }
    }

    #[test]
    fn finds_the_own_directory() {
        let hybrid = b"31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
            41 31 0:38 / /sys/fs/cgroup/uni\\040fied rw shared:9 master:3 - cgroup2 cgroup2 rw\n";
        let own = b"1:name=systemd:/\n0::/user.slice/a\n";
        assert_eq!(
            directory_from(own, hybrid).unwrap(),
            Path::new("/sys/fs/cgroup/uni fied/user.slice/a")
        );
        assert_eq!(
            directory_from(b"0::/\n", hybrid).unwrap(),
            Path::new("/sys/fs/cgroup/uni fied/")
        );
        let part = b"41 31 0:38 /user.slice /mnt rw - cgroup2 none rw\n";
        assert_eq!(directory_from(own, part).unwrap(), Path::new("/mnt/a"));
        for (cgroup, mountinfo) in [
            (&b"0::/system.slice\n"[..], &part[..]),
            (b"0::/../../other\n", hybrid),
            (b"1:cpu:/\n", hybrid),
            (own, b""),
            (own, b"garbage\n1 2 3\n"),
        ] {
            let error = directory_from(cgroup, mountinfo).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        }
    }
}
