//! Counts of a store, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use cellgate_limiting::StoreStats;

use crate::charge::Judge;
use crate::failure::StoreFailure;

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// The embedded store. Of a Redis store, the fallback of this process.
    pub embedded: StoreStats,
    /// Charges by who answered them.
    pub judged: JudgedStats,
    /// Requests that the store failed, by cause.
    pub failures: FailureStats,
    /// Times that the store became available.
    pub closes: u64,
    /// Times that the store became unavailable: the circuit breaker opened, or the connection ended.
    pub opens: u64,
    /// Units that were used locally and then charged to the store.
    pub carried_units: u64,
    /// Refunds that did not reach the store.
    pub lost_refunds: u64,
}

/// Charges by who answered them: see [`Judge`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants of Judge")]
pub struct JudgedStats {
    pub store: u64,
    pub local: u64,
    pub allowed: u64,
    pub denied: u64,
    pub skipped: u64,
}

/// Requests by the cause of a failure: see [`StoreFailure`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants of StoreFailure")]
pub struct FailureStats {
    pub unavailable: u64,
    pub overloaded: u64,
    pub deadline: u64,
    pub connection: u64,
    pub refused: u64,
    pub reply: u64,
}

/// The counters behind [`Stats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    judges: [AtomicU64; 5],
    failures: [AtomicU64; 6],
    pub(crate) closes: AtomicU64,
    pub(crate) opens: AtomicU64,
    pub(crate) carried_units: AtomicU64,
    pub(crate) lost_refunds: AtomicU64,
}

impl Counters {
    pub(crate) fn count_judges(&self, judges: &[Judge]) {
        for judge in judges {
            let [store, local, allowed, denied, skipped] = &self.judges;
            let counter = match judge {
                Judge::Store => store,
                Judge::Local => local,
                Judge::Allowed => allowed,
                Judge::Denied => denied,
                Judge::Skipped => skipped,
            };
            add(counter, 1);
        }
    }

    pub(crate) fn count_failure(&self, failure: &StoreFailure) {
        let [unavailable, overloaded, deadline, connection, refused, reply] = &self.failures;
        let counter = match failure {
            StoreFailure::Unavailable => unavailable,
            StoreFailure::Overloaded => overloaded,
            StoreFailure::Deadline => deadline,
            StoreFailure::Connection(_) => connection,
            StoreFailure::Refused(_) => refused,
            StoreFailure::Reply => reply,
        };
        add(counter, 1);
    }

    pub(crate) fn stats(&self, embedded: StoreStats) -> Stats {
        let [store, local, allowed, denied, skipped] = self.judges.each_ref().map(get);
        let [unavailable, overloaded, deadline, connection, refused, reply] = self.failures.each_ref().map(get);
        Stats {
            embedded,
            judged: JudgedStats { store, local, allowed, denied, skipped },
            failures: FailureStats { unavailable, overloaded, deadline, connection, refused, reply },
            closes: get(&self.closes),
            opens: get(&self.opens),
            carried_units: get(&self.carried_units),
            lost_refunds: get(&self.lost_refunds),
        }
    }
}

pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
