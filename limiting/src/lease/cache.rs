//! The filter's end of leases: spends units that it holds, reports, and takes answers.

mod share;
mod sync;

pub use sync::Applied;

use hashbrown::HashTable;

use super::MAX_LEASED_KEYS;
use super::clock::SteadyClock;
use super::message::SessionId;
use crate::charge::{Charge, MAX_CHARGES};
use crate::key::KeyHasher;
use crate::key::LimitKey;
use crate::time::Micros;
use share::Share;
use sync::{Lease, Pending};

/// The most keys that a cache remembers: those of which it holds units, and as many that it has only missed.
const MAX_KEYS: usize = 2 * MAX_LEASED_KEYS;

/// Units that one filter holds, by key. Memory is at most twice [`MAX_LEASED_KEYS`] keys, of 90 to 190 bytes each.
///
/// A clock that goes back lengthens a lease by the time between two calls, each time that it does. One that goes ahead ends
/// the lease early.
#[derive(Clone, Debug)]
pub struct LeaseCache {
    session: SessionId,
    configuration: u64,
    pub(super) clock: SteadyClock,
    shares: HashTable<Share>,
    /// The number of the latest report.
    number: u64,
    /// The number of the latest report whose answer was taken.
    acknowledged: u64,
    /// The latest report, until its answer is taken.
    pending: Option<Pending>,
    lease: Option<Lease>,
    /// Whether the latest answer came from another ledger than the lease.
    is_elsewhere: bool,
    hasher: Option<KeyHasher>,
    interval: u64,
    untracked: u64,
}

/// Counts of a [`LeaseCache`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseCacheStats {
    /// Keys that the cache remembers.
    pub keys: usize,
    /// Units that can be spent, of all keys together.
    pub units: u64,
    /// Keys that were missed while there was no room to remember them, since the start.
    pub untracked: u64,
}

impl LeaseCache {
    /// An empty cache. `vm` is a random number, so that no two caches have one. `configuration` is a fingerprint: units are
    /// spent only under the configuration under which they were granted.
    #[must_use]
    pub fn new(vm: u64, configuration: u64) -> Self {
        Self {
            session: SessionId { vm, generation: 0 },
            configuration,
            clock: SteadyClock::default(),
            shares: HashTable::new(),
            number: 0,
            acknowledged: 0,
            pending: None,
            lease: None,
            is_elsewhere: false,
            hasher: None,
            interval: crate::SECOND,
            untracked: 0,
        }
    }

    /// Makes limit keys as the service does. `None` before the first answer: until then nothing can be spent.
    #[must_use]
    pub const fn hasher(&self) -> Option<KeyHasher> {
        self.hasher
    }

    /// Whether there is nothing to report: no units, and no key that was missed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shares.is_empty()
    }

    /// Microseconds from one report to the next.
    #[must_use]
    pub const fn interval(&self) -> u64 {
        self.interval
    }

    /// Spends the costs of all charges of a request, or none. If it returns `false`, the service must decide the request:
    /// the cache cannot tell whether a limit refuses it. The cost that it lacked is in the next report.
    ///
    /// A cost of 0 needs no units. A request with more than [`MAX_CHARGES`] charges is for the service to judge.
    pub fn spend(&mut self, charges: &[Charge], now: Micros) -> bool {
        let now = self.clock.observe(now);
        let is_live = self.is_live(now);
        if charges.len() > MAX_CHARGES {
            return false;
        }
        let mut is_enough = true;
        // The charges whose units were taken, a bit for each.
        let mut taken = 0_u32;
        for (place, charge) in charges.iter().enumerate().filter(|(_, charge)| charge.cost > 0) {
            if self.take(charge, is_live) {
                taken |= 1 << place;
            } else {
                is_enough = false;
            }
        }
        if !is_enough && taken != 0 {
            for (place, charge) in charges.iter().enumerate() {
                if taken & (1 << place) != 0
                    && let Some(share) = self.find(charge.key)
                {
                    share.give_back(charge);
                }
            }
        }
        is_enough
    }

    /// Takes over another configuration. All units are given up if it differs.
    pub fn set_configuration(&mut self, configuration: u64) {
        if self.configuration != configuration {
            self.configuration = configuration;
            self.withdraw();
        }
    }

    /// Counts of now.
    #[must_use]
    pub fn stats(&self) -> LeaseCacheStats {
        let units = self.shares.iter().map(|share| u64::from(share.units)).sum();
        LeaseCacheStats { keys: self.shares.len(), units, untracked: self.untracked }
    }

    pub(super) fn is_live(&self, now: Micros) -> bool {
        self.lease.is_some_and(|lease| now < lease.expires)
    }

    fn find(&mut self, key: LimitKey) -> Option<&mut Share> {
        self.shares.find_mut(key.low, |share| share.key == key)
    }

    fn insert(&mut self, share: Share) -> bool {
        let has_room = self.shares.len() < MAX_KEYS;
        if has_room {
            self.shares.insert_unique(share.key.low, share, |share| share.key.low);
        }
        has_room
    }

    fn take(&mut self, charge: &Charge, is_live: bool) -> bool {
        if let Some(share) = self.find(charge.key) {
            if is_live && share.take(charge) {
                return true;
            }
            share.miss(charge);
            return false;
        }
        // Half of the room is for keys that a grant brings.
        if self.shares.len() >= MAX_LEASED_KEYS || !self.insert(Share::missed(charge)) {
            self.untracked = self.untracked.saturating_add(1);
        }
        false
    }

    /// Gives up all units. The next reports say so.
    fn withdraw(&mut self) {
        for share in &mut self.shares {
            share.keep_at_most(0);
        }
    }
}

#[cfg(test)]
impl LeaseCache {
    /// Whether [`LeaseCache::apply`] would not ignore an answer.
    pub(super) fn is_waiting_for(&self, answer: &super::Answer) -> bool {
        self.session == answer.session && self.pending.is_some_and(|pending| pending.number == answer.number)
    }
}

/// For the model checker: two caches with one hash do the same from now on.
#[cfg(test)]
impl std::hash::Hash for LeaseCache {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let mut shares: Vec<_> = self.shares.iter().collect();
        shares.sort_unstable_by_key(|share| share.key);
        (self.session, self.configuration, self.clock, shares).hash(state);
        (self.number, self.acknowledged, self.pending, self.lease, self.is_elsewhere).hash(state);
    }
}

#[cfg(test)]
mod tests;
