//! Leases: a filter spends units that the service has charged for it in advance.
//!
//! [`LeaseCache`] is the filter's end and [`LeaseLedger`] the service's. Each is a state machine without I/O: what they send
//! each other are a [`Report`] and an [`Answer`], one of each in a call named `Sync`, which the filter makes each second.
//!
//! - **Units are charged when they are granted.** They come back to the store only if the cache itself has given them up and
//!   says so. Whatever else happens to a lease (a crash, an expiry, a lost session), its units stay charged. So nothing
//!   creates units.
//! - **A lost or repeated message changes nothing.** A report counts since the last report whose answer the cache has taken,
//!   and so does an answer. The ledger subtracts what it knows already; the cache takes only the answer to its latest report,
//!   and once.
//! - **One expiry for all that a cache holds.** Each answer extends it. The cache counts the term from the moment when it
//!   sent the report, the ledger from when it got it: so the cache stops first, if both clocks go at the same rate.
//! - **At most half a burst is out.** A grant is a share of what is left, and zero near exhaustion; all leases of a key
//!   together are at most half its burst. In no span of time `t` are more than `burst + rate × t` and the units of the leases
//!   outstanding at its beginning admitted.

mod cache;
mod clock;
mod ledger;
mod lots;
mod message;

pub use cache::{Applied, LeaseCache, LeaseCacheStats};
pub use ledger::{Finished, LeaseLedger, LeaseLedgerStats, LeaseRules, Refund, Turn};
pub use message::{Answer, Grant, KeyReport, Report, SessionId, Standing};

use crate::time::SECOND;

/// The most keys of a report, and the most grants of an answer.
pub const MAX_SYNC_KEYS: usize = 1_024;

/// The most keys of which one cache holds units.
pub const MAX_LEASED_KEYS: usize = 16_384;

/// The term of a lease unless it is configured, in microseconds: 10 s.
pub const DEFAULT_TERM: u64 = 10 * SECOND;

/// The longest term of a lease, in microseconds: 60 s. A longer one counts as this.
pub const MAX_TERM: u64 = 60 * SECOND;

/// The shortest time between two reports, in microseconds: 100 ms.
pub const MIN_INTERVAL: u64 = SECOND / 10;

/// The longest time between two reports, in microseconds: 10 s.
pub const MAX_INTERVAL: u64 = 10 * SECOND;

#[cfg(test)]
mod model;
