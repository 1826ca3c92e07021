//! Tests of names: one winner, and stale claims give way.

use super::*;
use crate::owned::tests::{root, spec};
use crate::{Owned, Wanted};
use std::process::{Command, Stdio};

fn exact(name: &str) -> Wanted {
    Wanted::Exact(name.parse().unwrap())
}

fn derived(name: &str) -> Wanted {
    Wanted::Derived(name.parse().unwrap())
}

#[test]
fn of_fifty_threads_one_gets_the_name() {
    let (_place, root) = root();
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..50)
            .map(|_| scope.spawn(|| root.create(exact("web"), spec())))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(
        results
            .iter()
            .all(|result| matches!(result, Ok(_) | Err(Error::Exists(_))))
    );
    assert_eq!(root.ids().unwrap().len(), 1, "losers leave nothing behind");
}

#[test]
fn derived_names_count_up_without_holes() {
    let (_place, root) = root();
    let mut names: Vec<String> = std::thread::scope(|scope| {
        let create = || {
            root.create(derived("sh"), spec())
                .unwrap()
                .record()
                .name
                .to_string()
        };
        let threads: Vec<_> = (0..20).map(|_| scope.spawn(create)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    names.sort_by_key(|name| (name.len(), name.clone()));
    let expected: Vec<String> = std::iter::once("sh".to_owned())
        .chain((2..=20).map(|n| format!("sh{n}")))
        .collect();
    assert_eq!(names, expected);
}

/// The same race between processes, all of which first find a stale claim.
#[test]
fn of_fifty_processes_one_gets_a_stale_name() {
    if let Some(path) = std::env::var_os("STORE_TEST_ROOT") {
        let root = Root::open(path.as_ref()).unwrap();
        std::process::exit(match root.create(exact("web"), spec()) {
            Ok(_) => 10,
            Err(Error::Exists(_)) => 11,
            Err(error) => panic!("{error}"),
        });
    }
    let (_place, root) = root();
    let gone = Id::random().to_string();
    rustix::fs::symlinkat(gone, root.names(), "web").unwrap();
    let name = std::thread::current().name().unwrap().to_owned();
    let start = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &name, "--nocapture"])
            .env("STORE_TEST_ROOT", root.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    let children: Vec<_> = (0..50).map(|_| start()).collect();
    let codes: Vec<_> = children
        .into_iter()
        .map(|mut child| child.wait().unwrap().code())
        .collect();
    assert_eq!(codes.iter().filter(|code| **code == Some(10)).count(), 1);
    assert_eq!(codes.iter().filter(|code| **code == Some(11)).count(), 49);
    assert_eq!(
        root.find("web")
            .unwrap()
            .read_record()
            .unwrap()
            .name
            .as_str(),
        "web"
    );
}

#[test]
fn claims_are_stale_only_when_nothing_can_stand_behind_them() {
    let (_place, root) = root();
    let name: Name = "web".parse().unwrap();
    let plant = |target: &str| rustix::fs::symlinkat(target, root.names(), "web").unwrap();
    let stale = || matches!(root.behind("web").unwrap(), Claim::Stale(_));
    assert_eq!(root.behind("web").unwrap(), Claim::Free);
    // Pointing out of the store, or at nothing.
    for target in ["../../etc", "0123456789abcdef"] {
        plant(target);
        assert!(stale());
        root.drop_stale("web", target).unwrap();
    }
    // An interrupted create: taken while its maker lives, stale afterwards.
    let owned = root.create(exact("web"), spec()).unwrap();
    let id = *owned.session().id();
    rustix::fs::unlinkat(owned.session().directory_fd(), "record", AtFlags::empty()).unwrap();
    assert_eq!(root.behind("web").unwrap(), Claim::Taken(id));
    assert!(matches!(
        root.create(exact("web"), spec()),
        Err(Error::Exists(_))
    ));
    drop(owned);
    assert!(stale());
    let next = root.create(exact("web"), spec()).unwrap();
    assert_ne!(*next.session().id(), id);
    // Someone else's claim is not given up.
    root.unclaim(&name, &id).unwrap();
    assert_eq!(
        root.behind("web").unwrap(),
        Claim::Taken(*next.session().id())
    );
}

#[test]
fn a_rename_that_was_cut_short_keeps_one_name() {
    let (_place, root) = root();
    let owned = root.create(exact("old"), spec()).unwrap();
    let id = *owned.session().id();
    let new: Name = "new".parse().unwrap();
    assert!(root.claim(&new, &id).unwrap());
    assert_eq!(
        root.behind("new").unwrap(),
        Claim::Taken(id),
        "its maker may still write the record"
    );
    drop(owned);
    assert!(matches!(root.find("new"), Err(Error::NotFound(_))));
    assert_eq!(*root.find("old").unwrap().id(), id);
    // The same rename again succeeds over its own claim.
    let mut owned: Owned = root.find("old").unwrap().try_own().unwrap().unwrap();
    owned.rename(new).unwrap();
    assert_eq!(*root.find("new").unwrap().id(), id);
    assert_eq!(root.behind("old").unwrap(), Claim::Free);
}

#[test]
fn what_is_not_a_link_is_left_alone() {
    let (_place, root) = root();
    std::fs::create_dir(root.path().join("names/web")).unwrap();
    assert!(matches!(
        root.create(exact("web"), spec()),
        Err(Error::Exists(_))
    ));
    assert_eq!(
        root.create(derived("web"), spec())
            .unwrap()
            .record()
            .name
            .as_str(),
        "web2"
    );
    assert!(root.path().join("names/web").is_dir());
}
