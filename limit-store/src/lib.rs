//! The stores of Cellgate's rate limits, as the service asks them: a [`LimitStore`] is embedded, or in Redis or Valkey.
//!
//! A request is a list of [`StoreCharge`]s. [`LimitStore::charge`] never fails and never waits longer than its deadline: a
//! charge that the store does not answer is answered by the limit's [`WhenStoreFails`].
//!
//! - **The embedded store** is that of `cellgate-limiting`: it answers at once, and its allowances are those of one process.
//! - **The Redis store** runs one script for all charges of a request, by the server's clock, in exact integers. The script
//!   decides as the limiter does: a test runs both on the same traces. Programs with the same prefix and the same secret of
//!   their keys share each allowance exactly.
//!
//! # When Redis is slow or gone
//!
//! A request waits at most for the deadline, 5 ms by default, and never for a connection. After some failures in a row the
//! circuit breaker opens, and requests no longer wait at all: see [`StoreHealth`], [`Stats`], and a line in the log for each
//! switch. A probe closes it when the store answers again.
//!
//! With [`WhenStoreFails::Local`] this process counts by its share of the limit. When the store is back, the first charge of
//! a key there also charges the units that are in use here, at most the burst: recovery does not begin with a full
//! allowance. While the store is gone, a key is admitted at most the sum of the shares, and one burst more at the moment
//! when it goes, because a share begins full.
//!
//! An answer that comes too late, or not at all, may have been charged by the server. Then the request may be charged twice:
//! once there, and once by the fallback. It is never charged less than once, except by a limit that says `allow`.
//!
//! # Servers
//!
//! Redis 6.2 or newer, or Valkey: standalone, or a cluster. In a cluster, a script cannot touch keys of several nodes, so
//! [`Atomicity`] says which property to give up.
//!
//! - The server's clock counts. After a fail-over to a server whose clock is behind, nothing refills for the difference, and
//!   no key has more than its burst in use; if its clock is ahead, the difference refills.
//! - A replica that takes over may not have received the last charges. They are forgotten, as everything that Redis
//!   replicates asynchronously.
//! - A key expires when nothing is in use. `maxmemory-policy` must be `noeviction`: another policy evicts keys that are in
//!   use, and so gives allowances back. If the memory is full, the server refuses charges, which is a failure of the store.
//! - A value that is no usage counts as none, and the next charge replaces it.
//!
//! # Figures
//!
//! `cargo bench -p cellgate-limit-store`, on two cores that were busy (load average about 14), medians of one limit and of
//! three:
//!
//! | check | one limit | three limits |
//! |---|--:|--:|
//! | embedded | 130 ns | 330 ns |
//! | Valkey 9.1 on the same machine, latency | 75 µs | 105 µs |
//! | the same, CPU time here, 32 checks at a time | 10 µs | 17 µs |
//! | the same, CPU time in the server | 25 µs | 55 µs |
#![forbid(unsafe_code)]

mod backoff;
mod charge;
mod clock;
mod connect;
mod failure;
mod health;
mod keys;
mod link;
mod local;
mod redis_store;
mod script;
mod settings;
mod settle;
mod stats;
mod store;

pub use cellgate_limiting::{StoreCharge, WhenStoreFails};

pub use charge::{Charged, Judge, StoreDecision};
pub use clock::Clock;
pub use failure::StoreFailure;
pub use health::{StoreHealth, StoreState};
pub use settings::{Atomicity, BadSettings, Credentials, RedisAddress, RedisSettings, TlsFiles, Topology};
pub use stats::{FailureStats, JudgedStats, Stats};
pub use store::LimitStore;
