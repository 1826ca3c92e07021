//! `session tree` shows each process where the kernel has it.

use serde_json::Value;

use crate::support::{Sandbox, until};

/// A shell with a pipeline in the background, a daemon that has left its session, a program with threads, and a
/// process whose ended child nobody waits for.
const HOUSEHOLD: &str = r#"
set -m
sleep 1000 | cat &
setsid sleep 2000 &
python3 -c 'import threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
threading.Event().wait()' &
sh -c '/bin/true & exec sleep 4000' &
wait
"#;

/// The processes of a tree, each with the session and the group that it is shown in.
fn processes(tree: &Value) -> Vec<(&Value, &Value, &Value)> {
    let mut found = Vec::new();
    for session in tree.as_array().unwrap() {
        for group in session["groups"].as_array().unwrap() {
            let processes = group["processes"].as_array().unwrap();
            found.extend(processes.iter().map(|process| (session, group, process)));
        }
    }
    found
}

#[test]
fn each_process_is_in_its_place() {
    if std::process::Command::new("python3")
        .arg("-V")
        .output()
        .is_err()
    {
        eprintln!("SKIPPED: no python3, which runs a program with threads");
        return;
    }
    let session = Sandbox::new();
    session.ok(["create", "-n", "h", "--", "sh", "-c", HOUSEHOLD]);
    let main = session.pid("h");
    until("each is in its place", || {
        let tree: Value = serde_json::from_str(&session.ok(["tree", "--json", "h"])).unwrap();
        let all = processes(&tree);
        let find = |words: &str| {
            all.iter().find(|(.., process)| {
                let command = process["command"].as_array().unwrap();
                let command: Vec<&str> = command.iter().filter_map(Value::as_str).collect();
                command.join(" ").ends_with(words)
            })
        };
        let found = [
            find("sleep 1000"),
            find("cat"),
            find("sleep 2000"),
            find("threading.Event().wait()"),
            find("sleep 4000"),
            find("[true]"),
        ];
        let [
            Some(sleep),
            Some(cat),
            Some(daemon),
            Some(threads),
            Some(parent),
            Some(zombie),
        ] = found
        else {
            return false; // not all have started yet
        };
        let Some(shell) = all.iter().find(|(.., process)| process["pid"] == main) else {
            return false;
        };
        let marked = all
            .iter()
            .filter(|(.., process)| process["main"] == true)
            .count();
        let is_foreground = |group: &Value| group["foreground"] == true;
        let count = threads.2["threads"].as_array().unwrap().len();
        // The shell leads its session, with its terminal.
        marked == 1
            && shell.2["main"] == true
            && shell.0["sid"] == main
            && shell.0["terminal"].as_str().unwrap().starts_with("pts/")
            && is_foreground(shell.1)
            // The pipeline is a group of its own in that session.
            && sleep.0["sid"] == main
            && sleep.1["pgid"] == sleep.2["pid"]
            && cat.1["pgid"] == sleep.1["pgid"]
            && !is_foreground(sleep.1)
            // The daemon leads another session, without a terminal.
            && daemon.0["sid"] == daemon.2["pid"]
            && daemon.0["terminal"].is_null()
            && count == 2
            && threads.2["threads"][0]["tid"] == threads.2["pid"]
            && zombie.2["zombie"] == true
            && zombie.2["state"] == "Z"
            && zombie.2["parent"] == parent.2["pid"]
            && parent.2["zombie"] == false
    });
    let text = session.ok(["tree", "h"]);
    let line = |words: &str| {
        let found = text.lines().find(|line| line.contains(words));
        found
            .unwrap_or_else(|| panic!("no {words:?} in\n{text}"))
            .to_owned()
    };
    assert!(line(&format!("session {main} pts/")).starts_with("session"));
    assert!(line(&format!("group {main} foreground")).starts_with("├─ group"));
    assert!(line(&format!("{main}* ")).starts_with("│  └─ "));
    assert!(line("[true]").ends_with(" Z [true] <defunct>"));
    assert_eq!(text.matches("─ thread ").count(), 2, "{text}");
    session.ok(["stop", "h"]);
    let ran = session.run(["tree", "h"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{ran:?}");
    assert_eq!(ran.err, session.run(["ps", "h"]).err);
}
