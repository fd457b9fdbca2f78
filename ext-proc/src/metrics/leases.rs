//! The metrics of leases. The label `limit` is that of the other metrics of rate limits.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::limit_names::LimitNames;
use super::{buckets, counters, raise};
use crate::sync::{LeaseStats, Leases};

/// The metrics of leases. Clones share the values.
#[derive(Clone, Debug)]
pub(crate) struct LeaseMetrics {
    syncs: IntCounterVec,
    seconds: Histogram,
    sessions: IntGauge,
    keys: IntGauge,
    outstanding: IntGaugeVec,
    granted: IntCounterVec,
    refunded: IntCounterVec,
    lost: IntCounterVec,
    names: LimitNames,
    leases: Arc<OnceLock<Leases>>,
}

impl LeaseMetrics {
    pub(super) fn new(names: LimitNames) -> prometheus::Result<Self> {
        let seconds = HistogramOpts::new(
            "cellgate_sync_seconds",
            "How long a `Sync` call takes, in seconds; at most half a second.",
        );
        let outstanding = Opts::new(
            "cellgate_lease_outstanding_units",
            "Units that filters hold and may spend, by limit: in any span of time, no more than this is admitted \
                 beyond the burst and the rate. After a change of the limits, units of the earlier configuration have \
                 the labels of the new one, or `other`, for at most `--lease-term`.",
        );
        Ok(Self {
            syncs: counters(
                "cellgate_syncs_total",
                "`Sync` calls of filters, one for each session and `--sync-interval`. `open`: as it should be. \
                 `withdrawn`: the filter and the service have different rate limits. `unknown`: the session has ended, the service has \
                 restarted, or the report came late or twice. `full`: no room for a session. `elsewhere`: the session \
                 is with another replica. `stale`: a later report came while it was answered. `invalid`: malformed.",
                &["result"],
            )?,
            seconds: Histogram::with_opts(seconds.buckets(buckets::SYNC.to_vec()))?,
            sessions: IntGauge::new(
                "cellgate_lease_sessions",
                "Sessions with filters: one for each worker of each Envoy that leases units, at most 4,096.",
            )?,
            keys: IntGauge::new(
                "cellgate_lease_keys",
                "Keys of which a filter holds units, of all sessions, at most 131,072. Further keys are not leased.",
            )?,
            outstanding: IntGaugeVec::new(outstanding, &["limit"])?,
            granted: counters(
                "cellgate_lease_granted_units_total",
                "Units that were charged for grants, by limit.",
                &["limit"],
            )?,
            refunded: counters(
                "cellgate_lease_refunded_units_total",
                "Units that filters gave up, and that went back to the store, by limit.",
                &["limit"],
            )?,
            lost: counters(
                "cellgate_lease_lost_units_total",
                "Units that were charged and did not come back. `session`: a session ended without a report of them, \
                 so they were spent, or are lost allowance. `call`: the store did not confirm a refund or a charge.",
                &["cause"],
            )?,
            names,
            leases: Arc::default(),
        })
    }

    pub(super) fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.syncs.clone()))?;
        registry.register(Box::new(self.seconds.clone()))?;
        registry.register(Box::new(self.sessions.clone()))?;
        registry.register(Box::new(self.keys.clone()))?;
        registry.register(Box::new(self.outstanding.clone()))?;
        registry.register(Box::new(self.granted.clone()))?;
        registry.register(Box::new(self.refunded.clone()))?;
        registry.register(Box::new(self.lost.clone()))?;
        self.begin_at_zero();
        Ok(())
    }

    fn begin_at_zero(&self) {
        for result in ["open", "withdrawn", "unknown", "full", "elsewhere", "stale", "invalid"] {
            self.syncs.with_label_values(&[result]);
        }
        for cause in ["session", "call"] {
            self.lost.with_label_values(&[cause]);
        }
        for by_limit in [&self.granted, &self.refunded] {
            by_limit.with_label_values(&["other"]);
        }
        self.outstanding.with_label_values(&["other"]);
    }

    /// Shows these leases from now on.
    pub(crate) fn observe(&self, leases: Leases) {
        // There is one ledger in a process.
        let _ = self.leases.set(leases);
    }

    /// Records a call.
    pub(crate) fn synced(&self, result: &str, took: Duration) {
        self.syncs.with_label_values(&[result]).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// Records units that were charged.
    pub(crate) fn granted(&self, limit: &str, units: u64) {
        self.granted.with_label_values(&[self.names.label(limit)]).inc_by(units);
    }

    /// Records units that went back.
    pub(crate) fn refunded(&self, limit: &str, units: u64) {
        self.refunded.with_label_values(&[self.names.label(limit)]).inc_by(units);
    }

    /// Records units of a call that neither went back nor were granted.
    pub(crate) fn lost(&self, units: u64) {
        self.lost.with_label_values(&["call"]).inc_by(units);
    }

    /// Takes over the counts of the ledger.
    pub(super) fn refresh(&self) {
        let Some(leases) = self.leases.get() else { return };
        let LeaseStats { sessions, keys, outstanding, lost } = leases.stats();
        self.sessions.set(gauge_value(sessions as u64));
        self.keys.set(gauge_value(keys as u64));
        raise(&self.lost.with_label_values(&["session"]), lost);
        let mut by_label = BTreeMap::from([("other", 0)]);
        for (name, units) in &outstanding {
            *by_label.entry(self.names.label(name)).or_default() += units;
        }
        // Limits that the configuration no longer has.
        self.outstanding.reset();
        for (label, units) in by_label {
            self.outstanding.with_label_values(&[label]).set(gauge_value(units));
        }
    }
}

fn gauge_value(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
