//! How a session goes (*Cleanup*).

use super::*;

/// > When all processes in a session exit and are freed, the session's process groups will be empty, and
/// > eventually, the session itself will be cleaned up through Rust's reference counting mechanism:
#[test]
fn a_session_is_cleaned_up_with_its_processes() {
    let root = root();
    let shell = root.fork(2).build();
    let (session, _) = found(&shell);
    let job_leader = shell.fork(3).build();
    let (group, job) = (shell.group(), job_leader.create_group().unwrap());
    reap(&job_leader);
    reap(&shell);

    assert!(group.processes().is_empty() && job.processes().is_empty());
    assert!(group.session().process_groups().is_empty());
    assert!(!is_gone(&session), "somebody holds its groups");
    drop((group, job));
    assert!(is_gone(&session), "although somebody holds its processes");
}

/// > Process ->> Process: exit()
#[test]
fn an_exited_process_is_still_in_its_group() {
    let root = root();
    let process = root.fork(2).build();
    let (session, group) = process.create_session().unwrap();
    process.exit();
    assert!(process.is_zombie());
    assert!(is_in(&process, &group));
    assert!(lists(&session, &group));
}

/// > Process ->> Process: free()
#[test]
fn a_freed_process_is_nobodys() {
    let root = root();
    let process = root.fork(2).build();
    reap(&process);
    assert!(root.children().is_empty());
    let seen = Arc::downgrade(&process);
    drop(process);
    assert!(is_gone(&seen));
}

/// > Note over Process: Process no longer in group
#[test]
fn a_freed_process_is_in_no_group_although_somebody_holds_it() {
    let root = root();
    let process = root.fork(2).build();
    let group = process.group();
    reap(&process);
    assert!(!is_in(&process, &group));
    assert!(process.try_group().is_none());

    let apart = process.group();
    assert_eq!((apart.pgid(), apart.session().sid()), (1, 1));
    assert!(apart.processes().is_empty());
    assert!(apart.session().process_groups().is_empty());
}

/// > Note over ProcessGroup: When all processes are gone
#[test]
fn a_group_stays_until_all_its_processes_are_gone() {
    let root = root();
    let leader = root.fork(2).build();
    let group = Arc::downgrade(&leader.create_group().unwrap());
    let follower = leader.fork(3).build();
    reap(&leader);
    assert!(!is_gone(&group));
    follower.exit();
    assert!(!is_gone(&group), "a zombie is not gone");
    follower.free();
    assert!(is_gone(&group));
}

/// > ProcessGroup ->> ProcessGroup: Drop
#[test]
fn a_group_is_dropped_although_its_session_is_held() {
    let root = root();
    let process = root.fork(2).build();
    let (session, group) = process.create_session().unwrap();
    let seen = Arc::downgrade(&group);
    drop(group);
    reap(&process);
    assert!(is_gone(&seen));
    assert_eq!(session.sid(), 2);
}

/// > Note over ProcessGroup: Process group removes itself from session
#[test]
fn an_empty_group_is_unlisted_although_somebody_holds_it() {
    let root = root();
    let process = root.fork(2).build();
    let group = process.create_group().unwrap();
    let session = group.session();
    assert!(lists(&session, &group));
    reap(&process);
    assert!(!lists(&session, &group));
    assert!(group.processes().is_empty());
}

/// > Note over Session: When all process groups are gone
#[test]
fn a_session_stays_until_all_its_groups_are_gone() {
    let root = root();
    let shell = root.fork(2).build();
    let (session, _) = found(&shell);
    let job = shell.fork(3).build();
    job.create_group().unwrap();
    reap(&shell);
    assert!(!is_gone(&session), "its leader is gone, a job is not");
    reap(&job);
    assert!(is_gone(&session));
}

/// > Session ->> Session: Drop
#[test]
fn a_session_is_dropped_although_its_processes_are_held() {
    let root = root();
    let shell = root.fork(2).build();
    let job = shell.fork(3).build();
    let (session, _) = found(&shell);
    reap(&job);
    reap(&shell);
    assert!(is_gone(&session));
    assert!(shell.is_zombie() && job.is_zombie());
}

/// > Note over Session: Session is freed
#[test]
fn a_session_is_freed_with_what_it_holds() {
    let root = root();
    let shell = root.fork(2).build();
    let (session, _) = found(&shell);
    let terminal = Arc::new("tty1");
    assert!(
        session
            .upgrade()
            .unwrap()
            .set_terminal_with(|| terminal.clone())
    );
    assert_eq!(Arc::strong_count(&terminal), 2);
    reap(&shell);
    assert_eq!(Arc::strong_count(&terminal), 1);
}
