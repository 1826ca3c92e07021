//! What was asked for, sentence by sentence: each test quotes one, and fails where it is not true.

#![cfg(not(loom))]

use std::sync::{Arc, Weak};

use session_hierarchy::{Process, ProcessGroup, Session};

fn root() -> Arc<Process> {
    Process::new_root(1).build()
}

fn reap(process: &Arc<Process>) {
    process.exit();
    process.free();
}

fn is_in(process: &Arc<Process>, group: &ProcessGroup) -> bool {
    let processes = group.processes();
    processes.iter().any(|member| Arc::ptr_eq(member, process))
}

fn lists(session: &Session, group: &Arc<ProcessGroup>) -> bool {
    let groups = session.process_groups();
    groups.iter().any(|listed| Arc::ptr_eq(listed, group))
}

fn is_gone<T>(seen: &Weak<T>) -> bool {
    seen.upgrade().is_none()
}

/// The process founds a session that only the hierarchy holds.
fn found(process: &Arc<Process>) -> (Weak<Session>, Weak<ProcessGroup>) {
    let Some((session, group)) = process.create_session() else {
        panic!("{process:?} cannot found a session");
    };
    (Arc::downgrade(&session), Arc::downgrade(&group))
}

/// # Purpose and scope
mod purpose {
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
}

/// # Memory management
mod memory_management {
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
}

/// # Creation
mod creation {
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
}

/// # Session management
mod session_management {
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
}

/// # Cleanup
mod cleanup {
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
}
