//! Metrics of exported traces.

use prometheus::{IntCounterVec, Registry};

use super::counters;

/// The ends of finished spans. Clones share the values.
#[derive(Clone, Debug)]
pub(crate) struct TraceMetrics {
    spans: IntCounterVec,
}

impl TraceMetrics {
    pub(super) fn new() -> prometheus::Result<Self> {
        let spans = counters(
            "cellgate_trace_spans_total",
            "Finished spans of traces: `exported`, `failed` (the OTLP receiver rejected them or did not answer) or \
                 `dropped` (the queue was full, or the service ended before they were sent).",
            &["result"],
        )?;
        // An alert on the first failure needs the value before it.
        for result in ["exported", "dropped", "failed"] {
            spans.with_label_values(&[result]);
        }
        Ok(Self { spans })
    }

    pub(super) fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.spans.clone()))
    }

    /// The receiver has accepted these spans.
    pub(crate) fn exported(&self, spans: usize) {
        self.add("exported", spans);
    }

    /// These spans were never sent.
    pub(crate) fn dropped(&self, spans: usize) {
        self.add("dropped", spans);
    }

    /// The receiver rejected these spans, or did not answer.
    pub(crate) fn failed(&self, spans: usize) {
        self.add("failed", spans);
    }

    fn add(&self, result: &str, spans: usize) {
        self.spans.with_label_values(&[result]).inc_by(spans as u64);
    }
}
