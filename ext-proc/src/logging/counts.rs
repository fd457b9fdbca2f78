//! How many lines were written, and how many were left out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::Level;
use tracing_appender::non_blocking::ErrorCounter;

/// The counts of log lines since the start. Clones share them.
#[derive(Clone, Debug)]
pub struct LineCounts {
    written: Arc<[AtomicU64; 5]>,
    suppressed: Arc<AtomicU64>,
    dropped: ErrorCounter,
}

/// The levels, as labels.
pub(crate) const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

impl LineCounts {
    pub(super) fn new(dropped: ErrorCounter) -> Self {
        Self { written: Arc::default(), suppressed: Arc::default(), dropped }
    }

    pub(super) fn wrote(&self, level: Level) {
        if let Some(count) = self.written.get(index(level)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn suppressed_one(&self) {
        self.suppressed.fetch_add(1, Ordering::Relaxed);
    }

    /// Lines by level, with those that were dropped afterwards.
    pub(crate) fn by_level(&self) -> [(&'static str, u64); 5] {
        let mut counts = LEVELS.map(|level| (level, 0));
        for (count, written) in counts.iter_mut().zip(self.written.iter()) {
            count.1 = written.load(Ordering::Relaxed);
        }
        counts
    }

    /// Lines that were left out, because their event came too often.
    #[must_use]
    pub fn suppressed(&self) -> u64 {
        self.suppressed.load(Ordering::Relaxed)
    }

    /// Lines that were dropped, because stderr was not read fast enough.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.dropped_lines() as u64
    }
}

/// The place of a level in [`LEVELS`].
fn index(level: Level) -> usize {
    match level {
        Level::ERROR => 0,
        Level::WARN => 1,
        Level::INFO => 2,
        Level::DEBUG => 3,
        Level::TRACE => 4,
    }
}
