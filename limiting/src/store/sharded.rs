//! Shards, and the locks that a request takes.

use std::ops::DerefMut;

use super::StoreStats;
use super::lock::Lock;
use super::shard::Shard;
use crate::charge::{Charge, MAX_CHARGES, TooManyCharges, Usages, charge_all};
use crate::decision::Decision;
use crate::key::LimitKey;
use crate::time::Micros;
use crate::usage::Usage;

/// Shards. Their number is a power of two.
#[derive(Debug)]
pub(super) struct Sharded<L> {
    shards: Box<[L]>,
}

/// All shards of a request, locked. A request has few, so they are searched in turn.
struct LockedShards<G> {
    mask: u64,
    shards: Vec<(u64, G)>,
}

impl<L: Lock> Sharded<L> {
    /// `count` is a power of two.
    pub(super) fn new(count: usize, keys_per_shard: usize) -> Self {
        Self { shards: (0..count).map(|_| L::new(Shard::new(keys_per_shard))).collect() }
    }

    pub(super) fn charge(&self, charges: &[Charge], now: Micros) -> Result<Decision, TooManyCharges> {
        if charges.len() > MAX_CHARGES {
            return Err(TooManyCharges(charges.len()));
        }
        if let [charge] = charges
            && let Some(lock) = self.lock_of(place(charge.key, self.mask()))
        {
            let mut shard = lock.lock();
            let now = shard.observe(now);
            return charge_all(&mut *shard, charges, now);
        }
        let mut locked = self.lock_all(charges);
        let now = locked.observe(now);
        charge_all(&mut locked, charges, now)
    }

    /// `None` if there is no shard, which cannot be.
    pub(super) fn with_shard<T>(&self, key: LimitKey, work: impl FnOnce(&mut Shard) -> T) -> Option<T> {
        self.lock_of(place(key, self.mask())).map(|lock| work(&mut lock.lock()))
    }

    pub(super) fn stats(&self) -> StoreStats {
        self.shards.iter().fold(StoreStats::default(), |sum, lock| {
            let shard = lock.lock().stats();
            StoreStats {
                keys: sum.keys + shard.keys,
                evictions: sum.evictions + shard.evictions,
                overflow_charges: sum.overflow_charges + shard.overflow_charges,
            }
        })
    }

    /// Takes each lock once and in ascending order, so that no two requests wait for each other.
    fn lock_all(&self, charges: &[Charge]) -> LockedShards<L::Guard<'_>> {
        let mask = self.mask();
        let mut places: Vec<u64> = charges.iter().map(|charge| place(charge.key, mask)).collect();
        places.sort_unstable();
        places.dedup();
        let locked = |place| Some((place, self.lock_of(place)?.lock()));
        LockedShards { mask, shards: places.into_iter().filter_map(locked).collect() }
    }

    fn mask(&self) -> u64 {
        // A `usize` has at most 64 bits, and there is at least one shard.
        (self.shards.len() as u64).saturating_sub(1)
    }

    fn lock_of(&self, place: u64) -> Option<&L> {
        usize::try_from(place).ok().and_then(|place| self.shards.get(place))
    }
}

impl<G: DerefMut<Target = Shard>> LockedShards<G> {
    /// The latest time of all shards: the charges are judged at one moment.
    fn observe(&mut self, now: Micros) -> Micros {
        let latest = self.shards.iter_mut().fold(now, |latest, (_, shard)| shard.observe(now).max(latest));
        for (_, shard) in &mut self.shards {
            shard.observe(latest);
        }
        latest
    }

    fn shard(&mut self, key: LimitKey) -> Option<&mut Shard> {
        let place = place(key, self.mask);
        self.shards.iter_mut().find(|(at, _)| *at == place).map(|(_, shard)| &mut **shard)
    }
}

/// The shard of each charge is locked. If one were not, its limit would refuse.
impl<G: DerefMut<Target = Shard>> Usages for LockedShards<G> {
    fn get(&mut self, charge: &Charge, now: Micros) -> Usage {
        self.shard(charge.key).map_or(Usage::exhausted(charge.limit, now), |shard| shard.get(charge, now))
    }

    fn put(&mut self, charge: &Charge, usage: Usage, now: Micros) {
        if let Some(shard) = self.shard(charge.key) {
            shard.put(charge, usage, now);
        }
    }
}

/// The shard's index uses the other half of the key.
fn place(key: LimitKey, mask: u64) -> u64 {
    key.high & mask
}
