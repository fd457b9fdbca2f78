//! Usages: the state of one limit key, and the arithmetic of GCRA on it.
//!
//! The *level* of a usage is the time until everything is paid back, times the count of its rate. A unit raises it by the
//! period, and each microsecond lowers it by the count, so it is an integer and exact. `level / period` units are in use.
//!
//! A usage also counts the units that were charged since it was last unused. A charge notes that count ([`ChargePoint`]), so a
//! later refund knows what was charged after it.

use crate::limit::{Limit, MAX_REFILL};
use crate::time::Micros;

/// The theoretical arrival time: the moment at which everything that was used is paid back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Tat {
    micros: Micros,
    /// A part of a microsecond: its denominator is the count of the rate, and it is less than that.
    fraction: u32,
}

/// The highest count of charged units. A count that would exceed it starts again, and earlier charges get no refund. Redis'
/// scripts are exact up to there.
const MAX_CHARGED: u64 = 1 << 52;

/// What is in use of one allowance: a theoretical arrival time, and the limit under which it was last charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Usage {
    tat: Tat,
    limit: Limit,
    history: History,
}

/// What a usage knows of its charges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct History {
    /// Since this time, something has been in use without a pause, and it went down at one rate.
    pub since: Micros,
    /// The units that were charged since the usage was last unused, whether they were refunded or not. They only grow.
    pub charged: u64,
}

/// The point in the history of a usage at which a charge was made: what a refund of it needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChargePoint {
    at: Micros,
    charged: Option<u64>,
}

/// The answer of a limit to a cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The cost fits.
    Admitted,
    /// The cost does not fit yet: it does after this many microseconds, if nothing else is charged, and not before.
    Refused {
        /// At least 1.
        wait: u64,
    },
    /// The cost is more than the burst and never fits.
    Never,
}

impl ChargePoint {
    /// A charge of which only the time is known. A refund of it is worth less.
    #[must_use]
    pub const fn at(at: Micros) -> Self {
        Self { at, charged: None }
    }

    /// When the charge was made.
    #[must_use]
    pub const fn time(&self) -> Micros {
        self.at
    }

    /// [`History::charged`] with the charge. `None`: it is not known.
    #[must_use]
    pub const fn charged(&self) -> Option<u64> {
        self.charged
    }
}

impl Usage {
    /// Nothing is in use.
    #[must_use]
    pub const fn unused(limit: Limit) -> Self {
        let history = History { since: Micros(0), charged: 0 };
        Self { tat: Tat { micros: Micros(0), fraction: 0 }, limit, history }
    }

    /// The whole burst is in use.
    #[must_use]
    pub fn exhausted(limit: Limit, now: Micros) -> Self {
        Self::unused(limit).add(limit, limit.burst().into(), now)
    }

    /// The limit of the last charge.
    #[must_use]
    pub const fn limit(&self) -> Limit {
        self.limit
    }

    /// A usage that a store outside of this process has kept: its limit, and what [`Usage::arrival`] and [`Usage::history`]
    /// returned. `None` if the fraction is not less than the count of the rate.
    #[must_use]
    pub fn arriving(limit: Limit, micros: Micros, fraction: u32, history: History) -> Option<Self> {
        (fraction < limit.rate().count()).then_some(Self { tat: Tat { micros, fraction }, limit, history })
    }

    /// What it knows of its charges.
    #[must_use]
    pub const fn history(&self) -> History {
        self.history
    }

    /// The point of a charge that was made at this moment, and after which this is the usage.
    #[must_use]
    pub const fn point(&self, now: Micros) -> ChargePoint {
        ChargePoint { at: now, charged: Some(self.history.charged) }
    }

    /// The theoretical arrival time: whole microseconds, and a part of one with the count of the rate as its denominator.
    #[must_use]
    pub const fn arrival(&self) -> (Micros, u32) {
        (self.tat.micros, self.tat.fraction)
    }

    /// Whether nothing is in use: to forget the usage would change nothing.
    #[must_use]
    pub fn is_unused(&self, now: Micros) -> bool {
        self.tat.micros < now || (self.tat.micros == now && self.tat.fraction == 0)
    }

    /// The usage with at most its burst in use. More is possible if the clock went back, and would refuse requests until the
    /// clock has caught up. More is also possible at the time of a thread that comes late: to bound the usage there would
    /// give back what others have used since. A store must tell the two apart.
    #[must_use]
    pub fn bounded(self, now: Micros) -> Self {
        if self.level(now) > self.limit.capacity() { self.at_level(self.limit.capacity(), now) } else { self }
    }

    /// Charges a cost under a limit, and returns the usage after it. If the limit does not admit the cost, the same units are in
    /// use as before; if its rate is faster than that of the last charge, they go down at the faster one from now on. A cost
    /// of 0 is always admitted and changes nothing.
    ///
    /// Under another limit than that of the last charge, the same units are in use. They are rounded up to a whole level,
    /// so a change never gives a unit back.
    #[must_use]
    pub fn charge(self, limit: Limit, cost: u64, now: Micros) -> (Verdict, Self) {
        if cost == 0 {
            return (Verdict::Admitted, self);
        }
        let Some(room) = u64::from(limit.burst()).checked_sub(cost) else {
            return (Verdict::Never, self);
        };
        // In the terms of the stored rate, since the usage goes down at that until it is charged.
        let level = self.level(now);
        let room = u128::from(room) * u128::from(self.limit.rate().period());
        if level > room {
            let after = self.sped_up(limit, now);
            let room = u128::from(limit.burst()).saturating_sub(cost.into()) * u128::from(after.limit.rate().period());
            let wait = div_ceil(after.level(now).saturating_sub(room), after.limit.rate().count());
            return (Verdict::Refused { wait }, after);
        }
        (Verdict::Admitted, self.add(limit, cost, now))
    }

    /// The same units in use, under the rate of a limit if that is faster: a raised rate takes force at once, also for a key that
    /// it refuses. The larger burst stays, since the usage is bounded by it.
    #[must_use]
    pub fn sped_up(self, limit: Limit, now: Micros) -> Self {
        if !limit.rate().exceeds(self.limit.rate()) || self.is_unused(now) {
            return self;
        }
        let burst = limit.burst().max(self.limit.burst());
        // At a faster rate, either burst refills in time.
        let Ok(limit) = Limit::new(limit.rate(), burst.into()) else { return self };
        let level = self.level_under(limit, now);
        let history = History { since: now, ..self.history };
        Self { limit, history, ..self }.at_level(level, now)
    }

    /// Adds a cost under a limit, whether it fits or not. More than the burst may be in use afterwards: see
    /// [`Usage::bounded`].
    #[must_use]
    pub fn add(self, limit: Limit, cost: u64, now: Micros) -> Self {
        let level = self.level_under(limit, now);
        // No more than a burst of them can be in use.
        let counted = cost.min(limit.burst().into());
        let charged = self.history.charged.saturating_add(counted);
        let history = if self.is_unused(now) || charged > MAX_CHARGED {
            History { since: now, charged: counted }
        } else if limit.rate() == self.limit.rate() {
            History { charged, ..self.history }
        } else {
            History { since: now, charged }
        };
        let added = u128::from(cost) * u128::from(limit.rate().period());
        Self { limit, history, ..self }.at_level(level.saturating_add(added), now)
    }

    /// Charges units that were used before anyone asked, whether they fit or not. At most the whole burst is in use afterwards.
    ///
    /// While something is in use, the limit of the last charge counts and not `limit`: that of an earlier charge may have a
    /// smaller burst, and to bound the usage by it would give units back.
    #[must_use]
    pub fn carry(self, limit: Limit, units: u64, now: Micros) -> Self {
        let limit = if self.is_unused(now) { limit } else { self.limit };
        self.add(limit, units, now).bounded(now)
    }

    /// Gives back a part of an earlier charge: of an estimate that was too high, or of a lease that was not spent. Returns by how many
    /// units [`Usage::in_use`] fell, and the usage after it.
    ///
    /// As much comes back as cannot have been paid back since, so that at least as much stays in use as if the part had never been
    /// charged. That is the larger of two:
    ///
    /// - What is in use now, less all that was charged later. Units are paid back in the order of their charges, so this much of
    ///   the charge, or of earlier ones, is still to be paid back.
    /// - The part, less all that was paid back since: `cost - rate × time`.
    ///
    /// Nothing comes back if the usage was unused or changed its rate since the charge.
    #[must_use]
    pub fn refund(self, cost: u64, point: ChargePoint, now: Micros) -> (u64, Self) {
        let elapsed = now.since(point.at);
        if point.at < self.history.since || point.at > now || elapsed >= MAX_REFILL {
            return (0, self);
        }
        let (rate, level) = (self.limit.rate(), self.level(now));
        let period = u128::from(rate.period());
        let part = u128::from(cost) * period;
        let unpaid = part.saturating_sub(u128::from(elapsed) * u128::from(rate.count()));
        let later = point.charged.and_then(|charged| self.history.charged.checked_sub(charged));
        let kept = later.map_or(0, |later| level.saturating_sub(u128::from(later) * period));
        let worth = part.min(kept).max(unpaid).min(level);
        let after = self.at_level(level - worth, now);
        (self.in_use(now).saturating_sub(after.in_use(now)), after)
    }

    /// Units that are left under a limit, rounded down.
    #[must_use]
    pub fn remaining(&self, limit: Limit, now: Micros) -> u32 {
        let in_use = self.level(now).div_ceil(u128::from(self.limit.rate().period()));
        u32::try_from(in_use).map_or(0, |units| limit.burst().saturating_sub(units))
    }

    /// Microseconds until nothing is in use.
    #[must_use]
    pub fn reset(&self, now: Micros) -> u64 {
        self.tat.micros.since(now).saturating_add(u64::from(self.tat.micros >= now && self.tat.fraction > 0))
    }

    /// Units that are in use under the limit of the last charge, rounded up.
    #[must_use]
    pub fn in_use(&self, now: Micros) -> u64 {
        saturate(self.level(now).div_ceil(u128::from(self.limit.rate().period())))
    }

    fn level(&self, now: Micros) -> u128 {
        if self.is_unused(now) {
            return 0;
        }
        let micros = u128::from(self.tat.micros.since(now));
        micros * u128::from(self.limit.rate().count()) + u128::from(self.tat.fraction)
    }

    /// The level in the terms of another limit: the same units, rounded up.
    fn level_under(&self, limit: Limit, now: Micros) -> u128 {
        let (period, stored) = (limit.rate().period(), self.limit.rate().period());
        let level = self.level(now);
        if period == stored {
            return level;
        }
        level.saturating_mul(u128::from(period)).div_ceil(u128::from(stored))
    }

    fn at_level(self, level: u128, now: Micros) -> Self {
        let count = self.limit.rate().count();
        // Nearly all levels have 64 bits, which divide much faster.
        let (micros, fraction) = match u64::try_from(level) {
            Ok(level) => (level / u64::from(count), level % u64::from(count)),
            Err(_) => (saturate(level / u128::from(count)), saturate(level % u128::from(count))),
        };
        // A remainder is less than the count, so it has 32 bits.
        let fraction = u32::try_from(fraction).unwrap_or(0);
        Self { tat: Tat { micros: now.after(micros), fraction }, ..self }
    }
}

/// A quotient, rounded up and saturated.
fn div_ceil(level: u128, count: u32) -> u64 {
    match u64::try_from(level) {
        Ok(level) => level.div_ceil(u64::from(count)),
        Err(_) => saturate(level.div_ceil(u128::from(count))),
    }
}

fn saturate(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod refunds;

#[cfg(test)]
mod tests;
