//! The filter's counters. Requests count in the VM, at the price of an addition; [`Metrics::flush`] adds the sums to Envoy's
//! stats. The root's timer does that once a second, and whoever drops the counters last does it once more.
//!
//! Each worker has a VM and sums of its own, which Envoy adds up. A VM that traps takes what it has not flushed with it:
//! the counts of at most one second.
//!
//! | stat (`wasmcustom.` in front) | counts |
//! |---|---|
//! | `cellgate.decisions.OUTCOME.REASON` | requests, by outcome (`cell`, `reject`, `defer`, `pass`) and reason |
//! | `cellgate.deferrals.MODE` | deferred requests, by mode (`buffer`, `stream`, `headers`) |
//! | `cellgate.inspected_bytes` | body bytes scanned |
//! | `cellgate.guard_conflicts` | requests ended after their release, because the rest of the body contradicted its start |
//! | `cellgate.stripped_headers` | inbound headers and trailers removed: attempts to choose a cell |
//! | `cellgate.abandoned` | requests that ended undecided: the client left, or Envoy answered 413 or 408 by itself |
//! | `cellgate.config_rejected` | configurations refused |
//!
//! Prometheus shows dots as underscores. Two `stats_tags` in Envoy's bootstrap make labels of the names' last parts:
//! `^wasmcustom\.cellgate\.decisions(\.(\w+))\.\w+$` and `^wasmcustom\.cellgate\.decisions\.\w+(\.(\w+))$`.

use std::cell::Cell;

use cellgate_routing::{BodyMode, Decision, Outcome, Reason};

use crate::host::Host;

/// The counters of a root and of its requests. Each is defined when it is first flushed with a count, so that a stat which
/// is there has a reason to be.
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
}

#[derive(Clone, Debug, Default)]
struct Counter {
    /// What Envoy has not been told yet.
    sum: Cell<u64>,
    /// Envoy's id of it, once it has one.
    id: Cell<Option<u32>>,
}

/// The labels of [`Outcome`], in the order of the rows of `decisions`.
const OUTCOMES: [&str; 4] = ["cell", "reject", "defer", "pass"];

impl<H: Host> Metrics<H> {
    /// Counters that have counted nothing.
    #[must_use]
    pub fn new(host: H) -> Self {
        Self {
            host,
            decisions: vec![Counter::default(); OUTCOMES.len() * Reason::ALL.len()],
            deferrals: Default::default(),
            inspected_bytes: Counter::default(),
            guard_conflicts: Counter::default(),
            stripped_headers: Counter::default(),
            abandoned: Counter::default(),
            config_rejected: Counter::default(),
        }
    }

    /// Adds to Envoy's stats what was counted since the last time.
    pub fn flush(&self) {
        for (row, outcome) in self.decisions.chunks(Reason::ALL.len()).zip(OUTCOMES) {
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

    /// A request ended undecided.
    pub(crate) fn abandoned(&self) {
        self.abandoned.add(1);
    }

    /// A configuration was refused.
    pub(crate) fn config_rejected(&self) {
        self.config_rejected.add(1);
    }
}

/// What is still in the VM when the root and its last request are gone.
impl<H: Host> Drop for Metrics<H> {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Counter {
    fn add(&self, by: u64) {
        self.sum.set(self.sum.get().saturating_add(by));
    }

    /// Adding nothing costs nothing: no hostcall.
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
    fn counting_asks_nothing_of_envoy_until_the_flush() {
        let host = Fake::default();
        let metrics = Metrics::new(host.clone());
        for _ in 0..1000 {
            metrics.decided(Decision { outcome: Outcome::Pass, reason: Reason::PathExcluded });
            metrics.inspected(7);
        }
        assert_eq!(host.world().calls, 0);
        metrics.flush();
        // Each is defined once, and added to once.
        assert_eq!(host.world().calls, 4);
        assert_eq!(host.counter("cellgate.decisions.pass.path_excluded"), 1000);
        assert_eq!(host.counter("cellgate.inspected_bytes"), 7000);
        metrics.flush();
        assert_eq!(host.world().calls, 4, "nothing to tell");
        metrics.inspected(1);
        metrics.flush();
        assert_eq!(host.world().calls, 5);
        assert_eq!(host.counter("cellgate.inspected_bytes"), 7001);
    }

    #[test]
    fn what_was_not_flushed_is_flushed_at_the_end() {
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
