//! Notes on an export: facts that the exporter of `opentelemetry-otlp` knows, and that its result does not have.
//!
//! The crate tells of rejected spans in its log alone, so each export runs with a subscriber that takes that event and nothing
//! else. The log of this process has none of the crate's events, see `logging`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// The target of the crate's events.
const TARGET: &str = "opentelemetry-otlp";

/// The field that makes an event the one of rejected spans.
const REJECTED: &str = "rejected_spans";

/// Keeps the notes on one export at a time. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct ExportNotes(Arc<Mutex<Noted>>);

/// The notes on one export.
#[derive(Debug, Default)]
pub(super) struct Noted {
    /// How many spans the receiver has rejected (OTLP's partial success).
    pub rejected: usize,
    /// Whether it says more: why, or a warning without rejected spans. Its text may repeat a part of the request, so it is not kept.
    pub has_text: bool,
    /// Why the last attempt over HTTP has no answer, which the crate calls "network error".
    pub no_answer: Option<String>,
}

/// Takes the event of rejected spans.
#[derive(Debug)]
pub(super) struct PartialSuccess(pub ExportNotes);

impl ExportNotes {
    /// The notes since the last call.
    pub(super) fn take(&self) -> Noted {
        std::mem::take(&mut self.lock())
    }

    /// An attempt over HTTP begins or has an answer, or has none for this reason.
    pub(super) fn attempted(&self, no_answer: Option<String>) {
        self.lock().no_answer = no_answer;
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Visit for Noted {
    fn record_i64(&mut self, field: &Field, value: i64) {
        if field.name() == REJECTED {
            self.rejected = usize::try_from(value).unwrap_or_default();
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "error_message" {
            self.has_text = !value.is_empty();
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl Subscriber for PartialSuccess {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target() == TARGET && metadata.fields().field(REJECTED).is_some()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut *self.0.lock());
    }

    // No span is enabled.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
