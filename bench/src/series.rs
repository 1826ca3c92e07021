//! Samples of one measure, by program and round, and the one number that is made of them.

use std::collections::BTreeMap;

use crate::peers::Kind;

/// What one row of the table is made of.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    /// For the JSON file.
    pub(crate) key: &'static str,
    /// For the table.
    pub(crate) label: String,
    /// Of each sample.
    pub(crate) unit: &'static str,
    /// What the project asks of itself.
    pub(crate) bar: Bar,
    samples: BTreeMap<Kind, BTreeMap<u32, Vec<f64>>>,
}

/// A bar: the number that Session has to reach.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bar {
    /// A number that only explains.
    None,
    /// So many units, or fewer.
    AtMost(f64),
    /// So many units, or more.
    AtLeast(f64),
    /// So many times the peer's, or fewer; and what would be better still.
    Ratio(Kind, f64, Option<f64>),
    /// So many times the peer's, or more.
    RatioAtLeast(Kind, f64),
    /// So many times the peer's, and what the disk takes.
    RatioPlus(Kind, f64, f64),
    /// No ratio that counts, but one that tells.
    Shown(Kind),
}

impl Series {
    /// An empty one.
    pub(crate) fn new(
        key: &'static str,
        label: impl Into<String>,
        unit: &'static str,
        bar: Bar,
    ) -> Self {
        Self {
            key,
            label: label.into(),
            unit,
            bar,
            samples: BTreeMap::new(),
        }
    }

    /// Adds a sample.
    pub(crate) fn push(&mut self, kind: Kind, round: u32, sample: f64) {
        let rounds = self.samples.entry(kind).or_default();
        rounds.entry(round).or_default().push(sample);
    }

    /// All samples, round by round.
    pub(crate) fn samples(&self) -> &BTreeMap<Kind, BTreeMap<u32, Vec<f64>>> {
        &self.samples
    }

    /// The median of all samples of a program.
    pub(crate) fn value(&self, kind: Kind) -> Option<f64> {
        median(self.samples.get(&kind)?.values().flatten().copied())
    }

    /// The median over the rounds of Session's number divided by the peer's of the same round, so that load
    /// which comes and goes hits both sides of a ratio.
    pub(crate) fn ratio(&self, peer: Kind) -> Option<f64> {
        let (ours, theirs) = (self.samples.get(&Kind::Session)?, self.samples.get(&peer)?);
        median(ours.iter().filter_map(|(round, ours)| {
            let theirs = median(theirs.get(round)?.iter().copied())?;
            Some(median(ours.iter().copied())? / theirs)
        }))
    }

    /// Whether the bar is reached; `None` if there is none, or nothing to tell by.
    pub(crate) fn verdict(&self) -> Option<bool> {
        match self.bar {
            Bar::None | Bar::Shown(_) => None,
            Bar::AtMost(limit) => Some(self.value(Kind::Session)? <= limit),
            Bar::AtLeast(limit) => Some(self.value(Kind::Session)? >= limit),
            Bar::Ratio(peer, limit, _) => Some(self.ratio(peer)? <= limit),
            Bar::RatioAtLeast(peer, limit) => Some(self.ratio(peer)? >= limit),
            Bar::RatioPlus(peer, factor, extra) => {
                Some(self.value(Kind::Session)? <= factor * self.value(peer)? + extra)
            }
        }
    }
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(samples: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut samples: Vec<f64> = samples.into_iter().collect();
    samples.sort_by(f64::total_cmp);
    let upper = *samples.get(samples.len() / 2)?;
    Some(if samples.len().is_multiple_of(2) {
        f64::midpoint(samples[samples.len() / 2 - 1], upper)
    } else {
        upper
    })
}

/// The sample that `percent` of all do not exceed.
pub(crate) fn percentile(samples: &[f64], percent: usize) -> Option<f64> {
    let mut samples = samples.to_vec();
    samples.sort_by(f64::total_cmp);
    let at = (samples.len() * percent / 100).min(samples.len().checked_sub(1)?);
    Some(samples[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_percentiles() {
        assert_eq!(median([]), None);
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0]), Some(2.5));
        let hundred: Vec<f64> = (0..100).map(f64::from).collect();
        assert_eq!(percentile(&hundred, 50), Some(50.0));
        assert_eq!(percentile(&hundred, 99), Some(99.0));
        assert_eq!(percentile(&[7.0], 99), Some(7.0));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn ratios_are_those_of_rounds() {
        let mut series = Series::new("x", "x", "ms", Bar::Ratio(Kind::Dtach, 2.0, None));
        assert_eq!(series.verdict(), None);
        for (round, load) in [1.0, 10.0, 1.0].into_iter().enumerate() {
            let round = u32::try_from(round).unwrap();
            series.push(Kind::Dtach, round, load);
            series.push(Kind::Session, round, load * 1.5);
        }
        series.push(Kind::Session, 3, 100.0); // a round without the peer does not count
        assert_eq!(series.ratio(Kind::Dtach), Some(1.5));
        assert_eq!(series.verdict(), Some(true));
        series.bar = Bar::RatioAtLeast(Kind::Dtach, 1.6);
        assert_eq!(series.verdict(), Some(false));
        assert_eq!(series.ratio(Kind::Tmux), None);
    }
}
