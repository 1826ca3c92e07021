//! The rules beyond what was asked for: who may regroup, who inherits orphans, what counts once, what lives how long.

#![cfg(not(loom))]

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::thread;

use session_hierarchy::{Pid, Process, ProcessGroup, Session, Thread};

fn root() -> Arc<Process> {
    Process::new_root(1).build()
}

fn reap(process: &Arc<Process>) {
    process.exit();
    process.free();
}

fn pids(processes: &[Arc<Process>]) -> Vec<Pid> {
    processes.iter().map(|process| process.pid()).collect()
}

fn pgids(session: &Session) -> Vec<Pid> {
    let groups = session.process_groups();
    groups.iter().map(|group| group.pgid()).collect()
}

fn parent_of(process: &Process) -> Option<Pid> {
    process.parent().map(|parent| parent.pid())
}

/// A child of `parent` that leads a group of its own, and that group.
fn leader(parent: &Arc<Process>, pid: Pid) -> (Arc<Process>, Arc<ProcessGroup>) {
    let leader = parent.fork(pid).build();
    let Some(group) = leader.create_group() else {
        panic!("{leader:?} cannot lead a group");
    };
    (leader, group)
}

/// # Process groups and sessions
mod regrouping {
    use super::*;

    #[test]
    fn no_session_for_the_leader_of_one_that_has_moved() {
        let root = root();
        let shell = root.fork(2).build();
        let (session, _) = shell.create_session().unwrap();
        let (_, job) = leader(&shell, 3);
        assert!(shell.move_to_group(&job));

        assert_eq!(pgids(&session), [3], "its first group is empty");
        assert!(shell.create_session().is_none());
        assert_eq!(shell.create_group().unwrap().pgid(), 2);
    }

    #[test]
    fn no_session_while_the_number_names_a_group_that_was_left() {
        let root = root();
        let (founder, group) = leader(&root, 2);
        let follower = founder.fork(3).build();
        assert!(founder.move_to_group(&root.group()));
        assert!(founder.create_session().is_none());
        assert!(Arc::ptr_eq(&founder.group(), &root.group()));

        reap(&follower);
        assert!(group.processes().is_empty());
        assert!(founder.create_session().is_some(), "it names none any more");
    }

    #[test]
    fn a_group_that_was_left_is_entered_again() {
        let root = root();
        let (founder, group) = leader(&root, 2);
        founder.fork(3).build();
        assert!(founder.move_to_group(&root.group()));
        assert_eq!(pids(&group.processes()), [3]);

        let again = founder.create_group().unwrap();
        assert!(Arc::ptr_eq(&again, &group));
        assert_eq!(pids(&group.processes()), [2, 3]);
        assert_eq!(pgids(&group.session()), [1, 2]);
    }

    #[test]
    fn an_empty_group_that_somebody_holds_is_entered_again() {
        let root = root();
        let (founder, group) = leader(&root, 2);
        assert!(founder.move_to_group(&root.group()));
        assert_eq!(pgids(&group.session()), [1]);

        let other = root.fork(3).build();
        assert!(other.move_to_group(&group));
        assert_eq!(pids(&group.processes()), [3]);
        assert_eq!(pgids(&group.session()), [1, 2], "it is listed again");
        let own = founder.create_group().unwrap();
        assert!(Arc::ptr_eq(&own, &group), "there is one of each number");
    }

    #[test]
    fn an_old_group_refuses_once_it_was_created_anew() {
        let root = root();
        let (founder, old) = leader(&root, 2);
        assert!(founder.move_to_group(&root.group()));
        let new = founder.create_group().unwrap();
        assert!(!Arc::ptr_eq(&old, &new));

        let other = root.fork(3).build();
        assert!(!other.move_to_group(&old));
        assert!(Arc::ptr_eq(&other.group(), &root.group()));
        assert_eq!(pids(&root.group().processes()), [1, 3]);
        assert!(old.processes().is_empty());
        assert_eq!(pids(&new.processes()), [2]);
        assert!(other.move_to_group(&new));
    }

    #[test]
    fn what_was_freed_is_never_in_a_group_again() {
        let root = root();
        let process = root.fork(2).build();
        reap(&process);
        assert!(!process.move_to_group(&root.group()));
        assert!(process.create_group().is_none());
        assert!(process.create_session().is_none());
        assert_eq!(pids(&root.group().processes()), [1]);
    }

    #[test]
    fn zombies_move_like_others() {
        let root = root();
        let (_, job) = leader(&root, 2);
        let zombie = root.fork(3).build();
        zombie.exit();
        assert!(zombie.move_to_group(&job));
        assert_eq!(pids(&job.processes()), [2, 3]);
        assert_eq!(zombie.create_session().unwrap().0.sid(), 3);
    }
}

/// # Orphans
mod orphans {
    use super::*;

    #[test]
    fn they_go_to_the_nearest_living_subreaper() {
        let root = root();
        let far = root.fork(2).build();
        let near = far.fork(3).build();
        let parent = near.fork(4).build();
        let orphan = parent.fork(5).build();
        far.set_child_subreaper(true);
        near.set_child_subreaper(true);

        parent.exit();
        assert_eq!(parent_of(&orphan), Some(3));
        assert_eq!(pids(&near.children()), [4, 5]);

        near.exit();
        assert_eq!(parent_of(&orphan), Some(2));
        assert_eq!(pids(&far.children()), [3, 4, 5]);

        far.set_child_subreaper(false);
        far.exit();
        assert_eq!(parent_of(&orphan), Some(1));
        assert_eq!(pids(&root.children()), [2, 3, 4, 5]);
    }

    #[test]
    fn a_subreaper_that_has_exited_inherits_nothing() {
        let root = root();
        let subreaper = root.fork(2).build();
        subreaper.set_child_subreaper(true);
        let held = subreaper.fork(3).build();
        reap(&held);
        subreaper.exit();

        assert!(subreaper.is_child_subreaper());
        assert_eq!(parent_of(&held), Some(2), "it was freed before that");
        let child = held.fork(4).build();
        assert_eq!(parent_of(&child), Some(1));
        assert!(subreaper.children().is_empty());
    }

    #[test]
    fn a_child_does_not_inherit_to_be_a_subreaper() {
        let root = root();
        root.set_child_subreaper(true);
        let parent = root.fork(2).build();
        assert!(root.is_child_subreaper());
        assert!(!parent.is_child_subreaper());
    }

    #[test]
    fn an_exiting_subreaper_does_not_keep_its_own_children() {
        let root = root();
        let subreaper = root.fork(2).build();
        subreaper.set_child_subreaper(true);
        let child = subreaper.fork(3).build();
        subreaper.exit();
        assert!(subreaper.children().is_empty());
        assert_eq!(parent_of(&child), Some(1));
    }

    #[test]
    fn the_child_of_a_zombie_goes_to_the_reaper_and_into_the_group_of_the_zombie() {
        let root = root();
        let supervisor = root.fork(2).build();
        supervisor.set_child_subreaper(true);
        let (zombie, job) = leader(&supervisor, 3);
        zombie.exit();

        let child = zombie.fork(4).build();
        assert!(zombie.children().is_empty());
        assert_eq!(pids(&supervisor.children()), [3, 4]);
        assert_eq!(parent_of(&child), Some(2));
        assert!(Arc::ptr_eq(&child.group(), &job));
        assert_eq!(pids(&job.processes()), [3, 4]);
    }

    #[test]
    fn the_child_of_what_was_freed_goes_to_the_reaper_and_into_its_group() {
        let root = root();
        let supervisor = root.fork(2).build();
        supervisor.set_child_subreaper(true);
        let (session, _) = supervisor.create_session().unwrap();
        let (freed, job) = leader(&supervisor, 3);
        reap(&freed);

        let child = freed.fork(4).build();
        assert!(freed.children().is_empty());
        assert_eq!(pids(&supervisor.children()), [4]);
        assert!(Arc::ptr_eq(&child.group(), &supervisor.group()));
        assert!(job.processes().is_empty());
        assert_eq!(pgids(&session), [2]);
    }

    #[test]
    fn with_nobody_above_a_child_is_on_its_own() {
        let root = root();
        let freed = root.fork(2).build();
        reap(&freed);
        drop(root);

        let child = freed.fork(3).build();
        assert!(child.parent().is_none());
        assert!(!child.is_init());
        assert_eq!(
            (child.group().pgid(), child.group().session().sid()),
            (3, 3)
        );
        assert_eq!(pids(&child.group().processes()), [3]);
    }

    #[test]
    fn with_nobody_above_an_exit_leaves_no_child_behind() {
        let root = root();
        let process = root.fork(2).build();
        let held = process.fork(3).build();
        let dropped = Arc::downgrade(&process.fork(4).build());
        drop(root);
        assert!(process.parent().is_none());

        process.exit();
        assert!(process.children().is_empty());
        assert!(dropped.upgrade().is_none());
        assert!(held.parent().is_none());
        assert_eq!(held.group().pgid(), 1, "it is where it was");
        reap(&process);
        reap(&held);
    }
}

/// # What two share, and what counts once
mod numbers {
    use super::*;

    #[test]
    fn two_of_one_number_coexist() {
        let root = root();
        let (one, other) = (root.fork(2).build(), root.fork(2).build());
        assert_eq!(pids(&root.children()), [2, 2]);
        assert_eq!(pids(&root.group().processes()), [1, 2, 2]);

        reap(&one);
        let children = root.children();
        assert!(children.len() == 1 && Arc::ptr_eq(&children[0], &other));
        let members = root.group().processes();
        assert!(members.len() == 2 && Arc::ptr_eq(&members[1], &other));
    }

    #[test]
    fn two_of_one_number_share_its_group() {
        let root = root();
        let (one, job) = leader(&root, 2);
        let other = root.fork(2).build();
        assert!(other.create_session().is_none(), "its number names a group");
        assert!(Arc::ptr_eq(&other.create_group().unwrap(), &job));
        reap(&one);
        assert!(Arc::ptr_eq(&job.processes()[0], &other));
    }

    #[test]
    fn two_threads_of_one_number_coexist() {
        let process = root();
        let (one, other) = (process.new_thread(5).build(), process.new_thread(5).build());
        assert_eq!(process.threads().len(), 2);
        assert!(!one.exit(0));
        assert!(Arc::ptr_eq(&process.threads()[0], &other));
    }

    #[test]
    fn new_children_have_numbers_of_their_own() {
        let root = root();
        let count = |_| {
            let parent = root.clone();
            thread::spawn(move || (0..50).map(|_| parent.new_child().pid()).collect())
        };
        let counting: Vec<thread::JoinHandle<Vec<Pid>>> = (0..4).map(count).collect();
        let given: BTreeSet<Pid> = counting
            .into_iter()
            .flat_map(|counted| counted.join().unwrap())
            .collect();
        assert_eq!(given.len(), 200);
        let most_that_linux_gives = 1 << 22;
        assert!(given.iter().all(|pid| *pid > most_that_linux_gives));
        assert!(given.into_iter().eq(pids(&root.children())));
    }
}

/// # Threads
mod threads {
    use super::*;

    #[test]
    fn the_exit_of_a_thread_counts_once() {
        let process = root();
        let one = process.new_thread(10).build();
        let other = process.new_thread(11).build();
        assert!(!one.exit(3));
        assert!(!one.exit(4));
        assert_eq!(process.exit_code(), 3);
        assert!(other.exit(5));
        assert!(!other.exit(6), "the last one was last once");
        assert!(!one.exit(7));
        assert_eq!(process.exit_code(), 5);
    }

    #[test]
    fn a_dropped_thread_vanishes() {
        let process = root();
        let one = process.new_thread(10).build();
        let other = process.new_thread(11).build();
        drop(one);
        assert_eq!(process.threads().len(), 1);
        assert_eq!(process.exit_code(), 0);
        assert!(other.exit(3), "nobody is left besides it");
    }

    #[test]
    fn a_thread_that_has_exited_still_knows_its_process() {
        let process = root();
        let one = process.new_thread(10).build();
        one.exit(3);
        assert!(process.threads().is_empty());
        assert!(Arc::ptr_eq(one.process(), &process));
        assert_eq!(format!("{one:?}"), "Thread(10, process=1)");
    }

    #[test]
    fn threads_can_start_after_the_last_one_has_exited() {
        let process = root();
        assert!(process.new_thread(10).build().exit(3));
        let next = process.new_thread(11).build();
        assert!(next.exit(4));
        assert_eq!(process.exit_code(), 4);
    }
}

/// # The terminal of a session
mod terminal {
    use super::*;

    type Terminal = Arc<dyn Any + Send + Sync>;

    fn terminal(name: &'static str) -> Terminal {
        Arc::new(name)
    }

    fn name_of(session: &Session) -> Option<&'static str> {
        let terminal = session.terminal()?;
        terminal.downcast_ref::<&'static str>().copied()
    }

    #[test]
    fn it_is_set_once() {
        let session = root().group().session();
        assert!(session.terminal().is_none());
        assert!(session.set_terminal_with(|| terminal("tty1")));
        assert!(!session.set_terminal_with(|| unreachable!("there is one")));
        assert_eq!(name_of(&session), Some("tty1"));
    }

    #[test]
    fn it_is_taken_away_by_its_owner_alone() {
        let session = root().group().session();
        let (mine, like_mine) = (terminal("tty1"), terminal("tty1"));
        assert!(!session.unset_terminal(&mine));
        assert!(session.set_terminal_with(|| mine.clone()));
        assert!(!session.unset_terminal(&like_mine));
        assert_eq!(name_of(&session), Some("tty1"));

        assert!(session.unset_terminal(&mine));
        assert!(session.terminal().is_none());
        assert!(!session.unset_terminal(&mine));
        assert!(session.set_terminal_with(|| terminal("tty2")));
        assert_eq!(name_of(&session), Some("tty2"));
    }

    #[test]
    fn it_goes_with_the_session() {
        let root = root();
        let shell = root.fork(2).build();
        let terminal = terminal("tty1");
        let seen: Weak<dyn Any + Send + Sync> = Arc::downgrade(&terminal);
        let (session, _) = shell.create_session().unwrap();
        assert!(session.set_terminal_with(move || terminal));
        drop(session);
        assert!(seen.upgrade().is_some());
        reap(&shell);
        assert!(seen.upgrade().is_none());
    }

    #[test]
    fn each_session_has_its_own() {
        let root = root();
        let home = root.group().session();
        assert!(home.set_terminal_with(|| terminal("tty1")));
        let (session, _) = root.fork(2).build().create_session().unwrap();
        assert!(session.terminal().is_none());
    }
}

/// # Hierarchies
mod hierarchies {
    use super::*;

    #[test]
    fn roots_know_nothing_of_each_other() {
        let (one, other) = (root(), root());
        let child = one.fork(2).build();
        assert!(one.is_init() && other.is_init());
        assert!(!child.move_to_group(&other.group()));
        assert!(other.children().is_empty());
        assert_eq!(pids(&other.group().processes()), [1]);
    }

    #[test]
    fn descendants_come_after_their_parents() {
        let root = root();
        let shell = root.fork(9).build();
        let job = shell.fork(2).build();
        job.fork(8).build();
        shell.fork(3).build();
        root.fork(1).build();
        assert_eq!(pids(&root.descendants()), [1, 9, 2, 3, 8]);
        assert_eq!(pids(&job.descendants()), [8]);
    }

    /// The root lets go of what nobody else holds, which then is somewhere else while it leaves its group.
    #[test]
    fn what_goes_with_the_root_leaves_its_group() {
        let root = root();
        let held = root.fork(2).build();
        root.fork(3).build().fork(4).build();
        let group = root.group();
        drop(root);
        assert_eq!(pids(&group.processes()), [2]);
        assert_eq!(pgids(&group.session()), [1]);

        reap(&held);
        assert!(group.processes().is_empty());
        assert!(pgids(&group.session()).is_empty(), "nobody is in it");
    }

    #[test]
    fn a_process_without_its_arc_leaves_its_group() {
        let root = root();
        let group = root.group();
        let root: Process = Arc::into_inner(root).unwrap();
        assert_eq!(pgids(&group.session()), [1]);
        drop(root);
        assert!(pgids(&group.session()).is_empty());
    }

    #[test]
    fn a_thread_without_its_arc_exits_like_others() {
        let process = root();
        let thread: Thread = Arc::into_inner(process.new_thread(5).build()).unwrap();
        assert!(thread.exit(3));
        assert_eq!(process.exit_code(), 3);
    }

    /// A stack of 64 KiB holds some hundred frames of what drops a process.
    #[test]
    fn a_long_line_of_generations_is_dropped_on_a_small_stack() {
        let generations = 200_000;
        let drops = move || {
            let root = root();
            let mut last = root.clone();
            for pid in 2..2 + generations {
                last = last.fork(pid).build();
            }
            let middle = Arc::downgrade(&last);
            drop(last);
            let group = root.group();
            assert_eq!(group.processes().len() as Pid, generations + 1);
            drop(root);
            assert!(middle.upgrade().is_none());
            assert!(group.processes().is_empty());
        };
        let small = thread::Builder::new().stack_size(64 * 1024);
        small.spawn(drops).unwrap().join().unwrap();
    }
}
