//! The store of rate limits: embedded, or Redis.

use std::sync::Arc;

use cellgate_limiting::{Charge, EmbeddedStore, LimitKey, MAX_CHARGES, Micros, StoreCharge, Usage};
use tokio::sync::watch;

use crate::charge::{Charged, Judge, StoreDecision};
use crate::clock::Clock;
use crate::failure::StoreFailure;
use crate::health::{StoreHealth, StoreState};
use crate::redis_store::RedisStore;
use crate::settings::{BadSettings, RedisSettings};
use crate::stats::{Counters, Stats};

/// A store of rate limits. Clones share it.
#[derive(Clone, Debug)]
pub struct LimitStore(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Embedded(Arc<Embedded>),
    Redis(Arc<RedisStore>),
}

#[derive(Debug)]
struct Embedded {
    store: EmbeddedStore,
    clock: Clock,
    counters: Counters,
    health: watch::Sender<StoreHealth>,
}

impl LimitStore {
    /// A store in this process, for at most this many keys: see [`EmbeddedStore::new`].
    #[must_use]
    pub fn embedded(max_keys: usize, clock: Clock) -> Self {
        let health = watch::Sender::new(StoreHealth::now(StoreState::Embedded));
        let (store, counters) = (EmbeddedStore::new(max_keys), Counters::default());
        Self(Kind::Embedded(Arc::new(Embedded { store, clock, counters, health })))
    }

    /// A store in Redis. The connection is made in the background, by tasks of the runtime that calls this; until then the
    /// store is as if it had failed. `clock` is that of the fallback.
    ///
    /// # Errors
    /// A setting cannot be used. [`LimitStore::health`] says what is wrong with files and servers.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn redis(settings: RedisSettings, clock: Clock) -> Result<Self, BadSettings> {
        Ok(Self(Kind::Redis(Arc::new(RedisStore::start(settings, clock)?))))
    }

    /// Judges the charges of a request: all are stored, or none. A cluster with [`crate::Atomicity::Key`] is the exception.
    ///
    /// It always answers, and within the deadline of the settings, to which a tick of tokio's timer (1 ms) may come. The
    /// embedded store answers at once. More than [`MAX_CHARGES`] charges are denied.
    pub async fn charge(&self, charges: &[StoreCharge]) -> StoreDecision {
        match &self.0 {
            Kind::Embedded(embedded) => embedded.charge(charges),
            // On the heap, so that the embedded store's future stays small.
            Kind::Redis(redis) => Box::pin(redis.charge(charges)).await,
        }
    }

    /// Gives back a part of what was charged, where it was charged, and returns the units that came back: see
    /// [`Usage::refund`]. It is best effort: `None` if the store did not confirm it within the deadline. The units then stay
    /// charged until they are paid back.
    pub async fn refund(&self, charged: &Charged, units: u64) -> Option<u64> {
        match &self.0 {
            Kind::Embedded(embedded) => {
                let now = embedded.clock.now();
                Some(embedded.store.refund(&charged.charge, units, charged.point, now))
            }
            Kind::Redis(redis) => Box::pin(redis.refund(charged, units)).await,
        }
    }

    /// Charges units beyond an earlier charge, where it was charged, whether they fit or not: they were used already. At most
    /// the whole burst is in use afterwards ([`Usage::carry`]). It is best effort: `false` if the store did not confirm it
    /// within the deadline. Then they may be charged, and it is not tried again.
    pub async fn carry(&self, charged: &Charged, units: u64) -> bool {
        match &self.0 {
            Kind::Embedded(embedded) => {
                embedded.store.carry(&Charge { cost: units, ..charged.charge }, embedded.clock.now());
                true
            }
            Kind::Redis(redis) => Box::pin(redis.carry(charged, units)).await,
        }
    }

    /// The units that a key has in use, and the time by the store's clock. `None` if there are none. It waits up to a second.
    ///
    /// # Errors
    /// The store failed.
    pub async fn usage(&self, key: LimitKey) -> Result<Option<(Usage, Micros)>, StoreFailure> {
        match &self.0 {
            Kind::Embedded(embedded) => {
                let now = embedded.clock.now();
                let usage = embedded.store.usage(key).filter(|usage| !usage.is_unused(now));
                Ok(usage.map(|usage| (usage, now)))
            }
            Kind::Redis(redis) => Box::pin(redis.usage(key)).await,
        }
    }

    /// Forgets what a key has in use, and returns it. It waits up to a second.
    ///
    /// # Errors
    /// The store failed.
    pub async fn forget(&self, key: LimitKey) -> Result<Option<Usage>, StoreFailure> {
        match &self.0 {
            Kind::Embedded(embedded) => {
                let now = embedded.clock.now();
                Ok(embedded.store.forget(key).filter(|usage| !usage.is_unused(now)))
            }
            Kind::Redis(redis) => Box::pin(redis.forget(key)).await,
        }
    }

    /// Counts since the start.
    #[must_use]
    pub fn stats(&self) -> Stats {
        match &self.0 {
            Kind::Embedded(embedded) => embedded.counters.stats(embedded.store.stats()),
            Kind::Redis(redis) => redis.stats(),
        }
    }

    /// Whether the store answers, and since when. The receiver can wait for changes.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<StoreHealth> {
        match &self.0 {
            Kind::Embedded(embedded) => embedded.health.subscribe(),
            Kind::Redis(redis) => redis.health(),
        }
    }
}

impl Embedded {
    fn charge(&self, charges: &[StoreCharge]) -> StoreDecision {
        let now = self.clock.now();
        let decision = match charges {
            [only] => self.store.charge(std::slice::from_ref(&only.charge), now),
            _ if charges.len() > MAX_CHARGES => return StoreDecision::too_many(),
            _ => {
                let charges: Vec<_> = charges.iter().map(|charge| charge.charge).collect();
                self.store.charge(&charges, now)
            }
        };
        // There are not too many.
        let Ok(decision) = decision else { return StoreDecision::too_many() };
        let decision = StoreDecision::of(decision, Judge::Store, charges.len());
        self.counters.count_judges(decision.judges());
        decision
    }
}
