//! The messages of the two ends of leases, as plain data. Units are counts; times are microseconds.

use crate::key::{KeyHasher, LimitId, LimitKey};
use crate::limit::Limit;

/// One life of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId {
    /// A random number that a cache chooses once: of a filter, one for each virtual machine.
    pub vm: u64,
    /// How often this cache has begun anew, with nothing.
    pub generation: u32,
}

/// A message of a cache to the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Report {
    /// Who reports.
    pub session: SessionId,
    /// Counts the reports of the session, from 1.
    pub number: u64,
    /// The number of the latest report whose answer the cache has taken. 0 before the first.
    pub acknowledged: u64,
    /// The epoch of that answer. 0 before the first.
    pub epoch: u64,
    /// The fingerprint of the cache's configuration.
    pub configuration: u64,
    /// Whether the session ends with this report.
    pub is_last: bool,
    /// At most [`super::MAX_SYNC_KEYS`]. More are ignored.
    pub keys: Vec<KeyReport>,
}

/// The part of a report on one key. It counts since the latest report with this key whose answer the cache has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyReport {
    /// The key.
    pub key: LimitKey,
    /// The limit's place in the configuration.
    pub id: LimitId,
    /// The limit that the key has now.
    pub limit: Limit,
    /// Units spent.
    pub spent: u32,
    /// Units given up: the cache will never spend them.
    pub returned: u32,
    /// Units that requests needed and the cache did not have, since the report before.
    pub wanted: u32,
}

/// The ledger's answer to a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The session of the report.
    pub session: SessionId,
    /// The number of the report.
    pub number: u64,
    /// The life of the ledger. Never 0.
    pub epoch: u64,
    /// The fingerprint of the configuration under which units are granted.
    pub configuration: u64,
    /// How the session stands.
    pub standing: Standing,
    /// How long all that the cache holds can be spent, from the moment when it sent the report. Microseconds, at most
    /// [`super::MAX_TERM`].
    pub term: u64,
    /// When the next report is due, from the moment when this one was sent. Microseconds, [`super::MIN_INTERVAL`] to
    /// [`super::MAX_INTERVAL`].
    pub interval: u64,
    /// Makes the keys, with the secret of the store.
    pub hasher: KeyHasher,
    /// At most [`super::MAX_SYNC_KEYS`]. More are ignored.
    pub grants: Vec<Grant>,
}

/// Units for one key, since the latest answer that the cache has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grant {
    /// The key.
    pub key: LimitKey,
    /// The limit's place in the configuration.
    pub id: LimitId,
    /// The limit under which the units were charged. They can be spent under no other one.
    pub limit: Limit,
    /// Units.
    pub units: u32,
}

/// How a session stands with a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// The report counts, and the cache can spend what it holds until the term is over.
    Open,
    /// The report counts, and the cache gives up what it holds: the two have different configurations.
    Withdrawn,
    /// The ledger does not know the session, or the report contradicts what it knows. The cache drops all and begins anew.
    Unknown,
    /// The ledger has no room for another session. The cache drops all and begins anew.
    Full,
    /// The session is with another ledger, which uses the same store. The cache keeps what it holds until the term is over.
    Elsewhere,
}
