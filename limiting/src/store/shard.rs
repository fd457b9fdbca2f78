//! A shard: a table of usages, an index into it, and the overflow.
//!
//! - A usage is evicted only if nothing is in use, so that to forget it changes nothing.
//! - A new key looks at some usages in turn, from where the last one stopped. If one can be evicted, it takes its place.
//! - If none can and the table is full, the key is charged to the overflow: one usage for each limit, with its rate and
//!   burst. All keys in it share one allowance.
//! - A key that gets a usage of its own begins with what the overflow has in use, as a part of it may be its own.
//!
//! So no key is ever admitted more than its limit.

use hashbrown::HashTable;

use super::StoreStats;
use crate::charge::{Charge, Usages};
use crate::key::{LimitId, LimitKey};
use crate::time::{Micros, SECOND};
use crate::usage::{ChargePoint, Usage};

/// How many usages a new key looks at if the table is full.
const PROBES_IF_FULL: usize = 32;

/// How many usages a new key looks at before the table grows, so that it stays near the number of keys in use.
const PROBES: usize = 2;

/// The most usages of the overflow. A key that would need another one is refused as if its allowance were spent.
const MAX_OVERFLOWS: usize = 32;

/// How far behind the latest time a caller may be, in microseconds, before the clock has gone back: 10 s. A thread that
/// has read the clock can lose its processor before it gets the lock.
const MAX_LATE: u64 = 10 * SECOND;

/// A part of a store.
#[derive(Debug)]
pub(super) struct Shard {
    latest: Micros,
    entries: Vec<Entry>,
    /// Places in `entries`, by key.
    index: HashTable<u32>,
    max_keys: usize,
    /// The place from which the next new key looks.
    hand: usize,
    overflow: Vec<Overflow>,
    evictions: u64,
    overflow_charges: u64,
}

#[derive(Debug)]
struct Entry {
    key: LimitKey,
    usage: Usage,
}

#[derive(Debug)]
struct Overflow {
    id: LimitId,
    usage: Usage,
}

impl Shard {
    /// At most `max_keys`, and at most 2³² of them.
    pub(super) fn new(max_keys: usize) -> Self {
        let max_keys = max_keys.min(u32::MAX as usize);
        Self {
            latest: Micros::default(),
            entries: Vec::new(),
            index: HashTable::new(),
            max_keys,
            hand: 0,
            overflow: Vec::new(),
            evictions: 0,
            overflow_charges: 0,
        }
    }

    /// The time at which a caller's charges are judged. A late caller has the latest time that the shard has seen, which
    /// has really come; its own would give back what others have used since. If the clock has gone back, it is the caller's
    /// time from now on, and each usage is bounded, once.
    pub(super) fn observe(&mut self, now: Micros) -> Micros {
        if self.latest.since(now) > MAX_LATE {
            self.latest = now;
            let shared = self.overflow.iter_mut().map(|shared| &mut shared.usage);
            for usage in self.entries.iter_mut().map(|entry| &mut entry.usage).chain(shared) {
                *usage = usage.bounded(now);
            }
        }
        self.latest = self.latest.max(now);
        self.latest
    }

    pub(super) fn usage(&self, key: LimitKey) -> Option<Usage> {
        self.find(key).and_then(|place| self.entries.get(place)).map(|entry| entry.usage)
    }

    pub(super) fn carry(&mut self, charge: &Charge, now: Micros) {
        let now = self.observe(now);
        let usage = self.get(charge, now).carry(charge.limit, charge.cost, now);
        self.put(charge, usage, now);
    }

    /// Returns the units that came back.
    pub(super) fn refund(&mut self, key: LimitKey, cost: u64, point: ChargePoint, now: Micros) -> u64 {
        let now = self.observe(now);
        let Some(entry) = self.entry(key) else { return 0 };
        let (units, usage) = entry.usage.refund(cost, point, now);
        entry.usage = usage;
        units
    }

    /// The entry stays and can be evicted at once.
    pub(super) fn forget(&mut self, key: LimitKey) -> Option<Usage> {
        let entry = self.entry(key)?;
        let usage = entry.usage;
        entry.usage = Usage::unused(usage.limit());
        Some(usage)
    }

    pub(super) fn stats(&self) -> StoreStats {
        StoreStats { keys: self.entries.len(), evictions: self.evictions, overflow_charges: self.overflow_charges }
    }

    fn find(&self, key: LimitKey) -> Option<usize> {
        let is_key = |place: &u32| self.entries.get(*place as usize).is_some_and(|entry| entry.key == key);
        self.index.find(key.low, is_key).map(|place| *place as usize)
    }

    fn entry(&mut self, key: LimitKey) -> Option<&mut Entry> {
        let place = self.find(key)?;
        self.entries.get_mut(place)
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= self.max_keys
    }

    /// Moves the hand to a usage that can be evicted. The hand stays there until it is replaced or in use.
    fn find_evictable(&mut self, now: Micros) -> bool {
        let probes = if self.is_full() { PROBES_IF_FULL } else { PROBES };
        for _ in 0..probes.min(self.entries.len()) {
            match self.entries.get(self.hand) {
                Some(entry) if entry.usage.is_unused(now) => return true,
                Some(_) => self.hand += 1,
                None => self.hand = 0,
            }
        }
        false
    }

    /// Gives a new key the place at the hand.
    fn replace(&mut self, new: Entry) {
        let Some(entry) = self.entries.get_mut(self.hand) else { return };
        let (place, old, key) = (self.hand, entry.key, new.key);
        *entry = new;
        if let Ok(found) = self.index.find_entry(old.low, |at| *at as usize == place) {
            found.remove();
        }
        self.point(key, place);
        self.hand += 1;
        self.evictions += 1;
    }

    fn point(&mut self, key: LimitKey, place: usize) {
        let hash = |place: &u32| self.entries.get(*place as usize).map_or(0, |entry| entry.key.low);
        // There are at most 2³² places.
        if let Ok(place) = u32::try_from(place) {
            self.index.insert_unique(key.low, place, hash);
        }
    }

    /// The usage of the overflow that a charge shares.
    fn overflow_of(&mut self, charge: &Charge) -> Option<&mut Overflow> {
        self.overflow.iter_mut().find(|shared| shared.id == charge.id && shared.usage.limit() == charge.limit)
    }

    /// Charges the overflow. At most its whole burst is in use afterwards: a cost that is carried need not fit.
    fn add_to_overflow(&mut self, charge: &Charge, now: Micros) {
        self.overflow_charges += 1;
        let added = |usage: Usage| usage.carry(charge.limit, charge.cost, now);
        if let Some(shared) = self.overflow_of(charge) {
            shared.usage = added(shared.usage);
            return;
        }
        let new = Overflow { id: charge.id, usage: added(Usage::unused(charge.limit)) };
        match self.overflow.iter_mut().find(|shared| shared.usage.is_unused(now)) {
            Some(shared) => *shared = new,
            // Two new keys of one request may both have seen the last place. So there are at most `MAX_CHARGES` more.
            None => self.overflow.push(new),
        }
    }
}

impl Usages for Shard {
    fn get(&mut self, charge: &Charge, now: Micros) -> Usage {
        if let Some(entry) = self.entry(charge.key) {
            return entry.usage;
        }
        if let Some(shared) = self.overflow_of(charge) {
            return shared.usage;
        }
        let has_place = !self.is_full()
            || self.find_evictable(now)
            || self.overflow.len() < MAX_OVERFLOWS
            || self.overflow.iter().any(|shared| shared.usage.is_unused(now));
        if has_place { Usage::unused(charge.limit) } else { Usage::exhausted(charge.limit, now) }
    }

    fn put(&mut self, charge: &Charge, usage: Usage, now: Micros) {
        if let Some(entry) = self.entry(charge.key) {
            entry.usage = usage;
            return;
        }
        let new = Entry { key: charge.key, usage };
        if self.find_evictable(now) {
            self.replace(new);
        } else if self.is_full() {
            self.add_to_overflow(charge, now);
        } else {
            let place = self.entries.len();
            self.entries.push(new);
            self.point(charge.key, place);
        }
    }
}

#[cfg(test)]
mod tests;
