//! Models of exit and fork: an orphan has one parent at every moment.

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
