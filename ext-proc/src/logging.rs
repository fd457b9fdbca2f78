//! Structured logs: one line for each event, as JSON or for a terminal. docs/logs.md describes the events.
//!
//! A thread of its own writes the lines. If the reader of stderr is slow, lines wait in a bounded queue, and those beyond it are
//! dropped and counted. No request waits for a line.

mod catalogue;
mod counts;
mod fields;
pub mod level;
mod line;
mod panics;
mod repeats;

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, reload};

pub use catalogue::{CATALOGUE, LogEvent};
pub(crate) use counts::LEVELS;
pub use counts::LineCounts;
use level::{LevelControl, LogLevel, LogLevelState};
use line::LineLayer;
pub use panics::log_panics;
use repeats::Repeats;

/// The lines that wait for a slow reader, at most. A line has a few hundred bytes, and at most 20 KB.
const QUEUED_LINES: usize = 4096;

/// The event that tells which lines were left out. It comes once for each kind in a [`SUMMARY_INTERVAL`].
const SUMMARY: &str = "lines_suppressed";

/// How often the log tells which lines it has left out.
const SUMMARY_INTERVAL: Duration = Duration::from_secs(10);

/// The format of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line.
    Json,
    /// Text for a terminal.
    Human,
}

/// The log of this process. Clones share it.
#[derive(Clone, Debug)]
pub struct Logging {
    level: Arc<LevelControl>,
    repeats: Arc<Repeats>,
    counts: LineCounts,
}

/// Dropping it writes the lines that wait, which takes at most about a second.
#[derive(Debug)]
#[must_use = "lines are lost when it is dropped"]
pub struct LogWriter(#[allow(dead_code, reason = "it is there to be dropped")] WorkerGuard);

/// Starts to log to stderr, panics too. Only the first call in a process has an effect.
pub fn start(format: Format, level: &LogLevel) -> (Logging, LogWriter) {
    log_panics();
    start_to(io::stderr(), io::stderr().is_terminal(), format, level)
}

/// Starts to log to a writer, in colours if `ansi` is set. Only the first call in a process has an effect.
pub fn start_to(
    writer: impl io::Write + Send + 'static,
    ansi: bool,
    format: Format,
    level: &LogLevel,
) -> (Logging, LogWriter) {
    let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(QUEUED_LINES).thread_name("log");
    let (lines, guard) = builder.finish(writer);
    let counts = LineCounts::new(lines.error_counter());
    let repeats = Arc::<Repeats>::default();
    let layer = LineLayer::new(lines, format, ansi, Arc::clone(&repeats), counts.clone());
    let (filter, handle) = reload::Layer::<_, Registry>::new(level.filter());
    let level = LevelControl::new(level.clone(), move |filter| handle.reload(filter).is_ok());
    // `traces` logs what fails, once. These crates log each failure, and at `debug`, what receivers answer.
    let others = filter_fn(|metadata| !metadata.target().starts_with("opentelemetry"));
    let filter = filter.and(others.with_max_level_hint(LevelFilter::TRACE));
    // It fails if the process has a log.
    let _second = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
    (Logging { level: Arc::new(level), repeats, counts }, LogWriter(guard))
}

impl Logging {
    /// The level in force.
    #[must_use]
    pub fn level(&self) -> LogLevelState {
        self.level.state()
    }

    /// The counts of lines that were written and left out.
    #[must_use]
    pub fn counts(&self) -> &LineCounts {
        &self.counts
    }

    /// Changes the level.
    pub(crate) fn control(&self) -> &LevelControl {
        &self.level
    }

    /// Returns to the level of the start when its time has come, and logs which lines were left out, until the future is
    /// dropped.
    pub(crate) async fn supervise(self) {
        let mut summaries = tokio::time::interval(SUMMARY_INTERVAL);
        summaries.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.level.return_in_time() => {}
                now = summaries.tick() => self.summarise(now),
            }
        }
    }

    fn summarise(&self, now: Instant) {
        for left_out in self.repeats.take_left_out(now) {
            tracing::warn!(
                event = "lines_suppressed",
                of = left_out.event,
                reason = left_out.detail,
                suppressed = left_out.lines,
                "an event came so often that some of its lines were left out"
            );
        }
    }
}
