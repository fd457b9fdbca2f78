//! The metrics of log lines.

use std::sync::{Arc, OnceLock};

use prometheus::{IntCounter, IntCounterVec, Registry};

use super::{counters, raise};
use crate::logging::{LEVELS, Logging};

/// The metrics of log lines. Clones share the values.
#[derive(Clone, Debug)]
pub(crate) struct LogMetrics {
    lines: IntCounterVec,
    suppressed: IntCounter,
    dropped: IntCounter,
    logging: Arc<OnceLock<Logging>>,
}

impl LogMetrics {
    pub(super) fn new() -> prometheus::Result<Self> {
        let lines = counters(
            "cellgate_log_lines_total",
            "Log lines by level, also those that were dropped afterwards.",
            &["level"],
        )?;
        for level in LEVELS {
            lines.with_label_values(&[level]).inc_by(0);
        }
        Ok(Self {
            lines,
            suppressed: IntCounter::new(
                "cellgate_log_lines_suppressed_total",
                "Log lines that were left out, because their event came too often (logs.md).",
            )?,
            dropped: IntCounter::new(
                "cellgate_log_lines_dropped_total",
                "Log lines that were dropped, because nobody read stderr fast enough (logs.md).",
            )?,
            logging: Arc::default(),
        })
    }

    pub(super) fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.lines.clone()))?;
        registry.register(Box::new(self.suppressed.clone()))?;
        registry.register(Box::new(self.dropped.clone()))
    }

    /// Shows the log of this process.
    pub(crate) fn observe(&self, logging: Logging) {
        // There is one log in a process.
        let _ = self.logging.set(logging);
    }

    pub(super) fn refresh(&self) {
        let Some(logging) = self.logging.get() else { return };
        let counts = logging.counts();
        for (level, lines) in counts.by_level() {
            raise(&self.lines.with_label_values(&[level]), lines);
        }
        raise(&self.suppressed, counts.suppressed());
        raise(&self.dropped, counts.dropped());
    }
}
