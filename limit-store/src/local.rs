//! The fallback while the store is gone: this process counts by its share of each limit.
//!
//! - The share has the limit's rate divided by the number of replicas, and the same part of its burst. The burst of a share
//!   is at least 1, and at least the cost, so that a request which the limit could ever admit is admitted at some time.
//!   While the store is gone, a key is so admitted at most the sum of all shares: the limit, if no cost and no 1 is larger
//!   than its part of the burst. Shares begin full, so the moment when the store goes can admit one more burst.
//! - When the store is back, the first charge of a key there also charges the units that are in use here, at most the
//!   burst. So recovery does not begin with a full allowance. If that charge fails too, the units are in use here again.
//! - A key of the overflow, which found no place here, carries nothing.

use std::sync::atomic::{AtomicU64, Ordering};

use cellgate_limiting::{Charge, Decision, EmbeddedStore, Limit, LimitKey, Rate, StoreStats, Usage};

use crate::charge::Charged;
use crate::clock::Clock;

/// Usages of this process.
#[derive(Debug)]
pub(crate) struct Local {
    store: EmbeddedStore,
    clock: Clock,
    replicas: u32,
    /// Until then something may be in use. After it, no key needs to be looked up.
    busy_until: AtomicU64,
}

impl Local {
    pub(crate) fn new(max_keys: usize, replicas: u32, clock: Clock) -> Self {
        Self { store: EmbeddedStore::new(max_keys), clock, replicas, busy_until: AtomicU64::new(0) }
    }

    /// Judges charges by this process' share of their limits. There are at most `MAX_CHARGES`.
    pub(crate) fn judge(&self, charges: &[Charge]) -> Decision {
        let now = self.clock.now();
        let shares: Vec<Charge> = charges.iter().map(|charge| self.share_of(charge)).collect();
        // More charges than that are refused before.
        let Ok(decision) = self.store.charge(&shares, now) else { return Decision::new(Vec::new()) };
        if decision.is_admitted() {
            let reset = decision.outcomes().iter().map(|outcome| outcome.reset()).max().unwrap_or(0);
            self.busy_until.fetch_max(now.after(reset).0, Ordering::Relaxed);
        }
        decision
    }

    /// Takes the units that a key has in use here, to charge them to the store.
    pub(crate) fn take(&self, charge: &Charge) -> u64 {
        let now = self.clock.now();
        if self.busy_until.load(Ordering::Relaxed) <= now.0 {
            return 0;
        }
        self.store.forget(charge.key).map_or(0, |usage| usage.in_use(now))
    }

    /// Puts units back that were not charged to the store.
    pub(crate) fn put_back(&self, charge: &Charge, units: u64) {
        if units == 0 {
            return;
        }
        let share = self.share_of(&Charge { cost: units.min(charge.limit.burst().into()), ..*charge });
        self.add(&share);
    }

    /// Charges units whether they fit or not. The charge was judged here, so its limit is the share already.
    pub(crate) fn carry(&self, charged: &Charged, units: u64) {
        self.add(&Charge { cost: units, ..charged.charge });
    }

    /// Returns the units that came back.
    pub(crate) fn refund(&self, charged: &Charged, units: u64) -> u64 {
        self.store.refund(&charged.charge, units, charged.point, self.clock.now())
    }

    /// Forgets what a key has in use here, and returns it if anything is.
    pub(crate) fn forget(&self, key: LimitKey) -> Option<Usage> {
        let now = self.clock.now();
        self.store.forget(key).filter(|usage| !usage.is_unused(now))
    }

    pub(crate) fn stats(&self) -> StoreStats {
        self.store.stats()
    }

    fn add(&self, charge: &Charge) {
        let now = self.clock.now();
        self.store.carry(charge, now);
        let reset = self.store.usage(charge.key).map_or(0, |usage| usage.reset(now));
        self.busy_until.fetch_max(now.after(reset).0, Ordering::Relaxed);
    }

    fn share_of(&self, charge: &Charge) -> Charge {
        Charge { limit: share(charge.limit, self.replicas, charge.cost), ..*charge }
    }
}

/// A part of a limit: one of as many as there are replicas.
fn share(limit: Limit, replicas: u32, cost: u64) -> Limit {
    let replicas = replicas.max(1);
    let (rate, burst) = (limit.rate(), limit.burst());
    let units = u64::from(burst / replicas).max(cost).clamp(1, burst.into());
    // The same count in a longer period is exact. Only a very long one is not possible.
    let slow = Rate::new(rate.count().into(), rate.period().saturating_mul(replicas.into()))
        .or_else(|_| Rate::new((rate.count() / replicas).max(1).into(), rate.period()))
        .unwrap_or(rate);
    // A burst that would refill in over 366 days has the whole rate.
    Limit::new(slow, units).or_else(|_| Limit::new(rate, units)).unwrap_or(limit)
}

#[cfg(test)]
mod tests;
