//! The table on standard output, and the same with every sample as JSON.

use std::fmt::Write as _;
use std::fs;

use serde_json::{Map, Value, json};

use crate::measure::Bench;
use crate::peers::Kind;
use crate::series::{Bar, Series};

/// The Markdown text: the machine, the table, what went wrong.
pub(crate) fn markdown(bench: &Bench<'_>) -> String {
    let mut text = format!("{}\n\n", machine());
    // A String takes every write below.
    for kind in &bench.missing {
        let _ = match kind {
            Kind::Session => writeln!(
                text,
                "skipped: session (not found; build it, or name it with --session)"
            ),
            kind => writeln!(text, "skipped: {} (not on PATH)", kind.name()),
        };
    }
    if !bench.missing.is_empty() {
        text.push('\n');
    }
    text.push_str("| measure |");
    for kind in Kind::ALL {
        let version = bench.versions.get(&kind);
        let version = version
            .map(|version| format!(" {version}"))
            .unwrap_or_default();
        let _ = write!(text, " {}{version} |", kind.name());
    }
    text.push_str(" ratio and the bar | verdict |\n|---|--:|--:|--:|--:|---|---|\n");
    for series in &bench.series {
        text.push_str(&row(series));
    }
    for failure in &bench.failures {
        let _ = writeln!(text, "\nfailed: {failure}");
    }
    text
}

fn row(series: &Series) -> String {
    let mut row = format!("| {}, {} |", series.label, series.unit);
    for kind in Kind::ALL {
        let value = series.value(kind).map_or("–".to_owned(), number);
        let _ = write!(row, " {value} |");
    }
    let verdict = match series.verdict() {
        Some(true) => "met",
        Some(false) => "**missed**",
        None => "–",
    };
    let _ = writeln!(row, " {} | {verdict} |", bar(series));
    row
}

fn bar(series: &Series) -> String {
    let ratio = |peer| {
        let ratio = series
            .ratio(peer)
            .map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
        format!("{ratio} × {}", peer.name())
    };
    match series.bar {
        Bar::None => "–".to_owned(),
        Bar::AtMost(limit) => format!("bar ≤ {limit} {}", series.unit),
        Bar::AtLeast(limit) => format!("bar ≥ {limit} {}", series.unit),
        Bar::Ratio(peer, limit, None) => format!("{}; bar ≤ {limit}", ratio(peer)),
        Bar::Ratio(peer, limit, Some(better)) => {
            format!("{}; bar ≤ {limit}, moonshot {better}", ratio(peer))
        }
        Bar::RatioAtLeast(peer, limit) => format!("{}; bar ≥ {limit}", ratio(peer)),
        Bar::RatioPlus(peer, factor, extra) => {
            let limit = series.value(peer).map(|theirs| factor * theirs + extra);
            let limit = limit.map_or("–".to_owned(), number);
            let (name, unit) = (peer.name(), series.unit);
            format!(
                "{}; bar ≤ {factor} × {name} + fsync = {limit} {unit}",
                ratio(peer)
            )
        }
        Bar::Shown(peer) => format!("{}; no bar", ratio(peer)),
    }
}

/// Three digits or so, whatever the size.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        small if small < 10.0 => format!("{value:.2}"),
        middle if middle < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// What the numbers depend on.
fn machine() -> String {
    let kernel = rustix::system::uname();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "Linux {}, {cores} cores, load {}",
        kernel.release().to_string_lossy(),
        load()
    )
}

fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// All numbers.
pub(crate) fn json(bench: &Bench<'_>) -> Value {
    let names = |kinds: &[Kind]| -> Vec<&str> { kinds.iter().map(|kind| kind.name()).collect() };
    let versions: Map<String, Value> = bench
        .versions
        .iter()
        .map(|(kind, version)| (kind.name().to_owned(), json!(version)))
        .collect();
    json!({
        "machine": machine(),
        "versions": versions,
        "skipped": names(&bench.missing),
        "failed": bench.failures,
        "measures": bench.series.iter().map(series).collect::<Vec<_>>(),
    })
}

fn series(series: &Series) -> Value {
    let mut values = Map::new();
    let mut samples = Map::new();
    let mut ratios = Map::new();
    for (&kind, rounds) in series.samples() {
        values.insert(kind.name().to_owned(), json!(series.value(kind)));
        let rounds: Vec<&Vec<f64>> = rounds.values().collect();
        samples.insert(kind.name().to_owned(), json!(rounds));
        if kind != Kind::Session {
            ratios.insert(kind.name().to_owned(), json!(series.ratio(kind)));
        }
    }
    json!({
        "measure": series.key,
        "label": series.label,
        "unit": series.unit,
        "medians": values,
        "ratio_to": ratios,
        "bar": bar(series),
        "met": series.verdict(),
        "samples_by_round": samples,
    })
}
