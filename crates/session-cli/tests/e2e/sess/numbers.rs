//! Numbers: each once, always higher, whatever is in the way.

use std::process::Stdio;

use super::World;

fn number(out: &str) -> String {
    let number = out.strip_prefix("Created session ").unwrap();
    number.split(' ').next().unwrap().to_owned()
}

#[test]
fn fifty_at_the_same_time_get_fifty_numbers() {
    let sess = World::new();
    let children: Vec<_> = (0..50)
        .map(|_| {
            let mut command = sess.command::<&str>([]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    let mut numbers: Vec<String> = children
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().unwrap();
            let err = String::from_utf8(output.stderr).unwrap();
            // Without a terminal there is a session all the same.
            let expected = "Error: Failed to attach to new session: stdin is not a terminal\n";
            assert_eq!((output.status.code(), &err[..]), (Some(1), expected));
            number(&String::from_utf8(output.stdout).unwrap())
        })
        .collect();
    numbers.sort();
    let expected: Vec<String> = (1..=50).map(|n| format!("{n:03}")).collect();
    assert_eq!(numbers, expected);
    let listed = sess.ok(["ls"]);
    assert_eq!(listed.matches("   detached  ").count(), 50, "{listed}");
    let killed = sess.ok(["-K"]);
    assert_eq!(killed.lines().count(), 50, "{killed}");
    assert_eq!(sess.ok(["ls"]), "No active sessions\n");
}

#[test]
fn numbers_rise_and_are_not_used_again() {
    let sess = World::new();
    let next = || number(&sess.run::<&str>([]).out);
    assert_eq!([next(), next(), next()], ["001", "002", "003"]);
    sess.ok(["-k", "2"]);
    sess.ok(["-k", "3"]);
    assert_eq!(next(), "004");
    sess.ok(["-K"]);
    assert_eq!(next(), "005");
    // Called so by a person, and not to be touched.
    sess.sandbox.ok(["create", "-n", "006", "sleep", "1000"]);
    assert_eq!(next(), "007");
    // An earlier version's lock is none, and nor is anything else.
    std::fs::remove_file(sess.file(".lock")).unwrap();
    std::fs::create_dir(sess.file(".lock")).unwrap();
    assert_eq!(next(), "008");
}
