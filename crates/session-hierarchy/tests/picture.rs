//! A hierarchy seen from outside: what a person would expect to see, and whatever else may be seen.

#![cfg(not(loom))]

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use session_hierarchy::{Picture, Pid, Process, ProcessGroup, Session, Sighting};

const ROOT: Pid = 10;

fn seen(pid: Pid, parent: Pid, pgid: Pid, sid: Pid) -> Sighting<&'static str> {
    Sighting {
        pid,
        parent,
        pgid,
        sid,
        has_ended: false,
        data: "",
    }
}

fn ended(sighting: Sighting<&'static str>) -> Sighting<&'static str> {
    Sighting {
        has_ended: true,
        ..sighting
    }
}

fn called(name: &'static str, sighting: Sighting<&'static str>) -> Sighting<&'static str> {
    Sighting {
        data: name,
        ..sighting
    }
}

fn pids(processes: &[Arc<Process>]) -> Vec<Pid> {
    processes.iter().map(|process| process.pid()).collect()
}

fn sids(picture: &Picture) -> Vec<Pid> {
    let sessions = picture.sessions();
    sessions.iter().map(|session| session.sid()).collect()
}

/// Each group of a session: its number, and those of its processes.
fn groups(session: &Session) -> Vec<(Pid, Vec<Pid>)> {
    let groups = session.process_groups();
    let shown = |group: &Arc<ProcessGroup>| (group.pgid(), pids(&group.processes()));
    groups.iter().map(shown).collect()
}

#[test]
fn a_shell_with_a_pipeline_and_a_daemon() {
    let picture = Picture::below(
        ROOT,
        [
            called("shell", seen(11, 10, 11, 11)),
            called("find", seen(13, 11, 13, 11)),
            called("wc", seen(14, 11, 13, 11)),
            called("editor", seen(12, 11, 12, 11)),
            called("daemon", seen(15, 10, 15, 15)),
            called("worker", seen(16, 15, 15, 15)),
        ],
    );
    assert_eq!(picture.root().pid(), ROOT);
    assert_eq!(sids(&picture), [11, 15]);
    let sessions = picture.sessions();
    assert_eq!(
        groups(&sessions[0]),
        [(11, vec![11]), (12, vec![12]), (13, vec![13, 14])]
    );
    assert_eq!(groups(&sessions[1]), [(15, vec![15, 16])]);

    assert_eq!(pids(&picture.processes()), [11, 15, 12, 13, 14, 16]);
    let shell = &picture.root().children()[0];
    assert_eq!(shell.data::<&str>(), Some(&"shell"));
    assert_eq!(pids(&shell.children()), [12, 13, 14]);
}

#[test]
fn the_order_of_sightings_does_not_matter() {
    let picture = Picture::below(
        ROOT,
        [
            seen(13, 12, 13, 11),
            seen(12, 11, 11, 11),
            seen(11, 10, 11, 11),
        ],
    );
    assert_eq!(pids(&picture.processes()), [11, 12, 13]);
    assert_eq!(sids(&picture), [11]);
}

#[test]
fn zombies_are_seen_and_their_children_are_orphans() {
    let picture = Picture::below(
        ROOT,
        [
            seen(11, 10, 11, 11),
            ended(seen(12, 11, 11, 11)),
            seen(13, 12, 11, 11),
            ended(seen(14, 12, 11, 11)),
        ],
    );
    let root = picture.root();
    assert_eq!(pids(&root.children()), [11, 13, 14]);
    let shell = &root.children()[0];
    assert!(!shell.is_zombie());
    assert_eq!(pids(&shell.children()), [12]);
    assert!(shell.children()[0].is_zombie());
    assert!(root.children()[2].is_zombie());
    assert_eq!(groups(&picture.sessions()[0]), [(11, vec![11, 12, 13, 14])]);
}

#[test]
fn who_is_not_below_the_root_is_left_out() {
    let picture = Picture::below(
        ROOT,
        [
            seen(11, 10, 11, 11),
            seen(20, 1, 20, 20),
            seen(21, 20, 21, 20),
            seen(30, 31, 30, 30),
            seen(31, 30, 31, 30),
            seen(32, 32, 32, 32),
        ],
    );
    assert_eq!(pids(&picture.processes()), [11]);
    assert_eq!(sids(&picture), [11]);
}

#[test]
fn nothing_seen_is_a_root_alone() {
    let picture = Picture::below(ROOT, [] as [Sighting<()>; 0]);
    assert!(picture.processes().is_empty());
    assert!(picture.sessions().is_empty());
    assert_eq!(picture.root().group().pgid(), ROOT);
}

#[test]
fn the_root_itself_among_the_seen_changes_nothing() {
    let picture = Picture::below(ROOT, [seen(10, 1, 9, 8), seen(11, 10, 10, 10)]);
    assert_eq!(pids(&picture.processes()), [11]);
    let home = picture.root().group();
    assert_eq!((home.pgid(), home.session().sid()), (10, 10));
    assert_eq!(pids(&home.processes()), [10, 11]);
}

#[test]
fn the_first_of_two_with_one_number_counts() {
    let picture = Picture::below(
        ROOT,
        [
            called("first", seen(12, 11, 12, 11)),
            seen(11, 10, 11, 11),
            called("second", seen(12, 10, 12, 12)),
        ],
    );
    assert_eq!(pids(&picture.processes()), [11, 12]);
    assert_eq!(sids(&picture), [11]);
    let counted = &picture.processes()[1];
    assert_eq!(counted.data::<&str>(), Some(&"first"));
    assert_eq!(counted.parent().unwrap().pid(), 11);
}

#[test]
fn one_group_in_two_sessions_is_two_groups() {
    let picture = Picture::below(ROOT, [seen(11, 10, 5, 11), seen(12, 10, 5, 12)]);
    let sessions = picture.sessions();
    assert_eq!(sids(&picture), [11, 12]);
    assert_eq!(groups(&sessions[0]), [(5, vec![11])]);
    assert_eq!(groups(&sessions[1]), [(5, vec![12])]);
}

#[test]
fn a_picture_goes_on_living() {
    let picture = Picture::below(ROOT, [seen(11, 10, 11, 11), seen(12, 11, 11, 11)]);
    let shell = picture.root().children()[0].clone();
    shell.exit();
    shell.free();
    assert_eq!(pids(&picture.processes()), [12]);
    assert_eq!(groups(&picture.sessions()[0]), [(11, vec![12])]);
}

/// Numbers so few that most of what cannot be is seen: cycles, strangers, the root below itself, twins.
fn any_sightings() -> impl Strategy<Value = Vec<Sighting<usize>>> {
    let sighting = (0..7_u32, 0..7_u32, 0..4_u32, 0..4_u32, any::<bool>());
    let sightings = prop::collection::vec(sighting, 0..24);
    sightings.prop_map(|sightings| sightings.into_iter().enumerate().map(numbered).collect())
}

fn numbered(
    (data, (pid, parent, pgid, sid, has_ended)): (usize, (Pid, Pid, Pid, Pid, bool)),
) -> Sighting<usize> {
    Sighting {
        pid,
        parent,
        pgid,
        sid,
        has_ended,
        data,
    }
}

/// The numbers that a picture has: those whose first sighting names one of them, or the root, as its parent.
fn expected(root: Pid, seen: &[Sighting<usize>]) -> BTreeSet<Pid> {
    let is_first = |sighting: &&Sighting<usize>| {
        let earlier = &seen[..sighting.data];
        sighting.pid != root && earlier.iter().all(|other| other.pid != sighting.pid)
    };
    let mut below = BTreeSet::new();
    for _ in seen {
        for sighting in seen.iter().filter(is_first) {
            if sighting.parent == root || below.contains(&sighting.parent) {
                below.insert(sighting.pid);
            }
        }
    }
    below
}

/// Whether the parents of a process lead to the root.
fn is_below(root: &Arc<Process>, process: &Arc<Process>) -> bool {
    let parents = std::iter::successors(process.parent(), |process| process.parent());
    parents.take(100).any(|above| Arc::ptr_eq(&above, root))
}

fn is_listed(process: &Arc<Process>) -> bool {
    let group = process.group();
    let groups = group.session().process_groups();
    groups.iter().any(|listed| Arc::ptr_eq(listed, &group))
        && group
            .processes()
            .iter()
            .any(|member| Arc::ptr_eq(member, process))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sightings_are_a_hierarchy(root in 0..7_u32, seen in any_sightings()) {
        let picture = Picture::below(root, seen.clone());
        let processes = picture.processes();
        let numbers: BTreeSet<Pid> = processes.iter().map(|process| process.pid()).collect();
        prop_assert_eq!(numbers.len(), processes.len());
        prop_assert_eq!(numbers, expected(root, &seen));

        for process in &processes {
            prop_assert!(is_below(picture.root(), process));
            prop_assert!(is_listed(process));
            prop_assert!(!process.is_zombie() || process.children().is_empty());

            let what = &seen[*process.data::<usize>().unwrap()];
            let first = seen.iter().find(|sighting| sighting.pid == what.pid).unwrap();
            prop_assert_eq!(first.data, what.data);
            let group = process.group();
            let shown = (process.pid(), group.pgid(), group.session().sid(), process.is_zombie());
            prop_assert_eq!(shown, (what.pid, what.pgid, what.sid, what.has_ended));
        }
    }
}
