//! Stop, suspend, resume and rm mean every process of a session, also those that fled.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{Fifo, Sandbox, dies, kill, lives, state};

/// A main process that ignores TERM and HUP and has two grandchildren in sessions of their own, doing the same.
/// Each writes its pid to `pids` and then counts into a file.
const FLED: &str = r#"
trap '' TERM HUP
for n in 1 2; do
    (setsid sh -c 'trap "" TERM HUP; echo $$ > pids; while :; do echo >> beat.'$n'; sleep 0.01; done' &)
done
echo $$ > pids
while :; do echo >> beat.0; sleep 0.01; done
"#;

fn fled(session: &Sandbox) -> Vec<i32> {
    let mut fifo = Fifo::new(session.path("pids"));
    session.ok([
        "create",
        "-n",
        "fled",
        "--stop-timeout",
        "500ms",
        "--",
        "sh",
        "-c",
        FLED,
    ]);
    let mut pids: Vec<i32> = (0..3).map(|_| fifo.pid()).collect();
    pids.sort_unstable();
    pids
}

fn beats(session: &Sandbox) -> Vec<u64> {
    (0..3)
        .map(|n| std::fs::metadata(session.path(&format!("beat.{n}"))).map_or(0, |file| file.len()))
        .collect()
}

/// Waits until every heart has beaten again.
fn all_beat(session: &Sandbox) {
    let before = beats(session);
    crate::support::until("all go on", || {
        let now = beats(session);
        now.iter().zip(&before).all(|(now, before)| now > before)
    });
}

/// The top of the machine's cgroups.
fn cgroups() -> Option<std::path::PathBuf> {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    let mut fields = mounts.lines().map(|line| line.split(' '));
    fields.find_map(|mut fields| {
        let (path, kind) = (fields.nth(1)?, fields.next()?);
        (kind == "cgroup2").then(|| path.into())
    })
}

/// Moves a process out of the session's cgroup, as a login or systemd-run does.
fn leave_cgroup(pid: i32) {
    let top = cgroups().unwrap_or_default().join("cgroup.procs");
    if let Err(error) = std::fs::write(top, pid.to_string()) {
        eprintln!("all stay in the cgroup that they are in: {error}");
    }
}

fn stop_leaves_nothing(session: &Sandbox) {
    let pids = fled(session);
    all_beat(session);
    let started = Instant::now();
    session.ok(["stop", "fled"]);
    assert!(
        started.elapsed() < Duration::from_millis(1500),
        "stop took {:?}",
        started.elapsed()
    );
    assert!(pids.iter().all(|pid| !lives(*pid)), "{pids:?}");
    session.falls_silent();
}

fn suspend_stops_and_resume_continues_all(session: &Sandbox) {
    let pids = fled(session);
    leave_cgroup(pids[1]);
    all_beat(session);
    session.ok(["suspend", "fled"]);
    let frozen = beats(session);
    // Two sessions come and go meanwhile: time enough for fifty beats.
    for _ in 0..2 {
        session.ok([
            "create",
            "-n",
            "other",
            "--restart",
            "no",
            "--",
            "sleep",
            "0.3",
        ]);
        session.ok(["wait", "other"]);
        session.ok(["rm", "other"]);
    }
    assert_eq!(beats(session), frozen);
    assert!(pids.iter().all(|pid| lives(*pid)));
    session.ok(["resume", "fled"]);
    all_beat(session);
    session.ok(["suspend", "fled"]);
    session.ok(["rm", "-f", "fled"]);
    assert!(pids.iter().all(|pid| !lives(*pid)));
}

#[test]
fn stop_leaves_no_process_of_the_tree() {
    stop_leaves_nothing(&Sandbox::new());
}

#[test]
fn stop_leaves_no_process_of_an_ordinary_user_s_tree() {
    if let Some(session) = Sandbox::of_other_user() {
        stop_leaves_nothing(&session);
    }
}

#[test]
fn suspend_and_resume_reach_the_whole_tree() {
    suspend_stops_and_resume_continues_all(&Sandbox::new());
}

#[test]
fn suspend_and_resume_reach_an_ordinary_user_s_whole_tree() {
    if let Some(session) = Sandbox::of_other_user() {
        suspend_stops_and_resume_continues_all(&session);
    }
}

#[test]
fn an_ordinary_user_s_processes_show_that_they_are_stopped() {
    let Some(session) = Sandbox::of_other_user() else {
        return;
    };
    let pids = fled(&session);
    session.ok(["suspend", "fled"]);
    assert!(pids.iter().all(|pid| state(*pid) == Some('T')), "{pids:?}");
}

#[test]
fn a_shell_stops_at_once() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "sh", "bash"]);
    session.ok(["wait", "sh", "--text", r"\$|#"]);
    let started = Instant::now();
    session.ok(["stop", "sh"]);
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "it ignored TERM: {:?}",
        started.elapsed()
    );
}

#[test]
fn what_a_main_process_left_running_is_not_deleted_unasked() {
    let session = Sandbox::new();
    let mut ready = Fifo::new(session.path("ready"));
    let script = "setsid sh -c 'echo $$ > ready; exec sleep 1000' & wait; true";
    let create = ["create", "-n", "left", "--restart", "no", "--"];
    session.ok([&create[..], &["sh", "-c", script]].concat());
    let left = ready.pid();
    kill(session.pid("left"), Signal::KILL);
    session.reaches("left", "exited");
    let refused = session.run(["rm", "left"]);
    assert_eq!(refused.code, 1);
    assert_eq!(
        refused.err,
        "The session 'left' is no longer running, but processes that it started are. Use `session rm -f left` to stop \
         and delete the session.\n"
    );
    assert!(lives(left));
    session.ok(["rm", "-f", "left"]);
    dies(left);
}

#[test]
fn what_a_killed_holder_left_is_found_from_another_login() {
    let session = Sandbox::new();
    let mut pids = Fifo::new(session.path("pids"));
    let login = |name: &str| {
        let name = format!("test-login-{name}-{}", std::process::id());
        let path = cgroups()?.join(name);
        std::fs::create_dir(&path).is_ok().then_some(path)
    };
    let (Some(one), Some(other)) = (login("one"), login("other")) else {
        return eprintln!("SKIPPED: only root can make the cgroups of two logins");
    };
    // Neither hung up nor found by its environment.
    let script =
        "trap \"\" HUP; env -i setsid sh -c \"echo \\$\\$ > pids; exec sleep 1000\" & wait";
    let enter = |login: &std::path::Path| format!("echo $$ > {}/cgroup.procs", login.display());
    let created = session.shell(&format!(
        "{}; $SESSION create -q -n x -- sh -c '{script}'",
        enter(&one)
    ));
    assert_eq!(created.code, 0, "{created:?}");
    let left = pids.pid();
    let main = session.pid("x");
    session.abandon();
    kill(main, Signal::KILL);
    let unasked = session.run(["rm", "x"]);
    assert_eq!(unasked.code, 1, "{unasked:?}");
    assert!(
        unasked.err.contains("processes that it started are"),
        "{unasked:?}"
    );
    let stopped = session.shell(&format!("{}; $SESSION stop x", enter(&other)));
    assert_eq!((stopped.code, &stopped.err[..]), (0, ""), "{stopped:?}");
    assert!(!lives(left));
    session.falls_silent();
    for login in [one, other] {
        crate::support::until("the login is over", || std::fs::remove_dir(&login).is_ok());
    }
}

#[test]
fn what_was_killed_as_a_whole_starts_again() {
    let session = Sandbox::new();
    let mut ready = Fifo::new(session.path("ready"));
    let script = "trap '' TERM HUP; echo $$ > ready; while :; do sleep 0.01; done";
    let create = ["create", "-n", "phoenix", "--stop-timeout", "50ms", "--"];
    session.ok([&create[..], &["sh", "-c", script]].concat());
    let first = ready.pid();
    session.ok(["restart", "phoenix"]);
    let second = ready.pid();
    session.ok(["kill", "-s", "KILL", "phoenix"]);
    let third = ready.pid();
    assert!(first != second && second != third);
    session.ok(["exec", "phoenix", "true"]);
    assert_eq!(session.pid("phoenix"), third);
}

#[test]
fn kill_signals_every_process() {
    let session = Sandbox::new();
    let mut fifo = Fifo::new(session.path("got"));
    let script = "trap 'echo main > got' USR1; (trap 'echo child > got' USR1; echo up > got; while :; do sleep 0.01; done) & \
                  echo up > got; while :; do sleep 0.01; done";
    session.ok(["create", "-n", "two", "--", "bash", "-c", script]);
    fifo.line();
    fifo.line();
    session.ok(["kill", "-s", "USR1", "two"]);
    let mut got = [fifo.line(), fifo.line()];
    got.sort();
    assert_eq!(got, ["child", "main"]);
}

#[test]
fn purge_says_what_it_leaves_because_something_of_it_runs() {
    let session = Sandbox::new();
    let mut ready = Fifo::new(session.path("ready"));
    let script = "setsid sh -c 'echo $$ > ready; exec sleep 1000' & wait; true";
    let create = ["create", "--restart", "no", "-n"];
    session.ok([&create[..], &["left", "sh", "-c", script]].concat());
    session.ok([&create[..], &["other", "true"]].concat());
    let left = ready.pid();
    kill(session.pid("left"), Signal::KILL);
    session.reaches("left", "exited");
    session.reaches("other", "exited");
    let ran = session.run(["purge"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, "other\n"), "{ran:?}");
    let why = "The session 'left' is no longer running, but processes that it started are.";
    assert!(
        ran.err.starts_with(why) && ran.err.lines().count() == 1,
        "{ran:?}"
    );
    assert!(lives(left));
    session.ok(["rm", "-f", "left"]);
    assert_eq!(session.ok(["purge"]), "");
}
