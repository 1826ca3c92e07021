//! Another executable in the place of this one: the same process goes on as another program, with its descriptors and its
//! children. Holders do it and the keeper does.
//!
//! What can go wrong goes wrong before: the new executable is asked whether it understands what it would be handed, and only
//! if it says so it is executed. What fails behind that is a death like any other, of which nobody is the poorer.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, Mode, OFlags};
use rustix::io::FdFlags;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use session_sys::process;

/// The version that is written. Every one up to it is read: fields are only added.
const VERSION: u32 = 1;
/// What an executable says that will take over.
const WILLING: &str = "session will take over\n";
/// How long it may think about that.
const PATIENCE: Duration = Duration::from_secs(5);

/// Something that is handed over: descriptors, and what has to be known of them.
pub struct Item<'a> {
    /// Under which it is found again.
    pub key: String,
    /// What has to be known.
    pub what: Value,
    /// The descriptors.
    pub descriptors: Vec<BorrowedFd<'a>>,
}

/// What was handed over: by key, what was said and the descriptors.
pub type Handed = BTreeMap<String, (Value, Vec<OwnedFd>)>;

/// Everything, in the file that the new program finds as descriptor 0.
#[derive(Serialize, Deserialize)]
struct Table {
    version: u32,
    state: Value,
    entries: Vec<Entry>,
}

/// Descriptors that are left open.
#[derive(Serialize, Deserialize)]
struct Entry {
    key: String,
    what: Value,
    descriptors: Vec<i32>,
}

/// Goes on as `executable`, called `session ROLE NAME upgrade`, which finds `state` and `items` by [`inherit`]. Returns only
/// if that cannot be, and then nothing has changed.
pub fn succeed(
    executable: &Path,
    role: &str,
    name: &std::ffi::OsStr,
    state: Value,
    items: &[Item<'_>],
) -> io::Error {
    let tried = (|| {
        if !executable.is_absolute() {
            return Err(io::Error::other("the path is not absolute"));
        }
        let table = write(state, items)?;
        ask(executable, role, name, &table)?;
        become_it(executable, role, name, &table, items)
    })();
    match tried {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn write(state: Value, items: &[Item<'_>]) -> io::Result<OwnedFd> {
    let entries = items.iter().map(|item| Entry {
        key: item.key.clone(),
        what: item.what.clone(),
        descriptors: item.descriptors.iter().map(AsRawFd::as_raw_fd).collect(),
    });
    let table = Table {
        version: VERSION,
        state,
        entries: entries.collect(),
    };
    let file = rustix::fs::memfd_create("session-upgrade", MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(file);
    file.write_all(&serde_json::to_vec(&table)?)?;
    Ok(file.into())
}

fn read() -> io::Result<Table> {
    let mut file = std::fs::File::from(process::take_inherited(0)?);
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    let table: Table = serde_json::from_slice(&bytes)?;
    match table.version {
        0..=VERSION => Ok(table),
        later => Err(io::Error::other(format!("a table of version {later}"))),
    }
}

/// Asks the executable whether it would take over.
fn ask(executable: &Path, role: &str, name: &std::ffi::OsStr, table: &OwnedFd) -> io::Result<()> {
    let mut child = Command::new(executable)
        .arg0("session")
        .arg(role)
        .arg(name)
        .arg("check")
        .stdin(table.try_clone()?)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let willing = child.stdout.take().is_some_and(|answer| {
        let said = heard(&answer.into(), Instant::now() + PATIENCE);
        said.is_ok_and(|said| said == WILLING.as_bytes())
    });
    // Whatever runs on behind its answer is not waited for.
    let _ = child.kill();
    let _ = child.wait();
    if willing {
        Ok(())
    } else {
        Err(io::Error::other("it would not take over"))
    }
}

/// As much as the answer is to have, by the deadline: the other end may stay open without a word.
fn heard(answer: &OwnedFd, deadline: Instant) -> io::Result<Vec<u8>> {
    rustix::io::ioctl_fionbio(answer, true)?;
    let mut said = Vec::new();
    let mut piece = [0; WILLING.len()];
    while said.len() < WILLING.len() {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).ok();
        let mut fds = [PollFd::new(answer, PollFlags::IN)];
        if rustix::io::retry_on_intr(|| poll(&mut fds, timeout.as_ref()))? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let room = WILLING.len() - said.len();
        match rustix::io::read(answer, &mut piece[..room]) {
            Ok(0) => break,
            Ok(read) => said.extend_from_slice(&piece[..read]),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(said)
}

fn become_it(
    executable: &Path,
    role: &str,
    name: &std::ffi::OsStr,
    table: &OwnedFd,
    items: &[Item<'_>],
) -> io::Result<std::convert::Infallible> {
    let string = |bytes: &[u8]| CString::new(bytes).map_err(io::Error::from);
    let argv = [
        c"session".to_owned(),
        string(role.as_bytes())?,
        string(name.as_bytes())?,
        c"upgrade".to_owned(),
    ];
    let env = std::env::vars_os().map(|(name, value)| {
        let entry = [name.as_bytes(), b"=", value.as_bytes()].concat();
        string(&entry)
    });
    let env = env.collect::<io::Result<Vec<_>>>()?;
    let path = string(executable.as_os_str().as_bytes())?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    let mark = |flags| {
        let mut kept = items.iter().flat_map(|item| &item.descriptors);
        kept.try_for_each(|fd| rustix::io::fcntl_setfd(fd, flags))
    };
    rustix::stdio::dup2_stdin(table)?;
    let failed = match mark(FdFlags::empty()) {
        Ok(()) => process::execute(&path, &argv, &env),
        Err(errno) => errno.into(),
    };
    // What cannot fail for reasons of its own: all of these were open a moment ago.
    let _ = mark(FdFlags::CLOEXEC);
    let _ = rustix::stdio::dup2_stdin(null);
    Err(failed)
}

/// The role `check`: whether what descriptor 0 says is understood; `understands` looks at the state.
pub fn check(understands: impl FnOnce(Value) -> bool) -> bool {
    let understood = read().is_ok_and(|table| understands(table.state));
    understood && io::stdout().write_all(WILLING.as_bytes()).is_ok()
}

/// The role `upgrade`: the state and what was left open, as descriptor 0 says. Before anything else is opened.
pub fn inherit() -> io::Result<(Value, Handed)> {
    let Table { state, entries, .. } = read()?;
    let mut handed = Handed::new();
    for entry in entries {
        let descriptors = entry.descriptors.into_iter().map(process::left_open);
        let descriptors = descriptors.collect::<io::Result<Vec<_>>>()?;
        handed.insert(entry.key, (entry.what, descriptors));
    }
    process::null_standard_streams()?;
    Ok((state, handed))
}
