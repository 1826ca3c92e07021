//! Models of process groups and sessions: one object for each, and each process in one.

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
        // Of another parent than the leader: their locks have nothing in common but the group's.
        let follower = root.fork(3).build();
        assert!(follower.move_to_group(&group));
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
