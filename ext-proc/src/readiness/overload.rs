//! When the byte budget counts as overloaded. Two thresholds and a time keep the answer from changing with every request.

use std::time::Duration;

use tokio::time::Instant;

use crate::budget::Budget;

/// When an overloaded service reports that it is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverloadLimits {
    /// Above this share of the byte budget it is overloaded, in percent, and also while a stream waits for room. It recovers
    /// below three quarters of the share.
    pub percent: u8,
    /// How long the use must stay above the one threshold, or below the other.
    pub time: Duration,
}

/// The use of the byte budget at one time.
#[derive(Clone, Copy, Debug)]
pub(super) struct BudgetLoad {
    /// Bytes reserved.
    pub used: u64,
    /// Bytes that can be reserved.
    pub limit: u64,
    /// Streams that wait for room.
    pub waiting: usize,
}

/// Follows the use of the byte budget.
#[derive(Debug)]
pub(super) struct OverloadGauge {
    limits: OverloadLimits,
    is_overloaded: bool,
    /// Since when the use has contradicted `is_overloaded`.
    contradicted_since: Option<Instant>,
}

impl BudgetLoad {
    /// The use now.
    pub(super) fn of(budget: &Budget) -> Self {
        Self { used: budget.used(), limit: budget.limit(), waiting: budget.waiting() }
    }
}

impl OverloadGauge {
    /// Not overloaded.
    pub(super) fn new(limits: OverloadLimits) -> Self {
        Self { limits, is_overloaded: false, contradicted_since: None }
    }

    /// Whether it is overloaded now.
    pub(super) fn update(&mut self, load: &BudgetLoad, now: Instant) -> bool {
        // In four hundredths of the limit.
        let (used, limit) = (u128::from(load.used) * 400, u128::from(load.limit));
        let percent = u128::from(self.limits.percent);
        let is_contradicted = if self.is_overloaded {
            load.waiting == 0 && used < limit * percent * 3
        } else {
            load.waiting > 0 || used >= limit * percent * 4
        };
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

    /// Of a budget of 1000 bytes.
    fn load(used: u64, waiting: usize) -> BudgetLoad {
        BudgetLoad { used, limit: 1000, waiting }
    }

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
            let answer = gauge.update(&load(used, 0), start + Duration::from_secs(second));
            assert_eq!(answer, expected, "after {second} s");
        }
    }

    /// A large message may wait although much of the budget is free.
    #[test]
    fn streams_that_wait_are_an_overload() {
        let start = Instant::now();
        let mut gauge = OverloadGauge::new(OverloadLimits { percent: 80, time: Duration::from_secs(5) });
        let answers = [(0, 1, false), (5, 1, true), (6, 0, true), (8, 2, true), (9, 0, true), (14, 0, false)];
        for (second, waiting, expected) in answers {
            let answer = gauge.update(&load(500, waiting), start + Duration::from_secs(second));
            assert_eq!(answer, expected, "after {second} s");
        }
    }

    #[test]
    fn large_budgets_do_not_overflow() {
        let mut gauge = OverloadGauge::new(OverloadLimits { percent: 100, time: Duration::ZERO });
        let full = BudgetLoad { used: u64::MAX, limit: u64::MAX, waiting: 0 };
        assert!(gauge.update(&full, Instant::now()));
    }
}
