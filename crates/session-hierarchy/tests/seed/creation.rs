//! How a session comes to be (*Creation*).

use super::*;

/// > A session is created when a process calls `create_session()`.
///
/// > Process ->> Process: create_session()
#[test]
fn create_session_creates_a_session() {
    let root = root();
    let process = root.fork(2).build();
    let old = process.group().session();
    let (session, _) = process.create_session().unwrap();
    assert!(!Arc::ptr_eq(&session, &old));
    assert!(Arc::ptr_eq(&process.group().session(), &session));
}

/// > The process becomes the leader of both the new session and a new process group
#[test]
fn the_process_leads_both() {
    let root = root();
    let process = root.fork(2).build();
    process.create_session().unwrap();
    let group = process.group();
    assert_eq!(group.session().sid(), process.pid());
    assert_eq!(group.pgid(), process.pid());
}

/// > Note over Process: Process must not be a group leader
#[test]
fn a_leader_gets_no_session() {
    let root = root();
    let leader = root.fork(2).build();
    leader.create_group().unwrap();
    assert!(leader.create_session().is_none());
    assert!(root.create_session().is_none());
}

/// > Process ->> NewSession: Session::new(pid)
#[test]
fn the_session_has_the_number_of_the_process() {
    let root = root();
    let (session, _) = root.fork(77).build().create_session().unwrap();
    assert_eq!(session.sid(), 77);
}

/// > NewSession -->> Process: new session
#[test]
fn each_session_is_a_new_one() {
    let root = root();
    let (first, _) = root.fork(2).build().create_session().unwrap();
    let (second, _) = root.fork(2).build().create_session().unwrap();
    assert_eq!(first.sid(), second.sid());
    assert!(!Arc::ptr_eq(&first, &second));
}

/// > Process ->> ProcessGroup: ProcessGroup::new(pid, &session)
#[test]
fn the_group_has_the_number_of_the_process_and_the_new_session() {
    let root = root();
    let (session, group) = root.fork(77).build().create_session().unwrap();
    assert_eq!(group.pgid(), 77);
    assert!(Arc::ptr_eq(&group.session(), &session));
}

/// > ProcessGroup -->> Process: new process group
#[test]
fn the_group_is_a_new_one() {
    let root = root();
    let process = root.fork(2).build();
    let old = process.group();
    let (session, group) = process.create_session().unwrap();
    assert!(!Arc::ptr_eq(&group, &old));
    assert_eq!(session.process_groups().len(), 1);
    assert!(lists(&session, &group));
}

/// > Process ->> OldProcessGroup: leave old group
#[test]
fn the_process_leaves_its_old_group() {
    let root = root();
    let process = root.fork(2).build();
    let old = process.group();
    assert!(is_in(&process, &old));
    process.create_session().unwrap();
    assert!(!is_in(&process, &old));
    assert!(is_in(&root, &old), "the others stay");
}

/// > OldProcessGroup -->> OldSession: update group membership
#[test]
fn the_old_session_loses_a_group_that_all_have_left() {
    let root = root();
    let session = root.group().session();
    let leader = root.fork(2).build();
    let last = root.fork(3).build();
    let job = leader.create_group().unwrap();
    assert!(last.move_to_group(&job));
    reap(&leader);
    assert!(lists(&session, &job));

    last.create_session().unwrap();
    assert!(!lists(&session, &job));
    assert!(lists(&session, &root.group()));
}

/// > Process ->> ProcessGroup: join new group
#[test]
fn the_process_is_in_its_new_group() {
    let root = root();
    let process = root.fork(2).build();
    let (_, group) = process.create_session().unwrap();
    assert_eq!(group.processes().len(), 1);
    assert!(is_in(&process, &group));
    assert!(Arc::ptr_eq(&process.group(), &group));
}

/// > Process -->> Process: return (session, group)
#[test]
fn the_process_gets_its_session_and_group() {
    let root = root();
    let process = root.fork(2).build();
    let created: (Arc<Session>, Arc<ProcessGroup>) = process.create_session().unwrap();
    let (session, group) = created;
    assert!(Arc::ptr_eq(&group, &process.group()));
    assert!(Arc::ptr_eq(&session, &process.group().session()));
}

/// > The process must not already be a group leader to create a new session.
#[test]
fn who_no_longer_leads_may_create_a_session() {
    let root = root();
    let process = root.fork(2).build();
    process.create_group().unwrap();
    assert!(process.create_session().is_none());
    assert!(process.move_to_group(&root.group()));
    assert!(process.create_session().is_some());
}

/// > This is enforced at runtime.
#[test]
fn a_refused_session_changes_nothing() {
    let root = root();
    let leader = root.fork(2).build();
    let group = leader.create_group().unwrap();
    let session = group.session();
    assert!(leader.create_session().is_none());

    assert!(Arc::ptr_eq(&leader.group(), &group));
    assert!(is_in(&leader, &group));
    assert!(Arc::ptr_eq(&group.session(), &session));
    assert!(lists(&session, &group));
    assert_eq!(session.process_groups().len(), 2);
}
