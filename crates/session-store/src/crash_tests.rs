//! Death at every system call that changes something: a session is there under one name, or it is not there.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::owned::tests::{create, root, spec};
use crate::{Error, Root, Wanted};

const CALLS: [&str; 7] = [
    "mkdirat",
    "symlinkat",
    "renameat",
    "unlinkat",
    "fsync",
    "write",
    "fchmod",
];

/// What the process that dies does.
fn act(root: &Root, act: &str) {
    match act {
        "create" => create(root, "new").make_durable().unwrap(),
        "rename" => {
            let mut owned = root.find("old").unwrap().try_own().unwrap().unwrap();
            owned.rename("new".parse().unwrap()).unwrap();
        }
        _ => root
            .find("old")
            .unwrap()
            .try_own()
            .unwrap()
            .unwrap()
            .remove()
            .unwrap(),
    }
}

#[test]
fn death_at_any_call_leaves_one_name_or_none() {
    if let Some(path) = std::env::var_os("STORE_TEST_CRASH") {
        let root = Root::open(Path::new(&path)).unwrap();
        act(&root, &std::env::var("STORE_TEST_ACT").unwrap());
        return;
    }
    let usable = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .status();
    if !usable.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: strace is needed to die at a chosen system call");
        return;
    }
    let mut deaths = 0;
    for act in ["create", "rename", "remove"] {
        for call in CALLS {
            for n in 1.. {
                let (_place, root) = root();
                if act != "create" {
                    create(&root, "old").make_durable().unwrap();
                }
                if !dies(&root, act, call, n) {
                    break;
                }
                deaths += 1;
                check(&root, act, &format!("{act}: {call} {n}"));
            }
        }
    }
    assert!(deaths > 20, "{deaths}");
}

/// Runs the act in a process that is killed at the `n`-th `call`; `false` if it lived to its end.
fn dies(root: &Root, act: &str, call: &str, n: u32) -> bool {
    let name = std::thread::current().name().unwrap().to_owned();
    let status = Command::new("strace")
        .args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            &format!("trace={call}"),
        ])
        .args(["-e", &format!("inject={call}:signal=KILL:when={n}")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture"])
        .env("STORE_TEST_CRASH", root.path())
        .env("STORE_TEST_ACT", act)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    !status.success()
}

fn check(root: &Root, act: &str, context: &str) {
    let list = root.list().unwrap();
    let names: Vec<&str> = list.iter().map(|one| one.name.as_str()).collect();
    match act {
        "create" => assert!(names.is_empty() || names == ["new"], "{context}: {names:?}"),
        "rename" => assert!(names == ["old"] || names == ["new"], "{context}: {names:?}"),
        _ => assert!(names.is_empty() || names == ["old"], "{context}: {names:?}"),
    }
    for name in ["old", "new"] {
        let again = root.create(Wanted::Exact(name.parse().unwrap()), spec());
        if names.contains(&name) {
            assert!(
                root.find(name).is_ok(),
                "{context}: {name} is listed and not found"
            );
            assert!(matches!(again, Err(Error::Exists(_))), "{context}: {name}");
        } else {
            again
                .unwrap_or_else(|error| panic!("{context}: {name} is not free: {error}"))
                .remove()
                .unwrap();
        }
    }
    for finding in root.survey().unwrap() {
        root.repair(&finding).unwrap();
    }
    assert!(root.survey().unwrap().is_empty(), "{context}");
    assert_eq!(
        root.list().unwrap().len(),
        names.len(),
        "{context}: repair lost a session"
    );
    assert_eq!(
        root.ids().unwrap().len(),
        names.len(),
        "{context}: something is left"
    );
}
