//! The filter's counters. A request adds to sums in the VM, without a hostcall. [`Metrics::flush`] adds the sums to Envoy's
//! stats: once a second by the root's timer, and once more when the counters are dropped.
//!
//! Each worker has its own VM and sums, which Envoy adds up. A VM that traps loses the sums that it has not flushed:
//! the counts of at most one second.
//!
//! | stat (`wasmcustom.` in front) | counts |
//! |---|---|
//! | `cellgate.decisions.OUTCOME.REASON` | requests |
//! | `cellgate.deferrals.MODE` | deferred requests, by body mode (`buffer`, `stream`, `headers`) |
//! | `cellgate.inspected_bytes` | body bytes scanned |
//! | `cellgate.guard_conflicts` | requests aborted after their release, because the rest of the body conflicted with its beginning |
//! | `cellgate.stripped_headers` | routing headers and trailers of clients that were removed |
//! | `cellgate.abandoned` | requests that ended without a decision: the client left, or Envoy answered 413 or 408 itself |
//! | `cellgate.config_rejected` | configurations that a running filter refused; Envoy's `extension_config_discovery.*.update_rejected` also counts refusals at a start and repeated ones |
//! | `cellgate.leases.spent` | requests that were admitted with leased units, without the service |
//! | `cellgate.leases.missed` | requests under leased limits that went to the service, because units were lacking |
//! | `cellgate.syncs` | calls that report leases to the service and that Envoy has begun. If Envoy has no such cluster, it does not rise |
//! | `cellgate.syncs_withdrawn` | answers that took leased units back: the service has other rate limits |
//! | `cellgate.sync_failures` | calls that Envoy could not begin, or that had no usable answer |
//!
//! Prometheus shows dots as underscores. Two `stats_tags` in Envoy's bootstrap turn the names' last parts into labels:
//! `^wasmcustom\.cellgate\.decisions(\.(\w+))\.\w+$` and `^wasmcustom\.cellgate\.decisions\.\w+(\.(\w+))$`.

use std::cell::Cell;

use cellgate_routing::{BodyMode, Decision, Outcome, Reason};

use crate::host::Host;

/// The counters of a root and of its requests. Each is defined at its first flush with a count, so that Envoy shows no
/// counter that is always 0.
#[derive(Debug)]
pub struct Metrics<H: Host> {
    host: H,
    /// By outcome, then reason.
    decisions: Vec<Counter>,
    deferrals: [Counter; BodyMode::ALL.len()],
    inspected_bytes: Counter,
    guard_conflicts: Counter,
    stripped_headers: Counter,
    abandoned: Counter,
    config_rejected: Counter,
    leases_spent: Counter,
    leases_missed: Counter,
    syncs: Counter,
    syncs_withdrawn: Counter,
    sync_failures: Counter,
}

#[derive(Clone, Debug, Default)]
struct Counter {
    /// The count since the last flush.
    sum: Cell<u64>,
    /// Envoy's id of the counter, once defined.
    id: Cell<Option<u32>>,
}

impl<H: Host> Metrics<H> {
    /// Counters that have counted nothing.
    #[must_use]
    pub fn new(host: H) -> Self {
        Self {
            host,
            decisions: vec![Counter::default(); Outcome::LABELS.len() * Reason::ALL.len()],
            deferrals: Default::default(),
            inspected_bytes: Counter::default(),
            guard_conflicts: Counter::default(),
            stripped_headers: Counter::default(),
            abandoned: Counter::default(),
            config_rejected: Counter::default(),
            leases_spent: Counter::default(),
            leases_missed: Counter::default(),
            syncs: Counter::default(),
            syncs_withdrawn: Counter::default(),
            sync_failures: Counter::default(),
        }
    }

    /// Adds the counts since the last flush to Envoy's stats.
    pub fn flush(&self) {
        for (row, outcome) in self.decisions.chunks(Reason::ALL.len()).zip(Outcome::LABELS) {
            for (counter, reason) in row.iter().zip(Reason::ALL) {
                counter.flush(&self.host, || format!("cellgate.decisions.{outcome}.{reason}"));
            }
        }
        for (counter, mode) in self.deferrals.iter().zip(BodyMode::ALL) {
            counter.flush(&self.host, || format!("cellgate.deferrals.{}", mode.label()));
        }
        self.inspected_bytes.flush(&self.host, || "cellgate.inspected_bytes".into());
        self.guard_conflicts.flush(&self.host, || "cellgate.guard_conflicts".into());
        self.stripped_headers.flush(&self.host, || "cellgate.stripped_headers".into());
        self.abandoned.flush(&self.host, || "cellgate.abandoned".into());
        self.config_rejected.flush(&self.host, || "cellgate.config_rejected".into());
        self.leases_spent.flush(&self.host, || "cellgate.leases.spent".into());
        self.leases_missed.flush(&self.host, || "cellgate.leases.missed".into());
        self.syncs.flush(&self.host, || "cellgate.syncs".into());
        self.syncs_withdrawn.flush(&self.host, || "cellgate.syncs_withdrawn".into());
        self.sync_failures.flush(&self.host, || "cellgate.sync_failures".into());
    }

    /// A request was decided. Once per request.
    pub(crate) fn decided(&self, decision: Decision) {
        let Decision { outcome, reason } = decision;
        let row = match outcome {
            Outcome::Cell(_) => 0,
            Outcome::Reject(_) => 1,
            Outcome::Defer => 2,
            Outcome::Pass => 3,
        };
        if let Some(counter) = self.decisions.get(row * Reason::ALL.len() + reason as usize) {
            counter.add(1);
        }
    }

    /// A request was deferred.
    pub(crate) fn deferred(&self, mode: BodyMode) {
        if let Some(counter) = self.deferrals.get(mode as usize) {
            counter.add(1);
        }
    }

    /// Body bytes were scanned.
    pub(crate) fn inspected(&self, bytes: u64) {
        self.inspected_bytes.add(bytes);
    }

    /// A released request was ended.
    pub(crate) fn conflicted(&self) {
        self.guard_conflicts.add(1);
    }

    /// Inbound headers or trailers were removed.
    pub(crate) fn stripped(&self, values: u64) {
        self.stripped_headers.add(values);
    }

    /// A request under leased limits has its units, or lacks them.
    pub(crate) fn leased(&self, is_spent: bool) {
        if is_spent { &self.leases_spent } else { &self.leases_missed }.add(1);
    }

    /// Envoy makes a call for leases.
    pub(crate) fn synced(&self) {
        self.syncs.add(1);
    }

    /// The service has other rate limits.
    pub(crate) fn sync_withdrawn(&self) {
        self.syncs_withdrawn.add(1);
    }

    /// A call for leases could not be made, or has failed.
    pub(crate) fn sync_failed(&self) {
        self.sync_failures.add(1);
    }

    /// A request ended undecided.
    pub(crate) fn abandoned(&self) {
        self.abandoned.add(1);
    }

    /// A configuration was refused.
    pub(crate) fn config_rejected(&self) {
        self.config_rejected.add(1);
    }
}

/// Flushes the last counts, after the root and its last request.
impl<H: Host> Drop for Metrics<H> {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Counter {
    fn add(&self, by: u64) {
        self.sum.set(self.sum.get().saturating_add(by));
    }

    /// Without a count there is no hostcall.
    fn flush<H: Host>(&self, host: &H, name: impl FnOnce() -> String) {
        let sum = self.sum.take();
        if sum == 0 {
            return;
        }
        let id = self.id.get().unwrap_or_else(|| {
            let id = host.define_counter(&name());
            self.id.set(Some(id));
            id
        });
        host.count(id, sum);
    }
}

#[cfg(test)]
mod tests {
    use cellgate_routing::CellId;

    use super::*;
    use crate::fake::Fake;

    #[test]
    fn only_a_flush_makes_hostcalls() {
        let host = Fake::default();
        let metrics = Metrics::new(host.clone());
        for _ in 0..1000 {
            metrics.decided(Decision { outcome: Outcome::Pass, reason: Reason::PathExcluded });
            metrics.inspected(7);
        }
        assert_eq!(host.world().calls, 0);
        metrics.flush();
        // Two counters: each is defined once, and added to once.
        assert_eq!(host.world().calls, 4);
        assert_eq!(host.counter("cellgate.decisions.pass.path_excluded"), 1000);
        assert_eq!(host.counter("cellgate.inspected_bytes"), 7000);
        metrics.flush();
        assert_eq!(host.world().calls, 4, "nothing was counted");
        metrics.inspected(1);
        metrics.flush();
        assert_eq!(host.world().calls, 5);
        assert_eq!(host.counter("cellgate.inspected_bytes"), 7001);
    }

    #[test]
    fn the_last_counts_are_flushed_on_drop() {
        let host = Fake::default();
        let metrics = Metrics::new(host.clone());
        metrics.abandoned();
        drop(metrics);
        assert_eq!(host.counter("cellgate.abandoned"), 1);
    }

    #[test]
    fn every_outcome_and_reason_has_a_counter_of_its_name() {
        let host = Fake::default();
        let metrics = Metrics::new(host.clone());
        let outcomes = [Outcome::Cell(CellId(0)), Outcome::Reject(400), Outcome::Defer, Outcome::Pass];
        for outcome in outcomes {
            for &reason in Reason::ALL {
                metrics.decided(Decision { outcome, reason });
            }
        }
        metrics.flush();
        for outcome in outcomes {
            for reason in Reason::ALL {
                assert_eq!(host.counter(&format!("cellgate.decisions.{}.{reason}", outcome.label())), 1);
            }
        }
    }
}
