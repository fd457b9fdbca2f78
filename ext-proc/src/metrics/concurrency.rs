//! The metrics of concurrency limits. The label `limit` is that of the metrics of rate limits.

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::counters;
use super::limit_names::{LimitNames, OTHER};

/// The metrics of concurrency limits. Clones share the values.
#[derive(Clone, Debug)]
pub(crate) struct ConcurrencyMetrics {
    checks: IntCounterVec,
    in_flight: IntGaugeVec,
    names: LimitNames,
}

impl ConcurrencyMetrics {
    pub(super) fn new(names: LimitNames) -> prometheus::Result<Self> {
        Ok(Self {
            checks: counters(
                "cellgate_concurrency_checks_total",
                "Checks of requests against a concurrency limit: `within` it, `refused`, or `over` a limit that only \
                 measures (`shadow`). A request has one check for each of its limits.",
                &["limit", "outcome"],
            )?,
            in_flight: IntGaugeVec::new(
                Opts::new(
                    "cellgate_concurrency_in_flight",
                    "Requests of all keys that count under a concurrency limit now. `limit` is the name, and `other` \
                 beyond 128 names since the start.",
                ),
                &["limit"],
            )?,
            names,
        })
    }

    pub(super) fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.checks.clone()))?;
        registry.register(Box::new(self.in_flight.clone()))?;
        // Prometheus does not see the first increase of a series that begins with it.
        for outcome in ["within", "refused", "over"] {
            self.checks.with_label_values(&[OTHER, outcome]);
        }
        self.in_flight.with_label_values(&[OTHER]);
        Ok(())
    }

    /// Records the check of a limit.
    pub(crate) fn checked(&self, name: &str, is_over: bool, refuses: bool) {
        let outcome = match (is_over, refuses) {
            (_, true) => "refused",
            (true, false) => "over",
            (false, false) => "within",
        };
        self.checks.with_label_values(&[self.names.label(name), outcome]).inc();
    }

    /// The gauge of a limit's requests in flight.
    pub(crate) fn in_flight(&self, name: &str) -> IntGauge {
        self.in_flight.with_label_values(&[self.names.label(name)])
    }
}
