//! Tests of the right to write, and of what a session's life leaves on disk.

use super::*;
use crate::live::tests::live;
use crate::{LastState, LogWriter, Root, Spec, Wanted};
use session_protocol::{Channel, Desired, Exit, Scope, State, Timestamp};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

pub(crate) fn root() -> (tempfile::TempDir, Root) {
    let place = tempfile::tempdir().unwrap();
    let root = Root::open(&place.path().join("state")).unwrap();
    (place, root)
}

pub(crate) fn spec() -> Spec {
    Spec::new(
        vec!["sleep".into(), "9".into()],
        "/bin/sleep".into(),
        "/".into(),
    )
}

pub(crate) fn create(root: &Root, name: &str) -> Owned {
    root.create(Wanted::Exact(name.parse().unwrap()), spec())
        .unwrap()
}

fn files(path: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        found.push(entry.path().display().to_string());
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        }
    }
    found.sort();
    found
}

#[test]
fn a_session_comes_and_goes_without_a_trace() {
    let (_place, root) = root();
    let empty = files(root.path());
    let mut owned = create(&root, "web");
    owned.make_durable().unwrap();
    owned.announce_holder().unwrap();
    owned
        .write_live(&live("web", &owned.session().id().to_string()))
        .unwrap();
    LogWriter::open(
        owned.session().directory_fd(),
        "main",
        Channel::Pty,
        1 << 20,
    )
    .unwrap()
    .append(&[b"x"], Timestamp::now())
    .unwrap();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("precious"), "").unwrap();
    symlink(outside.path(), owned.session().path().join("streams/link")).unwrap();
    for file in files(root.path()) {
        let stat = std::fs::symlink_metadata(&file).unwrap();
        assert!(
            stat.is_symlink() || stat.permissions().mode() & 0o077 == 0,
            "{file}"
        );
    }
    owned.remove().unwrap();
    let mut left = files(root.path());
    left.retain(|file| !file.ends_with("/lock"));
    assert_eq!(left, empty);
    assert!(
        outside.path().join("precious").exists(),
        "links are not followed"
    );
}

#[test]
fn one_at_a_time_may_write() {
    let (_place, root) = root();
    let owned = create(&root, "web");
    let session = root.find("web").unwrap();
    assert!(session.try_own().unwrap().is_none());
    assert!(!session.holder_lives().unwrap());
    owned.announce_holder().unwrap();
    assert!(session.holder_lives().unwrap());
    drop(owned);
    assert!(!session.holder_lives().unwrap());
    let again = session.try_own().unwrap().unwrap();
    again.remove().unwrap();
    assert!(
        matches!(session.try_own(), Err(Error::NotFound(_))),
        "gone under an open session"
    );
}

#[test]
fn the_right_is_inherited() {
    let (_place, root) = root();
    let owned = create(&root, "web");
    let session = owned.session().clone();
    // A child with `live` as its standard output, as a holder is started; it ends when its input does.
    let mut holder = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(owned.lock_fd().try_clone_to_owned().unwrap())
        .spawn()
        .unwrap();
    let directory = session.directory_fd().try_clone_to_owned().unwrap();
    let lock = owned.lock_fd().try_clone_to_owned().unwrap();
    drop(owned);
    let mut holding = Owned::from_inherited(directory, lock).unwrap();
    holding.announce_holder().unwrap();
    holding.rename("web2".parse().unwrap()).unwrap();
    assert_eq!(*root.find("web2").unwrap().id(), *session.id());
    drop(holding);
    assert!(session.holder_lives().unwrap(), "the child still has it");
    assert!(session.try_own().unwrap().is_none());
    drop(holder.stdin.take());
    holder.wait().unwrap();
    assert!(!session.holder_lives().unwrap());
    // Neither a lock of another session nor one that is gone is accepted.
    let (other, mine) = (create(&root, "other"), session.try_own().unwrap().unwrap());
    let directory = session.directory_fd().try_clone_to_owned().unwrap();
    let lock = other.lock_fd().try_clone_to_owned().unwrap();
    assert!(matches!(
        Owned::from_inherited(directory, lock),
        Err(Error::Refused { .. })
    ));
    drop(mine);
}

#[test]
fn records_and_identities_are_read_as_written() {
    let (_place, root) = root();
    let mut owned = create(&root, "web");
    let mut record = owned.record().clone();
    record.spec.set("title", Some(b"t")).unwrap();
    record.kept.insert("later".into(), 1.into());
    owned.write_record(record.clone()).unwrap();
    assert_eq!(owned.session().read_record().unwrap(), record);
    let renamed = Record {
        name: "other".parse().unwrap(),
        ..record
    };
    assert!(
        owned.write_record(renamed).is_err(),
        "names change by rename only"
    );
    assert_eq!(owned.read_identity().unwrap(), None);
    let boot_id = session_sys::identity::boot_id().unwrap();
    for pid in [1, 4_000_000] {
        let identity = Identity {
            boot_id,
            pid_namespace: 4_026_531_836,
            pid,
            start_time: 7,
        };
        owned.write_identity(&identity).unwrap();
        assert_eq!(owned.read_identity().unwrap(), Some(identity));
    }
    assert_eq!(
        std::fs::metadata(owned.session().path().join("main"))
            .unwrap()
            .len(),
        96
    );
}

#[test]
fn renames_are_refused_over_others_and_free_the_old_name() {
    let (_place, root) = root();
    let (mut owned, _other) = (create(&root, "one"), create(&root, "two"));
    assert!(matches!(
        owned.rename("two".parse().unwrap()),
        Err(Error::Exists(_))
    ));
    owned.rename("one".parse().unwrap()).unwrap();
    owned.rename("three".parse().unwrap()).unwrap();
    assert_eq!(
        owned.session().read_record().unwrap().name.as_str(),
        "three"
    );
    assert!(matches!(root.find("one"), Err(Error::NotFound(_))));
    create(&root, "one");
}

#[test]
fn without_a_holder_the_state_is_what_was_seen() {
    let (_place, root) = root();
    let mut owned = create(&root, "web");
    let code = Exit {
        code: Some(3),
        signal: None,
        at: Timestamp::from_millis(9),
    };
    let mut state = |desired, last, exit, started: i64, live_started: Option<i64>| {
        let mut record = owned.record().clone();
        record.desired = desired;
        record.last.state = last;
        record.last.exit = exit;
        record.last.started_at = (started > 0).then(|| Timestamp::from_millis(started));
        owned.write_record(record).unwrap();
        if let Some(started) = live_started {
            let mut live = live("web", &owned.session().id().to_string());
            live.status.started_at = Some(Timestamp::from_millis(started));
            owned.write_live(&live).unwrap();
        }
        let status = root.find("web").unwrap().status().unwrap();
        assert_eq!(status, owned.status());
        assert_eq!((status.pid, status.scope), (None, Scope::User));
        (status.state, status.exit.map(|exit| exit.code))
    };
    use Desired::{Down, Up};
    assert_eq!(
        state(Up, LastState::NotStarted, None, 0, None),
        (State::Suspended, None)
    );
    assert_eq!(
        state(Up, LastState::Up, Some(code), 5, None),
        (State::Exited, Some(None)),
        "unknown, not the last one"
    );
    assert_eq!(
        state(Down, LastState::Up, None, 5, None),
        (State::Stopped, None)
    );
    assert_eq!(
        state(Up, LastState::Exited, Some(code), 5, Some(5)),
        (State::Exited, Some(Some(3)))
    );
    assert_eq!(
        state(Up, LastState::Exited, Some(code), 5, Some(6)),
        (State::Exited, Some(None)),
        "restarted since"
    );
    assert_eq!(
        state(Down, LastState::Stopped, Some(code), 7, None),
        (State::Stopped, Some(Some(3)))
    );
    assert_eq!(
        state(Up, LastState::Failed, Some(code), 7, None),
        (State::Failed, Some(Some(3)))
    );
    assert_eq!(
        state(Up, LastState::NotStarted, None, 0, Some(6)),
        (State::Exited, Some(None)),
        "the record came too late"
    );
}

/// A full disk shortens a write without an error: the old record must stay, and a later write succeed.
#[test]
fn a_full_disk_leaves_the_old_record() {
    if let Some(path) = std::env::var_os("STORE_TEST_FULL") {
        return on_a_full_disk(Path::new(&path));
    }
    if session_sys::process::effective_uid() != 0 {
        eprintln!("SKIPPED: only root can mount a small file system");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let name = std::thread::current().name().unwrap().to_owned();
    let script =
        r#"mount -t tmpfs -o size=64k,mode=700 none "$0" && exec "$1" --exact "$2" --nocapture"#;
    let done = Command::new("unshare")
        .args(["-m", "sh", "-c", script])
        .args([
            place.path(),
            &std::env::current_exe().unwrap(),
            Path::new(&name),
        ])
        .env("STORE_TEST_FULL", place.path())
        .output();
    match done {
        Ok(done) if done.status.success() => {}
        Ok(done) if String::from_utf8_lossy(&done.stderr).contains("unshare failed") => {
            eprintln!("SKIPPED: no unshare")
        }
        Ok(done) => panic!(
            "{}{}",
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        ),
        Err(error) => eprintln!("SKIPPED: unshare: {error}"),
    }
}

fn on_a_full_disk(path: &Path) {
    std::fs::write(path.join("filler"), [0; 16 << 10]).unwrap();
    let root = Root::open(&path.join("state")).unwrap();
    let mut owned = create(&root, "web");
    let session = owned.session().clone();
    let open = || LogWriter::open(session.directory_fd(), "main", Channel::Out, 16 << 20);
    let mut log = open().unwrap();
    log.append(&[b"first"], Timestamp::now()).unwrap();
    let old = std::fs::read(owned.session().path().join("record")).unwrap();
    let mut large = owned.record().clone();
    large.spec.set("env.A", Some(&[b'x'; 100_000])).unwrap();
    for _ in 0..3 {
        assert!(matches!(
            owned.write_record(large.clone()),
            Err(Error::Io { .. })
        ));
        assert_eq!(
            std::fs::read(owned.session().path().join("record")).unwrap(),
            old
        );
        assert!(!owned.session().path().join("record.new").exists());
    }
    // Output: what fits is kept, the rest is a gap of known size, and the stream goes on afterwards.
    let error = log
        .append(&[&[b'y'; 100_000]], Timestamp::now())
        .unwrap_err();
    assert_eq!(error.raw_os_error(), Some(Errno::NOSPC.raw_os_error()));
    assert!(log.append(&[b"lost"], Timestamp::now()).is_err());
    assert_eq!(log.end(), 5 + 100_000 + 4);
    let kept = log.end() - log.lost();
    let segments = std::fs::read_dir(owned.session().path().join("streams/main/out"))
        .unwrap()
        .count();
    assert!(kept > 5 && segments < 8, "{kept} {segments}");
    std::fs::remove_file(path.join("filler")).unwrap();
    log.append(&[b"again"], Timestamp::now()).unwrap();
    let again = log.end() - 5;
    for reopened in [false, true] {
        if reopened {
            let log = open().unwrap();
            assert_eq!(log.end(), again + 5);
        }
        let mut reader = owned.session().log("main", Channel::Out).unwrap().unwrap();
        let mut buffer = [0; 8];
        assert_eq!(
            reader.read_at(kept - 1, &mut buffer).unwrap(),
            crate::ReadAt::Bytes(1)
        );
        assert_eq!(
            reader.read_at(kept, &mut buffer).unwrap(),
            crate::ReadAt::Gap { next: again }
        );
        assert_eq!(
            reader.read_at(again, &mut buffer).unwrap(),
            crate::ReadAt::Bytes(5)
        );
        assert_eq!(&buffer[..5], b"again");
    }
    let mut small = owned.record().clone();
    small.spec.set("title", Some(b"t")).unwrap();
    owned.write_record(small).unwrap();
}
