//! Who keeps whom (*Memory Management*).

use super::*;

/// > The session implementation uses a careful reference counting approach to prevent memory leaks and ensure proper cleanup
#[test]
fn nothing_leaks() {
    let carried = Arc::new(());
    let root = root();
    for pid in 2..20 {
        let leader = root.fork(pid).data(carried.clone()).build();
        let thread = leader.new_thread(pid).data(carried.clone()).build();
        let (session, _) = leader.create_session().unwrap();
        assert!(session.set_terminal_with(|| carried.clone()));
        let job = leader.fork(100 + pid).data(carried.clone()).build();
        job.create_group().unwrap();
        thread.exit(0);
        reap(&job);
        reap(&leader);
    }
    assert_eq!(Arc::strong_count(&carried), 1);
}

/// > Strong references point upward
#[test]
fn strong_references_point_upward() {
    let root = root();
    let process = root.fork(2).build();
    let (session, group) = found(&process);
    let thread = process.new_thread(2).build();
    let seen = Arc::downgrade(&process);
    drop((root, process));

    assert!(!is_gone(&seen), "the thread keeps it");
    assert!(!is_gone(&group) && !is_gone(&session));
    drop(thread);
    assert!(is_gone(&seen) && is_gone(&group) && is_gone(&session));
}

/// > Weak references point downward
#[test]
fn weak_references_point_downward() {
    let root = root();
    let process = root.fork(2).build();
    let (session, group) = process.create_session().unwrap();
    let thread = Arc::downgrade(&process.new_thread(2).build());
    assert!(is_gone(&thread), "its process does not keep it");

    let seen = Arc::downgrade(&process);
    drop((root, process));
    assert!(is_gone(&seen), "its group does not keep it");
    assert!(group.processes().is_empty());

    let seen = Arc::downgrade(&group);
    drop(group);
    assert!(is_gone(&seen), "its session does not keep it");
    assert!(session.process_groups().is_empty());
}

/// > Processes hold strong references to their process groups
#[test]
fn processes_hold_their_groups() {
    let root = root();
    let process = root.fork(2).build();
    let group = Arc::downgrade(&process.create_group().unwrap());
    assert!(group.ptr_eq(&Arc::downgrade(&process.group())));

    process.exit();
    assert!(!is_gone(&group), "a zombie keeps it too");
    process.free();
    assert!(is_gone(&group), "one that was freed keeps nothing");
}

/// > Process groups hold strong references to their sessions
#[test]
fn groups_hold_their_sessions() {
    let root = root();
    let process = root.fork(2).build();
    let (session, _) = found(&process);
    let group = process.group();
    reap(&process);
    drop((process, root));

    assert!(group.processes().is_empty());
    assert_eq!(group.session().sid(), 2);
    assert!(!is_gone(&session));
    drop(group);
    assert!(is_gone(&session));
}

/// > Sessions hold weak references to their process groups
#[test]
fn sessions_do_not_hold_their_groups() {
    let root = root();
    let process = root.fork(2).build();
    let (session, group) = process.create_session().unwrap();
    let seen = Arc::downgrade(&group);
    drop(group);
    assert!(!is_gone(&seen), "the process keeps it");

    reap(&process);
    assert!(is_gone(&seen));
    assert!(session.process_groups().is_empty());
}

/// > This prevents circular references while ensuring objects stay alive as needed
#[test]
fn everything_goes_with_the_root_and_nothing_before() {
    let root = root();
    let shell = root.fork(2).build();
    let child = shell.fork(3).build();
    let (session, group) = found(&shell);
    let job = Arc::downgrade(&child.create_group().unwrap());
    let processes = [Arc::downgrade(&shell), Arc::downgrade(&child)];
    drop((shell, child));

    assert!(!processes.iter().any(is_gone), "nobody else holds them");
    assert!(!is_gone(&session) && !is_gone(&group) && !is_gone(&job));
    drop(root);
    assert!(processes.iter().all(is_gone));
    assert!(is_gone(&session) && is_gone(&group) && is_gone(&job));
}

/// > When all processes in a process group are freed, the process group is dropped, and when all process groups
/// > in a session are dropped, the session is freed.
#[test]
fn groups_go_with_their_processes_and_sessions_with_their_groups() {
    let root = root();
    let leader = root.fork(2).build();
    let (session, group) = found(&leader);
    let follower = leader.fork(3).build();
    let job_leader = leader.fork(4).build();
    let job = Arc::downgrade(&job_leader.create_group().unwrap());

    reap(&leader);
    assert!(!is_gone(&group), "one process is left");
    reap(&follower);
    assert!(is_gone(&group), "although somebody holds what was freed");
    assert!(!is_gone(&session), "one group is left");
    reap(&job_leader);
    assert!(is_gone(&job));
    assert!(is_gone(&session));
}
