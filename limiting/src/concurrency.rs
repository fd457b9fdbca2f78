//! Requests in flight: a table of keys, and the rule by which a request enters under all its concurrency limits or under
//! none.

use std::collections::BTreeMap;

use crate::charge::Enforcement;
use crate::key::{LimitId, LimitKey};

/// The claim of a request on a place under a concurrency limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConcurrencyCharge {
    /// The limit's place among the concurrency limits of the configuration.
    pub id: LimitId,
    /// The key whose requests count together.
    pub key: LimitKey,
    /// The most requests of the key in flight.
    pub at_most: u32,
    /// Whether the limit can refuse the request.
    pub enforcement: Enforcement,
}

/// The requests in flight of each key. A key is in the table only while it has some, so memory is bounded by the requests
/// in flight and by their limits.
#[derive(Debug, Default)]
pub struct InFlight(BTreeMap<LimitKey, u32>);

/// The answer to a request that wants to enter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConcurrencyOutcome {
    over: Vec<bool>,
    is_admitted: bool,
}

impl InFlight {
    /// Lets a request enter under all its limits, or under none if an enforced one has no place. A limit that only measures
    /// always has one, and so do requests that have entered when `at_most` is lowered.
    ///
    /// The caller calls [`InFlight::leave`] once with the same charges, if the request was admitted.
    pub fn enter(&mut self, charges: &[ConcurrencyCharge]) -> ConcurrencyOutcome {
        let mut over = Vec::with_capacity(charges.len());
        for (index, charge) in charges.iter().enumerate() {
            let earlier = charges.iter().take(index).filter(|earlier| earlier.key == charge.key).count();
            let others = u64::from(self.count(charge.key)) + earlier as u64;
            over.push(others >= u64::from(charge.at_most));
        }
        let refuses = |(charge, over): (&ConcurrencyCharge, &bool)| *over && charge.enforcement == Enforcement::Enforce;
        let is_admitted = !charges.iter().zip(&over).any(refuses);
        if is_admitted {
            for charge in charges {
                let count = self.0.entry(charge.key).or_default();
                *count = count.saturating_add(1);
            }
        }
        ConcurrencyOutcome { over, is_admitted }
    }

    /// Lets a request leave that has entered with these charges.
    pub fn leave(&mut self, charges: &[ConcurrencyCharge]) {
        for charge in charges {
            match self.0.get_mut(&charge.key) {
                Some(count) if *count > 1 => *count -= 1,
                _ => {
                    self.0.remove(&charge.key);
                }
            }
        }
    }

    /// The requests of a key in flight.
    #[must_use]
    pub fn count(&self, key: LimitKey) -> u32 {
        self.0.get(&key).copied().unwrap_or_default()
    }

    /// The keys that have requests in flight.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.0.len()
    }
}

impl ConcurrencyOutcome {
    /// Whether the request has entered.
    #[must_use]
    pub const fn is_admitted(&self) -> bool {
        self.is_admitted
    }

    /// For each charge, in order, whether its limit has no place for the request.
    #[must_use]
    pub fn over(&self) -> &[bool] {
        &self.over
    }
}

#[cfg(test)]
mod tests;
