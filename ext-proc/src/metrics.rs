//! Prometheus metrics. Every label has a small, closed set of values.

mod admin;
mod buckets;
mod cells;
mod concurrency;
mod leases;
mod limit_names;
mod logs;
mod process;
mod rate_limits;
mod runtime;
mod settlements;
mod traces;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cellgate_routing::{Decision, Outcome, Reason};
use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::budget::Budget;
use crate::build;
pub(crate) use admin::AdminMetrics;
pub(crate) use cells::CellMetrics;
pub(crate) use concurrency::ConcurrencyMetrics;
pub(crate) use leases::LeaseMetrics;
use limit_names::LimitNames;
pub(crate) use logs::LogMetrics;
use process::ProcessMetrics;
pub(crate) use rate_limits::RateLimitMetrics;
pub(crate) use runtime::RuntimeMetrics;
pub(crate) use settlements::SettlementMetrics;
pub(crate) use traces::TraceMetrics;

/// Content-Type of [`Metrics::render`].
pub(crate) const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// The number of variants of [`Outcome`].
const OUTCOMES: usize = 4;

/// All metrics. Clones share the values.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    decisions: IntCounterVec,
    /// The counters of `decisions` that were used, so that each label set is looked up once.
    decision_counters: Arc<[OnceLock<IntCounter>]>,
    cells: CellMetrics,
    conflicts: IntCounterVec,
    violations: IntCounter,
    decision_seconds: Histogram,
    inspected_bytes: IntCounter,
    held_bytes: IntGauge,
    budget_waiting: IntGauge,
    budget_wait_seconds: Histogram,
    streams: IntGauge,
    reloads: IntCounterVec,
    config: IntGaugeVec,
    handshakes: IntCounterVec,
    tls_reloads: IntCounterVec,
    /// Without TLS, it has no values.
    certificate_start: IntGaugeVec,
    certificate_expiry: IntGaugeVec,
    admin: AdminMetrics,
    rate_limits: RateLimitMetrics,
    concurrency: ConcurrencyMetrics,
    leases: LeaseMetrics,
    logs: LogMetrics,
    settlements: SettlementMetrics,
    traces: TraceMetrics,
    runtime: RuntimeMetrics,
    process: ProcessMetrics,
}

/// Counts an open stream. Dropping it closes the stream.
#[derive(Debug)]
pub struct OpenStream(IntGauge);

impl Metrics {
    /// Creates all metrics in a new registry.
    ///
    /// # Errors
    /// A metric's name is malformed or registered twice. Neither happens in practice.
    pub fn new() -> prometheus::Result<Self> {
        let seconds = HistogramOpts::new(
            "cellgate_decision_seconds",
            "Time from a request's first message to its decision, including the waits for its body and for the \
                 byte budget.",
        );
        let wait_seconds = HistogramOpts::new(
            "cellgate_budget_wait_seconds",
            "How long each wait for the byte budget lasted, in seconds, whether it ended with the bytes or \
                 without; a wait counts when it has ended.",
        );
        let names = LimitNames::default();
        let metrics = Self {
            registry: Registry::new(),
            decision_counters: std::iter::repeat_with(OnceLock::new).take(OUTCOMES * Reason::ALL.len()).collect(),
            decisions: counters(
                "cellgate_decisions_total",
                "Requests decided; `tier` is `service`.",
                &["tier", "outcome", "reason"],
            )?,
            cells: CellMetrics::new()?,
            conflicts: counters(
                "cellgate_conflicts_total",
                "Requests aborted after their decision was sent, because the rest of the body conflicted with it.",
                &["reason"],
            )?,
            violations: IntCounter::new(
                "cellgate_protocol_errors_total",
                "Streams closed with an error because of Envoy: its configuration, messages that it sent, did not \
                 send or did not read.",
            )?,
            decision_seconds: Histogram::with_opts(seconds.buckets(buckets::DECISION.to_vec()))?,
            inspected_bytes: IntCounter::new("cellgate_inspected_bytes_total", "Body bytes scanned.")?,
            held_bytes: IntGauge::new(
                "cellgate_held_bytes",
                "The part of the byte budget that is in use, in bytes: body buffers, messages that are still arriving \
                 and decoders; at most `--max-held-bytes`.",
            )?,
            budget_waiting: IntGauge::new(
                "cellgate_budget_waiting_streams",
                "Streams that wait now, because their next bytes do not fit into `--max-held-bytes`.",
            )?,
            budget_wait_seconds: Histogram::with_opts(wait_seconds.buckets(buckets::BUDGET_WAIT.to_vec()))?,
            streams: IntGauge::new("cellgate_streams_open", "Open ext_proc streams.")?,
            reloads: counters(
                "cellgate_config_reloads_total",
                "Changes of the configuration file: `ok` or `refused`.",
                &["result"],
            )?,
            config: IntGaugeVec::new(
                Opts::new("cellgate_config_info", "1, with the version of the current configuration."),
                &["version"],
            )?,
            handshakes: counters(
                "cellgate_tls_handshakes_total",
                "TLS handshakes: `ok`, or the reason of the refusal.",
                &["result"],
            )?,
            tls_reloads: counters(
                "cellgate_tls_reloads_total",
                "Changes of the TLS files: `ok` or `refused`.",
                &["result"],
            )?,
            certificate_start: gauge(
                "cellgate_tls_certificate_start_timestamp_seconds",
                "With TLS only: Unix time from which the service's certificate is valid.",
            )?,
            certificate_expiry: gauge(
                "cellgate_tls_certificate_expiry_timestamp_seconds",
                "With TLS only: Unix time at which the service's certificate expires.",
            )?,
            admin: AdminMetrics::new()?,
            concurrency: ConcurrencyMetrics::new(names.clone())?,
            leases: LeaseMetrics::new(names.clone())?,
            logs: LogMetrics::new()?,
            settlements: SettlementMetrics::new(names.clone())?,
            rate_limits: RateLimitMetrics::new(names)?,
            traces: TraceMetrics::new()?,
            runtime: RuntimeMetrics::new()?,
            process: ProcessMetrics::new()?,
        };
        metrics.register()?;
        Ok(metrics)
    }

    /// Counts an open stream until the value is dropped.
    #[must_use]
    pub fn stream(&self) -> OpenStream {
        self.streams.inc();
        OpenStream(self.streams.clone())
    }

    /// The number of open streams.
    #[must_use]
    pub fn open_streams(&self) -> i64 {
        self.streams.get()
    }

    /// Records a decision, and the time since the request's first message.
    pub fn decided(&self, decision: Decision, after: Duration) {
        let counter = || {
            let labels = ["service", decision.outcome.label(), decision.reason.label()];
            self.decisions.with_label_values(&labels)
        };
        match self.decision_counters.get(counter_index(decision)) {
            Some(known) => known.get_or_init(counter).inc(),
            None => counter().inc(),
        }
        self.decision_seconds.observe(after.as_secs_f64());
    }

    /// Records a rejection after the decision.
    pub fn conflict(&self, decision: Decision) {
        self.conflicts.with_label_values(&[decision.reason.label()]).inc();
    }

    /// Records a stream that ended with an error status.
    pub fn violation(&self) {
        self.violations.inc();
    }

    /// Adds scanned body bytes.
    pub fn inspected(&self, bytes: u64) {
        self.inspected_bytes.inc_by(bytes);
    }

    /// Observes the seconds of each wait for the byte budget.
    pub(crate) fn budget_wait_seconds(&self) -> Histogram {
        self.budget_wait_seconds.clone()
    }

    /// Sets the version of the configuration in force.
    pub fn config_in_force(&self, version: &str) {
        self.config.reset();
        self.config.with_label_values(&[version]).set(1);
    }

    /// Records a change of the configuration file.
    pub fn reloaded(&self, ok: bool) {
        self.reloads.with_label_values(&[if ok { "ok" } else { "refused" }]).inc();
    }

    /// Records a TLS handshake: `ok`, or a label of [`RefusalReason`](crate::RefusalReason).
    pub fn handshake(&self, result: &'static str) {
        self.handshakes.with_label_values(&[result]).inc();
    }

    /// Records a change of the TLS files.
    pub fn tls_reloaded(&self, ok: bool) {
        self.tls_reloads.with_label_values(&[if ok { "ok" } else { "refused" }]).inc();
    }

    /// Sets the validity of the certificate in force, as Unix time.
    pub fn certificate_in_force(&self, start: u64, expiry: u64) {
        let set = |gauge: &IntGaugeVec, time: u64| {
            gauge.with_label_values::<&str>(&[]).set(i64::try_from(time).unwrap_or(i64::MAX));
        };
        set(&self.certificate_start, start);
        set(&self.certificate_expiry, expiry);
    }

    /// The decisions by cell.
    pub(crate) fn cells(&self) -> &CellMetrics {
        &self.cells
    }

    /// The number of decisions for each outcome and reason that there was.
    pub(crate) fn decisions_by_reason(&self) -> Vec<(&'static str, &'static str, u64)> {
        let counts = self.decision_counters.iter().enumerate().filter_map(|(index, counter)| {
            let (reason, outcome) = (Reason::ALL.get(index / OUTCOMES)?, Outcome::LABELS.get(index % OUTCOMES)?);
            Some((*outcome, reason.label(), counter.get()?.get()))
        });
        counts.collect()
    }

    /// Records an answer of the admin port.
    pub fn answered_admin(&self, route: &str, status: u16) {
        self.admin.answered(route, status);
    }

    /// The metrics of the admin port.
    pub(crate) fn admin(&self) -> &AdminMetrics {
        &self.admin
    }

    /// The metrics of rate limits.
    pub(crate) fn rate_limits(&self) -> &RateLimitMetrics {
        &self.rate_limits
    }

    /// The metrics of concurrency limits.
    pub(crate) fn concurrency(&self) -> &ConcurrencyMetrics {
        &self.concurrency
    }

    /// The metrics of leases.
    pub(crate) fn leases(&self) -> &LeaseMetrics {
        &self.leases
    }

    /// The metrics of log lines.
    pub(crate) fn logs(&self) -> &LogMetrics {
        &self.logs
    }

    /// The metrics of settlements.
    pub(crate) fn settlements(&self) -> &SettlementMetrics {
        &self.settlements
    }

    /// The metrics of traces.
    pub(crate) fn traces(&self) -> &TraceMetrics {
        &self.traces
    }

    /// The metrics of tokio's runtimes.
    pub(crate) fn runtime(&self) -> &RuntimeMetrics {
        &self.runtime
    }

    /// The metrics in Prometheus' text format.
    ///
    /// # Errors
    /// A metric has no values. That does not happen in practice.
    pub fn render(&self, budget: &Budget) -> prometheus::Result<Vec<u8>> {
        self.held_bytes.set(i64::try_from(budget.used()).unwrap_or(i64::MAX));
        self.rate_limits.refresh();
        self.leases.refresh();
        self.runtime.refresh();
        self.process.refresh();
        self.logs.refresh();
        self.budget_waiting.set(i64::try_from(budget.waiting()).unwrap_or(i64::MAX));
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }

    fn register(&self) -> prometheus::Result<()> {
        let build = IntGaugeVec::new(
            Opts::new("cellgate_build_info", "1, with the version and build of the program."),
            &["version", "build"],
        )?;
        build.with_label_values(&[build::VERSION, build::BUILD]).set(1);
        self.registry.register(Box::new(build))?;
        self.registry.register(Box::new(self.decisions.clone()))?;
        self.cells.register(&self.registry)?;
        self.registry.register(Box::new(self.conflicts.clone()))?;
        self.registry.register(Box::new(self.violations.clone()))?;
        self.registry.register(Box::new(self.decision_seconds.clone()))?;
        self.registry.register(Box::new(self.inspected_bytes.clone()))?;
        self.registry.register(Box::new(self.held_bytes.clone()))?;
        self.registry.register(Box::new(self.budget_waiting.clone()))?;
        self.registry.register(Box::new(self.budget_wait_seconds.clone()))?;
        self.registry.register(Box::new(self.streams.clone()))?;
        self.registry.register(Box::new(self.reloads.clone()))?;
        self.registry.register(Box::new(self.config.clone()))?;
        self.registry.register(Box::new(self.handshakes.clone()))?;
        self.registry.register(Box::new(self.tls_reloads.clone()))?;
        self.registry.register(Box::new(self.certificate_start.clone()))?;
        self.registry.register(Box::new(self.certificate_expiry.clone()))?;
        self.admin.register(&self.registry)?;
        self.concurrency.register(&self.registry)?;
        self.settlements.register(&self.registry)?;
        self.rate_limits.register(&self.registry)?;
        self.leases.register(&self.registry)?;
        self.traces.register(&self.registry)?;
        self.runtime.register(&self.registry)?;
        self.process.register(&self.registry)?;
        self.logs.register(&self.registry)
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The index of the counter for an outcome and reason.
fn counter_index(decision: Decision) -> usize {
    let outcome = match decision.outcome {
        Outcome::Cell(_) => 0,
        Outcome::Reject(_) => 1,
        Outcome::Defer => 2,
        Outcome::Pass => 3,
    };
    decision.reason as usize * OUTCOMES + outcome
}

/// A gauge that has no value until it is set.
fn gauge(name: &str, help: &str) -> prometheus::Result<IntGaugeVec> {
    IntGaugeVec::new(Opts::new(name, help), &[])
}

fn counters(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
    IntCounterVec::new(Opts::new(name, help), labels)
}

/// Raises a counter to a count that is kept elsewhere. Two readers at once may raise it twice by a small difference, which
/// the next count makes up for.
fn raise(counter: &IntCounter, count: u64) {
    counter.inc_by(count.saturating_sub(counter.get()));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use cellgate_routing::CellId;

    use super::*;

    #[test]
    fn every_outcome_and_reason_has_a_counter_of_its_own() {
        let metrics = Metrics::new().unwrap();
        let outcomes = [Outcome::Cell(CellId(0)), Outcome::Reject(400), Outcome::Defer, Outcome::Pass];
        let mut places = BTreeSet::new();
        for reason in Reason::ALL {
            for outcome in outcomes {
                let decision = Decision { outcome, reason: *reason };
                assert!(
                    places.insert(counter_index(decision)) && counter_index(decision) < metrics.decision_counters.len()
                );
                metrics.decided(decision, Duration::ZERO);
                metrics.decided(decision, Duration::ZERO);
            }
        }
        let text = String::from_utf8(metrics.render(&Budget::new(0)).unwrap()).unwrap();
        let counted = text.lines().filter(|line| line.starts_with("cellgate_decisions_total{")).collect::<Vec<_>>();
        assert_eq!(counted.len(), places.len());
        assert!(counted.iter().all(|line| line.ends_with(" 2")), "{counted:?}");
    }
}
