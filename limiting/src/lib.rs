//! Cellgate's rate limiter: exact GCRA, and all limits of a request or none.
//!
//! A request is a list of [`Charge`]s, one for each limit that it falls under. [`charge_all`] judges them at one moment
//! against [`Usages`], and returns a [`Decision`]. [`EmbeddedStore`] keeps the usages in the process.
//!
//! The limiter is pure: the caller passes the time. No input causes a panic, and memory is bounded by the number of keys
//! that the store was made for.
//!
//! [`LeaseCache`] and [`LeaseLedger`] are the two ends of leases: a filter spends units that the service has charged for it
//! in advance.
#![forbid(unsafe_code)]

mod charge;
mod concurrency;
mod decision;
mod failure;
mod fields;
mod key;
mod lease;
mod limit;
mod plan;
mod rate;
mod store;
mod time;
mod usage;

pub use charge::{Charge, Enforcement, MAX_CHARGES, TooManyCharges, Usages, charge_all};
pub use concurrency::{ConcurrencyCharge, ConcurrencyOutcome, InFlight};
pub use decision::{Decision, Outcome};
pub use failure::{StoreCharge, WhenStoreFails};
pub use fields::XRateLimit;
pub use key::{KeyHasher, LimitId, LimitKey};
pub use lease::{
    Answer, Applied, DEFAULT_TERM, Finished, Grant, KeyReport, LeaseCache, LeaseCacheStats, LeaseLedger,
    LeaseLedgerStats, LeaseRules, MAX_INTERVAL, MAX_LEASED_KEYS, MAX_SYNC_KEYS, MAX_TERM, MIN_INTERVAL, Refund, Report,
    SessionId, Standing, Turn,
};
pub use limit::{BadLimit, BadLimitText, Limit, MAX_LIMIT_TEXT, MAX_REFILL};
pub use plan::{BadPlans, LimitOrigin, Plans, PlansBuilder};
pub use rate::{BadRate, MAX_PERIOD, MAX_UNITS, MIN_PERIOD, Rate};
pub use store::{EmbeddedStore, StoreStats};
pub use time::{Micros, SECOND};
pub use usage::{ChargePoint, History, Usage, Verdict};
