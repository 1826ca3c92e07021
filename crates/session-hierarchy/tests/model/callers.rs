//! Models: where callers let something go, their code runs, and no lock is held.

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
