//! The table: medians with quartiles, ratios of what was measured together, and the bars.

/// One row: samples of ours and of the peer's.
#[derive(Default)]
pub(crate) struct Row {
    pub(crate) label: String,
    pub(crate) live: Option<u32>,
    pub(crate) samples: [Vec<f64>; 2],
    pub(crate) unit: Unit,
    pub(crate) bar: Option<Bar>,
}

/// What the project asks of the median of ours.
#[derive(Clone, Copy)]
pub(crate) struct Bar {
    pub(crate) words: &'static str,
    pub(crate) at_most: f64,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Unit {
    #[default]
    Nanoseconds,
    /// So many times another time.
    Times,
    /// That too, of some of the pairs, each library's own.
    TimesOfSome,
}

impl Row {
    pub(crate) fn new(label: impl Into<String>, bar: Option<Bar>) -> Self {
        Self {
            label: label.into(),
            bar,
            ..Self::default()
        }
    }

    fn cells(&self) -> [String; 7] {
        let [ours, peer] = &self.samples;
        let met = self.bar.zip(quartile(ours, 2)).map(|(bar, median)| {
            let is_met = median <= bar.at_most;
            if is_met { "met" } else { "MISSED" }
        });
        [
            self.label.clone(),
            self.live.map(|live| live.to_string()).unwrap_or_default(),
            self.summary(ours),
            self.summary(peer),
            self.ratio().map(number).unwrap_or_default(),
            self.bar.map_or("", |bar| bar.words).to_owned(),
            met.unwrap_or_default().to_owned(),
        ]
    }

    fn summary(&self, samples: &[f64]) -> String {
        let [Some(low), Some(median), Some(high)] = [1, 2, 3].map(|part| quartile(samples, part))
        else {
            return "none".to_owned();
        };
        let text = match samples.len() {
            1 => number(median),
            _ => format!("{} ({}–{})", number(median), number(low), number(high)),
        };
        match self.unit {
            Unit::Nanoseconds => text,
            Unit::Times => format!("{text} ×"),
            Unit::TimesOfSome => format!("{text} × of {}", samples.len()),
        }
    }

    /// The median of ours divided by the peer's of the same moment.
    fn ratio(&self) -> Option<f64> {
        if self.unit != Unit::Nanoseconds {
            return None;
        }
        let [ours, peer] = &self.samples;
        let ratios: Vec<f64> = ours
            .iter()
            .zip(peer)
            .map(|(ours, peer)| ours / peer)
            .collect();
        quartile(&ratios, 2)
    }
}

/// Prints the rows, in columns.
pub(crate) fn print(rows: &[Row]) {
    let heading = ["op", "live", "ours ns/op", "peer ns/op", "ratio", "bar", ""];
    let mut lines = vec![heading.map(str::to_owned)];
    lines.extend(rows.iter().map(Row::cells));
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths: [usize; 7] = std::array::from_fn(width);
    for [label, live, ours, peer, ratio, bar, met] in &lines {
        let [a, b, c, d, e, f, _] = widths;
        let line =
            format!("{label:a$}  {live:>b$}  {ours:>c$}  {peer:>d$}  {ratio:>e$}  {bar:f$}  {met}");
        println!("{}", line.trim_end());
    }
}

/// The sample below which so many quarters of all are: the median is the second.
pub(crate) fn quartile(samples: &[f64], quarters: usize) -> Option<f64> {
    let mut samples = samples.to_vec();
    samples.sort_by(f64::total_cmp);
    let last = samples.len().checked_sub(1)?;
    let place = last as f64 * quarters as f64 / 4.0;
    let (low, high) = (
        samples[place.floor() as usize],
        samples[place.ceil() as usize],
    );
    Some(low + (high - low) * place.fract())
}

/// Three digits or so, whatever the size.
fn number(value: f64) -> String {
    match value {
        small if small < 10.0 => format!("{small:.2}"),
        middle if middle < 100.0 => format!("{middle:.1}"),
        _ => format!("{value:.0}"),
    }
}
