//! Who gets the children of those that have exited.

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
