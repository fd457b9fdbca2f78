//! Limits: a rate and a burst.

mod text;

pub use text::{BadLimitText, MAX_LIMIT_TEXT};

use crate::rate::{BadRate, MAX_PERIOD, MAX_UNITS, Rate};

/// The longest time in which a whole burst may refill, in microseconds: 366 days.
pub const MAX_REFILL: u64 = MAX_PERIOD;

/// A rate, and the most units that can be used at once.
///
/// In no span of time `t` are more than `burst + rate × t` units admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limit {
    rate: Rate,
    /// 1 to [`MAX_UNITS`].
    burst: u32,
}

/// Why numbers are no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLimit {
    /// The rate is none.
    #[error(transparent)]
    Rate(#[from] BadRate),
    /// The burst is 0, which would refuse every request.
    #[error("a burst of 0 admits nothing: use 1 to {MAX_UNITS} units")]
    ZeroBurst,
    /// The burst is over [`MAX_UNITS`].
    #[error("a burst of {0} units is too large: use 1 to {MAX_UNITS} units")]
    LargeBurst(u64),
    /// A whole burst takes longer than [`MAX_REFILL`] to refill.
    #[error("at this rate, a burst of {0} units takes over 366 days to refill: use a smaller burst or a higher rate")]
    SlowRefill(u64),
}

impl Limit {
    /// A limit with this rate, and with a burst of this many units.
    ///
    /// # Errors
    /// The burst is out of its bounds, or refills too slowly.
    pub fn new(rate: Rate, burst: u64) -> Result<Self, BadLimit> {
        if burst == 0 {
            return Err(BadLimit::ZeroBurst);
        }
        let units = u32::try_from(burst).ok().filter(|_| burst <= MAX_UNITS).ok_or(BadLimit::LargeBurst(burst))?;
        let limit = Self { rate, burst: units };
        if limit.capacity() > u128::from(MAX_REFILL) * u128::from(rate.count()) {
            return Err(BadLimit::SlowRefill(burst));
        }
        Ok(limit)
    }

    /// A limit with this rate, and a burst of the units of one period.
    #[must_use]
    pub const fn of(rate: Rate) -> Self {
        Self { rate, burst: rate.count() }
    }

    /// The rate.
    #[must_use]
    pub const fn rate(self) -> Rate {
        self.rate
    }

    /// The most units at once.
    #[must_use]
    pub const fn burst(self) -> u32 {
        self.burst
    }

    /// This limit, with its rate and its burst lowered to those of a ceiling where they exceed it. For limits that travel
    /// with a request.
    #[must_use]
    pub fn at_most(self, ceiling: Self) -> Self {
        let rate = if self.rate.exceeds(ceiling.rate) { ceiling.rate } else { self.rate };
        let burst = self.burst.min(ceiling.burst);
        // A lower rate can make the burst refill too slowly. It then becomes what refills in time, at least one unit.
        let in_time = u128::from(MAX_REFILL) * u128::from(rate.count()) / u128::from(rate.period());
        Self { rate, burst: u32::try_from(in_time).map_or(burst, |units| burst.min(units)).max(1) }
    }

    /// The limit with the lower rate, and of equal rates the one with the lower burst.
    #[must_use]
    pub fn lower(self, other: Self) -> Self {
        let is_lower = self.rate.exceeds(other.rate) || (!other.rate.exceeds(self.rate) && other.burst < self.burst);
        if is_lower { other } else { self }
    }

    /// The level of a usage that has the whole burst in use: see [`crate::Usage`].
    pub(crate) fn capacity(self) -> u128 {
        u128::from(self.burst) * u128::from(self.rate.period())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(count: u64, period: u64) -> Rate {
        Rate::new(count, period).unwrap()
    }

    #[test]
    fn numbers_out_of_bounds_have_a_reason() {
        assert_eq!(Limit::new(rate(1, 1_000), 0), Err(BadLimit::ZeroBurst));
        assert_eq!(Limit::new(rate(1, 1_000), MAX_UNITS + 1), Err(BadLimit::LargeBurst(MAX_UNITS + 1)));
        assert_eq!(Limit::new(rate(1, 1_000), u64::MAX), Err(BadLimit::LargeBurst(u64::MAX)));
        assert_eq!(Limit::new(rate(1, MAX_PERIOD), 2), Err(BadLimit::SlowRefill(2)));
        assert_eq!(Limit::new(rate(1, MAX_PERIOD), 1), Ok(Limit::of(rate(1, MAX_PERIOD))));
    }

    #[test]
    fn a_ceiling_lowers_the_rate_and_the_burst_each_alone() {
        let ceiling = Limit::new(rate(100, 60_000_000), 50).unwrap();
        let at_most = |count, period, burst| Limit::new(rate(count, period), burst).unwrap().at_most(ceiling);
        assert_eq!(at_most(1_000, 60_000_000, 500), ceiling);
        assert_eq!(at_most(10, 60_000_000, 500), Limit::new(rate(10, 60_000_000), 50).unwrap());
        assert_eq!(at_most(1_000, 60_000_000, 5), Limit::new(rate(100, 60_000_000), 5).unwrap());
        assert_eq!(at_most(2, 1_000_000, 50), ceiling);

        let slow = Limit::of(rate(1, MAX_PERIOD));
        let fast = Limit::new(rate(1, 1_000), 1_000_000).unwrap();
        assert_eq!(fast.at_most(slow), slow);
    }
}
