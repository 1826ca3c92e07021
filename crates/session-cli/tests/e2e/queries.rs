//! What programs ask their terminal is answered exactly once: by the terminal that was typed at last, or by
//! the holder where nobody has one.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::protocol::socket;
use crate::support::{Fifo, Sandbox, Terminal, until};

/// Asks on its terminal what it is told to through the pipe `ask`, in hexadecimal, a space between two writes, and says
/// what is answered. It knows that all of it is there once the last answer is, that to `CSI 5 n`; with `!` before it,
/// once nothing more comes.
const ASKS: &str = r#"
import os, select, sys, tty
tty.setraw(0)
log = open("answers", "w", buffering=1)
log.write("ready\n")
def answers(pause, end):
    got = b""
    while not (end and got.endswith(end)):
        if not select.select([0], [], [], pause)[0]:
            break
        got += os.read(0, 4096)
    return got
for line in open("ask"):
    what = line.split()
    silent = what[0] == "!"
    for part in what[silent:]:
        os.write(1, bytes.fromhex(part))
    got = answers(0.3, None) if silent else answers(20, b"\033[0n")
    log.write("answers " + got.hex() + "\n")
    log.flush()
"#;
/// `CSI 5 n`, whose answer says that those before it have come.
const STATUS: &str = "\x1b[5n";
const READY: &str = "\x1b[0n";

/// What is asked, and what the holder answers.
const QUESTIONS: [(&str, &str); 16] = [
    ("\x1b[c", "\x1b[?62;22c"),
    ("\x1b[0c", "\x1b[?62;22c"),
    ("\x1bZ", "\x1b[?62;22c"),
    ("\x1b[>c", "\x1b[>1;10;0c"),
    ("\x1b[=c", "\x1bP!|00000000\x1b\\"),
    ("\x1b[4;7H\x1b[6n", "\x1b[4;7R"),
    ("\x1b[4;7H\x1b[?6n", "\x1b[?4;7R"),
    ("\x1b[?2004h\x1b[?2004$p", "\x1b[?2004;1$y"),
    ("\x1b[4$p", "\x1b[4;2$y"),
    ("\x1b]4;1;?\x07", "\x1b]4;1;rgb:cdcd/0000/0000\x07"),
    ("\x1b]10;?\x1b\\", "\x1b]10;rgb:e5e5/e5e5/e5e5\x1b\\"),
    ("\x1b]11;?\x1b\\", "\x1b]11;rgb:0000/0000/0000\x1b\\"),
    ("\x1b]12;?\x07", "\x1b]12;rgb:e5e5/e5e5/e5e5\x07"),
    ("\x1b[?u", "\x1b[?0u"),
    ("\x1bP$qm\x1b\\", "\x1bP1$r0m\x1b\\"),
    ("\x1b[18t", "\x1b[8;24;80t"),
];

/// A session `q` whose program asks.
struct Asking {
    session: Sandbox,
    ask: std::fs::File,
    /// Kept open for reading: one program after another may read it.
    _pipe: Fifo,
    answers: Fifo,
}

impl Asking {
    /// `None`, said loudly, without Python.
    fn new() -> Option<Self> {
        let python = std::process::Command::new("python3")
            .arg("--version")
            .output();
        if !python.is_ok_and(|output| output.status.success()) {
            eprintln!("SKIPPED: no python3, to ask a terminal and read its answers");
            return None;
        }
        let session = Sandbox::new();
        std::fs::write(session.path("asks.py"), ASKS).unwrap();
        let mut answers = Fifo::new(session.path("answers"));
        let pipe = Fifo::new(session.path("ask"));
        session.ok(["create", "-n", "q", "--", "python3", "asks.py"]);
        let writing = std::fs::File::options()
            .write(true)
            .open(session.path("ask"))
            .unwrap();
        assert_eq!(answers.line(), "ready");
        Some(Self {
            session,
            ask: writing,
            _pipe: pipe,
            answers,
        })
    }

    /// Has the program write these, one by one.
    fn write(&mut self, parts: &[&str]) {
        let hex: Vec<String> = parts
            .iter()
            .map(|part| part.bytes().map(|byte| format!("{byte:02x}")).collect())
            .collect();
        writeln!(self.ask, "{}", hex.join(" ")).unwrap();
    }

    /// What the program was answered.
    fn answer(&mut self) -> String {
        let line = self.answers.line();
        let hex = line.strip_prefix("answers").unwrap().trim();
        let bytes = (0..hex.len()).step_by(2);
        let bytes = bytes.map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
        String::from_utf8(bytes.collect()).unwrap()
    }

    /// What the program is answered if it writes these and waits until all answers are there.
    fn asked(&mut self, parts: &[&str]) -> String {
        self.write(&[parts, &[STATUS]].concat());
        let answer = self.answer();
        let answer = answer.strip_suffix(READY);
        answer.unwrap_or_else(|| panic!("{parts:?}")).to_owned()
    }

    /// One more terminal, known to the holder.
    fn attach(&self, options: &[&str]) -> Terminal {
        let clients = || self.session.status("q")["clients"].as_u64().unwrap();
        let before = clients();
        let args = ["attach", "q"].iter().chain(options);
        let args: Vec<&str> = args.copied().collect();
        let mut terminal = self.session.terminal(&args);
        terminal.raw_mode();
        until("one more client", || clients() == before + 1);
        terminal
    }

    /// The program writes these, and nobody answers.
    fn unanswered(&mut self, parts: &[&str]) {
        write!(self.ask, "! ").unwrap();
        self.write(parts);
        assert_eq!(self.answer(), "", "{parts:?}");
    }
}

#[test]
fn with_nobody_attached_the_holder_answers() {
    let Some(mut asking) = Asking::new() else {
        return;
    };
    for (question, answer) in QUESTIONS {
        assert_eq!(asking.asked(&[question]), answer, "{question:?}");
    }
    let version = asking.asked(&["\x1b[>q"]);
    assert!(version.starts_with("\x1bP>|session "), "{version:?}");
    let (all, answers): (Vec<&str>, Vec<&str>) = QUESTIONS.into_iter().unzip();
    assert_eq!(asking.asked(&[&all.concat()]), answers.concat());
}

#[test]
fn a_question_may_come_in_pieces_and_behind_others() {
    let Some(mut asking) = Asking::new() else {
        return;
    };
    for (question, answer) in QUESTIONS {
        for cut in 1..question.len() {
            let (begin, rest) = question.split_at(cut);
            // A string is over, and answered, with the first byte of what ends it.
            if rest == "\\" {
                continue;
            }
            // Another one is answered before it.
            asking.write(&[&format!("{STATUS}{begin}")]);
            assert_eq!(asking.answer(), READY);
            assert_eq!(
                asking.asked(&[rest]),
                answer,
                "{question:?} cut after {cut}"
            );
        }
    }
}

#[test]
fn a_question_in_a_flood_is_answered() {
    let Some(mut asking) = Asking::new() else {
        return;
    };
    // Longer than what the program may be told in one line, and than what a screen may be behind.
    let flood = "\x1b[32mmuch to say\x1b[0m\r\n".repeat(4000);
    let middle = flood.len() / 2;
    let (before, behind) = flood.split_at(middle);
    let whole = format!("{before}\x1b[>c{behind}");
    let mut parts: Vec<String> = Vec::new();
    for chunk in whole.as_bytes().chunks(997) {
        parts.push(String::from_utf8(chunk.to_vec()).unwrap());
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    for _ in 0..3 {
        assert_eq!(asking.asked(&parts), "\x1b[>1;10;0c");
    }
}

#[test]
fn who_is_attached_is_asked_and_nobody_else_answers() {
    let Some(mut asking) = Asking::new() else {
        return;
    };
    let mut terminal = asking.attach(&[]);
    let (all, _): (Vec<&str>, Vec<&str>) = QUESTIONS.into_iter().unzip();
    let all = format!("{}\x1b[>qend", all.concat());
    asking.unanswered(&[&all]);
    terminal.said(&all);
    // What the terminal says is the answer.
    asking.write(&["\x1b[>c", STATUS]);
    terminal.said("\x1b[>c\x1b[5n");
    terminal.send("\x1b[>41;0;0c\x1b[0n");
    assert_eq!(asking.answer(), "\x1b[>41;0;0c\x1b[0n");
    terminal.send("\x1c");
    assert_eq!(terminal.exit(), 0);
    assert_eq!(asking.asked(&["\x1b[>c"]), "\x1b[>1;10;0c");
}

#[test]
fn one_of_two_terminals_is_asked_and_the_other_takes_over() {
    let Some(mut asking) = Asking::new() else {
        return;
    };
    let mut first = asking.attach(&[]);
    asking.unanswered(&["begun"]);
    first.said("begun");
    let mut second = asking.attach(&[]);
    second.said("begun");
    let clipboard = "\x1b]52;c;aGVsbG8=\x07";
    asking.unanswered(&["one\x1b[>c", clipboard, "\x1b[", "6nbehind"]);
    first.said(&format!("one\x1b[>c{clipboard}\x1b[6nbehind"));
    second.said("onebehind");
    first.send("\x1c");
    assert_eq!(first.exit(), 0);
    asking.unanswered(&["two\x1b[>c", clipboard, "behind it"]);
    second.said(&format!("two\x1b[>c{clipboard}behind it"));
    // The place of the first is taken: who comes now is not asked.
    let mut third = asking.attach(&[]);
    third.said("behind it");
    asking.unanswered(&["three\x1b[>cdone"]);
    second.said("three\x1b[>cdone");
    third.said("threedone");
    second.hang_up();
    asking.unanswered(&["four\x1b[>cdone"]);
    third.said("four\x1b[>cdone");
}

#[test]
fn who_only_looks_on_is_not_asked() {
    let Some(mut asking) = Asking::new() else {
        return;
    };
    let mut reader = asking.attach(&["-r"]);
    for (question, answer) in QUESTIONS {
        assert_eq!(asking.asked(&[question]), answer, "{question:?}");
    }
    asking.unanswered(&["\x1b]52;c;aGVsbG8=\x07the end"]);
    reader.said("the end");
    is_asked_nothing(&reader);
}

#[test]
fn in_the_middle_of_a_question_it_is_asked_of_one() {
    let Some(mut asking) = Asking::new() else {
        return;
    };
    asking.unanswered(&["first\x1b[>"]);
    let mut reader = asking.attach(&["-r"]);
    reader.said("first");
    // The holder's, as it was not before: nobody who answers has attached.
    assert_eq!(asking.asked(&["cend"]), "\x1b[>1;10;0c");
    reader.said("end");
    is_asked_nothing(&reader);
    // Begun before the terminal that answers came, and ended behind that.
    asking.unanswered(&["second\x1b["]);
    let mut terminal = asking.attach(&[]);
    terminal.said("second");
    asking.unanswered(&["6nend2"]);
    terminal.said("\x1b[6nend2");
    reader.said("end2");
    is_asked_nothing(&reader);
    // Begun on it, and ended when it is gone.
    asking.unanswered(&["third\x1b[>"]);
    terminal.said("third\x1b[>");
    terminal.send("\x1c");
    assert_eq!(terminal.exit(), 0);
    assert_eq!(asking.asked(&["c"]), "\x1b[>1;10;0c");
}

#[test]
fn nothing_old_is_asked_again() {
    let Some(mut asking) = Asking::new() else {
        return;
    };
    let (all, _): (Vec<&str>, Vec<&str>) = QUESTIONS.into_iter().unzip();
    let all = format!(
        "{}\x1b]52;c;aGVsbG8=\x07\x1b]52;c;?\x07\x1b[>q\r\nold\r\n",
        all.concat()
    );
    for _ in 0..30 {
        asking.asked(&[&all]);
    }
    let session = &asking.session;
    for restore in ["lines 1000", "screen", "raw", "none"] {
        session.ok(["set", "q", "restore", restore]);
        let mut terminal = asking.attach(&[]);
        terminal.falls_silent(Duration::from_millis(300));
        assert_eq!(restore != "none", terminal.text().contains("old"));
        is_asked_nothing(&terminal);
        terminal.send("\x1c");
        assert_eq!(terminal.exit(), 0);
    }
    // Nor does a holder answer what another one's program asked.
    session.ok(["set", "q", "restore", "lines 1000"]);
    session.ok(["stop", "q"]);
    session.ok(["start", "q"]);
    assert_eq!(asking.answers.line(), "ready");
    assert_eq!(asking.asked(&["\x1b[>c"]), "\x1b[>1;10;0c");
}

#[test]
fn the_clients_are_told_whose_turn_it_is() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "q", "cat"]);
    let (mut first, told) = attached(&session);
    assert_eq!(told["result"]["answers"], true);
    let (mut second, told) = attached(&session);
    assert_eq!(told["result"]["answers"], false);
    writeln!(
        first.0,
        "{}",
        json!({ "id": 2, "method": "session.status" })
    )
    .unwrap();
    next(&mut first.1, |message| message["id"] == 2);
    drop(first);
    let told = next(&mut second.1, |message| {
        message["method"] == "process.answering"
    });
    assert_eq!(told["params"]["answers"], true);
}

#[test]
fn who_types_is_asked_from_then_on() {
    let session = Sandbox::new();
    session.ok(["create", "-n", "q", "cat"]);
    let (mut first, _) = attached(&session);
    let (mut second, told) = attached(&session);
    assert_eq!(told["result"]["answers"], false);
    let write = json!({ "id": 2, "method": "process.write", "params": { "data": "x" } });
    writeln!(second.0, "{write}").unwrap();
    for (client, answers) in [(&mut second, true), (&mut first, false)] {
        let told = next(&mut client.1, |message| {
            message["method"] == "process.answering"
        });
        assert_eq!(told["params"]["answers"], answers);
    }
}

type Client = (UnixStream, Lines<BufReader<UnixStream>>);

/// A client of JSON lines that types, and what it was answered.
fn attached(session: &Sandbox) -> (Client, Value) {
    let mut stream = socket(session, "q");
    let params = json!({ "window": 65536, "interactive": true });
    let attach = json!({ "id": 1, "method": "process.attach", "params": params });
    writeln!(stream, "{attach}").unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let told = next(&mut lines, |message| message["id"] == 1);
    ((stream, lines), told)
}

fn next(lines: &mut Lines<BufReader<UnixStream>>, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut messages = lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap());
    messages.find(|message| wanted(message)).unwrap()
}

/// Whatever came to this terminal, it would not have answered, nor would its clipboard have changed.
fn is_asked_nothing(terminal: &Terminal) {
    let raw = String::from_utf8_lossy(&terminal.raw);
    for (question, _) in QUESTIONS {
        // Those that place the cursor first end in the question.
        let question = &question[question.rfind("\x1b[").filter(|at| *at > 0).unwrap_or(0)..];
        assert!(!raw.contains(question), "{question:?} in {raw:?}");
    }
    for other in ["\x1b[>q", "\x1b]52", STATUS] {
        assert!(!raw.contains(other), "{other:?} in {raw:?}");
    }
}

#[test]
fn a_terminal_that_is_left_is_waited_for_if_it_has_yet_to_answer() {
    let Some(mut asking) = Asking::new() else {
        return;
    };
    // In the same breath as the detach key, or after the client has left its loop.
    let typed: [&[&str]; 2] = [&["\x1c\x1b[1;9R\x1b[0n"], &["\x1c\x1b[1;9R", "\x1b[0n"]];
    for parts in typed {
        let mut terminal = asking.attach(&[]);
        asking.write(&["\x1b[6n", STATUS]);
        terminal.said("\x1b[6n\x1b[5n");
        for part in parts {
            terminal.send(part);
        }
        assert_eq!(asking.answer(), format!("\x1b[1;9R{READY}"));
        assert_eq!(terminal.exit(), 0);
    }
    // It has answered: nothing is waited for, and keys behind the detach key are nobody's.
    let mut terminal = asking.attach(&[]);
    asking.write(&["\x1b[6n", STATUS]);
    terminal.said("\x1b[6n\x1b[5n");
    terminal.send("\x1b[7;9R\x1b[0n");
    assert_eq!(asking.answer(), format!("\x1b[7;9R{READY}"));
    terminal.send("\x1ckeys");
    assert_eq!(terminal.exit(), 0);
}
