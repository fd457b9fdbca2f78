//! Checks the rate limits of requests.

use std::sync::Arc;

use cellgate_limit_store::{
    BadSettings, Clock, LimitStore, RedisSettings, StoreDecision, StoreFailure, StoreHealth, StoreState,
};
use cellgate_limiting::{Charge, KeyHasher, LimitKey, Micros, StoreCharge, Usage};
use cellgate_routing::{Config, RateLimit, Reason};

use crate::limits::StoreStatus;
use crate::metrics::{RateLimitMetrics, SettlementMetrics};
use crate::process::event::{LimitAnswer, LimitFields};
use crate::settlement::{RequestSettlement, Settler};

/// The place of the usages of rate limits.
#[derive(Clone, Debug)]
pub enum LimitStoreSettings {
    /// In this process, of at most this many keys.
    Embedded {
        /// The most keys.
        max_keys: usize,
    },
    /// In Redis or Valkey.
    Redis(Box<RedisSettings>),
}

/// The limiter of a service. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Limiter(Arc<LimiterState>);

#[derive(Debug)]
struct LimiterState {
    /// Makes digests of values. Filters that lease have it too.
    hasher: KeyHasher,
    /// Makes the keys of the store of digests. No filter has it, so a filter that lies about the limit of a digest reaches a
    /// key that no other limit has.
    store_hasher: KeyHasher,
    store: LimitStore,
    /// Whether other services use the store too, and it outlives this one.
    is_shared: bool,
    /// Of this process.
    max_keys: usize,
    metrics: RateLimitMetrics,
    has_x_rate_limit: bool,
    settler: Settler,
}

/// The use of a key of a limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredUsage {
    /// The digest of the values.
    pub digest: LimitKey,
    /// Its usage, and the time by the clock of the store. `None` if nothing is in use.
    pub usage: Option<(Usage, Micros)>,
}

impl Limiter {
    /// A limiter whose keys are made with a secret. `has_x_rate_limit`: its answers have the `X-RateLimit` fields. The connection to a store is made in the background.
    ///
    /// # Errors
    /// A setting of the store cannot be used.
    pub(crate) fn new(
        settings: LimitStoreSettings,
        secret: [u8; 16],
        metrics: RateLimitMetrics,
        settlements: SettlementMetrics,
        has_x_rate_limit: bool,
    ) -> Result<Self, BadSettings> {
        let max_keys = match &settings {
            LimitStoreSettings::Embedded { max_keys } => *max_keys,
            LimitStoreSettings::Redis(settings) => settings.max_local_keys,
        };
        let is_shared = matches!(settings, LimitStoreSettings::Redis(_));
        let store = match settings {
            LimitStoreSettings::Embedded { max_keys } => LimitStore::embedded(max_keys, Clock::monotonic()),
            LimitStoreSettings::Redis(settings) => LimitStore::redis(*settings, Clock::monotonic())?,
        };
        metrics.observe(store.clone());
        let store_hasher = KeyHasher::new(secret);
        let hasher = store_hasher.derive("filter");
        let settler = Settler::new(store.clone(), settlements);
        Ok(Self(Arc::new(LimiterState {
            hasher,
            store_hasher,
            store,
            is_shared,
            max_keys,
            metrics,
            has_x_rate_limit,
            settler,
        })))
    }

    /// Makes the digests of values, by which charges name their keys.
    pub(crate) fn hasher(&self) -> &KeyHasher {
        &self.0.hasher
    }

    /// The store, without its counts of requests.
    pub(crate) fn store(&self) -> &LimitStore {
        &self.0.store
    }

    /// Requests that end from now on without a response keep what they were charged: the service aborts them.
    pub(crate) fn keep_estimates(&self) {
        self.0.settler.keep_estimates();
    }

    /// The charge with the key that the store has for it.
    pub(crate) fn stored(&self, limit: &str, charge: Charge) -> Charge {
        Charge { key: self.0.store_hasher.rekey(limit, charge.key), ..charge }
    }

    /// Whether other services use the store too, and it outlives this one.
    pub(crate) fn is_shared(&self) -> bool {
        self.0.is_shared
    }

    /// The metrics of rate limits.
    pub(crate) fn metrics(&self) -> &RateLimitMetrics {
        &self.0.metrics
    }

    /// Charges a request. `config` is the configuration that decided it. Returns the answer, and what its response settles.
    pub(crate) async fn check(
        &self,
        charges: &[StoreCharge],
        config: &Config,
    ) -> (LimitAnswer, Option<RequestSettlement>) {
        let decision = self.decide(charges, config).await;
        let settlement = RequestSettlement::of(&decision, config, &self.0.settler);
        (answer(&decision, config, self.0.has_x_rate_limit), settlement)
    }

    /// Charges a request, and counts the results.
    pub(crate) async fn decide(&self, charges: &[StoreCharge], config: &Config) -> StoreDecision {
        let stored = |charge: &StoreCharge| StoreCharge {
            charge: self.stored(config.limit_name(charge.charge.id), charge.charge),
            ..*charge
        };
        let stored: Vec<_> = charges.iter().map(stored).collect();
        let decision = self.0.store.charge(&stored).await;
        self.0.metrics.checked(charges, &decision, |charge| config.limit_name(charge.charge.id));
        decision
    }

    /// The use of a key. `values` are those of the limit's key, in order, and `None` is an unusable one.
    ///
    /// # Errors
    /// The store failed.
    pub(crate) async fn usage(
        &self,
        limit: &RateLimit,
        values: &[Option<String>],
    ) -> Result<StoredUsage, StoreFailure> {
        let digest = self.digest(limit, values);
        let usage = self.0.store.usage(self.0.store_hasher.rekey(&limit.name, digest)).await?;
        Ok(StoredUsage { digest, usage })
    }

    /// Forgets what a key has in use. Returns what it was just before, and whether there was anything to forget.
    ///
    /// # Errors
    /// The store failed, so nothing is forgotten.
    pub(crate) async fn forget(
        &self,
        limit: &RateLimit,
        values: &[Option<String>],
    ) -> Result<(StoredUsage, bool), StoreFailure> {
        let before = self.usage(limit, values).await?;
        let forgotten = self.0.store.forget(self.0.store_hasher.rekey(&limit.name, before.digest)).await?;
        Ok((before, forgotten.is_some()))
    }

    /// The state and the counts of the store.
    pub(crate) fn status(&self) -> StoreStatus {
        let (stats, health) = (self.0.store.stats().embedded, self.0.store.health());
        let StoreHealth { state, .. } = &*health.borrow();
        let (state, problem) = match state {
            StoreState::Embedded => ("embedded", None),
            StoreState::Connecting => ("connecting", None),
            StoreState::Available => ("available", None),
            StoreState::Degraded { failed, primaries } => {
                ("degraded", Some(format!("{failed} of {primaries} primaries do not answer")))
            }
            StoreState::Unavailable { reason } => ("unavailable", Some(reason.clone())),
        };
        StoreStatus {
            state: state.to_owned(),
            problem,
            keys: stats.keys as u64,
            max_keys: self.0.max_keys as u64,
            evictions: stats.evictions,
            overflow_charges: stats.overflow_charges,
        }
    }

    fn digest(&self, limit: &RateLimit, values: &[Option<String>]) -> LimitKey {
        limit.key_of(values.iter().map(Option::as_deref), &self.0.hasher)
    }
}

fn answer(decision: &StoreDecision, config: &Config, has_x_rate_limit: bool) -> LimitAnswer {
    let name = |id| config.limit_name(id);
    let judged = decision.decision();
    let refuses = judged.outcomes().iter().filter(|outcome| outcome.refuses());
    let mut violated: Vec<_> = refuses.map(|outcome| name(outcome.id()).to_owned()).collect();
    violated.dedup();
    let refusal = match violated.is_empty() {
        _ if decision.is_admitted() => None,
        true => Some(Reason::LimitUnknown),
        false => Some(Reason::RateLimited),
    };
    let fields = LimitFields {
        retry_after: decision.retry_after(),
        rate_limit: judged.rate_limit_field(name),
        policy: judged.policy_field(name),
        x_rate_limit: if has_x_rate_limit { judged.x_rate_limit() } else { None },
        violated,
    };
    LimitAnswer { refusal, fields: Some(Box::new(fields)), ..LimitAnswer::default() }
}
