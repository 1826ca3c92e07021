//! Tests of listing and finding.

use super::*;
use crate::live::tests::live;
use crate::owned::tests::{create, root};
use crate::{Owned, Record};
use session_protocol::State;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

fn names(root: &Root) -> Vec<String> {
    root.list()
        .unwrap()
        .into_iter()
        .map(|one| one.name)
        .collect()
}

fn spoil(owned: &Owned) -> std::path::PathBuf {
    let path = owned.session().path().join("record");
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn sessions_are_found_by_name_id_and_prefix() {
    let (_place, root) = root();
    let owned = create(&root, "web");
    let id = owned.session().id().to_string();
    for given in ["web", &id, &id[..1], &id[..4], &id[..15]] {
        assert_eq!(root.find(given).unwrap().id().to_string(), id, "{given}");
    }
    // A name that looks like the beginning of an id comes first.
    let other = create(&root, &id[..6]);
    assert_eq!(root.find(&id[..6]).unwrap().id(), other.session().id());
    for given in ["we", "webx", "", "../web", "0000000000000000", "\x1b"] {
        let error = root.find(given).unwrap_err();
        assert!(matches!(error, Error::NotFound(_)), "{given}: {error}");
        assert!(!error.to_string().contains('\x1b'));
    }
}

#[test]
fn ambiguous_prefixes_name_the_ids() {
    let (_place, root) = root();
    let mut ids = Vec::new();
    for number in 1..=7 {
        let (name, id) = (format!("n{number}"), format!("abcd00000000000{number}"));
        let owned = create(&root, &name);
        let record = Record {
            id: id.parse().unwrap(),
            ..owned.record().clone()
        };
        let old = owned.session().path();
        fs::write(old.join("record"), record.encode().unwrap()).unwrap();
        fs::rename(&old, root.session_path(&record.id)).unwrap();
        ids.push(id);
    }
    let error = root.find("a").unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("'a' begins several ids: {} and 2 more", ids[..5].join(", "))
    );
    assert!(matches!(error, Error::Ambiguous { ids: found, .. } if found == ids));
}

#[test]
fn living_sessions_are_listed_as_their_holder_says() {
    let (_place, root) = root();
    let mut owned = create(&root, "web");
    create(&root, "also");
    let id = owned.session().id().to_string();
    owned.write_live(&live("web", &id)).unwrap();
    owned.announce_holder().unwrap();
    let list = root.list().unwrap();
    let status: Vec<_> = list
        .iter()
        .map(|one| {
            (
                one.name.as_str(),
                one.holder,
                one.status.as_ref().unwrap().state,
            )
        })
        .collect();
    assert_eq!(
        status,
        [
            ("also", false, State::Exited),
            ("web", true, State::Running)
        ]
    );
    assert!(list[1].status.as_ref().unwrap().uptime_ms.is_some());
    // A command too long for the block is taken from the record.
    let mut long = live("web", &id);
    long.status.command = vec!["x".repeat(9000).as_str().into()];
    owned.write_live(&long).unwrap();
    assert_eq!(
        root.list().unwrap()[1].status.as_ref().unwrap().command,
        owned.record().spec.command
    );
    drop(owned);
    let list = root.list().unwrap();
    assert_eq!(
        (list[1].holder, list[1].status.as_ref().unwrap().state),
        (false, State::Exited)
    );
}

#[test]
fn a_damaged_record_costs_that_session_alone() {
    let (_place, root) = root();
    create(&root, "good");
    let path = spoil(&create(&root, "awry"));
    let list = root.list().unwrap();
    assert_eq!(names(&root), ["awry", "good"]);
    assert!(matches!(&list[0].status, Err(Error::Damaged { path: at, .. }) if *at == path));
    assert!(path.exists(), "listing moves nothing");
    let Err(Error::Damaged { path: moved, why }) = root.find("awry") else {
        panic!()
    };
    assert!(
        moved.starts_with(root.path().join("damaged"))
            && moved.exists()
            && why.contains("set aside")
    );
    assert_eq!(names(&root), ["good"]);
    assert!(matches!(root.find("awry"), Err(Error::NotFound(_))));
    assert_eq!(root.damaged().unwrap().len(), 1);
    create(&root, "awry");
}

#[test]
fn a_living_holder_keeps_a_damaged_record_and_makes_it_whole() {
    let (_place, root) = root();
    let mut owned = create(&root, "web");
    owned
        .write_live(&live("web", &owned.session().id().to_string()))
        .unwrap();
    owned.announce_holder().unwrap();
    spoil(&owned);
    assert_eq!(
        root.find("web").unwrap().status().unwrap().state,
        State::Running
    );
    assert!(root.set_aside(owned.session().id()).unwrap().is_none());
    owned.write_record(owned.record().clone()).unwrap();
    assert_eq!(
        root.find("web").unwrap().read_record().unwrap(),
        *owned.record()
    );
}

#[test]
fn every_kind_of_damage_is_told() {
    let (_place, root) = root();
    let spoil: [fn(&std::path::Path); 6] = [
        |path| fs::write(path, "").unwrap(),
        |path| fs::write(path, [0xff; 300]).unwrap(),
        |path| fs::create_dir(path).unwrap(),
        |path| symlink("/etc/passwd", path).unwrap(),
        |path| {
            rustix::fs::mknodat(rustix::fs::CWD, path, FileType::Fifo, files::FILE_MODE, 0).unwrap()
        },
        |path| fs::write(path, crate::record::tests::record("x").encode().unwrap()).unwrap(),
    ];
    for (index, spoil) in spoil.iter().enumerate() {
        let path = create(&root, "x").session().path().join("record");
        fs::remove_file(&path).unwrap();
        spoil(&path);
        assert!(
            matches!(root.find("x"), Err(Error::Damaged { .. })),
            "{index}"
        );
        assert_eq!(root.damaged().unwrap().len(), index + 1);
        assert!(names(&root).is_empty());
    }
}

#[test]
fn a_newer_record_is_left_as_it_is() {
    let (_place, root) = root();
    let path = create(&root, "web").session().path().join("record");
    let newer = b"session-record 99 00000000 what-ever\nanything".to_vec();
    fs::write(&path, &newer).unwrap();
    let id = path
        .parent()
        .unwrap()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap();
    for given in ["web", id] {
        assert!(matches!(
            root.find(given),
            Err(Error::Newer { version: 99, .. })
        ));
    }
    assert!(matches!(
        root.create(
            crate::Wanted::Exact("web".parse().unwrap()),
            crate::Spec::default()
        ),
        Err(Error::Exists(_))
    ));
    assert!(matches!(
        root.list().unwrap()[0].status,
        Err(Error::Newer { version: 99, .. })
    ));
    for finding in root.survey().unwrap() {
        assert!(root.repair(&finding).unwrap().is_none());
    }
    assert_eq!(fs::read(&path).unwrap(), newer);
    assert_eq!(names(&root), ["web"]);
}

#[test]
fn a_foreign_directory_is_refused() {
    let (_place, root) = root();
    let id = *create(&root, "web").session().id();
    let path = root.session_path(&id);
    let aside = root.path().join("aside");
    fs::rename(&path, &aside).unwrap();
    symlink(&aside, &path).unwrap();
    assert!(matches!(root.find("web"), Err(Error::Refused { .. })));
    assert!(matches!(
        root.list().unwrap()[0].status,
        Err(Error::Refused { .. })
    ));
    fs::remove_file(&path).unwrap();
    fs::rename(&aside, &path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(root.find("web"), Err(Error::Refused { .. })));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    if session_sys::process::effective_uid() == 0 {
        std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
        assert!(matches!(root.session(&id), Err(Error::Refused { .. })));
        assert!(root.list().unwrap()[0].status.is_err());
    }
}

#[test]
fn two_machines_leave_each_others_sessions_alone() {
    let (_place, root) = root();
    let (one, two) = (root.clone().as_machine("one"), root.as_machine("two"));
    let path = create(&one, "web").session().path().join("record");
    let before = fs::read(&path).unwrap();
    let list = two.list().unwrap();
    assert!(list[0].foreign && !one.list().unwrap()[0].foreign);
    assert!(matches!(two.find("web"), Err(Error::Foreign { .. })));
    assert!(two.survey().unwrap().is_empty());
    let taken = two.create(
        crate::Wanted::Exact("web".parse().unwrap()),
        crate::Spec::default(),
    );
    assert!(matches!(taken, Err(Error::Exists(_))));
    assert_eq!(fs::read(&path).unwrap(), before);
}
