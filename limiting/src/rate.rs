//! Rates: units for each period.

use crate::time::DAY;

/// The most units of a rate or a burst.
pub const MAX_UNITS: u64 = 1_000_000_000;

/// The shortest period of a rate, in microseconds: 1 ms.
pub const MIN_PERIOD: u64 = 1_000;

/// The longest period of a rate, in microseconds: 366 days.
pub const MAX_PERIOD: u64 = 366 * DAY;

/// Units for each period, for example 100 each minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// 1 to [`MAX_UNITS`].
    count: u32,
    /// Microseconds, [`MIN_PERIOD`] to [`MAX_PERIOD`].
    period: u64,
}

/// Why numbers are no rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRate {
    /// The count is 0, which would refuse every request.
    #[error("a rate of 0 admits nothing: use 1 to {MAX_UNITS} units")]
    Zero,
    /// The count is over [`MAX_UNITS`].
    #[error("a rate of {0} units is too high: use 1 to {MAX_UNITS} units")]
    TooManyUnits(u64),
    /// The period is shorter than [`MIN_PERIOD`]. It is in microseconds.
    #[error("a period of {0} µs is too short: use 1 ms to 366 days")]
    ShortPeriod(u64),
    /// The period is longer than [`MAX_PERIOD`]. It is in microseconds.
    #[error("a period of {0} µs is too long: use 1 ms to 366 days")]
    LongPeriod(u64),
}

impl Rate {
    /// The highest rate: [`MAX_UNITS`] each [`MIN_PERIOD`].
    pub const HIGHEST: Self = Self { count: 1_000_000_000, period: MIN_PERIOD };

    /// A rate of `count` units for each `period` in microseconds.
    ///
    /// # Errors
    /// A number is out of its bounds.
    pub fn new(count: u64, period: u64) -> Result<Self, BadRate> {
        match (count, period) {
            (0, _) => Err(BadRate::Zero),
            (_, ..MIN_PERIOD) => Err(BadRate::ShortPeriod(period)),
            (_, period) if period > MAX_PERIOD => Err(BadRate::LongPeriod(period)),
            (1..=MAX_UNITS, _) => {
                u32::try_from(count).map(|count| Self { count, period }).map_err(|_| BadRate::TooManyUnits(count))
            }
            _ => Err(BadRate::TooManyUnits(count)),
        }
    }

    /// Units in a period.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.count
    }

    /// The period in microseconds.
    #[must_use]
    pub const fn period(self) -> u64 {
        self.period
    }

    /// Whether this rate admits more units in the long run than the other one.
    #[must_use]
    pub fn exceeds(self, other: Self) -> bool {
        let units = |rate: Self, other: Self| u128::from(rate.count) * u128::from(other.period);
        units(self, other) > units(other, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_bounds_have_a_reason() {
        assert_eq!(Rate::new(0, 1_000), Err(BadRate::Zero));
        assert_eq!(Rate::new(1, 999), Err(BadRate::ShortPeriod(999)));
        assert_eq!(Rate::new(1, MAX_PERIOD + 1), Err(BadRate::LongPeriod(MAX_PERIOD + 1)));
        assert_eq!(Rate::new(MAX_UNITS + 1, 1_000), Err(BadRate::TooManyUnits(MAX_UNITS + 1)));
        assert_eq!(Rate::new(u64::MAX, u64::MAX), Err(BadRate::LongPeriod(u64::MAX)));
        let rate = Rate::new(MAX_UNITS, MAX_PERIOD).unwrap();
        assert_eq!((u64::from(rate.count()), rate.period()), (MAX_UNITS, MAX_PERIOD));
        assert_eq!(Rate::new(MAX_UNITS, MIN_PERIOD), Ok(Rate::HIGHEST));
    }

    #[test]
    fn rates_compare_by_units_in_the_long_run() {
        let rate = |count, period| Rate::new(count, period).unwrap();
        assert!(rate(2, 1_000).exceeds(rate(1, 1_000)));
        assert!(rate(60_001, 60_000_000).exceeds(rate(1_000, 1_000_000)));
        assert!(!rate(1, 1_000).exceeds(rate(60, 60_000)));
        assert!(!rate(60, 60_000).exceeds(rate(1, 1_000)));
        assert!(rate(MAX_UNITS, MIN_PERIOD).exceeds(rate(1, MAX_PERIOD)));
    }
}
