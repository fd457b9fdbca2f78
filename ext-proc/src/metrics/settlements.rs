//! The metrics of settlements. The label `limit` is that of the metrics of rate limits.

use prometheus::{IntCounterVec, Registry};

use super::counters;
use super::limit_names::{LimitNames, OTHER};

/// The metrics of settlements. Clones share the values.
#[derive(Clone, Debug)]
pub(crate) struct SettlementMetrics {
    settlements: IntCounterVec,
    carried: IntCounterVec,
    refunded: IntCounterVec,
    names: LimitNames,
}

impl SettlementMetrics {
    pub(super) fn new(names: LimitNames) -> prometheus::Result<Self> {
        Ok(Self {
            settlements: counters(
                "cellgate_settlements_total",
                "Charges of limits with `settle`, by what the response changed: `refunded` or `carried` (less or more \
                 than the estimate), `equal`, `kept` (no usable number, or a failure) or `released` (a failure costs \
                 nothing). Changes that were not made are `lost` (the store did not confirm it) or `dropped` (too \
                 many at a time).",
                &["limit", "outcome"],
            )?,
            carried: counters(
                "cellgate_settlement_carried_units_total",
                "Units by which responses exceeded estimates, also those beyond the burst.",
                &["limit"],
            )?,
            refunded: counters(
                "cellgate_settlement_refunded_units_total",
                "Units by which responses lowered estimates.",
                &["limit"],
            )?,
            names,
        })
    }

    pub(super) fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.settlements.clone()))?;
        registry.register(Box::new(self.carried.clone()))?;
        registry.register(Box::new(self.refunded.clone()))?;
        // Prometheus does not see the first increase of a series that begins with it.
        for outcome in ["refunded", "carried", "equal", "kept", "released", "lost", "dropped"] {
            self.settlements.with_label_values(&[OTHER, outcome]);
        }
        self.carried.with_label_values(&[OTHER]);
        self.refunded.with_label_values(&[OTHER]);
        Ok(())
    }

    /// Records the settlement of a charge.
    pub(crate) fn settled(&self, limit: &str, outcome: &str) {
        self.settlements.with_label_values(&[self.names.label(limit), outcome]).inc();
    }

    /// Records the units by which a charge has changed.
    pub(crate) fn units(&self, limit: &str, carried: u64, refunded: u64) {
        for (counter, units) in [(&self.carried, carried), (&self.refunded, refunded)] {
            if units > 0 {
                counter.with_label_values(&[self.names.label(limit)]).inc_by(units);
            }
        }
    }
}
