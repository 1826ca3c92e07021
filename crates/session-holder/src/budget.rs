//! How many restarts a session has left, and how long it waits for the next: backoff as pure arithmetic.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The restart attributes of a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Wait before the second restart in a row; the first is immediate, each further one waits twice as long.
    pub(crate) delay: Duration,
    /// Longest wait.
    pub(crate) max_delay: Duration,
    /// So many restarts …
    pub(crate) count: u32,
    /// … within this time, and it has failed. A process that lived as long is forgiven what was before.
    pub(crate) window: Duration,
}

/// What to do about a main process that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Start it again after this time.
    Restart { after: Duration },
    /// Leave it.
    GiveUp,
}

/// The restarts of the recent past.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Budget {
    /// When they happened, oldest first, none older than the window.
    recent: VecDeque<Duration>,
    /// Restarts in a row without a stable time between them.
    streak: u32,
}

impl Budget {
    pub(crate) fn restarts(&self) -> u32 {
        self.streak
    }

    /// A person started it, or it ran for long enough.
    pub(crate) fn forgive(&mut self) {
        *self = Self::default();
    }

    /// One more end, after a life of `lived`.
    pub(crate) fn spend(&mut self, limits: &Limits, lived: Duration, now: Duration) -> Verdict {
        if lived >= limits.window {
            self.forgive();
        }
        while self
            .recent
            .front()
            .is_some_and(|then| now.saturating_sub(*then) > limits.window)
        {
            self.recent.pop_front();
        }
        if self.recent.len() as u64 >= u64::from(limits.count) {
            return Verdict::GiveUp;
        }
        let after = match self.streak {
            0 => Duration::ZERO,
            n => limits
                .delay
                .saturating_mul(2_u32.saturating_pow(n - 1))
                .min(limits.max_delay),
        };
        self.recent.push_back(now + after);
        self.streak += 1;
        Verdict::Restart { after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        delay: Duration::from_secs(1),
        max_delay: Duration::from_secs(60),
        count: 5,
        window: Duration::from_secs(60),
    };

    /// The delays of a process that dies at once each time.
    fn crash_loop(limits: &Limits) -> Vec<u64> {
        let (mut budget, mut now, mut delays) = (Budget::default(), Duration::ZERO, Vec::new());
        while let Verdict::Restart { after } = budget.spend(limits, Duration::ZERO, now) {
            delays.push(after.as_secs());
            now += after;
            if delays.len() == 20 {
                break;
            }
        }
        delays
    }

    #[test]
    fn at_once_then_doubling_then_failed() {
        assert_eq!(crash_loop(&LIMITS), [0, 1, 2, 4, 8]);
    }

    #[test]
    fn the_delay_has_a_cap() {
        let patient = Limits {
            count: 1000,
            max_delay: Duration::from_secs(5),
            ..LIMITS
        };
        assert_eq!(crash_loop(&patient)[..6], [0, 1, 2, 4, 5, 5]);
        assert_eq!(crash_loop(&patient)[19], 5);
    }

    #[test]
    fn only_a_stable_life_is_forgiven() {
        let mut budget = Budget::default();
        for _ in 0..3 {
            budget.spend(&LIMITS, Duration::from_secs(1), Duration::from_secs(1));
        }
        assert_eq!(budget.restarts(), 3);
        let verdict = budget.spend(&LIMITS, Duration::from_secs(60), Duration::from_secs(100));
        assert_eq!(
            (verdict, budget.restarts()),
            (
                Verdict::Restart {
                    after: Duration::ZERO
                },
                1
            )
        );
    }

    #[test]
    fn no_restarts_allowed_is_none() {
        assert!(crash_loop(&Limits { count: 0, ..LIMITS }).is_empty());
    }
}
