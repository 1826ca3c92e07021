//! What a process and a group belong to (*Purpose and Scope*).

use super::*;

/// > Each process belongs to exactly one process group
#[test]
fn each_process_belongs_to_exactly_one_group() {
    let root = root();
    let child = root.fork(2).build();
    let first = root.group();
    let second = root.fork(3).build().create_group().unwrap();
    let is_member = |groups: [&ProcessGroup; 3]| groups.map(|group| is_in(&child, group));

    let third = root.fork(4).build().create_session().unwrap().1;
    assert!(Arc::ptr_eq(&child.group(), &first));
    assert_eq!(is_member([&first, &second, &third]), [true, false, false]);

    assert!(child.move_to_group(&second));
    assert!(Arc::ptr_eq(&child.group(), &second));
    assert_eq!(is_member([&first, &second, &third]), [false, true, false]);

    let (_, own) = child.create_session().unwrap();
    child.exit();
    assert!(Arc::ptr_eq(&child.group(), &own), "a zombie is in one too");
    assert_eq!(is_member([&first, &second, &own]), [false, false, true]);
}

/// > and each process group belongs to exactly one session.
#[test]
fn each_group_belongs_to_exactly_one_session() {
    let root = root();
    let old = root.group().session();
    let leader = root.fork(2).build();
    let (new, group) = leader.create_session().unwrap();
    let job = leader.fork(3).build().create_group().unwrap();

    for group in [&group, &job] {
        assert!(Arc::ptr_eq(&group.session(), &new));
        assert!(lists(&new, group));
        assert!(!lists(&old, group));
    }
    assert!(lists(&old, &root.group()));
    assert!(!lists(&new, &root.group()));
}
