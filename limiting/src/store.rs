//! The embedded store: usages in this process, in shards with a lock each, bounded by a number of keys.
//!
//! Only a usage with nothing in use is evicted. A new key that finds no place is charged to the overflow of its shard: see
//! [`shard`].

mod lock;
mod shard;
mod sharded;

use std::sync::Mutex;

use crate::charge::{Charge, TooManyCharges};
use crate::decision::Decision;
use crate::key::LimitKey;
use crate::time::Micros;
use crate::usage::{ChargePoint, Usage};
use shard::Shard;
use sharded::Sharded;

/// The most shards. Two threads meet in a shard with a probability of 1 in 64.
const MAX_SHARDS: usize = 64;

/// Usages in this process. All threads share one.
#[derive(Debug)]
pub struct EmbeddedStore(Sharded<Mutex<Shard>>);

/// Counts of an [`EmbeddedStore`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Keys with a usage of their own.
    pub keys: usize,
    /// Usages with nothing in use that a new key has replaced, since the start.
    pub evictions: u64,
    /// Charges of keys that found no place and share the overflow, since the start.
    pub overflow_charges: u64,
}

impl EmbeddedStore {
    /// A store for at most this many keys, at least 1. A key takes 80 to 160 bytes, and memory is taken as keys
    /// come.
    ///
    /// Each shard has its part of the keys. They spread evenly, but not perfectly: a store is full for some new keys when a
    /// few percent of it are still free.
    #[must_use]
    pub fn new(max_keys: usize) -> Self {
        let max_keys = max_keys.max(1);
        // The largest power of two that leaves a key for each shard.
        let shards = MAX_SHARDS.min(1 << max_keys.ilog2());
        Self(Sharded::new(shards, max_keys / shards))
    }

    /// Judges the charges of a request, and stores all of them or none: see [`crate::charge_all`].
    ///
    /// # Errors
    /// There are too many charges.
    pub fn charge(&self, charges: &[Charge], now: Micros) -> Result<Decision, TooManyCharges> {
        self.0.charge(charges, now)
    }

    /// Charges a cost, whether it fits or not: it was used already, before this store knew of it. At most the whole burst is
    /// in use afterwards: see [`Usage::carry`].
    pub fn carry(&self, charge: &Charge, now: Micros) {
        self.0.with_shard(charge.key, |shard| shard.carry(charge, now));
    }

    /// Gives back a part of the cost of an admitted charge, and returns the units that came back: see [`Usage::refund`]. A
    /// key that has no usage of its own, because it has paid everything back or is in the overflow, gets nothing.
    pub fn refund(&self, charge: &Charge, cost: u64, point: ChargePoint, now: Micros) -> u64 {
        let cost = cost.min(charge.cost);
        self.0.with_shard(charge.key, |shard| shard.refund(charge.key, cost, point, now)).unwrap_or(0)
    }

    /// What a key has in use. `None` if nothing is stored for it.
    #[must_use]
    pub fn usage(&self, key: LimitKey) -> Option<Usage> {
        self.0.with_shard(key, |shard| shard.usage(key)).flatten()
    }

    /// Forgets what a key has in use, and returns it. The overflow is not changed.
    pub fn forget(&self, key: LimitKey) -> Option<Usage> {
        self.0.with_shard(key, |shard| shard.forget(key)).flatten()
    }

    /// Counts of all shards, one after the other.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        self.0.stats()
    }
}

#[cfg(test)]
mod tests;
