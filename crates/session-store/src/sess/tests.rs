//! Tests of the directory: what lies in it may be anything.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use super::*;
use crate::{Id, Root, Spec, Wanted};

struct Place {
    directory: tempfile::TempDir,
    sess: Sess,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let sess = Sess::open(&directory.path().join(".sess")).unwrap();
        Self { directory, sess }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.sess.path().join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = files::entries(self.sess.fd()).unwrap();
        let mut names: Vec<String> = entries.into_iter().map(|(name, _)| name).collect();
        names.sort();
        names
    }

    fn next(&self) -> String {
        self.sess.next_number().unwrap().to_string()
    }
}

fn client(number: &str) -> Client {
    let id = Id::random();
    Client::caller(number.to_owned(), id, Some("/dev/pts/7".to_owned())).unwrap()
}

#[test]
fn it_is_private_and_what_others_could_enter_is_refused() {
    let place = Place::new();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(place.sess.path()), 0o700);
    std::fs::set_permissions(place.sess.path(), PermissionsExt::from_mode(0o755)).unwrap();
    assert!(Sess::open(place.sess.path()).is_err());
    assert_eq!(mode(place.sess.path()), 0o755, "not repaired");
    let link = place.directory.path().join("link");
    std::os::unix::fs::symlink("/tmp", &link).unwrap();
    assert!(Sess::open(&link).is_err());
    assert!(
        Sess::open_existing(&place.directory.path().join("none"))
            .unwrap()
            .is_none()
    );
}

#[test]
fn numbers_are_written_alike() {
    for (given, written) in [
        ("1", "001"),
        ("001", "001"),
        ("0", "000"),
        ("0000012", "012"),
        ("1234", "1234"),
        ("backend", "backend"),
        ("1x", "1x"),
        ("-1", "-1"),
        ("", ""),
    ] {
        assert_eq!(numbered(given), written);
    }
}

#[test]
fn numbers_rise_whatever_is_remembered() {
    let place = Place::new();
    assert_eq!([place.next(), place.next()], ["001", "002"]);
    std::fs::write(place.file("session-017.meta"), "{").unwrap();
    assert_eq!(place.next(), "018");
    place.sess.given(&"030".parse().unwrap()).unwrap();
    place.sess.given(&"005".parse().unwrap()).unwrap();
    place.sess.given(&"name".parse().unwrap()).unwrap();
    assert_eq!(place.next(), "031");
    std::fs::write(place.file(".lock"), "no number").unwrap();
    assert_eq!(place.next(), "018");
    for file in [".lock", "session-017.meta"] {
        std::fs::remove_file(place.file(file)).unwrap();
    }
    assert_eq!(place.next(), "001", "nothing remembers it");
    // What is higher than anyone counts is a name.
    place.sess.given(&"4294967295".parse().unwrap()).unwrap();
    std::fs::write(place.file("session-20261201.meta"), "{").unwrap();
    assert_eq!(place.next(), "002");
    place.sess.given(&"999999".parse().unwrap()).unwrap();
    assert!(place.sess.next_number().is_err());
}

#[test]
fn no_number_is_given_twice() {
    let place = Place::new();
    let given = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let sess = Sess::open(place.sess.path()).unwrap();
                for _ in 0..25 {
                    let number = sess.next_number().unwrap().to_string();
                    given.lock().unwrap().push(number);
                }
            });
        }
    });
    let mut given = given.into_inner().unwrap();
    given.sort();
    let expected: Vec<String> = (1..=200).map(|n| numbered(&n.to_string())).collect();
    assert_eq!(given, expected);
}

#[test]
fn nothing_that_lies_there_is_a_lock() {
    let place = Place::new();
    let lock = place.file(".lock");
    for make in [
        |path: &Path| std::fs::write(path, "").unwrap(),
        |path: &Path| std::fs::create_dir(path).unwrap(),
        |path: &Path| std::os::unix::fs::symlink("/nonexistent", path).unwrap(),
        |path: &Path| drop(UnixListener::bind(path).unwrap()),
        |path: &Path| {
            std::fs::create_dir(path).unwrap();
            std::fs::write(path.join("x"), "").unwrap();
        },
    ] {
        let _ = std::fs::remove_file(&lock);
        make(&lock);
        assert_eq!(place.next(), "001");
    }
    std::fs::set_permissions(&lock, PermissionsExt::from_mode(0o000)).unwrap();
    assert_eq!(place.next(), "002");
}

#[test]
fn clients_come_and_go_and_the_last_one_is_the_current_one() {
    let place = Place::new();
    let (first, second) = (client("001"), client("002"));
    place.sess.enter(first.clone()).unwrap();
    place
        .sess
        .enter(Client {
            pid: 1,
            ..second.clone()
        })
        .unwrap();
    let text = std::fs::read_to_string(place.file(".current_session")).unwrap();
    let marker: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&marker["number"], &marker["pid"]),
        (&"002".into(), &1.into())
    );
    place.sess.leave(1).unwrap();
    assert_eq!(place.sess.clients().unwrap(), std::slice::from_ref(&first));
    place.sess.leave(first.pid).unwrap();
    assert_eq!(place.names(), [".lock"]);
}

#[test]
fn a_client_that_is_dead_is_forgotten() {
    let place = Place::new();
    for text in [
        "001\n",
        "{\"number\":\"001\",\"pid\":1}",
        "{",
        &serde_json::to_string(&Client {
            identity: client("001").identity.replacen(['1', '2', '3'], "4", 1),
            ..client("001")
        })
        .unwrap(),
    ] {
        std::fs::write(place.file(".current_session"), text).unwrap();
        assert_eq!(place.sess.clients().unwrap(), []);
        assert_eq!(place.names(), [".lock"], "{text}");
    }
}

#[test]
fn what_runs_is_shown_and_what_does_not_is_not() {
    let place = Place::new();
    let root = Root::open(&place.directory.path().join("state")).unwrap();
    let spec = Spec::new(
        vec!["sh".into(), "-c x".into()],
        "/bin/sh".into(),
        "/".into(),
    );
    let owned = root
        .create(Wanted::Exact("001".parse().unwrap()), spec)
        .unwrap();
    let session = owned.session().clone();
    let mut status = owned.status();
    place.sess.show(&session, &status).unwrap();
    assert!(place.names().is_empty());
    status.pid = Some(4711);
    let _listener = UnixListener::bind(session.path().join("socket")).unwrap();
    let shown = ["session-001.meta", "session-001.sock"];
    for _ in 0..2 {
        place.sess.show(&session, &status).unwrap();
        assert_eq!(place.names(), shown);
    }
    let text = std::fs::read_to_string(place.file("session-001.meta")).unwrap();
    let created = status.created_at;
    assert_eq!(
        text,
        format!(
            "{{\n  \"session_num\": \"001\",\n  \"created_at\": \"{created}\",\n  \"pid\": 4711,\n  \"command\": \"sh -c x\"\n}}"
        )
    );
    std::os::unix::net::UnixStream::connect(place.file("session-001.sock")).unwrap();
    // What lies in the way makes way.
    std::fs::remove_file(place.file("session-001.sock")).unwrap();
    std::fs::write(place.file("session-001.sock"), "").unwrap();
    place.sess.show(&session, &status).unwrap();
    std::os::unix::net::UnixStream::connect(place.file("session-001.sock")).unwrap();
    place.sess.hide("001").unwrap();
    assert!(place.names().is_empty());
}

#[test]
fn only_what_nobody_stands_behind_is_swept() {
    let place = Place::new();
    let _listener = UnixListener::bind(place.file("session-003.sock")).unwrap();
    drop(UnixListener::bind(place.file("session-004.sock")).unwrap());
    std::os::unix::fs::symlink("/nonexistent", place.file("session-005.sock")).unwrap();
    std::fs::create_dir(place.file("session-006.meta")).unwrap();
    std::fs::create_dir(place.file("session-007.meta")).unwrap();
    for file in [
        "session-001.meta",
        "session-001.sock",
        "session-002.meta",
        "session-002.meta.4711.tmp",
        "session-003.meta",
        "session-004.meta",
        "session-007.meta/kept",
        "session-x y.sock",
        "session-notes.txt",
        "other",
    ] {
        std::fs::write(place.file(file), "").unwrap();
    }
    place.sess.sweep(|name| name == "001").unwrap();
    assert_eq!(
        place.names(),
        [
            "other",
            "session-001.meta",
            "session-001.sock",
            "session-003.meta",
            "session-003.sock",
            "session-007.meta",
            "session-notes.txt",
        ]
    );
}
