//! Every interleaving of threads that change one hierarchy: loom tries them all, and reports deadlocks too.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p session-hierarchy --release --test model`, best with a `--target-dir` of its
//! own. What loom knows are the locks and the zombie flag; the counts of an `Arc` are the standard library's.

#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a failed assumption is a failed test")]

use std::sync::{Arc, OnceLock, Weak};

use loom::model;
use loom::model::Builder;
use loom::thread;
use session_hierarchy::{Pid, Process, ProcessGroup, Session};

fn root() -> Arc<Process> {
    Process::new_root(1).build()
}

fn reap(process: &Arc<Process>) {
    process.exit();
    process.free();
}

/// What both threads return, when both are done.
fn both<A: 'static, B>(one: impl FnOnce() -> A + 'static, other: impl FnOnce() -> B) -> (A, B) {
    let one = thread::spawn(one);
    let other = other();
    (one.join().unwrap(), other)
}

/// What all three threads return, when all are done.
fn all<A: 'static, B: 'static, C>(
    one: impl FnOnce() -> A + 'static,
    other: impl FnOnce() -> B + 'static,
    third: impl FnOnce() -> C,
) -> (A, B, C) {
    let one = thread::spawn(one);
    let (other, third) = both(other, third);
    (one.join().unwrap(), other, third)
}

/// For models too long for all interleavings: those in which a thread is interrupted at most so often while it could
/// go on. Nearly all defects need one or two such interruptions.
fn with_interruptions(most: usize, act: impl Fn() + Sync + Send + 'static) {
    let mut bounded = Builder::new();
    bounded.preemption_bound = Some(most);
    bounded.check(act);
}

fn pids(processes: &[Arc<Process>]) -> Vec<Pid> {
    processes.iter().map(|process| process.pid()).collect()
}

/// Each group of a session: its number, and those of its processes.
fn groups(session: &Session) -> Vec<(Pid, Vec<Pid>)> {
    let groups = session.process_groups();
    let shown = |group: &Arc<ProcessGroup>| (group.pgid(), pids(&group.processes()));
    groups.iter().map(shown).collect()
}

fn parent_of(process: &Process) -> Option<Pid> {
    process.parent().map(|parent| parent.pid())
}

/// # Process groups and sessions
mod regrouping {
    use super::*;

    #[test]
    fn one_of_two_creates_the_group() {
        model(|| {
            let root = root();
            let process = root.fork(2).build();
            let same = process.clone();
            let (one, other) = both(move || same.create_group(), || process.create_group());

            assert!(one.is_some() != other.is_some());
            let created = one.or(other).unwrap();
            assert!(Arc::ptr_eq(&created, &process.group()));
            assert_eq!(groups(&created.session()), [(1, vec![1]), (2, vec![2])]);
        });
    }

    #[test]
    fn one_of_two_creates_the_session() {
        model(|| {
            let root = root();
            let process = root.fork(2).build();
            let same = process.clone();
            let (one, other) = both(move || same.create_session(), || process.create_session());

            assert!(one.is_some() != other.is_some());
            let (session, group) = one.or(other).unwrap();
            assert!(Arc::ptr_eq(&group, &process.group()));
            assert_eq!(groups(&session), [(2, vec![2])]);
            assert_eq!(groups(&root.group().session()), [(1, vec![1])]);
        });
    }

    #[test]
    fn either_a_group_or_a_session_is_created() {
        model(|| {
            let root = root();
            let process = root.fork(2).build();
            let same = process.clone();
            let (group, session) = both(move || same.create_group(), || process.create_session());

            assert!(group.is_some() != session.is_some());
            let home = groups(&root.group().session());
            let left = match session {
                Some(_) => vec![(1, vec![1])],
                None => vec![(1, vec![1]), (2, vec![2])],
            };
            assert_eq!(home, left);
        });
    }

    #[test]
    fn a_group_is_one_object_while_it_is_entered_again_and_left_by_its_last() {
        model(|| {
            let root = root();
            let founder = root.fork(2).build();
            let old = founder.create_group().unwrap();
            let last = founder.fork(3).build();
            let home = root.group();
            assert!(founder.move_to_group(&home));

            let there = home.clone();
            let (moved, entered) = both(
                move || last.move_to_group(&there),
                || founder.create_group(),
            );

            assert!(moved);
            let entered = entered.unwrap();
            assert!(Arc::ptr_eq(&entered, &founder.group()));
            assert_eq!(groups(&home.session()), [(1, vec![1, 3]), (2, vec![2])]);
            assert!(Arc::ptr_eq(&entered, &old) || old.processes().is_empty());
        });
    }

    #[test]
    fn an_empty_group_is_one_object_while_two_enter_it() {
        model(|| {
            let root = root();
            let founder = root.fork(2).build();
            let old = founder.create_group().unwrap();
            let home = root.group();
            assert!(founder.move_to_group(&home));
            let other = root.fork(3).build();

            let there = old.clone();
            let (moved, entered) = both(
                move || other.move_to_group(&there),
                || founder.create_group(),
            );

            let entered = entered.unwrap();
            assert_eq!(moved, Arc::ptr_eq(&entered, &old));
            let expected = match moved {
                true => [(1, vec![1]), (2, vec![2, 3])],
                false => [(1, vec![1, 3]), (2, vec![2])],
            };
            assert_eq!(groups(&home.session()), expected);
        });
    }

    #[test]
    fn the_last_two_leave_a_group_at_once() {
        model(|| {
            let root = root();
            let leader = root.fork(2).build();
            let group = leader.create_group().unwrap();
            let follower = leader.fork(3).build();
            follower.exit();

            let home = root.group();
            let there = home.clone();
            let moving = leader.clone();
            let (moved, ()) = both(move || moving.move_to_group(&there), || follower.free());

            assert!(moved);
            assert!(group.processes().is_empty());
            assert_eq!(groups(&home.session()), [(1, vec![1, 2])]);
        });
    }

    #[test]
    fn two_processes_exchange_their_groups() {
        model(|| {
            let root = root();
            let (one, other) = (root.fork(2).build(), root.fork(3).build());
            let (first, second) = (one.create_group().unwrap(), other.create_group().unwrap());

            let there = second.clone();
            let moving = one.clone();
            let (one_moved, other_moved) = both(
                move || moving.move_to_group(&there),
                || other.move_to_group(&first),
            );

            assert!(one_moved && other_moved);
            assert!(Arc::ptr_eq(&one.group(), &second) && Arc::ptr_eq(&other.group(), &first));
            let session = root.group().session();
            assert_eq!(groups(&session), [(1, vec![1]), (2, vec![3]), (3, vec![2])]);
        });
    }

    /// Whoever looks into the old group first sees it in one at least, whoever looks into the new one first in one at
    /// most.
    #[test]
    fn a_process_that_moves_is_always_in_one_group() {
        model(|| {
            let root = root();
            let leader = root.fork(2).build();
            let (old, new) = (root.group(), leader.create_group().unwrap());
            let process = root.fork(3).build();
            let moving = process.clone();
            let there = new.clone();
            let look = || {
                let is_in = |group: &ProcessGroup| pids(&group.processes()).contains(&3);
                let (left, entered) = (is_in(&old), is_in(&new));
                assert!(left || entered, "seen in none");
                assert!(!(entered && is_in(&old)), "seen in both");
                let current = process.group();
                assert!(Arc::ptr_eq(&current, &old) || Arc::ptr_eq(&current, &new));
            };
            both(move || moving.move_to_group(&there), look);
        });
    }

    #[test]
    fn a_new_child_is_seen_with_its_parent_and_its_group() {
        model(|| {
            let root = root();
            let group = root.group();
            let forking = root.clone();
            let look = || {
                for member in group.processes() {
                    assert!(Arc::ptr_eq(&member.try_group().unwrap(), &group));
                    assert!(member.is_init() || parent_of(&member) == Some(1));
                }
                for child in root.children() {
                    assert!(pids(&child.group().processes()).contains(&2));
                }
            };
            both(move || forking.fork(2).build(), look);
        });
    }

    #[test]
    fn a_group_is_left_entered_and_created_at_once() {
        model(|| {
            let root = root();
            let founder = root.fork(2).build();
            let old = founder.create_group().unwrap();
            let last = founder.fork(3).build();
            let home = root.group();
            assert!(founder.move_to_group(&home));
            last.exit();
            let other = root.fork(4).build();

            let there = old.clone();
            let ((), moved, entered) = all(
                move || last.free(),
                move || other.move_to_group(&there),
                || founder.create_group(),
            );

            let is_old = Arc::ptr_eq(&entered.unwrap(), &old);
            assert_eq!(moved, is_old);
            let expected = match is_old {
                true => [(1, vec![1]), (2, vec![2, 4])],
                false => [(1, vec![1, 4]), (2, vec![2])],
            };
            assert_eq!(groups(&home.session()), expected);
        });
    }

    #[test]
    fn one_of_two_sets_the_terminal() {
        model(|| {
            let session = root().group().session();
            let same = session.clone();
            let (one, other) = both(
                move || same.set_terminal_with(|| Arc::new("one")),
                || session.set_terminal_with(|| Arc::new("other")),
            );
            assert!(one != other);
        });
    }
}

/// # Exit and fork
mod orphans {
    use super::*;

    #[test]
    fn a_child_forked_during_an_exit_has_a_living_parent() {
        model(|| {
            let root = root();
            let process = root.fork(2).build();
            let exiting = process.clone();
            let ((), child) = both(move || exiting.exit(), || process.fork(3).build());

            assert!(process.is_zombie());
            assert!(process.children().is_empty());
            assert_eq!(pids(&root.children()), [2, 3]);
            assert_eq!(parent_of(&child), Some(1));
            assert_eq!(pids(&root.group().processes()), [1, 2, 3]);
        });
    }

    #[test]
    fn a_child_forked_while_its_reaper_exits_has_a_living_parent() {
        model(|| {
            let root = root();
            let supervisor = root.fork(2).build();
            supervisor.set_child_subreaper(true);
            let zombie = supervisor.fork(3).build();
            zombie.exit();
            let exiting = supervisor.clone();
            let ((), child) = both(move || exiting.exit(), || zombie.fork(4).build());

            assert!(supervisor.children().is_empty() && zombie.children().is_empty());
            assert_eq!(pids(&root.children()), [2, 3, 4]);
            assert_eq!(parent_of(&child), Some(1));
        });
    }

    #[test]
    fn the_child_of_a_zombie_that_is_freed_has_a_group() {
        model(|| {
            let root = root();
            let zombie = root.fork(2).build();
            let group = zombie.create_group().unwrap();
            zombie.exit();
            let freed = zombie.clone();
            let ((), child) = both(move || freed.free(), || zombie.fork(3).build());

            assert_eq!(pids(&root.children()), [3]);
            assert_eq!(parent_of(&child), Some(1));
            let expected = match Arc::ptr_eq(&child.group(), &group) {
                true => vec![(1, vec![1]), (2, vec![3])],
                false => vec![(1, vec![1, 3])],
            };
            assert_eq!(groups(&root.group().session()), expected);
        });
    }

    /// Its twin creates that group anew as soon as nobody is in it.
    #[test]
    fn the_child_of_a_zombie_is_in_no_group_that_was_replaced() {
        with_interruptions(3, || {
            let root = root();
            let zombie = root.fork(2).build();
            let old = zombie.create_group().unwrap();
            zombie.exit();
            let twin = root.fork(2).build();
            let creating = twin.clone();
            let freed = zombie.clone();
            let (created, (), child) = all(
                move || creating.create_group().unwrap(),
                move || freed.free(),
                || zombie.fork(3).build(),
            );

            assert_eq!(pids(&root.children()), [2, 3]);
            let listed = root.group().session().process_groups();
            assert!(Arc::ptr_eq(&listed[1], &created));
            let group = child.group();
            assert!(listed.iter().any(|listed| Arc::ptr_eq(listed, &group)));
            assert!(pids(&group.processes()).contains(&3));
            assert!(Arc::ptr_eq(&created, &old) || old.processes().is_empty());
        });
    }

    #[test]
    fn an_orphan_is_always_seen_with_one() {
        model(|| {
            let root = root();
            let parent = root.fork(2).build();
            let orphan = parent.fork(3).build();
            let exiting = parent.clone();
            let ((), seen) = both(
                move || exiting.exit(),
                || [pids(&parent.children()), pids(&root.children())].concat(),
            );

            assert!(seen.contains(&orphan.pid()), "seen with nobody: {seen:?}");
            assert_eq!(pids(&root.children()), [2, 3]);
        });
    }

    #[test]
    fn two_one_above_the_other_exit_at_once() {
        model(|| {
            let root = root();
            let above = root.fork(2).build();
            let below = above.fork(3).build();
            let grandchild = below.fork(4).build();
            let exiting = above.clone();
            both(move || exiting.exit(), || below.exit());

            assert!(above.children().is_empty() && below.children().is_empty());
            assert_eq!(pids(&root.children()), [2, 3, 4]);
            assert_eq!(parent_of(&grandchild), Some(1));
            assert_eq!(parent_of(&below), Some(1));
        });
    }

    #[test]
    fn a_subreaper_exits_while_it_inherits() {
        model(|| {
            let root = root();
            let supervisor = root.fork(2).build();
            supervisor.set_child_subreaper(true);
            let parent = supervisor.fork(3).build();
            let orphan = parent.fork(4).build();
            let exiting = supervisor.clone();
            both(move || exiting.exit(), || parent.exit());

            assert!(supervisor.children().is_empty() && parent.children().is_empty());
            assert_eq!(pids(&root.children()), [2, 3, 4]);
            assert_eq!(parent_of(&orphan), Some(1));
        });
    }

    #[test]
    fn one_exits_twice_at_once() {
        model(|| {
            let root = root();
            let process = root.fork(2).build();
            let orphan = process.fork(3).build();
            let same = process.clone();
            both(move || same.exit(), || process.exit());

            assert!(process.is_zombie() && process.children().is_empty());
            assert_eq!(pids(&root.children()), [2, 3]);
            assert_eq!(parent_of(&orphan), Some(1));
        });
    }

    #[test]
    fn three_one_above_the_other_exit_at_once() {
        with_interruptions(4, || {
            let root = root();
            let above = root.fork(2).build();
            let middle = above.fork(3).build();
            let below = middle.fork(4).build();
            let orphan = below.fork(5).build();
            above.set_child_subreaper(true);
            all(
                move || above.exit(),
                move || middle.exit(),
                move || below.exit(),
            );

            assert_eq!(pids(&root.children()), [2, 3, 4, 5]);
            assert_eq!(pids(&root.descendants()), [2, 3, 4, 5]);
            assert_eq!(parent_of(&orphan), Some(1));
        });
    }

    #[test]
    fn a_child_is_forked_while_its_parent_and_the_one_above_exit() {
        model(|| {
            let root = root();
            let above = root.fork(2).build();
            let parent = above.fork(3).build();
            above.set_child_subreaper(true);
            let exiting = parent.clone();
            let ((), (), child) = all(
                move || above.exit(),
                move || exiting.exit(),
                || parent.fork(4).build(),
            );

            assert_eq!(pids(&root.children()), [2, 3, 4]);
            assert_eq!(pids(&root.descendants()), [2, 3, 4]);
            assert_eq!(parent_of(&child), Some(1));
        });
    }

    /// Those above it come to an end while the exiting one looks for who is left above.
    #[test]
    fn an_orphan_finds_the_root_although_all_between_are_freed() {
        with_interruptions(4, || {
            let root = root();
            let above = root.fork(2).build();
            let parent = above.fork(3).build();
            let process = parent.fork(4).build();
            let orphan = process.fork(5).build();
            let exiting = process.clone();
            let reaping = move || {
                reap(&parent);
                reap(&above);
            };
            both(reaping, move || exiting.exit());

            assert_eq!(pids(&root.children()), [4, 5]);
            assert_eq!(parent_of(&orphan), Some(1));
        });
    }
}

/// # Free
mod reaping {
    use super::*;

    #[test]
    fn a_zombie_moves_while_it_is_freed() {
        model(|| {
            let root = root();
            let leader = root.fork(2).build();
            let job = leader.create_group().unwrap();
            let zombie = root.fork(3).build();
            zombie.exit();
            let moving = zombie.clone();
            let there = job.clone();
            both(move || moving.move_to_group(&there), || zombie.free());

            assert_eq!(pids(&root.children()), [2]);
            assert!(zombie.try_group().is_none());
            assert_eq!(groups(&job.session()), [(1, vec![1]), (2, vec![2])]);
        });
    }

    #[test]
    fn the_last_of_a_group_moves_while_it_is_freed() {
        model(|| {
            let root = root();
            let zombie = root.fork(2).build();
            let job = zombie.create_group().unwrap();
            zombie.exit();
            let moving = zombie.clone();
            let home = root.group();
            both(move || moving.move_to_group(&home), || zombie.free());

            assert!(root.children().is_empty());
            assert!(job.processes().is_empty());
            assert_eq!(groups(&root.group().session()), [(1, vec![1])]);
        });
    }

    #[test]
    fn a_zombie_founds_a_session_while_it_is_freed() {
        model(|| {
            let root = root();
            let zombie = root.fork(2).build();
            zombie.exit();
            let founding = zombie.clone();
            let (founded, ()) = both(move || founding.create_session(), || zombie.free());

            assert!(zombie.try_group().is_none());
            assert_eq!(groups(&root.group().session()), [(1, vec![1])]);
            assert!(founded.is_none_or(|(session, _)| groups(&session).is_empty()));
        });
    }

    #[test]
    fn a_child_is_freed_while_its_parent_exits() {
        model(|| {
            let root = root();
            let parent = root.fork(2).build();
            let child = parent.fork(3).build();
            child.exit();
            let exiting = parent.clone();
            both(move || exiting.exit(), || child.free());

            assert!(parent.children().is_empty());
            assert_eq!(pids(&root.children()), [2]);
            assert_eq!(pids(&root.group().processes()), [1, 2]);
        });
    }

    #[test]
    fn one_is_freed_twice_at_once() {
        model(|| {
            let root = root();
            let zombie = root.fork(2).build();
            zombie.exit();
            let same = zombie.clone();
            both(move || same.free(), || zombie.free());

            assert!(root.children().is_empty());
            assert_eq!(groups(&root.group().session()), [(1, vec![1])]);
        });
    }
}

/// # Threads
mod threads {
    use super::*;

    #[test]
    fn one_of_two_threads_is_the_last() {
        model(|| {
            let process = root();
            let (first, second) = (process.new_thread(1).build(), process.new_thread(2).build());
            let (one, other) = both(move || first.exit(3), || second.exit(4));

            assert!(one != other);
            assert_eq!(process.exit_code(), if one { 3 } else { 4 });
        });
    }

    #[test]
    fn one_of_three_threads_is_the_last() {
        model(|| {
            let process = root();
            let thread = |tid| process.new_thread(tid).build();
            let (first, second, third) = (thread(1), thread(2), thread(3));
            let (one, other, last) = all(
                move || first.exit(1),
                move || second.exit(2),
                || third.exit(3),
            );
            assert_eq!([one, other, last].into_iter().filter(|is| *is).count(), 1);
            assert!(process.threads().is_empty());
        });
    }

    #[test]
    fn a_thread_that_exits_twice_at_once_is_the_last_once() {
        model(|| {
            let process = root();
            let thread = process.new_thread(1).build();
            let same = thread.clone();
            let (one, other) = both(move || same.exit(3), || thread.exit(4));
            assert!(one != other);
        });
    }

    #[test]
    fn the_exit_code_stays_from_the_group_exit_on() {
        model(|| {
            let process = root();
            let thread = process.new_thread(1).build();
            let exiting = process.clone();
            let (was_last, kept) = both(
                move || thread.exit(3),
                || {
                    exiting.group_exit();
                    exiting.exit_code()
                },
            );
            assert!(was_last);
            assert_eq!(process.exit_code(), kept);
        });
    }
}

/// # Callers' code, which runs where they let something go
mod callers {
    use super::*;

    /// What a caller has a process or a session carry: it looks at the hierarchy when it is dropped, which waits for
    /// ever where a lock is held.
    struct Curious(Arc<OnceLock<Weak<Process>>>);

    impl Drop for Curious {
        fn drop(&mut self) {
            if let Some(process) = self.0.get().and_then(Weak::upgrade) {
                process.children();
                process.group().processes();
            }
        }
    }

    fn curious() -> (Arc<OnceLock<Weak<Process>>>, Curious) {
        let whom = Arc::new(OnceLock::new());
        (whom.clone(), Curious(whom))
    }

    #[test]
    fn no_lock_is_held_where_a_root_goes_during_an_exit() {
        model(|| {
            let (whom, data) = curious();
            let root = Process::new_root(1).data(data).build();
            let process = root.fork(2).build();
            process.fork(3).build();
            whom.set(Arc::downgrade(&process)).unwrap();
            both(move || drop(root), || process.exit());
            assert!(process.is_zombie());
        });
    }

    #[test]
    fn no_lock_is_held_where_a_subreaper_goes_during_an_exit() {
        with_interruptions(4, || {
            let (whom, data) = curious();
            let root = root();
            let supervisor = root.fork(2).data(data).build();
            supervisor.set_child_subreaper(true);
            let process = supervisor.fork(3).build();
            process.fork(4).build();
            whom.set(Arc::downgrade(&process)).unwrap();
            both(move || reap(&supervisor), || process.exit());
            assert_eq!(pids(&root.children()), [3, 4]);
        });
    }

    #[test]
    fn no_lock_is_held_where_a_session_goes() {
        model(|| {
            let (whom, terminal) = curious();
            let root = root();
            let zombie = root.fork(2).build();
            let (session, group) = zombie.create_session().unwrap();
            assert!(session.set_terminal_with(|| Arc::new(terminal)));
            drop((session, group));
            whom.set(Arc::downgrade(&root)).unwrap();
            zombie.exit();
            let freed = zombie.clone();
            both(move || freed.free(), || zombie.fork(3).build());
            assert_eq!(pids(&root.children()), [3]);
        });
    }

    #[test]
    fn no_lock_is_held_where_a_session_goes_with_an_exit() {
        model(|| {
            let (whom, terminal) = curious();
            let root = root();
            let supervisor = root.fork(2).build();
            supervisor.set_child_subreaper(true);
            let zombie = supervisor.fork(3).build();
            let (session, group) = zombie.create_session().unwrap();
            assert!(session.set_terminal_with(|| Arc::new(terminal)));
            drop((session, group));
            whom.set(Arc::downgrade(&supervisor)).unwrap();
            zombie.exit();
            let freed = zombie.clone();
            let ends = move || {
                freed.free();
                supervisor.exit();
            };
            both(ends, || zombie.fork(4).build());
            assert_eq!(pids(&root.children()), [2, 4]);
        });
    }

    #[test]
    fn no_lock_is_held_where_a_session_goes_with_a_move() {
        model(|| {
            let (whom, terminal) = curious();
            let root = root();
            let leader = root.fork(2).build();
            let (session, group) = leader.create_session().unwrap();
            assert!(session.set_terminal_with(|| Arc::new(terminal)));
            drop((session, group));
            let last = leader.fork(3).build();
            whom.set(Arc::downgrade(&last)).unwrap();
            leader.exit();
            both(move || leader.free(), || last.create_session().unwrap());
            assert_eq!(last.group().session().sid(), 3);
        });
    }
}
