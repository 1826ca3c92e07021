//! `screen`: what a client would see, without attaching, in every form and also when nothing runs any more.

use crate::support::{Ran, Sandbox};
use serde_json::{Value, json};

impl Sandbox {
    /// A session that prints this, as printf(1) has it, and says END.
    fn prints(&self, options: &[&str], text: &str) {
        let run = format!("stty -echo; printf '{text}END'; exec cat");
        let mut create = vec!["create", "-n", "x"];
        create.extend(options);
        create.extend(["--", "sh", "-c", &run]);
        self.ok(create);
        self.ok(["wait", "x", "--text", "END", "--timeout", "30s"]);
    }

    fn screen(&self) -> Value {
        serde_json::from_str(&self.ok(["screen", "--json", "x"])).unwrap()
    }
}

fn refused(ran: Ran, code: i32, why: &str) {
    assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{ran:?}");
    assert!(
        ran.err.contains(why) && ran.err.lines().count() == 1,
        "{ran:?}"
    );
}

#[test]
fn text_is_what_a_client_would_see() {
    let session = Sandbox::new();
    session.prints(
        &[],
        "gone\\033[2J\\033[Hone  \\r\\n\\r\\n\\033[31mtwo\\033[m \\r\\n",
    );
    assert_eq!(session.ok(["screen", "x"]), "one\n\ntwo\nEND\n");
    session.ok(["send", "x", "\x1b[?1049h\x1b[Hother", "--enter"]);
    session.ok(["wait", "x", "--text", "other", "--timeout", "30s"]);
    assert_eq!(session.ok(["screen", "x"]), "other\n");
    assert_eq!(session.screen()["alternate"], true);
    // A client sees the same.
    let mut terminal = session.attach("x");
    terminal.shows("other");
    assert_eq!(terminal.text().trim_end(), "other");
    session.ok(["send", "x", "\x1b[?1049l back", "--enter"]);
    terminal.shows(" back");
    assert!(
        session
            .ok(["screen", "x"])
            .starts_with("one\n\ntwo\nEND back\n")
    );
}

#[test]
fn lines_with_attributes_are_complete_in_themselves() {
    let session = Sandbox::new();
    session.prints(&[], "\\033[1;31mred\\r\\nstill\\033[m ");
    assert_eq!(
        session.ok(["screen", "--ansi", "x"]),
        "\x1b[0;1;31mred\x1b[m\n\x1b[0;1;31mstill\x1b[m END\n"
    );
}

#[test]
fn programs_find_every_cell_by_its_row_and_column() {
    let session = Sandbox::new();
    let text = "\\033]2;a title\\007\\033[?1h\\033[?2004h\\033[?1002;1006h\\r\\n\\033[4:3;53;38;2;1;2;3;44ma\\033[m\\344\\275\\240\\033[3 q";
    session.prints(&["--size", "fixed 30x8"], text);
    let screen = session.screen();
    assert_eq!(screen["name"], "x");
    assert_eq!(screen["id"], session.status("x")["id"]);
    assert_eq!(screen["size"], json!({ "rows": 8, "cols": 30 }));
    assert_eq!(screen["title"], "a title");
    assert_eq!(screen["alternate"], false);
    assert_eq!(
        screen["cursor"],
        json!({ "row": 1, "col": 6, "visible": true, "shape": "underline", "blinking": true })
    );
    assert_eq!(screen["lines"][1], "a\u{4f60}END");
    assert_eq!(screen["lines"].as_array().unwrap().len(), 8);
    let cells = screen["cells"].as_array().unwrap();
    assert!(cells.len() == 8 && cells.iter().all(|row| row.as_array().unwrap().len() == 30));
    let styled =
        json!({ "text": "a", "fg": "#010203", "bg": 4, "underline": "curly", "overline": true });
    let wide = json!({ "text": "\u{4f60}", "width": 2 });
    let row = [
        styled,
        wide,
        json!({ "text": "", "width": 0 }),
        json!({ "text": "E" }),
    ];
    assert_eq!(cells[1].as_array().unwrap()[..4], row);
    let modes = &screen["modes"];
    for (mode, value) in [
        ("application_cursor", json!(true)),
        ("bracketed_paste", json!(true)),
        ("mouse", json!("drag")),
        ("mouse_encoding", json!("sgr")),
        ("keyboard", json!(0)),
        ("focus", json!(false)),
    ] {
        assert_eq!(modes[mode], value, "{mode}");
    }
    // All of the output is on it, and a wait may begin there.
    let raw = session.ok(["logs", "--raw", "x"]);
    assert_eq!(screen["offset"], raw.len());
}

#[test]
fn a_picture_is_a_file_or_standard_output() {
    let session = Sandbox::new();
    session.prints(&[], "\\033[32ma<b\\033[m\\r\\n");
    let file = session.path("x.svg");
    std::fs::write(&file, "old").unwrap();
    assert_eq!(session.ok(["screen", "--svg", "x.svg", "x"]), "");
    let svg = std::fs::read_to_string(&file).unwrap();
    assert!(
        svg.starts_with("<svg ") && svg.ends_with("</svg>\n"),
        "{svg}"
    );
    assert!(svg.contains("#00cd00\">a&lt;b</text>"), "{svg}");
    assert_eq!(session.ok(["screen", "--svg", "-", "x"]), svg);
    let nowhere = session.run(["screen", "--svg", "none/x.svg", "x"]);
    refused(
        nowhere,
        1,
        "cannot write none/x.svg: No such file or directory",
    );
    for forms in [
        ["--ansi", "--svg=-"],
        ["--json", "--ansi"],
        ["--json", "--svg=-"],
    ] {
        let ran = session.run(["screen", forms[0], forms[1], "x"]);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{ran:?}");
    }
}

#[test]
fn the_last_screen_of_what_has_ended_stays() {
    let session = Sandbox::new();
    let run = "printf '\\033]2;the title\\007earlier run %s\\r\\n'; [ -e again ] && exit 3; : > again; exec cat";
    let create = [
        "create",
        "-n",
        "x",
        "--restart",
        "no",
        "--size",
        "fixed 40x9",
        "--",
        "sh",
        "-c",
    ];
    session.ok([&create[..], &[run]].concat());
    session.ok(["wait", "x", "--text", "run", "--timeout", "30s"]);
    session.ok(["restart", "x"]);
    session.reaches("x", "exited");
    // Without a holder as well.
    session.falls_silent();
    // One run goes on below the other, as on the terminal of somebody who watched.
    assert_eq!(session.ok(["screen", "x"]), "earlier run\nearlier run\n");
    let screen = session.screen();
    assert_eq!(screen["size"], json!({ "rows": 9, "cols": 40 }));
    assert_eq!(screen["title"], "the title");
    assert_eq!(screen["offset"], session.ok(["logs", "--raw", "x"]).len());
    assert!(
        session
            .ok(["screen", "--svg", "-", "x"])
            .contains("the title</text>")
    );
}

#[test]
fn where_there_is_no_screen_it_is_said_why() {
    let session = Sandbox::new();
    refused(session.run(["screen", "x"]), 4, "there is no session 'x'");
    session.ok(["create", "-n", "x", "-s", "cat"]);
    refused(
        session.run(["screen", "x"]),
        1,
        "Session 'x' is suspended, not started.",
    );
    session.ok(["create", "-n", "pipes", "--no-pty", "cat"]);
    let why = "session: session 'pipes' runs without a terminal (pty=no); use `session logs pipes`";
    refused(session.run(["screen", "pipes"]), 1, why);
    session.ok(["stop", "pipes"]);
    session.falls_silent();
    refused(session.run(["screen", "pipes"]), 1, why);
}
