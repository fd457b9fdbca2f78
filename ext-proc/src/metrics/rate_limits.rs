//! The metrics of rate limits.

use std::sync::{Arc, OnceLock};

use cellgate_limit_store::{Judge, LimitStore, StoreDecision};
use cellgate_limiting::{StoreCharge, Verdict};
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Registry};

use super::limit_names::{LimitNames, OTHER};
use super::{buckets, counters, raise};

/// The metrics of rate limits. Clones share the values.
#[derive(Clone, Debug)]
pub(crate) struct RateLimitMetrics {
    checks: IntCounterVec,
    answers: IntCounterVec,
    failures: IntCounterVec,
    switches: IntCounterVec,
    available: IntGauge,
    seconds: Histogram,
    keys: IntGauge,
    evictions: IntCounter,
    overflow_charges: IntCounter,
    carried_units: IntCounter,
    lost_refunds: IntCounter,
    calls: IntCounterVec,
    names: LimitNames,
    store: Arc<OnceLock<LimitStore>>,
}

impl RateLimitMetrics {
    pub(super) fn new(names: LimitNames) -> prometheus::Result<Self> {
        let seconds = HistogramOpts::new(
            "cellgate_rate_limit_store_seconds",
            "How long requests wait for a shared store, in seconds.",
        );
        Ok(Self {
            checks: counters(
                "cellgate_rate_limit_checks_total",
                "Checks of requests against a rate limit: `within` it, `refused`, `over` a limit that only measures \
                 (`shadow`), and `unknown_admitted` or `unknown_refused` while the store fails. A request has one \
                 check for each of its limits. `limit` is the name, and `other` beyond 256 names since the start.",
                &["limit", "outcome"],
            )?,
            answers: counters(
                "cellgate_rate_limit_answers_total",
                "Checks by who answered: the `store`, or while it fails this process (`local`), or nobody (`allowed`, \
                 `denied`). With the store in memory, all are `store`. For leases, the service looks up what is \
                 left of a key and charges its grants. Each of these counts too, so a sum over `by` is not a number of \
                 requests.",
                &["by"],
            )?,
            failures: counters(
                "cellgate_rate_limit_store_failures_total",
                "Failed requests to the store of rate limits, by cause: `deadline`, `connection`, `refused`, \
                 `overloaded`, `reply`, or `unavailable` while the circuit breaker is open.",
                &["cause"],
            )?,
            switches: counters(
                "cellgate_rate_limit_store_switches_total",
                "Times that the store of rate limits became `available` or `unavailable`.",
                &["to"],
            )?,
            available: IntGauge::new(
                "cellgate_rate_limit_store_available",
                "1 if the store of rate limits answers, 0 if limits answer by `when_store_fails`.",
            )?,
            seconds: Histogram::with_opts(seconds.buckets(buckets::STORE.to_vec()))?,
            keys: IntGauge::new(
                "cellgate_rate_limit_keys",
                "Keys of rate limits that this process counts; at most `--max-limit-keys`.",
            )?,
            evictions: IntCounter::new(
                "cellgate_rate_limit_evictions_total",
                "Keys with nothing in use that made room for a new key.",
            )?,
            overflow_charges: IntCounter::new(
                "cellgate_rate_limit_overflow_charges_total",
                "Charges of new keys that share one allowance, because `--max-limit-keys` are in use.",
            )?,
            carried_units: IntCounter::new(
                "cellgate_rate_limit_carried_units_total",
                "Units that were used in this process while the store failed, and charged to the store afterwards.",
            )?,
            lost_refunds: IntCounter::new(
                "cellgate_rate_limit_lost_refunds_total",
                "Refunds that did not reach the store.",
            )?,
            calls: counters(
                "cellgate_rate_limit_calls_total",
                "Calls of `RateLimitService`: `admitted`, `refused`, `uncounted` (no descriptor has a limit), \
                 `unknown` (refused while the store fails) or `invalid` (malformed).",
                &["outcome"],
            )?,
            names,
            store: Arc::default(),
        })
    }

    pub(super) fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.checks.clone()))?;
        registry.register(Box::new(self.calls.clone()))?;
        registry.register(Box::new(self.answers.clone()))?;
        registry.register(Box::new(self.failures.clone()))?;
        registry.register(Box::new(self.switches.clone()))?;
        registry.register(Box::new(self.available.clone()))?;
        registry.register(Box::new(self.seconds.clone()))?;
        registry.register(Box::new(self.keys.clone()))?;
        registry.register(Box::new(self.evictions.clone()))?;
        registry.register(Box::new(self.overflow_charges.clone()))?;
        registry.register(Box::new(self.carried_units.clone()))?;
        registry.register(Box::new(self.lost_refunds.clone()))?;
        self.begin_at_zero();
        Ok(())
    }

    /// Gives every series with known labels a value: Prometheus does not see the first increase of a series that begins
    /// with it.
    fn begin_at_zero(&self) {
        for outcome in ["within", "refused", "over", "unknown_admitted", "unknown_refused"] {
            self.checks.with_label_values(&[OTHER, outcome]);
        }
        for outcome in ["admitted", "refused", "uncounted", "unknown", "invalid"] {
            self.calls.with_label_values(&[outcome]);
        }
        for by in ["store", "local", "allowed", "denied"] {
            self.answers.with_label_values(&[by]);
        }
        for cause in ["unavailable", "overloaded", "deadline", "connection", "refused", "reply"] {
            self.failures.with_label_values(&[cause]);
        }
        for to in ["available", "unavailable"] {
            self.switches.with_label_values(&[to]);
        }
    }

    /// Records a call of `RateLimitService`.
    pub(crate) fn called(&self, outcome: &str) {
        self.calls.with_label_values(&[outcome]).inc();
    }

    /// Shows this store from now on.
    pub(crate) fn observe(&self, store: LimitStore) {
        // There is one store in a process.
        let _ = self.store.set(store);
    }

    /// Records the result of each limit of a request. `name` gives the name of a charge's limit.
    pub(crate) fn checked<'a>(
        &self,
        charges: &[StoreCharge],
        decision: &StoreDecision,
        name: impl Fn(&StoreCharge) -> &'a str,
    ) {
        if let Some(waited) = decision.store_time() {
            self.seconds.observe(waited.as_secs_f64());
        }
        for (charge, (judge, outcome)) in charges.iter().zip(decision.answers()) {
            let label = match (judge, outcome) {
                (Judge::Allowed, _) => "unknown_admitted",
                (Judge::Denied, _) => "unknown_refused",
                (_, None) => continue,
                (_, Some(outcome)) if outcome.verdict() == Verdict::Admitted => "within",
                (_, Some(outcome)) if outcome.refuses() => "refused",
                (_, Some(_)) => "over",
            };
            self.checks.with_label_values(&[self.names.label(name(charge)), label]).inc();
        }
    }

    /// Takes over the counts of the store.
    pub(super) fn refresh(&self) {
        let Some(store) = self.store.get() else { return };
        let stats = store.stats();
        self.available.set(i64::from(store.health().borrow().state.is_available()));
        self.keys.set(i64::try_from(stats.embedded.keys).unwrap_or(i64::MAX));
        raise(&self.evictions, stats.embedded.evictions);
        raise(&self.overflow_charges, stats.embedded.overflow_charges);
        raise(&self.carried_units, stats.carried_units);
        raise(&self.lost_refunds, stats.lost_refunds);
        let judged = stats.judged;
        for (by, count) in
            [("store", judged.store), ("local", judged.local), ("allowed", judged.allowed), ("denied", judged.denied)]
        {
            raise(&self.answers.with_label_values(&[by]), count);
        }
        for (to, count) in [("available", stats.closes), ("unavailable", stats.opens)] {
            raise(&self.switches.with_label_values(&[to]), count);
        }
        let failures = stats.failures;
        for (cause, count) in [
            ("unavailable", failures.unavailable),
            ("overloaded", failures.overloaded),
            ("deadline", failures.deadline),
            ("connection", failures.connection),
            ("refused", failures.refused),
            ("reply", failures.reply),
        ] {
            raise(&self.failures.with_label_values(&[cause]), count);
        }
    }
}
