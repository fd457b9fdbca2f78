//! The ledger of all calls: locked for each step of an answer, and never while the store is asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cellgate_limit_store::Clock;
use cellgate_limiting::{KeyHasher, LeaseLedger, LeaseRules, LimitKey, Report};
use cellgate_routing::Config;

use super::LeaseSettings;
use super::leased_limits::LeasedLimits;
use super::open_turn::OpenTurn;
use crate::config_file::Store;
use crate::metrics::LeaseMetrics;

/// The most sessions: one for each worker of each Envoy. 500 Envoys with 8 workers have 4,000.
const MAX_SESSIONS: usize = 4_096;

/// The most keys of all sessions together. At about 250 bytes each, they take 32 MiB. A key beyond them is not leased: the
/// service decides its requests.
const MAX_KEYS: usize = 128 * 1024;

/// A grant is at most what is left, divided by two to this power: a quarter, so that several filters share it.
const SHARE_BITS: u32 = 2;

/// The leases that this service has granted. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Leases(Arc<LeasesState>);

#[derive(Debug)]
struct LeasesState {
    clock: Clock,
    term: Duration,
    book: Mutex<LeaseBook>,
}

#[derive(Debug)]
pub(super) struct LeaseBook {
    pub(super) ledger: LeaseLedger,
    limits: Arc<LeasedLimits>,
}

/// Counts of now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeaseStats {
    /// Sessions: one for each virtual machine of a filter.
    pub sessions: usize,
    /// Keys of all sessions.
    pub keys: usize,
    /// Units that are out, by the name of each limit that is leased.
    pub outstanding: BTreeMap<String, u64>,
    /// Units of sessions that ended without a report, since the start.
    pub lost: u64,
}

/// The beginning of a ledger.
pub(crate) struct LeaseOrigin<'a> {
    /// A random number.
    pub epoch: u64,
    /// Makes the keys of the store.
    pub hasher: KeyHasher,
    /// Whether other services use the store too.
    pub is_store_shared: bool,
    /// The times that an answer sets.
    pub settings: LeaseSettings,
    /// The configuration in force.
    pub config: &'a Config,
}

impl Leases {
    /// No leases.
    pub(crate) fn new(origin: &LeaseOrigin<'_>) -> Self {
        let LeaseSettings { term, interval } = origin.settings;
        let limits = LeasedLimits::of(origin.config);
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let ledger = LeaseLedger::new(LeaseRules {
            epoch: origin.epoch,
            configuration: limits.configuration,
            hasher: origin.hasher,
            term: micros(term),
            interval: micros(interval),
            share_bits: SHARE_BITS,
            max_sessions: MAX_SESSIONS,
            max_keys: MAX_KEYS,
            is_store_shared: origin.is_store_shared,
        });
        let book = Mutex::new(LeaseBook { ledger, limits: Arc::new(limits) });
        Self(Arc::new(LeasesState { clock: Clock::monotonic(), term, book }))
    }

    /// Takes a report, under the configuration that is in force now.
    pub(super) fn begin<'a>(&'a self, report: &Report, store: &Store, metrics: &'a LeaseMetrics) -> OpenTurn<'a> {
        let mut book = self.book();
        book.follow(store);
        let limits = Arc::clone(&book.limits);
        let turn = book.ledger.begin(report, |id, limit| limits.has(id, limit), self.0.clock.now());
        drop(book);
        OpenTurn::new(self, metrics, limits, turn)
    }

    /// Counts of now. After a change of the configuration, units of the earlier one have the names of the new one for a term
    /// at most, or `other`.
    pub(crate) fn stats(&self) -> LeaseStats {
        let mut book = self.book();
        let stats = book.ledger.stats(self.0.clock.now());
        let mut outstanding: BTreeMap<String, u64> = book.limits.names().map(|name| (name.to_owned(), 0)).collect();
        for (id, units) in stats.outstanding {
            *outstanding.entry(book.limits.name(id).to_owned()).or_default() += units;
        }
        LeaseStats { sessions: stats.sessions, keys: stats.keys, outstanding, lost: stats.lost }
    }

    /// Units of a key that are out, or being granted.
    pub(crate) fn outstanding(&self, key: LimitKey) -> u64 {
        self.book().ledger.outstanding(key, self.0.clock.now())
    }

    /// How long a lease lasts.
    pub(crate) fn term(&self) -> Duration {
        self.0.term
    }

    pub(super) fn book(&self) -> MutexGuard<'_, LeaseBook> {
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LeaseBook {
    /// Takes over the configuration in force. It is read under the lock, so that no call brings back an earlier one.
    fn follow(&mut self, store: &Store) {
        let decider = store.decider();
        let config = decider.config();
        if config.rate_limits_fingerprint != self.limits.configuration {
            self.limits = Arc::new(LeasedLimits::of(config));
            self.ledger.set_configuration(self.limits.configuration);
        }
    }
}
