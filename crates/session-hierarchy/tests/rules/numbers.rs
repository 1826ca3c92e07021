//! What two share, and what counts once.

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
