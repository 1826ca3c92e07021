//! Roots, and how deep and alone what they hold can be.

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
