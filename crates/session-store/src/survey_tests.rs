//! Tests of what `doctor` finds and repairs.

use super::*;
use crate::owned::tests::{create, root};
use std::fs;

fn repair_all(root: &Root) -> usize {
    let findings = root.survey().unwrap();
    findings
        .iter()
        .filter(|finding| root.repair(finding).unwrap().is_some())
        .count()
}

#[test]
fn a_sound_store_has_no_findings() {
    let (_place, root) = root();
    create(&root, "a");
    let _owned = create(&root, "b");
    assert!(root.survey().unwrap().is_empty());
}

#[test]
fn leftovers_and_stale_claims_are_removed_but_not_under_their_maker() {
    let (_place, root) = root();
    let owned = create(&root, "web");
    fs::remove_file(owned.session().path().join("record")).unwrap();
    let id = *owned.session().id();
    assert!(root.survey().unwrap().is_empty(), "its maker lives");
    assert!(root.remove_leftover(&id).unwrap().is_none());
    drop(owned);
    assert!(root.list().unwrap().is_empty());
    fs::create_dir(root.session_path(&Id::random())).unwrap();
    fs::set_permissions(
        root.session_path(&id),
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )
    .unwrap();
    let bare = root
        .ids()
        .unwrap()
        .into_iter()
        .find(|(other, _)| *other != id)
        .unwrap()
        .0;
    fs::set_permissions(
        root.session_path(&bare),
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )
    .unwrap();
    assert_eq!(repair_all(&root), 3);
    assert!(root.survey().unwrap().is_empty() && root.ids().unwrap().is_empty());
}

#[test]
fn lost_names_are_claimed_again_or_numbered() {
    let (_place, root) = root();
    let first = *create(&root, "web").session().id();
    fs::remove_file(root.path().join("names/web")).unwrap();
    assert_eq!(
        root.list().unwrap().len(),
        1,
        "a session without a claim is not hidden"
    );
    assert_eq!(repair_all(&root), 1);
    assert_eq!(*root.find("web").unwrap().id(), first);
    fs::remove_file(root.path().join("names/web")).unwrap();
    let second = *create(&root, "web").session().id();
    assert_eq!(repair_all(&root), 1);
    assert_eq!(*root.find("web").unwrap().id(), second);
    assert_eq!(*root.find("web2").unwrap().id(), first);
    assert!(root.survey().unwrap().is_empty());
}

#[test]
fn names_of_sessions_with_holders_are_given_back_but_never_numbered() {
    let (_place, root) = root();
    let first = create(&root, "web");
    first.announce_holder().unwrap();
    let claim = root.path().join("names/web");
    fs::remove_file(&claim).unwrap();
    assert_eq!(repair_all(&root), 1);
    assert!(root.survey().unwrap().is_empty());
    fs::remove_file(&claim).unwrap();
    let second = create(&root, "web");
    second.announce_holder().unwrap();
    let findings = root.survey().unwrap();
    let [Finding::Duplicate { id, name, other }] = &findings[..] else {
        panic!("{findings:?}")
    };
    assert_eq!(
        (id, name.as_str(), other),
        (first.session().id(), "web", second.session().id())
    );
    assert_eq!(repair_all(&root), 0);
    assert_eq!(root.find("web").unwrap().id(), other);
}

#[test]
fn a_damaged_record_is_reported_and_left_while_its_holder_lives() {
    let (_place, root) = root();
    let owned = create(&root, "web");
    owned.announce_holder().unwrap();
    fs::write(owned.session().path().join("record"), "noise").unwrap();
    let findings = root.survey().unwrap();
    assert!(
        matches!(&findings[..], [Finding::Damaged { held: true, .. }]),
        "{findings:?}"
    );
    assert_eq!(repair_all(&root), 0);
}

#[test]
fn damaged_sessions_are_set_aside_whole() {
    let (_place, root) = root();
    let path = create(&root, "web").session().path();
    fs::write(path.join("record"), "").unwrap();
    fs::write(path.join("other"), "kept").unwrap();
    assert!(
        root.survey()
            .unwrap()
            .iter()
            .any(|finding| matches!(finding, Finding::Damaged { .. }))
    );
    repair_all(&root);
    let [Finding::SetAside(damaged)] = &root.survey().unwrap()[..] else {
        panic!()
    };
    assert_eq!(
        fs::read_to_string(damaged.path.join("other")).unwrap(),
        "kept"
    );
}
