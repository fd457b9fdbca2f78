//! The requests to `/log-level` on the admin port.

use std::time::Duration;

use cellgate_ext_proc::logging::level::{LogLevel, LogLevelState};
use hyper::Method;

use super::client::{AdminPort, Answer, LimitsError, encoded};

/// The change of the log level.
#[derive(Clone, Debug)]
pub(crate) enum LevelChange {
    /// It is only shown.
    None,
    /// To a level, for a time.
    To(LogLevel, Duration),
    /// To that of the start.
    Reset,
}

/// Changes the level, and returns what is in force then.
///
/// # Errors
/// The service cannot be reached in time, refuses, or is no Cellgate service.
pub(crate) async fn ask_log_level(
    port: &AdminPort,
    change: &LevelChange,
) -> Result<Answer<LogLevelState>, LimitsError> {
    let (method, query) = match change {
        LevelChange::None => (Method::GET, String::new()),
        LevelChange::To(level, time) => {
            (Method::PUT, format!("?level={}&seconds={}", encoded(&level.to_string()), time.as_secs()))
        }
        LevelChange::Reset => (Method::DELETE, String::new()),
    };
    port.ask(method, "/log-level", &query).await
}
