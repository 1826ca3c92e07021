//! Tests of the table of attributes.

use super::*;

fn spec() -> Spec {
    Spec::new(
        vec!["/usr/local/sbin/myserver".into()],
        "/usr/local/sbin/myserver".into(),
        "/srv".into(),
    )
}

fn get(spec: &Spec, key: &str) -> Option<String> {
    spec.get(key)
        .unwrap()
        .map(|value| String::from_utf8(value.0).unwrap())
}

#[test]
fn defaults_are_those_of_the_table() {
    let mut spec = spec();
    for attribute in ATTRIBUTES
        .iter()
        .filter(|attribute| !attribute.default.is_empty())
    {
        assert_eq!(
            get(&spec, attribute.word).as_deref(),
            Some(attribute.default),
            "{}",
            attribute.word
        );
        spec.set(attribute.word, Some(attribute.default.as_bytes()))
            .unwrap();
        spec.set(attribute.word, None).unwrap();
    }
    assert_eq!(spec, self::spec());
}

#[test]
fn values_are_shown_as_they_were_set() {
    let mut spec = spec();
    for (key, value, shown) in [
        ("start-suspended", "yes", "yes"),
        ("directory", "/tmp", "/tmp"),
        ("env.A", "b=c", "b=c"),
        ("restart", "always", "always"),
        ("restart-delay", "1500ms", "1500ms"),
        ("restart-max-delay", "90", "90s"),
        ("restart-limit", "3/60s", "3/1m"),
        ("stop-signal", "sigusr1", "USR1"),
        ("stop-signal", "34", "34"),
        ("stop-timeout", "8760h", "8760h"),
        ("on-boot", "no", "no"),
        ("title", "Ünï", "Ünï"),
        ("log-limit", "64K", "64K"),
        ("limit.memory", "512M", "512M"),
        ("limit.cpu", "150%", "150%"),
        ("limit.nofile", "unlimited", "unlimited"),
        ("limit.cputime", "60", "60s"),
        ("limit.core", "0", "0"),
        ("pty", "no", "no"),
        ("size", "smallest", "smallest"),
        ("size", "fixed 120x40", "fixed 120x40"),
        ("command", r#"["a","it's"]"#, r#"['a', "it's"]"#),
    ] {
        spec.set(key, Some(value.as_bytes())).unwrap();
        assert_eq!(get(&spec, key).as_deref(), Some(shown), "{key}");
        spec.set(key, Some(shown.as_bytes())).unwrap();
        assert_eq!(get(&spec, key).as_deref(), Some(shown), "{key} again");
    }
    spec.set("env.A", None).unwrap();
    spec.set("limit.memory", None).unwrap();
    assert_eq!(
        (get(&spec, "env.A"), get(&spec, "limit.memory")),
        (None, None)
    );
}

#[test]
fn nonsense_changes_nothing_and_names_what_is_known() {
    let mut spec = spec();
    let before = spec.clone();
    for (key, value) in [
        ("start-suspended", &b"maybe"[..]),
        ("directory", b"relative"),
        ("directory", b"/a\0b"),
        ("env.A=B", b"x"),
        ("env.A\0", b"x"),
        ("env.A", b"x\0"),
        ("restart", b"sometimes"),
        ("restart-delay", b"soon"),
        ("restart-delay", b"999999999h"),
        ("restart-max-delay", b"8761h"),
        ("restart-limit", b"5/8761h"),
        ("stop-timeout", b"8761h"),
        ("restart-limit", b"5"),
        ("restart-limit", b"5/0"),
        ("restart-limit", b"/1m"),
        ("stop-signal", b"FOO"),
        ("log-limit", b"63K"),
        ("limit.memory", b"lots"),
        ("limit.pids", b""),
        ("limit.cpu", b"2"),
        ("limit.cputime", b"1ms"),
        ("command", b"sh -c x"),
        ("command", b"[]"),
        ("command", b"[\"a\\u0000\"]"),
        ("command", br"['a\x00']"),
        ("command", b"['']"),
        ("command", b"['a\xff']"),
        ("title", b"\xff"),
        ("title", &[b'x'; 1025]),
        ("name", b"x"),
        ("pty", b""),
        ("size", b"120x40"),
        ("size", b"fixed 0x40"),
    ] {
        let error = spec.set(key, Some(value)).unwrap_err().to_string();
        assert!(
            error.contains("takes") && !error.contains('\0') && error.len() < 400,
            "{key}: {error}"
        );
    }
    for (key, known) in [
        ("env.", "env.K"),
        ("env", "env.K"),
        ("limit.foo", "memlock"),
        ("color\x1b", "on-boot"),
        ("restart.x", "restart"),
    ] {
        let error = spec.set(key, Some(b"1")).unwrap_err().to_string();
        assert!(
            error.contains("no ") && error.contains(known) && !error.contains('\x1b'),
            "{error}"
        );
    }
    for key in ["command", "directory", "name"] {
        assert!(spec.set(key, None).is_err());
    }
    assert_eq!(spec, before);
}

#[test]
fn listed_values_are_exact_and_secrets_masked() {
    let mut spec = spec();
    spec.set("env.TOKEN", Some(b"hunter2")).unwrap();
    spec.set("limit.core", Some(b"0")).unwrap();
    spec.set("directory", Some(b"/x\xff\n")).unwrap();
    let list = spec.attributes();
    let listed = |key: &str| {
        let found = list.iter().find(|(listed, _)| listed == key);
        found.map(|(_, value)| value.escaped())
    };
    assert_eq!(list[0].0, "command");
    assert_eq!(listed("command").unwrap(), "['/usr/local/sbin/myserver']");
    assert_eq!(listed("env.TOKEN").unwrap(), "***");
    assert_eq!(listed("limit.core").unwrap(), "0");
    assert_eq!(listed("directory").unwrap(), r"/x\xff\n");
    assert_eq!(listed("title"), None);
    assert_eq!(get(&spec, "env.TOKEN").as_deref(), Some("hunter2"));
}

#[test]
fn differences_are_what_a_restart_would_change() {
    let started = spec();
    let mut spec = spec();
    for (key, value) in [
        ("env.A", "1"),
        ("limit.core", "0"),
        ("pty", "no"),
        ("restart", "no"),
        ("title", "t"),
        ("directory", "/"),
    ] {
        spec.set(key, Some(value.as_bytes())).unwrap();
    }
    assert_eq!(
        spec.differences(&started),
        ["directory", "env.A", "limit.core", "pty"]
    );
    assert_eq!(
        started.differences(&spec),
        ["directory", "env.A", "limit.core", "pty"]
    );
    assert!(started.differences(&started).is_empty());
}
