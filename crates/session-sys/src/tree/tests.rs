//! Real trees, grown while they are looked at.

use std::os::fd::AsFd;

use super::*;
use crate::process::{Reaped, become_subreaper, reap};
use crate::spawn::ChildStdio;
use crate::testing::{Child, alone, eventually, program, read_until, readable, script, string};

fn own() -> i32 {
    std::process::id() as i32
}

/// Kills until the subreaper has nothing left: the way the holder ends a tree.
fn kill_all() {
    loop {
        match reap().unwrap() {
            Reaped::One { .. } => {}
            Reaped::NoChildren => return,
            Reaped::Alive => {
                signal(&Roots::of(own()), libc::SIGKILL).unwrap();
            }
        }
    }
}

#[test]
fn finds_descendants_parents_first() {
    let (program, output) = script("sh -c 'sleep 100 & echo $!; wait' & wait");
    let root = Child::start(program);
    let sleep: i32 = read_until(output.as_fd(), "\n").trim().parse().unwrap();
    eventually("sleep has its name", || {
        descendants(root.pid).unwrap().last().unwrap().name == b"sleep"
    });
    let tree = descendants(root.pid).unwrap();
    assert_eq!(tree.len(), 2, "{tree:?}");
    assert_eq!((tree[0].parent, tree[1].parent), (root.pid, tree[0].pid));
    assert_eq!((tree[1].pid, tree[1].threads), (sleep, 1));
    assert_eq!((tree[1].session, tree[1].group), (root.pid, root.pid));
    assert_eq!(tree[1].foreground, -1);
    // Parents first: the inner shell ends by itself once its child has.
    for entry in &tree {
        assert!(signal_entry(entry, libc::SIGKILL).unwrap());
    }
}

#[test]
fn sees_groups_threads_and_terminals() {
    let (master, slave) = crate::pty::open(24, 80).unwrap();
    let mut shell = program(
        "/bin/sh",
        &["-c", "set -m; sleep 100 & echo $! ready; exec sleep 200"],
    );
    shell.stdio = ChildStdio::Terminal(slave);
    let shell = Child::start(shell);
    let said = read_until(master.as_fd(), "ready");
    let job: u32 = said.split(' ').next().unwrap().parse().unwrap();
    let leader = shell.pid.unsigned_abs();
    eventually("the job has its group", || {
        let tree = Tree::below(own()).unwrap().with_threads();
        let sessions = tree.picture().sessions();
        let Some(session) = sessions.iter().find(|session| session.sid() == leader) else {
            return false;
        };
        let terminal = session.terminal().unwrap().downcast::<Terminal>().unwrap();
        assert!(terminal.to_string().starts_with("pts/"), "{terminal}");
        let groups = session.process_groups();
        let members = |pgid: u32| {
            let group = groups.iter().find(|group| group.pgid() == pgid);
            group.map_or(Vec::new(), |group| group.processes())
        };
        let jobs = members(job);
        let threads = jobs.iter().flat_map(|process| process.threads());
        let tids: Vec<u32> = threads.map(|thread| thread.tid()).collect();
        members(leader).len() == 1 && jobs.len() == 1 && tids == [job]
    });
    shell.signal(libc::SIGKILL);
    if let Ok(job) = entry(job.try_into().unwrap()) {
        signal_entry(&job, libc::SIGKILL).unwrap();
    }
}

#[test]
fn terminals_have_the_names_of_ps() {
    let name = |major, minor| Terminal { major, minor }.to_string();
    assert_eq!([name(136, 3), name(137, 1)], ["pts/3", "pts/257"]);
    assert_eq!([name(4, 1), name(4, 64)], ["tty1", "ttyS0"]);
    assert_eq!(name(229, 0), "229:0");
}

#[test]
fn ended_children_are_listed_and_not_signalled() {
    alone(
        "tree::tests::ended_children_are_listed_and_not_signalled",
        || {
            let child = Child::start(program("/bin/true", &[]));
            child.await_end();
            let tree = descendants(own()).unwrap();
            assert_eq!((tree.len(), tree[0].state), (1, 'Z'));
            assert!(tree[0].has_ended());
            assert_eq!(
                signal(&Roots::of(own()), libc::SIGTERM).unwrap(),
                Signalled::default()
            );
            assert!(!signal_entry(&tree[0], libc::SIGTERM).unwrap());
        },
    );
}

#[test]
fn another_process_of_the_same_number_is_left_alone() {
    let child = Child::start(program("/bin/sleep", &["100"]));
    let mut entry = entry(child.pid).unwrap();
    entry.start_time -= 1;
    assert!(!signal_entry(&entry, libc::SIGKILL).unwrap());
    entry.start_time += 1;
    assert!(signal_entry(&entry, libc::SIGKILL).unwrap());
    child.await_end();
}

/// Forks all the time, each in a session of its own, most outliving their parents for a moment.
const FORKERS: &str = "
    for i in 1 2 3 4; do
        setsid sh -c 'trap \"\" TERM HUP; while :; do setsid sleep 0.01 & /bin/true; done' &
    done
    echo ready; wait";

#[test]
fn stops_and_resumes_and_kills_what_forks_all_the_time() {
    alone(
        "tree::tests::stops_and_resumes_and_kills_what_forks_all_the_time",
        || {
            become_subreaper().unwrap();
            let (program, output) = script(FORKERS);
            let main = Child::start(program);
            read_until(output.as_fd(), "ready");
            for _ in 0..5 {
                eventually("forkers fork", || descendants(own()).unwrap().len() > 8);
                let stopped = stop(&Roots::of(own()), &[]).unwrap();
                assert!(
                    stopped.sent >= 5 && stopped.denied.is_empty(),
                    "{stopped:?}"
                );
                let first = descendants(own()).unwrap();
                let still = descendants(own()).unwrap();
                let key = |tree: &[Entry]| {
                    let living = tree.iter().filter(|entry| !entry.has_ended());
                    living
                        .map(|entry| (entry.pid, entry.state))
                        .collect::<Vec<_>>()
                };
                assert_eq!(key(&first), key(&still), "nothing moves");
                assert!(
                    first
                        .iter()
                        .all(|entry| entry.is_stopped() || entry.state == 'D')
                );
                let resumed = resume(&Roots::of(own()), &[]).unwrap();
                assert!(resumed.sent >= 5);
            }
            kill_all();
            main.await_end();
            assert!(descendants(own()).unwrap().is_empty());
            std::mem::forget(main); // reaped above
        },
    );
}

#[test]
fn a_shell_keeps_its_foreground_job_over_stop_and_resume() {
    alone(
        "tree::tests::a_shell_keeps_its_foreground_job_over_stop_and_resume",
        || {
            become_subreaper().unwrap();
            let (master, slave) = crate::pty::open(24, 80).unwrap();
            let mut shell = program("/bin/sh", &["-i", "-m"]);
            shell.stdio = ChildStdio::Terminal(slave);
            shell.env.push(string("PS1=ready> "));
            shell.env.push(string("ENV="));
            let shell = Child::start(shell);
            read_until(master.as_fd(), "ready> ");
            rustix::io::write(&master, b"cat\n").unwrap();
            eventually("cat is in the foreground", || {
                let group = crate::stat::of(shell.pid).unwrap().tpgid;
                group != shell.pid && group > 0 && entry(group).is_ok_and(|job| job.name == b"cat")
            });
            let job = crate::stat::of(shell.pid).unwrap().tpgid;
            for _ in 0..30 {
                stop(&Roots::of(own()), &[]).unwrap();
                resume(&Roots::of(own()), &[]).unwrap();
            }
            rustix::io::write(&master, b"echo\n").unwrap();
            // The terminal's own echo, then what cat makes of it.
            let text = read_until(master.as_fd(), "echo\r\necho\r\n");
            assert!(!text.contains("topped"), "{text:?}");
            assert_eq!(crate::stat::of(shell.pid).unwrap().tpgid, job);
            kill_all();
            std::mem::forget(shell); // reaped above
        },
    );
}

#[test]
fn a_process_whose_first_thread_has_ended_is_stopped_too() {
    alone(
        "tree::tests::a_process_whose_first_thread_has_ended_is_stopped_too",
        || {
            const HEADLESS: &str = "exec python3 -c '
import ctypes, threading
threading.Thread(target=threading.Event().wait).start()
ctypes.CDLL(None).pthread_exit(None)'";
            if std::process::Command::new("python3")
                .arg("-V")
                .output()
                .is_err()
            {
                eprintln!("SKIPPED: no python3, whose first thread can end before the others");
                return;
            }
            become_subreaper().unwrap();
            let (script, _output) = script(HEADLESS);
            let child = Child::start(script);
            let line = || std::fs::read_to_string(format!("/proc/{}/stat", child.pid)).unwrap();
            let seen = || descendants(own()).unwrap().remove(0);
            // The first thread has ended, and the other one has fallen asleep.
            eventually("the kernel calls it a zombie", || {
                line().contains(") Z ") && seen().state == 'S' && seen().threads == 2
            });
            let living = seen();
            assert!(!living.has_ended());
            let arguments = living.arguments();
            assert!(
                arguments.ends_with(b"pthread_exit(None)\0"),
                "{arguments:?}"
            );
            assert_eq!(stop(&Roots::of(own()), &[]).unwrap().sent, 1);
            assert_eq!(seen().state, 'T');
            assert_eq!(resume(&Roots::of(own()), &[]).unwrap().sent, 1);
            kill_all();
            std::mem::forget(child); // reaped above
        },
    );
}

#[test]
fn reports_what_may_not_be_signalled() {
    alone("tree::tests::reports_what_may_not_be_signalled", || {
        if crate::process::effective_uid() != 0 {
            eprintln!(
                "SKIPPED: only root can become another user and leave a process of root behind"
            );
            return;
        }
        become_subreaper().unwrap();
        let foreign = Child::start(program("/bin/sleep", &["100"]));
        let (reader, writer) = std::io::pipe().unwrap();
        // A child of this process that is another user, to which `foreign` is not its own.
        let denied = std::process::Command::new("setpriv")
            .args(["--reuid=65534", "--clear-groups", "kill", "-0"])
            .arg(foreign.pid.to_string())
            .stderr(writer)
            .status();
        drop(reader);
        let Ok(denied) = denied else {
            eprintln!("SKIPPED: no setpriv");
            return;
        };
        assert!(!denied.success());
        // The same through this module: give up root for this thread, which is the only one.
        set_effective_uid(65534);
        let result = signal(&Roots::of(own()), libc::SIGTERM);
        let stopped = stop(&Roots::of(own()), &[]);
        set_effective_uid(0);
        let expected = Signalled {
            sent: 0,
            denied: vec![foreign.pid],
        };
        assert_eq!(result.unwrap(), expected);
        assert_eq!(stopped.unwrap(), expected);
    });
}

#[allow(unsafe_code)] // rustix changes the credentials of threads only behind an unsafe feature
fn set_effective_uid(uid: u32) {
    // SAFETY: takes a number, and this process has one thread. The real uid stays root's, so that root can be
    // taken back; kill permission goes by real and effective uid, hence both are given up and the saved kept.
    let result = unsafe { libc::setresuid(uid, uid, 0) };
    assert_eq!(result, 0);
}

#[test]
fn knows_ignored_signals() {
    let (program, output) = script("trap '' USR1 TERM; echo ready; exec sleep 100");
    let child = Child::start(program);
    read_until(output.as_fd(), "ready");
    assert!(ignores(child.pid, libc::SIGUSR1) && ignores(child.pid, libc::SIGTERM));
    assert!(!ignores(child.pid, libc::SIGHUP));
    for signo in [0, 65, -1] {
        assert!(!ignores(child.pid, signo));
    }
    assert!(!ignores(i32::MAX, libc::SIGTERM));
}

#[test]
fn finds_processes_by_environment() {
    let entry = format!("SESSION_TEST_ID={}-environment", own());
    let mut sleep = program("/bin/sleep", &["100"]);
    sleep.env.push(string(&entry));
    let mut child = Child::start(sleep);
    assert_eq!(with_environment(entry.as_bytes()).unwrap(), [child.pid]);
    assert!(has_environment(child.pid, entry.as_bytes()));
    assert!(!has_environment(own(), entry.as_bytes()));
    assert!(!has_environment(i32::MAX, entry.as_bytes()));
    let part = &entry.as_bytes()[..entry.len() - 1];
    assert!(with_environment(part).unwrap().is_empty());
    child.signal(libc::SIGKILL);
    readable(child.pidfd.as_fd());
    child.wait();
    assert!(with_environment(entry.as_bytes()).unwrap().is_empty());
}
