//! Threads end once, and vanish with whoever held them.

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
