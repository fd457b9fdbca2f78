//! Sizes and durations on the command line.

use std::time::Duration;

/// Parses a number of bytes: `4096`, `32KiB`, `512MiB`, `1GiB`.
///
/// # Errors
/// What was expected.
pub(crate) fn bytes(text: &str) -> Result<u64, &'static str> {
    const EXPECTED: &str = "expected a number of bytes such as `4096`, `32KiB` or `512MiB`";
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("", 1)];
    scaled(text, &units).filter(|bytes| *bytes > 0).ok_or(EXPECTED)
}

/// Parses a duration: `500ms`, `10s`, `2m`. Zero is allowed.
///
/// # Errors
/// What was expected.
pub(crate) fn duration(text: &str) -> Result<Duration, &'static str> {
    const EXPECTED: &str = "expected a duration such as `500ms`, `10s` or `2m`";
    let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
    scaled(text, &units).map(Duration::from_millis).ok_or(EXPECTED)
}

/// Parses a duration that is not zero.
///
/// # Errors
/// What was expected.
pub(crate) fn positive_duration(text: &str) -> Result<Duration, &'static str> {
    duration(text).and_then(|time| if time.is_zero() { Err("expected more than no time") } else { Ok(time) })
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    units.iter().find_map(|(unit, scale)| {
        let number = text.strip_suffix(unit)?;
        // `u64::from_str` would also take a sign.
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        number.parse::<u64>().ok().filter(|_| digits)?.checked_mul(*scale)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(bytes("4096"), Ok(4096));
        assert_eq!(bytes("32KiB"), Ok(32 * 1024));
        assert_eq!(bytes("2GiB"), Ok(2 << 30));
        for bad in ["", "KiB", "-1", "+1", "1kb", "1 KiB", "0", "1.5MiB", "99999999999GiB"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert!(positive_duration("0s").is_err() && positive_duration("1ms").is_ok());
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "10", "s", "-1s", "1.5s", "1d", "99999999999999999h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
