//! When the byte budget counts as overloaded. Two thresholds and a time keep the answer from changing with every request.

use std::time::Duration;

use tokio::time::Instant;

/// When an overloaded service reports that it is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverloadLimits {
    /// Above this share of the byte budget it is overloaded, in percent. It recovers below three quarters of the share.
    pub percent: u8,
    /// How long the use must stay above the one threshold, or below the other.
    pub time: Duration,
}

/// Follows the use of the byte budget.
#[derive(Debug)]
pub(super) struct OverloadGauge {
    limits: OverloadLimits,
    is_overloaded: bool,
    /// Since when the use has contradicted `is_overloaded`.
    contradicted_since: Option<Instant>,
}

impl OverloadGauge {
    /// Not overloaded.
    pub(super) fn new(limits: OverloadLimits) -> Self {
        Self { limits, is_overloaded: false, contradicted_since: None }
    }

    /// Whether it is overloaded now, with so many bytes used of a limit.
    pub(super) fn update(&mut self, used: u64, limit: u64, now: Instant) -> bool {
        // In four hundredths of the limit.
        let (used, limit) = (u128::from(used) * 400, u128::from(limit));
        let percent = u128::from(self.limits.percent);
        let is_contradicted = if self.is_overloaded { used < limit * percent * 3 } else { used >= limit * percent * 4 };
        if !is_contradicted {
            self.contradicted_since = None;
        } else if now.duration_since(*self.contradicted_since.get_or_insert(now)) >= self.limits.time {
            self.is_overloaded = !self.is_overloaded;
            self.contradicted_since = None;
        }
        self.is_overloaded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_use_must_stay_beyond_a_threshold() {
        let start = Instant::now();
        let mut gauge = OverloadGauge::new(OverloadLimits { percent: 80, time: Duration::from_secs(5) });
        let answers = [
            (0, 800, false),
            (4, 1000, false),
            // A short break starts the time again.
            (5, 799, false),
            (6, 900, false),
            (10, 900, false),
            (11, 800, true),
            // Between the thresholds nothing changes.
            (20, 600, true),
            (40, 799, true),
            (41, 599, true),
            (45, 0, true),
            (46, 599, false),
            (60, 799, false),
        ];
        for (second, used, expected) in answers {
            let answer = gauge.update(used, 1000, start + Duration::from_secs(second));
            assert_eq!(answer, expected, "after {second} s");
        }
    }

    #[test]
    fn large_budgets_do_not_overflow() {
        let mut gauge = OverloadGauge::new(OverloadLimits { percent: 100, time: Duration::ZERO });
        assert!(gauge.update(u64::MAX, u64::MAX, Instant::now()));
    }
}
