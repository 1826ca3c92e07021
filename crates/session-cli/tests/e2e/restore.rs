//! Who attaches sees what a terminal shows that has watched all along: every cell, every mode, and so on from there.
//!
//! Judged by a second terminal emulator. Each scene is played three times over: with a terminal attached from before
//! the program's first byte, with nobody there while it draws, and on from where the second terminal has attached. Without
//! Node or the program a scene is skipped, loudly.

use std::time::Duration;

use session_judge::{Judge, Piece, State, differences};

use crate::support::{Sandbox, Terminal, until};

const TERMINAL: session_judge::Terminal = session_judge::Terminal {
    rows: 24,
    cols: 80,
    scrollback: 1000,
};
/// Programs and clients have nothing more to say after so long.
const SILENCE: Duration = Duration::from_millis(500);

/// Something typed, and a line that shows that it has been understood; without one, silence shows it.
struct Step {
    text: &'static str,
    keys: &'static [&'static str],
    shows: &'static str,
}

const fn step(text: &'static str, keys: &'static [&'static str], shows: &'static str) -> Step {
    Step { text, keys, shows }
}

/// A program brought to an interesting state, and further.
struct Scene {
    program: &'static str,
    /// Run by the shell once somebody has pressed Enter.
    line: &'static str,
    begin: &'static [Step],
    go_on: &'static [Step],
}

const VIM: Scene = Scene {
    program: "vim",
    line: "exec vim -u NONE -i NONE -N -n -c 'syntax on' -c 'set ruler number hlsearch title mouse=a' code.c",
    begin: &[
        step("", &[], "word2"),
        // Where it has read the terminal's answers before it first draws, its message covers its ruler.
        step(":redraw!\r", &[], "1,1"),
        step(":split\r", &[], "code"),
        step("12Gzt/word\r", &[], "word"),
        step("V3j", &[], "VISUAL LINE"),
    ],
    go_on: &[
        step("", &["Escape"], ""),
        step(":set nowrap list\r", &[], ""),
        step("Ginew text", &[], "INSERT"),
        step("", &["Escape", "C-w", "j", "C-e"], ""),
    ],
};

#[test]
fn vim() {
    VIM.is_restored();
}

const LESS: Scene = Scene {
    program: "less",
    line: "exec less -R -M long.txt",
    begin: &[
        step("50%", &[], "50%|line 2"),
        step("/needle\r", &[], "needle"),
    ],
    go_on: &[
        step("jjkdu", &[], ""),
        step("?line 1\r", &[], "line 1"),
        step("h", &[], "HELP"),
    ],
};

#[test]
fn less() {
    LESS.is_restored();
}

const HTOP: Scene = Scene {
    program: "htop",
    // It draws anew every ten seconds.
    line: "exec htop -d 100",
    begin: &[step("", &[], "F10"), step("", &["Down", "Down"], "")],
    go_on: &[step("t", &[], ""), step("", &["F2"], "Done")],
};

#[test]
fn htop() {
    HTOP.is_restored();
}

const TMUX: Scene = Scene {
    program: "tmux",
    line: "export TMUX_TMPDIR=$PWD; exec tmux -L inner -f inner.conf new-session 'exec sh -i'",
    begin: &[
        step("", &[], "0:sh"),
        step("", &["C-b", "%"], ""),
        step(
            "printf '\\033[1;32m%s\\033[0m\\n' right-pane",
            &["Enter"],
            "right-pane",
        ),
        step("", &["C-b", "Left"], ""),
        step(
            "seq 100; printf '\\033[44m%s\\n' left-$((1+1))",
            &["Enter"],
            "left-2",
        ),
    ],
    go_on: &[
        step("echo more-$((2+3))", &["Enter"], "more-5"),
        step("", &["C-b", "Right"], ""),
        step("echo other-$((3+4))", &["Enter"], "other-7"),
        step("", &["C-b", "["], ""),
    ],
};

#[test]
fn tmux() {
    TMUX.is_restored();
}

const SHELL: Scene = Scene {
    program: "bash",
    line: "PS1='\\[\\033[1;34m\\]here\\[\\033[0m\\]$ ' exec bash --norc --noprofile -i",
    begin: &[
        step("", &[], "here"),
        step(
            "for i in {1..1500}; do printf '\\e[3%dm%5d \\e[1mfile-%d\\e[0m  \\e[44mx\\e[K\\e[0m\\n' $((i%8)) $i $i; done; echo end-$((40+2))",
            &["Enter"],
            "end-42",
        ),
        step("half a command", &["C-a"], ""),
    ],
    go_on: &[
        step("", &["C-k"], ""),
        step("seq 3; echo then-$((1+1))", &["Enter"], "then-2"),
    ],
};

#[test]
fn a_shell_with_a_long_past() {
    SHELL.is_restored();
}

#[test]
fn what_has_scrolled_off_is_there_too() {
    let Some((session, mut judge)) = SHELL.stage() else {
        return;
    };
    SHELL.play(&session, SHELL.begin);
    let mut attached = session.attach("s");
    let output = settled(&session, &mut attached);
    let watched = state(&mut judge, &output);
    let attached = state(&mut judge, &attached.raw);
    let rows = attached.value()["scrollback"].as_array().unwrap().len();
    assert!(rows >= 500, "{rows} rows of scrollback");
    // Fewer may be kept, but the last are the same.
    alike(&watched, &attached, |part, place| {
        part == "scrollback" && !place.is_empty()
    });
}

#[test]
fn the_middle_of_a_sequence() {
    for (begin, rest) in [
        ("plain \\033[3", "1mred\\033[0m"),
        ("\\033[1;44", ";4mall\\033["),
        ("\\033]2;half a ti", "tle\\007then"),
        ("\\033]8;;http://a.exam", "ple/\\033\\\\link"),
        ("wide \\346\\227", "\\245 done"),
        ("graphics \\033(", "0qqx"),
        ("shell \\033[?104", "9hfull screen"),
        ("\\033P$", "qm\\033\\\\text"),
        ("\\033_application", " command\\033\\\\text"),
        ("\\033", "7\\033[5;5Hthere\\0338here"),
    ] {
        let Some((session, mut judge)) = stage(&format!(
            "stty -echo; printf '{begin}'; read x; printf '{rest}'; exec cat"
        )) else {
            return;
        };
        let mut watching = session.attach("s");
        session.ok(["send", "s", "--enter"]);
        let (mut attached, from) = attach(&session, &mut judge, Some(&mut watching));
        session.ok(["send", "s", "--enter"]);
        session.ok(["wait", "s", "--idle", "500ms", "--timeout", "20s"]);
        let watching = Some(&mut watching);
        stays_alike(&session, &mut judge, watching, (&mut attached, from));
    }
}

impl Scene {
    fn is_restored(&self) {
        for is_watched in [true, false] {
            let Some((session, mut judge)) = self.stage() else {
                return;
            };
            let mut watching = is_watched.then(|| session.attach("s"));
            self.play(&session, self.begin);
            let (mut attached, from) = attach(&session, &mut judge, watching.as_mut());
            // What only shows later: the pen, saved cursors, margins.
            self.steps(&session, self.go_on);
            let watching = watching.as_mut();
            stays_alike(&session, &mut judge, watching, (&mut attached, from));
        }
    }

    /// A session that waits for Enter; `None` where the program or the judge is missing.
    fn stage(&self) -> Option<(Sandbox, Judge)> {
        let found = std::process::Command::new("sh")
            .args(["-c", "command -v \"$0\" >/dev/null", self.program])
            .status();
        if !found.unwrap().success() {
            eprintln!(
                "SKIPPED: no {}, whose screen is to be restored",
                self.program
            );
            return None;
        }
        stage(self.line)
    }

    /// Starts the program.
    fn play(&self, session: &Sandbox, steps: &[Step]) {
        session.ok(["send", "s", "--enter"]);
        self.steps(session, steps);
    }

    fn steps(&self, session: &Sandbox, steps: &[Step]) {
        for step in steps {
            if !step.text.is_empty() {
                session.ok(["send", "s", "--", step.text]);
            }
            if !step.keys.is_empty() {
                session.ok([&["send", "s", "--keys"], step.keys].concat());
            }
            // A full-screen program draws what it shows in any order: only its screen tells.
            until(step.shows, || {
                let screen = session.ok(["screen", "s"]);
                step.shows.split('|').any(|text| screen.contains(text))
            });
            session.ok(["wait", "s", "--idle", "500ms", "--timeout", "20s"]);
        }
    }
}

/// A session `s` of a shell that runs `line` as soon as Enter is pressed; `None` without the judge.
fn stage(line: &str) -> Option<(Sandbox, Judge)> {
    let judge = Judge::start()?;
    let session = Sandbox::new();
    let code: String = (1..60)
        .map(|line| {
            format!(
                "int word{line}(void) {{ return {line}; }} /* {} */\n",
                "long ".repeat(line)
            )
        })
        .collect();
    std::fs::write(session.path("code.c"), code).unwrap();
    let long: String = (1..5000)
        .map(|line| {
            format!(
                "\x1b[3{}mline {line}\x1b[0m {}\n",
                line % 8,
                if line % 97 == 0 { "needle" } else { "hay" }
            )
        })
        .collect();
    std::fs::write(session.path("long.txt"), long).unwrap();
    // No clock, no name of a machine.
    std::fs::write(
        session.path("inner.conf"),
        "set -g status-right ''\nset -g mouse on\n",
    )
    .unwrap();
    let script = format!("read begin; {line}");
    session.ok([
        "create",
        "-n",
        "s",
        "--restart",
        "no",
        "--",
        "sh",
        "-c",
        &script,
    ]);
    Some((session, judge))
}

/// Another terminal, which must show at once what `watching` shows, or what one that had seen all output would; and
/// where the output ended then.
fn attach(
    session: &Sandbox,
    judge: &mut Judge,
    watching: Option<&mut Terminal>,
) -> (Terminal, usize) {
    session.ok(["wait", "s", "--idle", "500ms", "--timeout", "20s"]);
    let mut attached = session.attach("s");
    let output = settled(session, &mut attached);
    let expected = match watching {
        Some(watching) => {
            watching.catches_up(&output);
            watching.raw.clone()
        }
        None => on_a_terminal(&output),
    };
    let shown = state(judge, &attached.raw);
    assert!(
        shown.is_silent(),
        "a terminal that attaches is made to answer {:?} {}",
        String::from_utf8_lossy(&shown.replies()),
        shown.effects()
    );
    is_alike(judge, &expected, &attached.raw);
    (attached, output.len())
}

/// Both terminals must show the same still, after more output than `from`.
fn stays_alike(
    session: &Sandbox,
    judge: &mut Judge,
    watching: Option<&mut Terminal>,
    (attached, from): (&mut Terminal, usize),
) {
    let output = settled(session, attached);
    let watched = match watching {
        Some(watching) => {
            // That one is who answers: the other is shown a sequence once it is known to ask nothing.
            watching.catches_up(&output);
            watching.raw.clone()
        }
        None => {
            attached.catches_up(&output[from..]);
            on_a_terminal(&output)
        }
    };
    is_alike(judge, &watched, &attached.raw);
}

/// What a client writes that has seen all of it: the terminal's own title is put aside first.
fn on_a_terminal(output: &[u8]) -> Vec<u8> {
    [b"\x1b[22;0t", output].concat()
}

/// All output, when nothing more comes and the terminal has it.
fn settled(session: &Sandbox, terminal: &mut Terminal) -> Vec<u8> {
    loop {
        let before = output(session);
        terminal.falls_silent(SILENCE);
        if output(session) == before {
            return before;
        }
    }
}

fn output(session: &Sandbox) -> Vec<u8> {
    let mut logs = session.command(["logs", "--raw", "s"]);
    logs.output().unwrap().stdout
}

fn state(judge: &mut Judge, bytes: &[u8]) -> State {
    judge.state(TERMINAL, &[Piece::Bytes(bytes)])
}

fn is_alike(judge: &mut Judge, watched: &[u8], attached: &[u8]) {
    let [watched, attached] = [watched, attached].map(|bytes| state(judge, bytes));
    // Which rows go on from the one above is felt in a resize alone.
    alike(&watched, &attached, |part, _| {
        !["wrapped", "scrollback"].contains(&part)
    });
}

/// Fails on the differences of which `counts` says so.
fn alike(watched: &State, attached: &State, counts: impl Fn(&str, &str) -> bool) {
    let mut found = differences(watched, attached);
    found.retain(|it| counts(&it.part, &it.place));
    let shown: Vec<_> = found.iter().take(20).map(ToString::to_string).collect();
    assert!(
        found.is_empty(),
        "{} differences between who watched and who attached:\n{}",
        found.len(),
        shown.join("\n")
    );
}
