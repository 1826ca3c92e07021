//! `cargo xtask check`: the one gate. What CI runs, a person runs, and it stops at the first thing that is wrong.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use crate::cargo::{cargo, target_directory};
use crate::{freestanding, layers, man};

/// A part of the gate: its heading, and what it does to the workspace at this path.
type Step = (&'static str, fn(&Path) -> Result<(), String>);

const STEPS: &[Step] = &[
    ("format", format),
    ("lints", |root| {
        run(
            root,
            &[
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ],
        )
    }),
    ("layers", layers::check),
    ("man pages", |root| man::check(&root.join("docs/man"))),
    ("dependencies", dependencies),
    ("documentation", documentation),
    ("other locks", other_locks),
    ("model", model),
    ("without std", freestanding::check),
    ("tests", tests),
];

/// Runs every step, in order, until one fails.
pub(crate) fn check(root: &Path) -> Result<(), String> {
    for (heading, step) in STEPS {
        eprintln!("\n== {heading} ==");
        step(root).map_err(|why| format!("check failed at {heading}: {why}"))?;
    }
    eprintln!("\n== all good ==");
    Ok(())
}

/// `cargo ARGUMENTS`, its output shown.
fn run(root: &Path, arguments: &[&str]) -> Result<(), String> {
    finish(cargo(root).args(arguments))
}

fn format(root: &Path) -> Result<(), String> {
    run(root, &["fmt", "--all", "--check"])?;
    run(
        root,
        &["fmt", "--manifest-path", freestanding::PROGRAM, "--check"],
    )
}

/// All tests. One that this machine cannot run passes, for its person could do nothing about it; what such tests say is
/// shown, and said again behind the last.
fn tests(root: &Path) -> Result<(), String> {
    let mut cargo = cargo(root);
    cargo
        .args(["test", "--workspace", "--", "--show-output"])
        .stdout(Stdio::piped());
    let mut skipped = BTreeMap::<String, usize>::new();
    let status = cargo.spawn().and_then(|mut tests| {
        let said = tests.stdout.take().map(BufReader::new);
        for line in said.into_iter().flat_map(|said| said.split(b'\n')) {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            if let Some(why) = line.strip_prefix("SKIPPED: ") {
                *skipped.entry(why.to_owned()).or_default() += 1;
            }
        }
        tests.wait()
    });
    for (why, tests) in skipped {
        eprintln!("SKIPPED, in {tests} places: {why}");
    }
    ended(&cargo, status)
}

/// The tests of session-hierarchy with the locks that its default features do not choose.
fn other_locks(root: &Path) -> Result<(), String> {
    for features in [&["--no-default-features"][..], &["--features", "kspin"]] {
        run(
            root,
            &[&["test", "--package", "session-hierarchy"], features].concat(),
        )?;
    }
    Ok(())
}

/// The model of session-hierarchy, in which loom tries every interleaving. It has a target directory of its own, for
/// other flags build everything anew.
fn model(root: &Path) -> Result<(), String> {
    let mut cargo = cargo(root);
    // Cargo takes flags from one place alone: what stands there (a linker, static linking) stays, and ours is added.
    match env::var("RUSTFLAGS") {
        Ok(flags) => cargo.env("RUSTFLAGS", format!("{flags} --cfg loom")),
        Err(_) => cargo.args([
            "--config",
            r#"target."cfg(all())".rustflags = ["--cfg", "loom"]"#,
        ]),
    };
    let target = Path::new(&target_directory(root)?).join("loom");
    finish(
        cargo
            .args(["test", "--package", "session-hierarchy"])
            .args(["--release", "--test", "model", "--target-dir"])
            .arg(target),
    )
}

fn documentation(root: &Path) -> Result<(), String> {
    finish(
        cargo(root)
            .args(["doc", "--workspace", "--no-deps"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

/// What `deny.toml` asks for. cargo-deny is the one tool beyond the toolchain, so it may be missing, but not in silence.
fn dependencies(root: &Path) -> Result<(), String> {
    let is_installed = cargo(root)
        .args(["deny", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !is_installed {
        eprintln!("SKIPPED: cargo deny is not installed");
        return Ok(());
    }
    // One platform at a time: for more at once it downloads what only others need, which needs a network.
    for platform in ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"] {
        run(
            root,
            &[
                "deny", "--target", platform, "check", "bans", "licenses", "sources",
            ],
        )?;
    }
    Ok(())
}

fn finish(command: &mut Command) -> Result<(), String> {
    let status = command.status();
    ended(command, status)
}

fn ended(command: &Command, status: io::Result<ExitStatus>) -> Result<(), String> {
    let words: Vec<_> = command
        .get_args()
        .map(|word| word.to_string_lossy())
        .collect();
    let shown = format!("cargo {}", words.join(" "));
    let status = status.map_err(|why| format!("cannot run `{shown}`: {why}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{shown}`: {status}"))
    }
}
