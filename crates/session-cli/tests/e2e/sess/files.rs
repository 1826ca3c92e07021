//! `~/.sess`: what scripts read there is there, is private, and is so.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};

use rustix::process::Signal;

use super::World;
use crate::support::{command_line, dies, kill, lives, until};

fn mode(path: &std::path::Path) -> u32 {
    std::fs::symlink_metadata(path)
        .unwrap()
        .permissions()
        .mode()
        & 0o777
}

#[test]
fn what_a_session_is_told_by_is_private_and_goes_with_it() {
    let sess = World::new();
    let mut terminal = sess.create();
    let told = [
        ".current_session",
        ".lock",
        "session-001.meta",
        "session-001.sock",
    ];
    assert_eq!(sess.files(), told);
    assert_eq!(mode(&sess.sandbox.path(".sess")), 0o700);
    for file in told {
        assert_eq!(mode(&sess.file(file)), 0o600, "{file}");
    }
    let meta = sess.json("session-001.meta");
    assert_eq!(
        (&meta["session_num"], &meta["command"]),
        (&"001".into(), &"/bin/sh".into())
    );
    assert_eq!(meta["pid"], sess.sandbox.pid("001"));
    assert_eq!(meta["created_at"], sess.sandbox.status("001")["created_at"]);
    let marker = sess.json(".current_session");
    assert_eq!(
        (&marker["number"], &marker["pid"]),
        (&"001".into(), &terminal.pid.into())
    );
    let socket = sess.file("session-001.sock");
    assert!(
        std::fs::symlink_metadata(&socket)
            .unwrap()
            .file_type()
            .is_socket()
    );
    let asked = sess.sandbox.shell(&format!(
        "python3 - <<'E'\nimport socket\ns=socket.socket(socket.AF_UNIX); s.connect('{}')\n\
         s.sendall(b'{{\"id\":1,\"method\":\"session.status\"}}\\n'); print(s.recv(65536).decode())\nE",
        socket.display()
    ));
    assert!(asked.out.contains("\"name\":\"001\""), "{asked:?}");
    terminal.send("\x18");
    assert_eq!(terminal.exit(), 0);
    assert_eq!(sess.files(), told[1..]);
    let mut terminal = sess.attach("1");
    terminal.send("exit\r");
    assert_eq!(terminal.exit(), 0);
    assert_eq!(sess.files(), [".lock"]);
}

#[test]
fn it_follows_what_becomes_of_the_session() {
    let sess = World::new();
    sess.run::<&str>([]);
    let session = &sess.sandbox;
    session.ok(["restart", "001"]);
    assert_eq!(sess.json("session-001.meta")["pid"], session.pid("001"));
    session.ok(["rename", "001", "work"]);
    assert_eq!(
        sess.files(),
        [".lock", "session-work.meta", "session-work.sock"]
    );
    assert!(
        sess.ok(["ls"]).contains("  work   detached"),
        "{}",
        sess.ok(["ls"])
    );
    session.ok(["stop", "work"]);
    assert_eq!(sess.files(), [".lock"]);
    assert_eq!(sess.ok(["ls"]), "No active sessions\n");
    sess.fails(
        ["-a", "work"],
        1,
        "Error: session work is dead; `session start work` starts it again",
    );
    session.ok(["start", "work"]);
    UnixStream::connect(sess.file("session-work.sock")).unwrap();
    // It ends with its shell, as before, unless that is not wanted any more.
    session.ok(["set", "work", "remain-on-exit", "yes"]);
    session.ok(["send", "work", "exit 3", "--enter"]);
    session.reaches("work", "exited");
    assert_eq!(session.status("work")["exit"]["code"], 3);
}

#[test]
fn what_nobody_stands_behind_is_cleaned_up_and_nothing_else() {
    let sess = World::new();
    sess.run::<&str>([]);
    let directory = sess.sandbox.path(".sess");
    let gone = "{\"session_num\":\"998\",\"created_at\":\"2020-01-01T00:00:00Z\",\"pid\":99999999,\"command\":\"/bin/sh\"}";
    std::fs::write(directory.join("session-998.meta"), gone).unwrap();
    std::fs::write(directory.join("session-998.sock"), "").unwrap();
    // A PID that someone has, but no session.
    let reused = gone.replace("99999999", &std::process::id().to_string());
    std::fs::write(directory.join("session-997.meta"), reused).unwrap();
    drop(UnixListener::bind(directory.join("session-996.sock")).unwrap());
    std::fs::write(directory.join("session-995.meta"), "{ not JSON").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", directory.join("session-994.meta")).unwrap();
    let other_pid = "{\"number\":\"998\",\"pid\":1}";
    std::fs::write(directory.join(".current_session"), other_pid).unwrap();
    let _listener = UnixListener::bind(directory.join("session-500.sock")).unwrap();
    std::fs::write(directory.join("session-500.meta"), gone).unwrap();
    let listed = sess.ok(["ls"]);
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let left = [
        ".lock",
        "session-001.meta",
        "session-001.sock",
        "session-500.meta",
        "session-500.sock",
    ];
    assert_eq!(sess.files(), left);
    assert!(std::path::Path::new("/etc/passwd").exists());
    // What was deleted of one that lives is back.
    std::fs::remove_file(directory.join("session-001.meta")).unwrap();
    std::fs::remove_file(directory.join("session-001.sock")).unwrap();
    sess.ok(["ls"]);
    assert_eq!(sess.files(), left);
    UnixStream::connect(directory.join("session-001.sock")).unwrap();
}

#[test]
fn a_session_whose_holder_was_killed_is_cleaned_up() {
    let sess = World::new();
    sess.run::<&str>([]);
    let shell = sess.sandbox.pid("001");
    sess.sandbox.abandon();
    // Its terminal is gone, and it goes, too.
    dies(shell);
    assert!(!lives(shell));
    assert_eq!(sess.ok(["ls"]), "No active sessions\n");
    assert_eq!(sess.files(), [".lock"]);
    assert_eq!(sess.sandbox.ok(["ls", "--json"]), "[]\n");
}

#[test]
fn what_a_killed_holder_left_running_is_not_ended_by_looking() {
    let sess = World::new();
    let mut terminal = sess.create();
    terminal.send("setsid sleep 1000 </dev/null >/dev/null 2>&1 &\r");
    let job = || {
        let living = sess.sandbox.living().into_iter();
        let mut jobs = living.filter(|pid| command_line(*pid).starts_with("sleep"));
        jobs.next()
    };
    until("the job runs", || job().is_some());
    let job = job().unwrap();
    let shell = sess.sandbox.pid("001");
    sess.sandbox.abandon();
    dies(shell);
    assert_eq!(sess.ok(["ls"]), "No active sessions\n");
    assert!(lives(job));
    assert_eq!(sess.sandbox.run(["status", "001"]).code, 3);
    assert_eq!(sess.ok(["-k", "1"]), "Killed session 001\n");
    dies(job);
    assert_eq!(sess.files(), [".lock"]);
}

#[test]
fn a_holder_that_is_told_to_end_ends_its_session() {
    let sess = World::new();
    let mut terminal = sess.create();
    let holder = sess.sandbox.holders()[0];
    kill(holder, Signal::TERM);
    terminal.exit();
    dies(holder);
    assert_eq!(sess.files(), [".lock"]);
    // It is dead, but wanted once the machine has come up again, and `-A` need not wait for that.
    assert_eq!(sess.ok(["ls"]), "No active sessions\n");
    assert_eq!(sess.sandbox.status("001")["desired"], "up");
    sess.fails(
        ["-a", "1"],
        1,
        "Error: session 001 is dead; `session start 001` starts it again",
    );
    let mut terminal = sess.terminal(&["-A", "1"]);
    terminal.raw_mode();
    terminal.send("clear; echo n=$SESS_NUM=\r");
    terminal.shows("n=001=");
}

#[test]
fn a_directory_that_others_could_enter_is_refused() {
    let sess = World::new();
    let directory = sess.sandbox.path(".sess");
    std::fs::create_dir(&directory).unwrap();
    std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o755)).unwrap();
    let refused = sess.run(["ls"]);
    assert_eq!(refused.code, 1);
    assert!(
        refused.err.contains("its mode is 0755, not 0700"),
        "{refused:?}"
    );
    let refused = sess.run::<&str>([]);
    assert_eq!(refused.code, 1, "{refused:?}");
    until("no holder is left", || sess.sandbox.holders().is_empty());
}

#[test]
fn a_long_forgotten_directory_is_no_trouble() {
    let sess = World::new();
    let mut terminal = sess.create();
    std::fs::remove_dir_all(sess.sandbox.path(".sess")).unwrap();
    // The shell goes on; the next `sess` finds it, and its number is not given again.
    let listed = sess.ok(["ls"]);
    assert!(listed.contains("  001   attached"), "{listed}");
    assert_eq!(
        sess.files(),
        [".lock", "session-001.meta", "session-001.sock"]
    );
    assert!(sess.run::<&str>([]).out.starts_with("Created session 002"));
    terminal.send("exit 4\r");
    assert_eq!(terminal.exit(), 4);
}
