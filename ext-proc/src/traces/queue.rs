//! The bound of finished spans that are not exported yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchSpanProcessor, Span, SpanData, SpanProcessor};

use crate::metrics::TraceMetrics;

/// The most spans that wait or are on their way, about 2 KB each. Further ones are dropped.
pub(super) const MAX_QUEUED: usize = 4096;

/// Counts the spans that are not exported yet, and what became of the others. Clones share the counts.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    spans: Arc<AtomicUsize>,
    metrics: TraceMetrics,
}

/// Passes spans to the batches of OpenTelemetry, which count no drops that others could see.
#[derive(Debug)]
pub(super) struct BoundedProcessor {
    batches: BatchSpanProcessor,
    pending: Pending,
}

impl Pending {
    pub(super) fn new(metrics: TraceMetrics) -> Self {
        Self { spans: Arc::default(), metrics }
    }

    /// The receiver has accepted so many spans of a batch. The others are lost.
    pub(super) fn exported(&self, accepted: usize, failed: usize) {
        self.spans.fetch_sub(accepted + failed, Ordering::Relaxed);
        self.metrics.exported(accepted);
        self.metrics.failed(failed);
    }

    /// No more spans are exported. Returns how many are left.
    pub(super) fn abandon(&self) -> usize {
        let left = self.spans.load(Ordering::Relaxed);
        self.metrics.dropped(left);
        left
    }

    /// Whether there is room for another span.
    fn admit(&self) -> bool {
        let admitted = self.spans.fetch_add(1, Ordering::Relaxed) < MAX_QUEUED;
        if !admitted {
            self.spans.fetch_sub(1, Ordering::Relaxed);
            self.metrics.dropped(1);
        }
        admitted
    }
}

impl BoundedProcessor {
    pub(super) fn new(batches: BatchSpanProcessor, pending: Pending) -> Self {
        Self { batches, pending }
    }
}

impl SpanProcessor for BoundedProcessor {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if self.pending.admit() {
            self.batches.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}
