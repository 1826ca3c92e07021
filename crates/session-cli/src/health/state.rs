//! The state directory: can it be used, and is everything in it as it should be?

use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use session_protocol::{Desired, State};
use session_store::{Finding, Listed, Root, Trouble};

use super::Check;
use crate::context::Context;
use crate::failure::Failure;

/// Less than this and logs will soon have gaps.
const LITTLE: u64 = 64 << 20;

/// All checks of state; what can be repaired is, if `repair`.
pub(crate) fn state(context: &Context, repair: bool) -> Vec<Check> {
    let what = "state directory";
    let root = match context.existing() {
        Ok(Some(root)) => root,
        Ok(None) => {
            let path = Root::locate().unwrap_or_default();
            let detail = format!("{} will be made by the first `create`", path.display());
            return vec![Check::ok(what, detail)];
        }
        Err(failure) => return vec![Check::fail(what, message(&failure))],
    };
    let path = root.path();
    // Opening it has checked that it is a directory of this user's and closed to others.
    let mut checks = vec![
        Check::ok(
            what,
            format!(
                "{}, of user {}, mode 0700",
                path.display(),
                session_sys::process::effective_uid()
            ),
        ),
        file_system(path),
        writing(path),
    ];
    checks.extend(findings(root, repair));
    checks.extend(sessions(root));
    checks
}

fn message(failure: &Failure) -> String {
    failure.message().unwrap_or("cannot be used").to_owned()
}

fn file_system(path: &Path) -> Check {
    let what = "file system";
    let found = match rustix::fs::statfs(path) {
        Ok(found) => found,
        Err(errno) => return Check::fail(what, errno),
    };
    let free = found.f_bavail.saturating_mul(found.f_bsize.unsigned_abs());
    let (name, is_network) = file_system_name(found.f_type as u64 & 0xffff_ffff);
    let detail = format!("{name}, {} MiB free", free >> 20);
    if free < LITTLE {
        return Check::warn(
            what,
            format!("{detail}: logs will have gaps when it is full"),
        );
    }
    if is_network {
        return Check::warn(
            what,
            format!(
                "{detail}: locks may not hold between machines; set SESSION_HOME to a local one"
            ),
        );
    }
    Check::ok(what, detail)
}

/// The name of a file system by its magic number (statfs(2)), and whether others can have it mounted, too.
fn file_system_name(magic: u64) -> (String, bool) {
    let (name, is_network) = match magic {
        0xef53 => ("ext4", false),
        0x5846_5342 => ("xfs", false),
        0x9123_683e => ("btrfs", false),
        0x0102_1994 => ("tmpfs, lost at a reboot", false),
        0x794c_7630 => ("overlayfs", false),
        0x2fc1_2fc1 => ("zfs", false),
        0xf2f5_2010 => ("f2fs", false),
        0x6969 => ("NFS", true),
        0xff53_4d42 | 0xfe53_4d42 => ("SMB", true),
        0x0102_1997 => ("9p", true),
        0x6573_5546 => ("FUSE", true),
        other => return (format!("file system {other:#x}"), false),
    };
    (name.to_owned(), is_network)
}

/// A file without a name, written and synced: nothing is left of it, whatever happens.
fn writing(path: &Path) -> Check {
    let what = "writing";
    let written = (|| -> std::io::Result<()> {
        use std::io::Write as _;
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = match rustix::fs::openat(CWD, path, flags, mode) {
            Ok(file) => file,
            // Not every file system has files without a name.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR) => {
                let name = path.join(format!(".doctor-{}", std::process::id()));
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                let file = rustix::fs::openat(CWD, &name, flags, mode)?;
                rustix::fs::unlink(&name)?;
                file
            }
            Err(errno) => return Err(errno.into()),
        };
        let mut file = std::fs::File::from(file);
        file.write_all(&[0; 4096])?;
        file.sync_all()
    })();
    match written {
        Ok(()) => Check::ok(what, "a file can be written and synced"),
        Err(why) => Check::fail(what, why),
    }
}

fn findings(root: &Root, repair: bool) -> Vec<Check> {
    let what = "records";
    let findings = match root.survey() {
        Ok(findings) => findings,
        Err(error) => return vec![Check::fail(what, error)],
    };
    let mut checks: Vec<Check> = findings
        .iter()
        .map(|finding| {
            let (detail, repairable) = describe(finding);
            let what = match finding {
                Finding::Holder { .. } => "holders",
                _ => what,
            };
            if !(repair && repairable) {
                let hint = if repairable {
                    "; --repair mends it"
                } else {
                    ""
                };
                return Check::warn(what, format!("{detail}{hint}"));
            }
            match root.repair(finding) {
                Ok(Some(done)) => Check::ok(what, format!("{detail}: {done}")),
                Ok(None) => Check::ok(what, format!("{detail}: no longer so")),
                Err(error) => Check::fail(what, format!("{detail}: {error}")),
            }
        })
        .collect();
    if checks.iter().all(|check| check.what != what) {
        checks.push(Check::ok(what, "whole, and every name has its session"));
    }
    checks
}

/// What was found, and whether it can be repaired.
fn describe(finding: &Finding) -> (String, bool) {
    match finding {
        Finding::StaleClaim { name, .. } => {
            (format!("no session stands behind the name '{name}'"), true)
        }
        Finding::Unclaimed { id, name } => {
            (format!("the session {id} has lost its name '{name}'"), true)
        }
        Finding::Duplicate { id, name, other } => (
            format!(
                "the session {id} is called '{name}', a name that leads to {other}; \
                 `session rename {id} NAME` gives it another"
            ),
            false,
        ),
        Finding::Leftover { id } => (format!("an interrupted command left {id}"), true),
        Finding::Damaged { error, held, .. } if *held => (
            format!("{error}; its holder knows it and writes it anew with the next change"),
            false,
        ),
        Finding::Damaged { error, .. } => (error.to_string(), true),
        Finding::Holder { name, pid, trouble } => {
            let detail = match trouble {
                Trouble::Stopped => format!(
                    "the holder {pid} of '{name}' is stopped and answers nobody; `kill -CONT {pid}` lets it go on"
                ),
                Trouble::NoRecord => format!(
                    "the record of '{name}' was removed while its holder {pid} runs, which knows it and writes it anew with \
                     the next change"
                ),
                Trouble::NoSocket => format!(
                    "the socket of '{name}' was removed: its holder {pid} makes another for the next command that asks for it"
                ),
                Trouble::NoLock => format!(
                    "the file `live` of '{name}' was removed: `kill {pid}` ends its holder before another is started beside it"
                ),
            };
            (detail, false)
        }
        Finding::SetAside(damaged) => (
            format!(
                "the damaged session {} is kept in {}",
                damaged.id,
                damaged.path.display()
            ),
            false,
        ),
        Finding::Untouchable { error } => (error.to_string(), false),
    }
}

/// Sessions that should run and of which nobody takes care.
fn sessions(root: &Root) -> Vec<Check> {
    let what = "sessions";
    let listed = match root.list() {
        Ok(listed) => listed,
        Err(error) => return vec![Check::fail(what, error)],
    };
    let here: Vec<&Listed> = listed.iter().filter(|one| !one.foreign).collect();
    let held = here.iter().filter(|one| one.holder).count();
    let mut checks = vec![Check::ok(
        what,
        format!("{}, {held} of them with a holder", here.len()),
    )];
    for listed in here {
        if let Some(detail) = lost(listed) {
            checks.push(Check::warn(what, detail));
        }
    }
    checks
}

/// Says so if the session's holder is gone without having ended it.
fn lost(listed: &Listed) -> Option<String> {
    let status = listed.status.as_ref().ok()?;
    let name = &listed.name;
    if let Some(pid) = status.pid.filter(|_| status.unwatched) {
        return Some(format!(
            "the holder of '{name}' is gone and its main process {pid} lives on; `session restart {name}` or \
             `session stop {name}` ends it"
        ));
    }
    let is_unseen = status
        .exit
        .is_some_and(|exit| exit.code.is_none() && exit.signal.is_none());
    let is_lost = status.desired == Desired::Up && status.state == State::Exited && is_unseen;
    (is_lost && !listed.holder).then(|| {
        format!(
            "the holder of '{name}' is gone (killed, or the machine went down); `session start {name}` starts it"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Level;
    use session_store::{LastState, Spec, Wanted};

    #[test]
    fn a_session_without_its_holder_is_reported_and_a_stale_name_repaired() {
        let state = tempfile::tempdir().unwrap();
        let root = Root::open(&state.path().join("root")).unwrap();
        let spec = Spec::new(vec!["true".into()], "/bin/true".into(), "/".into());
        let wanted = Wanted::Exact("x".parse().unwrap());
        let mut owned = root.create(wanted, spec).unwrap();
        let mut record = owned.record().clone();
        record.last.state = LastState::Up;
        owned.write_record(record).unwrap();
        drop(owned);
        let checks = sessions(&root);
        assert_eq!(checks.len(), 2);
        assert!(checks[1].detail.starts_with("the holder of 'x' is gone"));

        let claim = root.path().join("names/gone");
        std::os::unix::fs::symlink("0123456789abcdef", &claim).unwrap();
        assert_eq!(findings(&root, false)[0].level, Level::Warn);
        assert!(claim.is_symlink());
        assert_eq!(findings(&root, true)[0].level, Level::Ok);
        assert!(!claim.is_symlink());
        assert_eq!(findings(&root, false)[0].level, Level::Ok);
    }

    #[test]
    fn writing_leaves_nothing() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(writing(state.path()).level, Level::Ok);
        assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0);
        assert_eq!(writing(Path::new("/proc")).level, Level::Fail);
        assert_eq!(file_system_name(0xef53), ("ext4".to_owned(), false));
    }
}
