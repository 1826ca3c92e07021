//! Models of the exits of threads: one of them is the last.

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
