//! The filter's counters, kept in Envoy's stats.
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

use cellgate_routing::{Decision, Outcome, Reason};

use crate::defer::Mode;
use crate::host::Host;

/// Counters, each defined when it first counts, so that a stat which is there has a reason to be.
#[derive(Debug)]
pub struct Metrics {
    /// By outcome, then reason.
    decisions: Vec<Counter>,
    deferrals: [Counter; Mode::ALL.len()],
    inspected_bytes: Counter,
    guard_conflicts: Counter,
    stripped_headers: Counter,
    abandoned: Counter,
    config_rejected: Counter,
}

/// Envoy's id of a counter, once it has one.
#[derive(Clone, Debug, Default)]
struct Counter(Cell<Option<u32>>);

/// The number of [`Outcome`] labels.
const OUTCOMES: usize = 4;

impl Default for Metrics {
    fn default() -> Self {
        Self {
            decisions: vec![Counter::default(); OUTCOMES * Reason::ALL.len()],
            deferrals: Default::default(),
            inspected_bytes: Counter::default(),
            guard_conflicts: Counter::default(),
            stripped_headers: Counter::default(),
            abandoned: Counter::default(),
            config_rejected: Counter::default(),
        }
    }
}

impl Metrics {
    /// A request was decided. Once per request.
    pub(crate) fn decided<H: Host>(&self, host: &H, decision: Decision) {
        let Decision { outcome, reason } = decision;
        let row = match outcome {
            Outcome::Cell(_) => 0,
            Outcome::Reject(_) => 1,
            Outcome::Defer => 2,
            Outcome::Pass => 3,
        };
        if let Some(counter) = self.decisions.get(row * Reason::ALL.len() + reason as usize) {
            counter.add(host, 1, || format!("cellgate.decisions.{}.{reason}", outcome.label()));
        }
    }

    /// A request was deferred.
    pub(crate) fn deferred<H: Host>(&self, host: &H, mode: Mode) {
        if let Some(counter) = self.deferrals.get(mode as usize) {
            counter.add(host, 1, || format!("cellgate.deferrals.{}", mode.label()));
        }
    }

    /// Body bytes were scanned.
    pub(crate) fn inspected<H: Host>(&self, host: &H, bytes: u64) {
        self.inspected_bytes.add(host, bytes, || "cellgate.inspected_bytes".into());
    }

    /// A released request was ended.
    pub(crate) fn conflicted<H: Host>(&self, host: &H) {
        self.guard_conflicts.add(host, 1, || "cellgate.guard_conflicts".into());
    }

    /// Inbound headers or trailers were removed.
    pub(crate) fn stripped<H: Host>(&self, host: &H, values: u64) {
        self.stripped_headers.add(host, values, || "cellgate.stripped_headers".into());
    }

    /// A request ended undecided.
    pub(crate) fn abandoned<H: Host>(&self, host: &H) {
        self.abandoned.add(host, 1, || "cellgate.abandoned".into());
    }

    /// A configuration was refused.
    pub(crate) fn config_rejected<H: Host>(&self, host: &H) {
        self.config_rejected.add(host, 1, || "cellgate.config_rejected".into());
    }
}

impl Counter {
    /// Adding nothing costs nothing: no hostcall.
    fn add<H: Host>(&self, host: &H, by: u64, name: impl FnOnce() -> String) {
        if by == 0 {
            return;
        }
        let id = self.0.get().unwrap_or_else(|| {
            let id = host.define_counter(&name());
            self.0.set(Some(id));
            id
        });
        host.count(id, by);
    }
}
