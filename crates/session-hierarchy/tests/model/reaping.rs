//! Models of free, against moves and against the exit of the parent.

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
