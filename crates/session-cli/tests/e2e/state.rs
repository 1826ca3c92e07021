//! The state directory: full, damaged, foreign, or open to others.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use crate::support::{OTHER_USER, Sandbox, ran};

fn records(session: &Sandbox) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found: Vec<_> = std::fs::read_dir(session.state().join("sessions"))
        .unwrap()
        .flatten()
        .map(|entry| entry.path().join("record"))
        .filter_map(|path| std::fs::read(&path).ok().map(|bytes| (path, bytes)))
        .collect();
    found.sort();
    found
}

#[test]
fn a_full_disk_fails_verbs_and_changes_no_record() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can mount a small file system");
        return;
    }
    let session = Sandbox::new();
    std::fs::create_dir(session.state()).unwrap();
    std::fs::set_permissions(session.state(), PermissionsExt::from_mode(0o700)).unwrap();
    // The holder inherits the mount namespace; everything happens in one shell.
    let script = r#"
        set -e
        mount -t tmpfs -o size=64k,mode=700 tmpfs "$SESSION_HOME"
        "$SESSION" create -q -n first sleep 1000
        "$SESSION" create -q -n second -s sleep 1000
        "$SESSION" create -q -n doomed sleep 1000
        sum() { cat "$SESSION_HOME"/sessions/*/record | sha256sum; }
        before=$(sum)
        dd if=/dev/zero of="$SESSION_HOME/fill" bs=1k 2>/dev/null || true
        for verb in "create -n third sleep 1000" "set first title full" "set second title full" "stop first" "rename second other"; do
            if "$SESSION" $verb 2>error; then echo "$verb: succeeded"; exit 1; fi
            grep -q 'No space left' error || { echo "$verb:"; cat error; exit 1; }
            grep -q "$SESSION_HOME" error || { echo "$verb names no file:"; cat error; exit 1; }
        done
        [ "$(sum)" = "$before" ]
        # What is deleted needs no room.
        "$SESSION" rm -f doomed
        dd if=/dev/zero of="$SESSION_HOME/fill2" bs=1k 2>/dev/null || true
        "$SESSION" status first | grep -q running
        [ "$("$SESSION" ls -q --json | grep -o '"name"' | wc -l)" = 2 ]
        rm "$SESSION_HOME/fill" "$SESSION_HOME/fill2"
        "$SESSION" create -q -n third sleep 1000
        "$SESSION" set first title room
        "$SESSION" rename second other
        "$SESSION" stop first
        for name in first other third; do "$SESSION" rm -f $name; done
    "#;
    let mut command = Command::new("unshare");
    command
        .args(["-m", "--propagation", "private", "/bin/sh", "-c", script])
        .env_clear()
        .envs(session.environment());
    command
        .env("SESSION", session.executable())
        .current_dir(session.path(""));
    let ran = ran(&mut command);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn one_damaged_record_is_set_aside_and_the_others_work() {
    let session = Sandbox::new();
    for name in ["a", "b", "c"] {
        session.ok(["create", "-n", name, "-s", "sleep", "1000"]);
    }
    let id = session.ok(["get", "b", "id"]).trim().to_owned();
    let record = session.state().join("sessions").join(&id).join("record");
    let noise: Vec<u8> = (0..777_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    std::fs::write(&record, &noise).unwrap();
    let listed = session.run(["ls"]);
    assert_eq!(listed.code, 0);
    assert!(
        listed.out.contains('a') && listed.out.contains('c'),
        "{listed:?}"
    );
    assert!(listed.err.contains("damaged"), "{listed:?}");
    let kept: Vec<PathBuf> = std::fs::read_dir(session.state().join("damaged"))
        .unwrap()
        .flatten()
        .map(|it| it.path())
        .collect();
    assert_eq!(
        std::fs::read(kept[0].join("record")).unwrap(),
        noise,
        "kept as it was"
    );
    session.ok(["start", "a"]);
    session.ok(["create", "-n", "b", "sleep", "1000"]);
    session.ok(["stop", "a"]);
}

#[test]
fn a_record_of_a_later_version_is_left_alone() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "later", "-s", "sleep", "1000"]);
    let (path, bytes) = records(&session).remove(0);
    let text =
        String::from_utf8(bytes)
            .unwrap()
            .replacen("session-record 1 ", "session-record 2 ", 1);
    std::fs::write(&path, &text).unwrap();
    for verb in [
        &["start", "later"][..],
        &["set", "later", "title", "x"],
        &["rm", "-f", "later"],
        &["status", "later"],
    ] {
        let refused = session.run(verb);
        assert_eq!(refused.code, 1, "{verb:?}: {refused:?}");
        assert!(refused.err.contains("version 2"), "{verb:?}: {refused:?}");
    }
    session.run(["ls"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_state_directory_that_is_not_ours_alone_is_refused() {
    let session = Sandbox::new();
    let refused = |why: &str| {
        for verb in [
            &["create", "-n", "x", "sleep", "1000"][..],
            &["ls"],
            &["status", "x"],
        ] {
            let ran = session.run(verb);
            assert_eq!(ran.code, 1, "{why}: {verb:?}: {ran:?}");
            assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
        }
    };
    let real = session.path("elsewhere");
    std::fs::create_dir(&real).unwrap();
    std::fs::set_permissions(&real, PermissionsExt::from_mode(0o700)).unwrap();
    symlink(&real, session.state()).unwrap();
    refused("a symbolic link");
    std::fs::remove_file(session.state()).unwrap();
    std::fs::create_dir(session.state()).unwrap();
    std::fs::set_permissions(session.state(), PermissionsExt::from_mode(0o755)).unwrap();
    refused("open to others");
    assert_eq!(
        session.state().metadata().unwrap().permissions().mode() & 0o777,
        0o755,
        "refused, not repaired"
    );
    if rustix::process::geteuid().is_root() {
        std::fs::set_permissions(session.state(), PermissionsExt::from_mode(0o700)).unwrap();
        std::os::unix::fs::chown(session.state(), Some(OTHER_USER), Some(OTHER_USER)).unwrap();
        refused("foreign");
    }
    std::fs::remove_dir(session.state()).unwrap();
    std::fs::write(session.state(), "").unwrap();
    refused("a file");
    std::fs::remove_file(session.state()).unwrap();
}

#[test]
fn another_user_gets_nowhere_even_with_a_loosened_directory() {
    let Some(session) = Sandbox::of_other_user() else {
        return;
    };
    session.ok(["create", "-n", "private", "sleep", "1000"]);
    let pid = session.pid("private");
    std::fs::set_permissions(session.state(), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(session.path(""), PermissionsExt::from_mode(0o755)).unwrap();
    let stranger = |args: &[&str]| {
        let mut command = session.command(args);
        std::os::unix::process::CommandExt::uid(&mut command, OTHER_USER - 1);
        ran(&mut command)
    };
    for verb in [
        &["ls"][..],
        &["status", "private"],
        &["stop", "private"],
        &["logs", "private"],
        &["set", "private", "title", "x"],
        &["rm", "-f", "private"],
        &["send", "private", "x"],
        &["exec", "private", "true"],
    ] {
        let ran = stranger(verb);
        assert_eq!((ran.code, ran.out.len()), (1, 0), "{verb:?}: {ran:?}");
        assert!(!ran.err.contains("sleep"), "{ran:?}");
    }
    let socket = session.state().join("sessions");
    let mut look = Command::new("ls");
    look.arg(&socket);
    std::os::unix::process::CommandExt::uid(&mut look, OTHER_USER - 1);
    assert_ne!(
        ran(&mut look).code,
        0,
        "the kernel keeps others out as well"
    );
    assert!(crate::support::lives(pid));
    std::fs::set_permissions(session.state(), PermissionsExt::from_mode(0o700)).unwrap();
    assert_eq!(session.pid("private"), pid);
}

#[test]
fn nothing_of_ours_is_open_to_others_at_any_umask() {
    let session = Sandbox::new();
    let created = session.shell("umask 0; $SESSION create -q -n open sh -c 'echo x; exec sleep 1000'; $SESSION wait open --text x");
    assert_eq!(created.code, 0, "{created:?}");
    let mut pending = vec![session.state()];
    while let Some(path) = pending.pop() {
        let metadata = path.symlink_metadata().unwrap();
        if !metadata.is_symlink() {
            assert_eq!(
                metadata.permissions().mode() & 0o077,
                0,
                "{}",
                path.display()
            );
        }
        if metadata.is_dir() {
            pending.extend(path.read_dir().unwrap().flatten().map(|entry| entry.path()));
        }
    }
}

#[test]
fn the_caller_s_environment_is_not_written_to_disk() {
    let session = Sandbox::new();
    let created = session
        .shell("CANARY=keep-this-secret $SESSION create -q -n quiet -e SHOWN=on-disk sleep 1000");
    assert_eq!(created.code, 0, "{created:?}");
    let grep = |what: &str| ran(Command::new("grep").args(["-r", what]).arg(session.state())).out;
    assert_eq!(grep("keep-this-secret"), "");
    assert!(grep("on-disk").contains("record"));
    let listed = session.ok(["get", "quiet"]);
    assert!(
        listed.contains("env.SHOWN=") && !listed.contains("on-disk"),
        "{listed}"
    );
    assert_eq!(session.ok(["get", "quiet", "env.SHOWN"]), "on-disk\n");
}

#[test]
fn homes_that_cannot_be_used_are_refused_in_one_line() {
    let session = Sandbox::new();
    let with = |home: Option<&str>, state: Option<&str>| {
        let mut command = session.command(["create", "-s", "true"]);
        command.env_remove("SESSION_HOME");
        if let Some(home) = home {
            command.env("HOME", home);
        }
        if let Some(state) = state {
            command.env("SESSION_HOME", state);
        }
        ran(&mut command)
    };
    for refused in [
        with(Some("relative"), None),
        with(None, Some("relative")),
        with(None, Some("/proc/session")),
    ] {
        assert_eq!(refused.code, 1, "{refused:?}");
        assert_eq!(refused.err.lines().count(), 1, "{refused:?}");
    }
    let long = session.path(&"d".repeat(200));
    let created = with(None, Some(&long.display().to_string()));
    assert_eq!(
        created.code, 0,
        "a socket path beyond 107 bytes: {created:?}"
    );
    let start = |verb: &[&str]| ran(session.command(verb).env("SESSION_HOME", &long));
    assert_eq!(start(&["create", "-n", "deep", "sleep", "1000"]).code, 0);
    assert_eq!(start(&["status", "deep"]).code, 0);
    assert_eq!(start(&["send", "deep", "x"]).code, 0);
    assert_eq!(start(&["rm", "-f", "deep"]).code, 0);
}
