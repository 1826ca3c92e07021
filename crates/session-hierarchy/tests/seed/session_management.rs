//! What a session tells, and who may move (*Session Management*).

use super::*;

/// > Sessions provide methods to access their properties and process groups:
///
/// > `sid()`: Returns the session ID
#[test]
fn sid_is_the_number_of_the_session() {
    let root = root();
    assert_eq!(root.group().session().sid(), 1);
    let (session, _) = root.fork(2).build().create_session().unwrap();
    assert_eq!(session.sid(), 2);
}

/// > `process_groups()`: Returns all process groups that belong to this session
#[test]
fn process_groups_are_all_groups_of_the_session() {
    let root = root();
    let shell = root.fork(2).build();
    let (session, group) = shell.create_session().unwrap();
    let jobs: Vec<_> = (3..6)
        .map(|pid| shell.fork(pid).build().create_group().unwrap())
        .collect();

    assert_eq!(session.process_groups().len(), 4);
    for listed in jobs.iter().chain([&group]) {
        assert!(lists(&session, listed));
    }
}

/// > A process cannot move to a process group that belongs to a different session:
#[test]
fn a_process_cannot_move_to_a_group_of_another_session() {
    let root = root();
    let process = root.fork(2).build();
    let (elsewhere, group) = root.fork(3).build().create_session().unwrap();
    assert!(!process.move_to_group(&group));

    assert!(Arc::ptr_eq(&process.group(), &root.group()));
    assert!(is_in(&process, &root.group()));
    assert!(!is_in(&process, &group));
    let (leader, home) = (elsewhere.process_groups()[0].processes(), root.group());
    assert!(!leader[0].move_to_group(&home), "nor back");
}
