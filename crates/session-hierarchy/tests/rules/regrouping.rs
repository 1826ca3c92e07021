//! Which groups and sessions can be made and entered.

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
