//! The log level, and its change for a time.

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Directive;

use crate::timestamp;

/// The longest list of directives, in bytes.
const MAX_TEXT: usize = 1000;

/// Who changes the level is logged at any level, also at `off`. This is the target of those lines.
const ALWAYS: &str = "cellgate_ext_proc::logging::level=info";

/// The longest time for which a level may be changed.
pub const MAX_TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The time for which a level is changed, if no other is given.
pub const DEFAULT_TIME: Duration = Duration::from_secs(15 * 60);

/// A log level, or a list of directives such as `info,cellgate_ext_proc=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLevel(String);

/// A text that is no log level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadLogLevel(String);

/// `GET /log-level` on the admin port: the level in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLevelState {
    /// The level in force.
    pub level: String,
    /// The level of the start (`--log-level`).
    pub start_level: String,
    /// When the level of the start comes back (UTC, RFC 3339). `None` if it is in force.
    pub returns_at: Option<String>,
    /// The seconds until then.
    pub returns_in_seconds: Option<u64>,
}

/// Changes the level of the process.
pub(crate) struct LevelControl {
    apply: Box<dyn Fn(EnvFilter) -> bool + Send + Sync>,
    start: LogLevel,
    now: Mutex<InForce>,
    changed: Notify,
}

#[derive(Clone, Debug)]
struct InForce {
    level: LogLevel,
    returns_at: Option<Instant>,
}

impl FromStr for LogLevel {
    type Err = BadLogLevel;

    fn from_str(text: &str) -> Result<Self, BadLogLevel> {
        if text.len() > MAX_TEXT {
            return Err(BadLogLevel(format!(
                "a log level has at most {MAX_TEXT} bytes, and this one has {}",
                text.len()
            )));
        }
        // A directive for a span or a field is more specific than `ALWAYS`, so it would win.
        if text.contains('[') {
            return Err(BadLogLevel(
                "a log level has no `[`: a directive for a span or a field could hide who changed the level; use levels and \
                 targets, such as `info,cellgate_ext_proc=debug`"
                    .to_owned(),
            ));
        }
        // `EnvFilter` takes a single word that is not a level for a target: it would log that target only.
        for word in text.split(',').map(str::trim).filter(|word| !word.contains('=')) {
            LevelFilter::from_str(word)
                .ok()
                .filter(|_| word.bytes().all(|byte| byte.is_ascii_alphabetic()) && !word.is_empty())
                .ok_or_else(|| {
                    BadLogLevel(format!(
                        "`{}` is not a log level: use error, warn, info, debug, trace or off",
                        word.escape_debug()
                    ))
                })?;
        }
        match filter(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(BadLogLevel(format!(
                "{error}; use a level, or a list such as `info,cellgate_ext_proc=debug` with the levels error, warn, info, \
                 debug, trace and off"
            ))),
        }
    }
}

impl LogLevel {
    /// The filter of log lines.
    pub(super) fn filter(&self) -> EnvFilter {
        let filter = filter(&self.0).unwrap_or_else(|_| EnvFilter::new("info"));
        match ALWAYS.parse::<Directive>() {
            Ok(always) => filter.add_directive(always),
            Err(_) => filter,
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Without regular expressions: the admin port takes a level too.
fn filter(text: &str) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    EnvFilter::builder().with_regex(false).parse(text)
}

impl LevelControl {
    /// `apply` makes a filter that of the process, and returns whether it could.
    pub(super) fn new(start: LogLevel, apply: impl Fn(EnvFilter) -> bool + Send + Sync + 'static) -> Self {
        let now = Mutex::new(InForce { level: start.clone(), returns_at: None });
        Self { apply: Box::new(apply), start, now, changed: Notify::new() }
    }

    /// The level in force.
    pub(crate) fn state(&self) -> LogLevelState {
        let InForce { level, returns_at } = self.lock().clone();
        let left = returns_at.map(|at| at.saturating_duration_since(Instant::now()));
        LogLevelState {
            level: level.0,
            start_level: self.start.0.clone(),
            returns_at: left.map(timestamp::after),
            returns_in_seconds: left.map(|left| left.as_secs()),
        }
    }

    /// Puts a level in force for a time of at most [`MAX_TIME`]. `client` is who asked for it.
    pub(crate) fn change(&self, level: LogLevel, time: Duration, client: &impl fmt::Display) {
        let mut now = self.lock();
        let before = now.level.clone();
        let is_start = level == self.start;
        let returns_at = (!is_start).then(|| Instant::now() + time.min(MAX_TIME));
        (self.apply)(level.filter());
        let seconds = returns_at.is_some().then(|| time.min(MAX_TIME).as_secs());
        tracing::info!(event = "log_level_changed", %client, before = %before, log_level = %level, seconds, "log level changed");
        *now = InForce { level, returns_at };
        drop(now);
        self.changed.notify_one();
    }

    /// Puts the level of the start in force. `client` is who asked for it.
    pub(crate) fn reset(&self, client: &impl fmt::Display) {
        self.change(self.start.clone(), Duration::ZERO, client);
    }

    /// Waits until the level of the start must come back, puts it in force and returns. Returns early if the level is changed
    /// meanwhile. Cancel safe.
    pub(super) async fn return_in_time(&self) {
        let returns_at = self.lock().returns_at;
        let Some(at) = returns_at else { return self.changed.notified().await };
        tokio::select! {
            () = tokio::time::sleep_until(at) => {}
            () = self.changed.notified() => return,
        }
        let mut now = self.lock();
        // Another change may have come in the same moment.
        if now.returns_at != Some(at) {
            return;
        }
        (self.apply)(self.start.filter());
        tracing::info!(event = "log_level_returned", before = %now.level, log_level = %self.start, "the log level is that of the start again");
        *now = InForce { level: self.start.clone(), returns_at: None };
    }

    fn lock(&self) -> MutexGuard<'_, InForce> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for LevelControl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LevelControl")
            .field("start", &self.start)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn control() -> (LevelControl, Arc<Mutex<Vec<String>>>) {
        let applied = Arc::<Mutex<Vec<String>>>::default();
        let applies = Arc::clone(&applied);
        let apply = move |filter: EnvFilter| {
            let mut applied = applies.lock().unwrap();
            applied.push(filter.to_string());
            true
        };
        (LevelControl::new("info".parse().unwrap(), apply), applied)
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_level_returns_in_time() {
        let (control, applied) = control();
        control.change("debug".parse().unwrap(), Duration::from_secs(60), &"test");
        let state = control.state();
        assert_eq!((state.level.as_str(), state.start_level.as_str()), ("debug", "info"));
        assert_eq!(state.returns_in_seconds, Some(60));
        let start = Instant::now();
        // The first one ends by the change above.
        control.return_in_time().await;
        control.return_in_time().await;
        assert_eq!(start.elapsed(), Duration::from_secs(60));
        assert_eq!((control.state().level.as_str(), control.state().returns_at), ("info", None));
        let applied = applied.lock().unwrap().clone();
        assert!(applied[0].contains("debug") && !applied[1].contains("debug"), "{applied:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_change_counts_and_a_reset_ends_it() {
        let (control, _) = control();
        control.change("debug".parse().unwrap(), Duration::from_secs(60), &"test");
        control.change("trace".parse().unwrap(), Duration::from_secs(600), &"test");
        assert_eq!(control.state().returns_in_seconds, Some(600));
        control.reset(&"test");
        assert_eq!((control.state().level.as_str(), control.state().returns_in_seconds), ("info", None));
        control.change("off".parse().unwrap(), Duration::from_secs(u64::MAX / 4), &"test");
        assert_eq!(control.state().returns_in_seconds, Some(MAX_TIME.as_secs()));
    }

    #[test]
    fn junk_is_no_level() {
        for junk in [
            "",
            " ",
            "loud",
            "info,",
            "info,cellgate",
            "a=b=c",
            "[",
            "cellgate=loud",
            "info,[{x=\"(\"}]=loud",
            "\u{1b}[31m",
            "off,cellgate_ext_proc::logging::level[{client}]=off",
            "off,[span]=off",
        ] {
            let refused = junk.parse::<LogLevel>().unwrap_err().to_string();
            assert!(!refused.chars().any(char::is_control), "{refused:?}");
        }
        let long = "x".repeat(1 << 20).parse::<LogLevel>().unwrap_err().to_string();
        assert!(long.len() < 200, "{long}");
        for good in ["off", "error", "WARN", "info", "debug", "trace", "info,cellgate_ext_proc=debug"] {
            assert_eq!(good.parse::<LogLevel>().unwrap().to_string(), good);
        }
    }

    #[test]
    fn a_change_is_logged_at_any_level() {
        for level in ["off", "error", "cellgate_ext_proc=off"] {
            assert!(level.parse::<LogLevel>().unwrap().filter().to_string().contains(ALWAYS), "{level}");
        }
    }
}
