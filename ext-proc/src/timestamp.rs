//! Times for the admin port: UTC, in whole seconds (RFC 3339), such as `2026-11-30T04:10:00Z`.
//!
//! The service measures with tokio's clock. Only these texts need the time of day, so that an operator can compare them
//! with log lines.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use x509_cert::der::DateTime;

/// The time of day now.
pub(crate) fn now() -> String {
    of(Instant::now())
}

/// The time of day of an instant.
#[allow(clippy::disallowed_methods, reason = "the one place that tells the time of day")]
pub(crate) fn of(instant: Instant) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    text(now.saturating_sub(instant.elapsed()))
}

/// The time of day after a time from now.
#[allow(clippy::disallowed_methods, reason = "the one place that tells the time of day")]
pub(crate) fn after(time: Duration) -> String {
    text(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().saturating_add(time))
}

/// Empty after the year 9999.
fn text(since_1970: Duration) -> String {
    DateTime::from_unix_duration(since_1970).map_or_else(|_| String::new(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_in_seconds() {
        assert_eq!(text(Duration::from_millis(1_796_011_199_900)), "2026-11-30T03:59:59Z");
        assert_eq!(text(Duration::from_secs(1 << 40)), "");
        assert!(now().starts_with("20") && now().ends_with('Z'));
    }
}
