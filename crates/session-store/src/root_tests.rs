//! Tests of what is accepted as a state directory.

use super::*;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn what_is_missing_is_made_private() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("a/b/session");
    assert!(Root::open_existing(&path).unwrap().is_none());
    assert!(!place.path().join("a").exists(), "reading creates nothing");
    Root::open(&path).unwrap();
    for made in [
        "a",
        "a/b",
        "a/b/session",
        "a/b/session/names",
        "a/b/session/sessions",
    ] {
        assert_eq!(mode(&place.path().join(made)), 0o700, "{made}");
    }
    assert!(Root::open_existing(&path).unwrap().is_some());
    fs::remove_dir(path.join("names")).unwrap();
    assert!(
        Root::open_existing(&path).unwrap().is_some(),
        "names can be lost without hiding the sessions"
    );
}

#[test]
fn open_to_others_or_not_a_directory_is_refused_and_not_repaired() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("root");
    Root::open(&path).unwrap();
    for bad in [0o755, 0o750, 0o701, 0o777] {
        for part in [path.clone(), path.join("names"), path.join("sessions")] {
            fs::set_permissions(&part, Permissions::from_mode(bad)).unwrap();
            assert!(
                matches!(Root::open(&path), Err(Error::Refused { .. })),
                "{part:?} {bad:o}"
            );
            assert!(matches!(
                Root::open_existing(&path),
                Err(Error::Refused { .. })
            ));
            assert_eq!(mode(&part), bad);
            fs::set_permissions(&part, Permissions::from_mode(0o700)).unwrap();
        }
    }
    let link = place.path().join("link");
    symlink(&path, &link).unwrap();
    for form in [link.clone(), link.join("."), place.path().join("link/")] {
        assert!(
            matches!(Root::open(&form), Err(Error::Refused { .. })),
            "{form:?}"
        );
    }
    let file = place.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(Root::open(&file), Err(Error::Refused { .. })));
    assert!(Root::open(&file.join("below")).is_err());
}

#[test]
fn another_users_directory_is_refused() {
    if session_sys::process::effective_uid() != 0 {
        eprintln!("SKIPPED: only root can give directories away");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("root");
    Root::open(&path).unwrap();
    chown(&path, Some(12345), None).unwrap();
    assert!(matches!(Root::open(&path), Err(Error::Refused { .. })));
    // A home kept by sudo: nothing is made in it.
    assert!(matches!(
        Root::open(&path.join("new/session")),
        Err(Error::Refused { .. })
    ));
    assert!(!path.join("new").exists());
}
