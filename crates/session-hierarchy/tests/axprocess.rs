//! A program as it was written for `axprocess`: it shall compile and do the same with this crate in its place.

#![cfg(not(loom))]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};

use session_hierarchy as axprocess;

use axprocess::{
    Pid, Process, ProcessBuilder, ProcessGroup, Session, Thread, ThreadBuilder, init_proc,
};

/// The one init of this program, and what asking for it panics with before it is made.
static INIT: LazyLock<(String, Arc<Process>)> = LazyLock::new(|| {
    let before = panic_of(|| drop(init_proc()));
    (before, Process::new_init(1).data("first of all").build())
});

fn init() -> Arc<Process> {
    LazyLock::force(&INIT);
    init_proc()
}

type Founded = (Arc<Session>, Arc<ProcessGroup>);

/// The harness trait of programs that number children themselves; it shares its name with a method of the crate.
trait ProcessExt {
    fn new_child(&self) -> Self;
}

impl ProcessExt for Arc<Process> {
    fn new_child(&self) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1000);
        self.fork(NEXT.fetch_add(1, Ordering::Relaxed)).build()
    }
}

/// The text that `act` panics with.
fn panic_of(act: impl FnOnce()) -> String {
    let Err(payload) = catch_unwind(AssertUnwindSafe(act)) else {
        panic!("this should have panicked");
    };
    let borrowed = payload.downcast_ref::<&str>().map(ToString::to_string);
    let owned = payload.downcast_ref::<String>().cloned();
    borrowed.or(owned).unwrap_or_default()
}

fn pids(processes: &[Arc<Process>]) -> Vec<Pid> {
    processes.iter().map(|process| process.pid()).collect()
}

fn holds(processes: &[Arc<Process>], wanted: &Arc<Process>) -> bool {
    processes.iter().any(|process| Arc::ptr_eq(process, wanted))
}

#[test]
fn every_signature_is_that_of_axprocess() {
    let _: fn() -> Arc<Process> = init_proc;
    let _: u32 = Pid::MAX;

    let _: fn(Pid) -> ProcessBuilder = Process::new_init;
    let _: fn(&Arc<Process>, Pid) -> ProcessBuilder = Process::fork;
    let _: fn(ProcessBuilder, String) -> ProcessBuilder = ProcessBuilder::data::<String>;
    let _: fn(ProcessBuilder) -> Arc<Process> = ProcessBuilder::build;

    let _: fn(&Process) -> Pid = Process::pid;
    let _: fn(&Process) -> Option<&String> = Process::data::<String>;
    let _: fn(&Arc<Process>) -> bool = Process::is_init;
    let _: fn(&Process) -> Option<Arc<Process>> = Process::parent;
    let _: fn(&Process) -> Vec<Arc<Process>> = Process::children;

    let _: fn(&Process) -> Arc<ProcessGroup> = Process::group;
    let _: fn(&Arc<Process>) -> Option<Founded> = Process::create_session;
    let _: fn(&Arc<Process>) -> Option<Arc<ProcessGroup>> = Process::create_group;
    let _: fn(&Arc<Process>, &Arc<ProcessGroup>) -> bool = Process::move_to_group;

    let _: fn(&Arc<Process>, Pid) -> ThreadBuilder = Process::new_thread;
    let _: fn(&Process) -> Vec<Arc<Thread>> = Process::threads;
    let _: fn(&Process) -> bool = Process::is_group_exited;
    let _: fn(&Process) = Process::group_exit;
    let _: fn(&Process) -> i32 = Process::exit_code;

    let _: fn(&Process) -> bool = Process::is_zombie;
    let _: fn(&Arc<Process>) = Process::exit;
    let _: fn(&Process) = Process::free;

    let _: fn(&ProcessGroup) -> Pid = ProcessGroup::pgid;
    let _: fn(&ProcessGroup) -> Arc<Session> = ProcessGroup::session;
    let _: fn(&ProcessGroup) -> Vec<Arc<Process>> = ProcessGroup::processes;
    let _: fn(&Session) -> Pid = Session::sid;
    let _: fn(&Session) -> Vec<Arc<ProcessGroup>> = Session::process_groups;

    let _: fn(ThreadBuilder, String) -> ThreadBuilder = ThreadBuilder::data::<String>;
    let _: fn(ThreadBuilder) -> Arc<Thread> = ThreadBuilder::build;
    let _: fn(&Thread) -> Pid = Thread::tid;
    let _: fn(&Thread) -> &Arc<Process> = Thread::process;
    let _: fn(&Thread) -> Option<&String> = Thread::data::<String>;
    let _: fn(&Thread, i32) -> bool = Thread::exit;
}

#[test]
fn everything_is_shared_between_threads() {
    fn is_shared<T: Send + Sync + 'static>() {}
    is_shared::<Process>();
    is_shared::<ProcessGroup>();
    is_shared::<Session>();
    is_shared::<Thread>();
}

#[test]
fn the_harness_trait_stands_beside_the_method_of_its_name() {
    let parent = init();
    let numbered_by_the_crate = parent.new_child();
    let numbered_by_the_harness = ProcessExt::new_child(&parent);
    for child in [&numbered_by_the_crate, &numbered_by_the_harness] {
        assert!(holds(&parent.children(), child));
    }
}

#[test]
fn init_leads_a_group_and_a_session_of_its_number() {
    let init = init();
    let group = init.group();
    let session = group.session();
    assert!(init.is_init());
    assert!(init.parent().is_none());
    assert_eq!(
        (init.pid(), group.pgid(), session.sid()),
        (1, init.pid(), init.pid())
    );
    assert_eq!(init.data::<&str>(), Some(&"first of all"));
    assert!(holds(&group.processes(), &init));
    assert!(Arc::ptr_eq(&session.process_groups()[0], &group));
}

#[test]
fn there_is_one_init() {
    let (before, init) = &*INIT;
    assert_eq!(before, "there is no init process yet");

    let again = panic_of(|| drop(Process::new_init(2).build()));
    assert_eq!(again, "there is an init process already");
    assert!(Arc::ptr_eq(&init_proc(), init));
    assert_eq!(init_proc().group().session().sid(), 1);
}

#[test]
fn init_cannot_exit() {
    let init = init();
    let child = ProcessExt::new_child(&init);
    assert_eq!(panic_of(|| init.exit()), "init process cannot exit");

    assert!(!init.is_zombie());
    assert!(
        holds(&init.children(), &child),
        "nothing has changed, and no lock is held"
    );
    assert_eq!(panic_of(|| init.free()), "only zombie process can be freed");
}

#[test]
fn only_a_zombie_can_be_freed() {
    let child = ProcessExt::new_child(&init());
    assert_eq!(
        panic_of(|| child.free()),
        "only zombie process can be freed"
    );

    assert!(holds(&init().children(), &child));
    child.exit();
    child.free();
    assert!(!holds(&init().children(), &child));
}

#[test]
fn a_fork_becomes_a_child_in_the_group_of_its_parent() {
    let parent = ProcessExt::new_child(&init());
    let group = parent.create_group().unwrap();
    let builder = parent.fork(30).data(vec![1, 2]);
    let child = builder.data("what was given last").build();

    assert_eq!(child.pid(), 30);
    assert!(!child.is_init());
    assert!(Arc::ptr_eq(&child.parent().unwrap(), &parent));
    assert!(holds(&parent.children(), &child));
    assert!(Arc::ptr_eq(&child.group(), &group));
    assert_eq!(child.data::<&str>(), Some(&"what was given last"));
    assert!(child.data::<Vec<i32>>().is_none());
}

#[test]
fn a_fork_reads_the_group_when_it_is_built() {
    let parent = ProcessExt::new_child(&init());
    let builder = parent.fork(31);
    let group = parent.create_group().unwrap();
    assert!(Arc::ptr_eq(&builder.build().group(), &group));
}

#[test]
fn data_is_a_unit_where_none_is_given() {
    let child = ProcessExt::new_child(&init());
    assert_eq!(child.data::<()>(), Some(&()));
    assert_eq!(child.new_thread(1).build().data::<()>(), Some(&()));
}

#[test]
fn lists_are_in_the_order_of_the_numbers() {
    let parent = ProcessExt::new_child(&init());
    let (session, _) = parent.create_session().unwrap();
    for pid in [29, 3, 11] {
        parent.fork(pid).build();
    }
    assert_eq!(pids(&parent.children()), [3, 11, 29]);
    assert_eq!(pids(&parent.group().processes()), [3, 11, 29, parent.pid()]);

    for child in parent.children().iter().rev() {
        child.create_group().unwrap();
    }
    let groups = session.process_groups();
    let numbers: Vec<Pid> = groups.iter().map(|group| group.pgid()).collect();
    assert_eq!(numbers, [3, 11, 29, parent.pid()]);
}

#[test]
fn create_group_makes_a_group_of_the_session() {
    let parent = ProcessExt::new_child(&init());
    let old = parent.group();
    let group = parent.create_group().unwrap();

    assert_eq!(group.pgid(), parent.pid());
    assert!(Arc::ptr_eq(&parent.group(), &group));
    assert!(Arc::ptr_eq(&group.session(), &old.session()));
    assert!(!holds(&old.processes(), &parent));
    assert!(parent.create_group().is_none());
}

#[test]
fn create_session_makes_a_session_and_a_group() {
    let parent = ProcessExt::new_child(&init());
    let child = ProcessExt::new_child(&parent);
    let (session, group) = parent.create_session().unwrap();

    assert_eq!((session.sid(), group.pgid()), (parent.pid(), parent.pid()));
    assert!(Arc::ptr_eq(&group.session(), &session));
    assert!(Arc::ptr_eq(&parent.group(), &group));
    assert!(
        Arc::ptr_eq(&child.group(), &init().group()),
        "children stay where they were"
    );
    assert!(parent.create_session().is_none());
    assert!(parent.create_group().is_none());
}

#[test]
fn processes_move_within_their_session() {
    let leader = ProcessExt::new_child(&init());
    let follower = ProcessExt::new_child(&init());
    let group = leader.create_group().unwrap();
    assert!(follower.move_to_group(&group));
    assert!(follower.move_to_group(&group), "it is there already");
    assert_eq!(pids(&group.processes()), [leader.pid(), follower.pid()]);

    let (_, elsewhere) = ProcessExt::new_child(&init()).create_session().unwrap();
    assert!(!follower.move_to_group(&elsewhere));
    assert!(Arc::ptr_eq(&follower.group(), &group));
}

#[test]
fn a_zombie_stays_with_its_parent_until_it_is_freed() {
    let parent = ProcessExt::new_child(&init());
    let child = ProcessExt::new_child(&parent);
    child.exit();
    child.exit();
    assert!(child.is_zombie());
    assert!(holds(&parent.children(), &child));
    assert!(holds(&child.group().processes(), &child));

    child.free();
    child.free();
    assert!(parent.children().is_empty());
    assert!(
        Arc::ptr_eq(&child.parent().unwrap(), &parent),
        "it still tells whose it was"
    );
}

#[test]
fn orphans_go_to_init() {
    let parent = ProcessExt::new_child(&init());
    let orphan = ProcessExt::new_child(&parent);
    let zombie = ProcessExt::new_child(&parent);
    zombie.exit();
    parent.exit();

    assert!(parent.children().is_empty());
    for child in [&orphan, &zombie] {
        assert!(child.parent().unwrap().is_init());
        assert!(holds(&init().children(), child));
    }
}

#[test]
fn a_hierarchy_goes_with_its_last_holder() {
    let leader = ProcessExt::new_child(&init());
    let (session, group) = leader.create_session().unwrap();
    let seen = (Arc::downgrade(&session), Arc::downgrade(&group));
    drop((session, group));
    leader.exit();
    leader.free();
    drop(leader);
    assert!(seen.0.upgrade().is_none());
    assert!(seen.1.upgrade().is_none());
}

#[test]
fn the_last_thread_that_exits_says_so() {
    let process = ProcessExt::new_child(&init());
    let first = process.new_thread(101).data(7_u64).build();
    let second = process.new_thread(102).build();
    assert_eq!((first.tid(), first.data()), (101, Some(&7_u64)));
    assert!(Arc::ptr_eq(first.process(), &process));
    assert_eq!(process.threads().len(), 2);

    assert!(!first.exit(3));
    assert_eq!(process.exit_code(), 3);
    assert!(second.exit(4));
    assert_eq!(process.exit_code(), 4);
    assert!(process.threads().is_empty());
    assert!(!process.is_zombie(), "only `exit` ends a process");
}

#[test]
fn a_group_exit_keeps_the_code_there_is() {
    let process = ProcessExt::new_child(&init());
    let first = process.new_thread(101).build();
    let second = process.new_thread(102).build();
    first.exit(3);
    assert!(!process.is_group_exited());
    process.group_exit();
    assert!(process.is_group_exited());
    assert!(second.exit(4));
    assert_eq!(process.exit_code(), 3);
}

#[test]
fn what_debug_shows() {
    let process = init().fork(41).build();
    let thread = process.new_thread(42).build();
    let group = process.group();
    assert_eq!(format!("{:?}", group.session()), "Session(1)");
    assert_eq!(format!("{group:?}"), "ProcessGroup(1, session=1)");
    assert_eq!(format!("{thread:?}"), "Thread(42, process=41)");
    assert_eq!(
        format!("{:?}", init()),
        "Process { pid: 1, group: ProcessGroup(1, session=1) }"
    );
    assert_eq!(
        format!("{process:?}"),
        "Process { pid: 41, parent: 1, group: ProcessGroup(1, session=1) }"
    );

    thread.exit(7);
    process.group_exit();
    assert_eq!(
        format!("{process:?}"),
        "Process { pid: 41, group_exited: true, parent: 1, group: ProcessGroup(1, session=1) }"
    );
    process.exit();
    assert_eq!(
        format!("{process:?}"),
        "Process { pid: 41, group_exited: true, exit_code: 7, parent: 1, group: ProcessGroup(1, session=1) }"
    );

    let plain_zombie = init().fork(43).build();
    plain_zombie.exit();
    assert_eq!(
        format!("{plain_zombie:?}"),
        "Process { pid: 43, exit_code: 0, parent: 1, group: ProcessGroup(1, session=1) }"
    );
}
