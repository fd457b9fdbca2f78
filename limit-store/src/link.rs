//! The link to Redis: a connection that is made in the background, and the circuit breaker on it.
//!
//! The circuit breaker is closed while there is a connection that answers. It opens:
//!
//! - after a number of failures in a row: no answer within the deadline, or an error as the answer;
//! - at once if the connection ends, or if the server has become a replica that takes no writes.
//!
//! Then the connection is dropped, with all that waits in it, and no request waits for the store. [`supervise()`] connects
//! anew, with pauses that grow. Each attempt is a single probe: a real charge on a key of its own. The breaker closes when
//! a probe is answered within the deadline. While it is closed, a probe each second notices a store that went away in
//! silence, so that fewer requests do.
//!
//! If the keys of a cluster are judged alone, each primary has a circuit breaker of its own, so that the others go on. While
//! it is open, the probe of each second closes it. When all are open, the connection is made anew as above.

mod breakers;
mod live;
mod slot;
mod supervise;

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use redis::Value;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::failure::StoreFailure;
use crate::health::{StoreHealth, StoreState};
use crate::script::Call;
use crate::settings::RedisSettings;
use crate::stats::Counters;

pub(crate) use live::Live;
pub(crate) use supervise::supervise;

/// The link to Redis.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) settings: RedisSettings,
    pub(crate) counters: Counters,
    live: ArcSwapOption<Live>,
    in_flight: Semaphore,
    health: watch::Sender<StoreHealth>,
}

impl Link {
    /// A link without a connection.
    pub(crate) fn new(settings: RedisSettings) -> Self {
        let in_flight = Semaphore::new(settings.max_in_flight.min(Semaphore::MAX_PERMITS));
        let health = watch::Sender::new(StoreHealth::now(StoreState::Connecting));
        Self { settings, counters: Counters::default(), live: ArcSwapOption::empty(), in_flight, health }
    }

    /// As [`Link::call`], for a change that no request waits for. It leaves half of the places to those that do.
    pub(crate) async fn call_later<T>(
        &self,
        call: &Call,
        until: Instant,
        read: impl FnOnce(Value) -> Result<T, StoreFailure>,
    ) -> Result<T, StoreFailure> {
        if self.in_flight.available_permits() <= self.settings.max_in_flight / 2 {
            return Err(StoreFailure::Overloaded);
        }
        self.call(call, until, read).await
    }

    /// Runs a script and reads its reply. The answer comes before `until`, or a failure does.
    pub(crate) async fn call<T>(
        &self,
        call: &Call,
        until: Instant,
        read: impl FnOnce(Value) -> Result<T, StoreFailure>,
    ) -> Result<T, StoreFailure> {
        let live = self.live()?;
        let _permit = self.in_flight.try_acquire().map_err(|_| StoreFailure::Overloaded)?;
        live.call(call, until, read).await
    }

    /// The connection, if the circuit breaker is closed.
    pub(crate) fn live(&self) -> Result<Arc<Live>, StoreFailure> {
        self.live.load_full().filter(|live| live.is_open()).ok_or(StoreFailure::Unavailable)
    }

    /// The health, and its changes.
    pub(crate) fn health(&self) -> watch::Receiver<StoreHealth> {
        self.health.subscribe()
    }
}
