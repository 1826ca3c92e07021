//! `create`: names, refusals, what the command is given, and many at once.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use crate::support::{Fifo, Sandbox, ran};

fn nothing_exists(session: &Sandbox) {
    let count =
        |name| std::fs::read_dir(session.state().join(name)).map_or(0, |entries| entries.count());
    assert_eq!(
        (count("sessions"), count("names")),
        (0, 0),
        "a refused command left something"
    );
}

#[test]
fn names_that_are_refused_create_nothing() {
    let session = Sandbox::new();
    let long = "x".repeat(65);
    let huge = "x".repeat(100_000);
    for name in [
        "",
        "/",
        "a/b",
        ".",
        "..",
        ".hidden",
        "~",
        "a:b",
        "a b",
        "a\nb",
        "a\x1b[31mb",
        "-x",
        "$(x)",
        "%n",
        "*",
        "'",
        "é",
        "all",
        &long,
        &huge,
    ] {
        let refused = session.run(["create", &format!("--name={name}"), "--", "sleep", "1000"]);
        assert!(
            refused.code == 1 || refused.code == 2,
            "{name:?}: {refused:?}"
        );
        assert_eq!(refused.err.lines().count(), 1, "{name:?}: {refused:?}");
        assert!(!refused.err.contains('\x1b'), "{refused:?}");
        nothing_exists(&session);
    }
    for name in ["7", "Web", "web", "a.b_c+d@e-f", "create", &"y".repeat(64)] {
        session.ok(["create", "-n", name, "-s", "--", "true"]);
    }
}

#[test]
fn commands_that_cannot_run_leave_no_session_and_say_why() {
    let session = Sandbox::new();
    std::fs::write(session.path("plain"), "#!/bin/sh\n").unwrap();
    std::fs::write(session.path("script"), "#!/no/such/interpreter\n").unwrap();
    std::fs::set_permissions(session.path("script"), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::create_dir(session.path("directory")).unwrap();
    std::fs::write(
        session.path("foreign"),
        b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xb7\0",
    )
    .unwrap();
    std::fs::set_permissions(session.path("foreign"), PermissionsExt::from_mode(0o755)).unwrap();
    for (command, why) in [
        ("no-such-command", "command not found"),
        ("/no/such/file", "No such file or directory"),
        ("./plain", "Permission denied"),
        ("./directory", "Is a directory"),
        (
            "./script",
            "interpreter '/no/such/interpreter': No such file or directory",
        ),
        ("./foreign", "Exec format error"),
        ("", "empty"),
    ] {
        let refused = session.run(["create", "-n", "x", "--", command]);
        assert_eq!(refused.code, 1, "{command}: {refused:?}");
        assert!(refused.err.contains(why), "{command}: {refused:?}");
        assert_eq!(refused.err.lines().count(), 1, "{refused:?}");
        nothing_exists(&session);
    }
    assert_eq!(session.run(["create"]).code, 2);
    for directory in ["/no/such/directory", "/etc/passwd"] {
        let refused = session.run(["create", "-C", directory, "--", "true"]);
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(refused.err.contains(directory), "{refused:?}");
        nothing_exists(&session);
    }
    let json = session.run(["create", "--json", "--", "no-such-command"]);
    let error: serde_json::Value = serde_json::from_str(&json.err).unwrap();
    assert_eq!(error["error"]["code"], "not_executable");
}

#[test]
fn a_start_that_fails_has_not_happened() {
    let session = Sandbox::new();
    let script = session.path("script");
    for interpreter in ["/bin/sh", "/no/such/interpreter"] {
        std::fs::write(&script, format!("#!{interpreter}\n")).unwrap();
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
        if interpreter == "/bin/sh" {
            session.ok(["create", "-n", "s", "-s", "./script"]);
        }
    }
    let before = session.status("s");
    for verb in ["start", "resume", "restart"] {
        let refused = session.run([verb, "s"]);
        assert_eq!(refused.code, 1, "{verb}: {refused:?}");
        assert_eq!(session.status("s"), before, "{verb}");
    }
}

#[test]
fn a_name_is_taken_once() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "one", "sleep", "1000"]);
    let pid = session.pid("one");
    let refused = session.run(["create", "-n", "one", "sleep", "1000"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("'one'"), "{refused:?}");
    assert_eq!(session.pid("one"), pid);
}

#[test]
fn fifty_at_once_are_fifty_sessions() {
    let session = Sandbox::new();
    let mut children: Vec<_> = (0..50)
        .map(|_| {
            session
                .command(["create", "sleep", "1000"])
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    assert!(
        children
            .iter_mut()
            .all(|child| child.wait().unwrap().success())
    );
    let listed: Vec<serde_json::Value> =
        serde_json::from_str(&session.ok(["ls", "--json"])).unwrap();
    let names: BTreeSet<&str> = listed
        .iter()
        .map(|session| session["name"].as_str().unwrap())
        .collect();
    let pids: BTreeSet<i64> = listed
        .iter()
        .map(|session| session["pid"].as_i64().unwrap())
        .collect();
    assert_eq!((names.len(), pids.len()), (50, 50));
    assert!(names.contains("sleep") && names.contains("sleep50"));
}

#[test]
fn too_few_open_files_are_refused_before_anything_exists() {
    let session = Sandbox::new();
    let refused = session.shell("ulimit -n 12; $SESSION create -n x sleep 1000");
    assert_eq!(refused.code, 1);
    assert_eq!(
        refused.err,
        "session: 12 open files are not enough to keep a session, 32 are (see `ulimit -n`)\n"
    );
    assert_eq!(session.ok(["ls", "--json"]), "[]\n");
    session.ok(["create", "-q", "-n", "x", "sleep", "1000"]);
}

#[test]
fn the_command_gets_three_descriptors_and_the_caller_s_world() {
    let session = Sandbox::new();
    let mut ready = Fifo::new(session.path("ready"));
    let script = "ls -l /proc/self/fd > fds; cat /proc/self/status > status; ulimit -n > nofile; umask > mask; pwd > here; \
                  env > environment; ps -o sid=,tpgid= -p $$ > ids; echo x > ready";
    let line = format!(
        "umask 0027; ulimit -n 333; trap '' HUP INT QUIT TERM PIPE CHLD USR1; exec 7</etc/passwd 8>&1; mkdir -p 'a b'; cd 'a b'; \
         COLOUR=blue $SESSION create -q -n world -e EXTRA=1 -- sh -c 'cd ..; {}'",
        script.replace('\'', "'\\''")
    );
    let created = session.shell(&line);
    assert_eq!((created.code, &created.err[..]), (0, ""), "{created:?}");
    ready.line();
    let read = |name: &str| std::fs::read_to_string(session.path(name)).unwrap();
    let numbers: Vec<String> = read("fds")
        .lines()
        .filter_map(|line| Some(line.split(" -> ").next()?.rsplit(' ').next()?.to_owned()))
        .filter(|word| word.parse::<u32>().is_ok())
        .collect();
    assert!(
        numbers
            .iter()
            .all(|number| number.parse::<u32>().unwrap() <= 3),
        "3 is ls's own: {}",
        read("fds")
    );
    let status = read("status");
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap()
            .trim()
            .to_owned()
    };
    assert_eq!(
        (field("SigBlk:"), field("SigIgn:")),
        ("0".repeat(16), "0".repeat(16)),
        "{status}"
    );
    assert_eq!(read("nofile").trim(), "333");
    assert_eq!(read("mask").trim(), "0027");
    let environment = read("environment");
    for line in ["COLOUR=blue", "EXTRA=1", "SESSION_NAME=world"] {
        assert!(
            environment.lines().any(|it| it == line),
            "{line} is missing in {environment}"
        );
    }
    assert!(environment.contains("SESSION_ID="));
    assert_eq!(
        session.ok(["get", "world", "directory"]).trim(),
        session.path("a b").display().to_string()
    );
}

#[test]
fn words_that_are_not_utf_8_are_kept_exactly() {
    let session = Sandbox::new();
    let mut ready = Fifo::new(session.path("ready"));
    let odd = OsStr::from_bytes(b"\xff\xfe odd");
    let mut args: Vec<OsString> = [
        "create",
        "-n",
        "odd",
        "--",
        "sh",
        "-c",
        "printf %s \"$1\" > got; printf %s \"$ODD\" >> got; echo x > ready",
        "sh",
    ]
    .map(Into::into)
    .to_vec();
    args.push(odd.to_owned());
    let created = ran(session.command(&args).env("ODD", odd));
    assert_eq!(created.code, 0, "{created:?}");
    ready.line();
    assert_eq!(
        std::fs::read(session.path("got")).unwrap(),
        b"\xff\xfe odd\xff\xfe odd"
    );
    let shown = session.ok(["ls"]);
    assert!(
        !shown.contains('\u{fffd}') && !shown.contains("\x1b"),
        "{shown}"
    );
}

#[test]
fn options_end_at_the_command() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "opts", "-s", "sleep", "-n", "--help", "-s"]);
    assert_eq!(
        session.ok(["get", "opts", "command"]),
        "['sleep', '-n', '--help', '-s']\n"
    );
}

#[test]
fn a_very_long_command_line_works() {
    let session = Sandbox::new();
    let mut ready = Fifo::new(session.path("ready"));
    let word = "x".repeat(100_000);
    let mut args = vec![
        "create",
        "-n",
        "long",
        "--",
        "sh",
        "-c",
        "shift 17; printf %s \"$1$2\" | wc -c > ready; exec sleep 1000",
    ];
    args.extend(std::iter::repeat_n(&word[..], 19));
    session.ok(&args);
    assert_eq!(ready.line(), "100000");
    assert!(session.ok(["ls"]).contains("long"));
}

#[test]
fn closed_standard_streams_of_the_caller_do_no_harm() {
    let session = Sandbox::new();
    let created = session.shell("$SESSION create -n closed sleep 1000 <&- >&- 2>&-");
    assert_eq!(created.code, 0, "{created:?}");
    session.pid("closed");
}

#[test]
fn the_caller_s_limits_are_for_the_command_not_for_its_holder() {
    let session = Sandbox::new();
    let line = "ulimit -f 20; $SESSION create -q -n small -- sh -c 'ulimit -f; yes | head -c 300000; echo done; exec sleep 1000'";
    let created = session.shell(line);
    assert_eq!(created.code, 0, "{created:?}");
    session.ok(["wait", "small", "--text", "^done$", "--timeout", "20s"]);
    assert_eq!(session.status("small")["state"], "running");
    let log = session.ok(["logs", "small"]);
    assert!(log.starts_with("20\n"), "the command has its limit");
    // Who may not raise the limit again has a log of short files, and all of it.
    assert_eq!(log, format!("20\n{}done\n", "y\n".repeat(150_000)));
}

#[test]
fn what_the_caller_leaks_is_not_kept_by_the_holder() {
    let session = Sandbox::new();
    let line =
        "exec 9> lock; flock 9; $SESSION create -q -n l sleep 1000; exec 9>&-; flock -n lock true";
    let leaked = session.shell(line);
    assert_eq!((leaked.code, &leaked.err[..]), (0, ""), "{leaked:?}");
    let held = std::fs::read_dir(format!("/proc/{}/fd", session.holders()[0])).unwrap();
    let lock = session.path("lock");
    assert!(
        held.flatten()
            .all(|it| std::fs::read_link(it.path()).ok() != Some(lock.clone()))
    );
}

#[test]
fn a_current_directory_that_is_gone_matters_only_where_it_is_needed() {
    let session = Sandbox::new();
    let gone =
        |line: &str| session.shell(&format!("mkdir gone && cd gone && rmdir ../gone && {line}"));
    for command in ["/bin/sleep", "sleep"] {
        let ran = gone(&format!("$SESSION create -C / {command} 1000"));
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    }
    for (line, why) in [
        ("$SESSION create sleep 1000", "current directory"),
        ("$SESSION create -C sub sleep 1000", "current directory"),
        ("$SESSION create -C / ./sleep 1000", "'./sleep'"),
        ("$SESSION set sleep directory sub", "current directory"),
    ] {
        let ran = gone(line);
        assert_eq!(ran.code, 1, "{line}: {ran:?}");
        assert!(
            ran.err.contains(why) && ran.err.lines().count() == 1,
            "{line}: {ran:?}"
        );
    }
}

#[test]
fn a_directory_is_checked_when_it_is_set() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "held", "sleep", "1000"]);
    session.ok(["create", "-n", "idle", "-s", "sleep", "1000"]);
    std::fs::create_dir(session.path("sub")).unwrap();
    for name in ["held", "idle"] {
        let before = session.ok(["get", name, "directory"]);
        for bad in ["/nonexistent", "/etc/passwd", "nonexistent", ""] {
            let ran = session.run(["set", name, "directory", bad]);
            assert_eq!(ran.code, 1, "{ran:?}");
            assert!(ran.err.contains("cannot enter the directory"), "{ran:?}");
            assert_eq!(session.ok(["get", name, "directory"]), before);
        }
        session.ok(["set", name, "directory", "./sub"]);
        let expected = format!("{}\n", session.path("sub").display());
        assert_eq!(session.ok(["get", name, "directory"]), expected);
    }
}
