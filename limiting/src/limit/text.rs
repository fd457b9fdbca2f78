//! Limits as text: `100/min`, `5000/2h`, `100/min;burst=20`.

use std::fmt;
use std::str::FromStr;

use super::{BadLimit, Limit};
use crate::rate::{BadRate, Rate};
use crate::time::{DAY, SECOND};

/// The longest text of a limit, in bytes.
pub const MAX_LIMIT_TEXT: usize = 64;

/// The units of a period with their microseconds.
const PERIODS: [(&str, u64); 10] = [
    ("ms", SECOND / 1_000),
    ("s", SECOND),
    ("second", SECOND),
    ("min", 60 * SECOND),
    ("minute", 60 * SECOND),
    ("h", 3_600 * SECOND),
    ("hour", 3_600 * SECOND),
    ("d", DAY),
    ("day", DAY),
    ("week", 7 * DAY),
];

/// The names that are written, the longest period first.
const SHORT_PERIODS: [(&str, u64); 5] =
    [("d", DAY), ("h", 3_600 * SECOND), ("min", 60 * SECOND), ("s", SECOND), ("ms", SECOND / 1_000)];

/// Why a text is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLimitText {
    /// The text is longer than any limit.
    #[error("the text is longer than {MAX_LIMIT_TEXT} bytes: write a limit as 100/min or 100/min;burst=20")]
    TooLong,
    /// There is no `/`, or an unknown parameter after `;`.
    #[error("the text is not COUNT/PERIOD: write a limit as 100/min or 100/min;burst=20")]
    Form,
    /// A number has a character that is no digit, such as a sign, a point or a space, or has more than 64 bits.
    #[error("a number is not written in digits, or is too large: write a limit as 100/min or 100/min;burst=20")]
    Number,
    /// The period has an unknown unit.
    #[error("the unit of the period is unknown: use ms, s, min, h, d, second, minute, hour, day or week")]
    Unit,
    /// The numbers are no limit.
    #[error(transparent)]
    Limit(#[from] BadLimit),
}

impl From<BadRate> for BadLimitText {
    fn from(bad: BadRate) -> Self {
        Self::Limit(bad.into())
    }
}

/// Reads `COUNT/[NUMBER]UNIT`, with `;burst=NUMBER` behind it or not. Without it, the burst is the count. There are no
/// spaces. Anything else is an error.
impl FromStr for Limit {
    type Err = BadLimitText;

    fn from_str(text: &str) -> Result<Self, BadLimitText> {
        if text.len() > MAX_LIMIT_TEXT {
            return Err(BadLimitText::TooLong);
        }
        let (rate, burst) = match text.split_once(';') {
            Some((rate, parameter)) => (rate, Some(parameter.strip_prefix("burst=").ok_or(BadLimitText::Form)?)),
            None => (text, None),
        };
        let (count, period) = rate.split_once('/').ok_or(BadLimitText::Form)?;
        let rate = Rate::new(number(count)?, micros(period)?)?;
        match burst {
            Some(burst) => Ok(Limit::new(rate, number(burst)?)?),
            None => Ok(Limit::of(rate)),
        }
    }
}

/// The form that is read, as short as it can be: `100/min`, `5000/2h;burst=20`.
impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rate, burst) = (self.rate(), self.burst());
        let fits = |micros: u64| rate.period().is_multiple_of(micros);
        let unit = SHORT_PERIODS.iter().find(|(_, micros)| fits(*micros));
        // The period of a limit that was read is a whole number of milliseconds. Others have no text that can be read.
        let (name, micros) = unit.copied().unwrap_or(("µs", 1));
        write!(formatter, "{}/", rate.count())?;
        match rate.period() / micros {
            1 => formatter.write_str(name)?,
            number => write!(formatter, "{number}{name}")?,
        }
        if burst == rate.count() { Ok(()) } else { write!(formatter, ";burst={burst}") }
    }
}

/// A period in microseconds: `min`, `15min`.
fn micros(period: &str) -> Result<u64, BadLimitText> {
    let unit = period.trim_start_matches(|character: char| character.is_ascii_digit());
    let digits = period.strip_suffix(unit).unwrap_or_default();
    let number = if digits.is_empty() { 1 } else { number(digits)? };
    let (_, micros) = PERIODS.iter().find(|(name, _)| *name == unit).ok_or(BadLimitText::Unit)?;
    // A period that overflows is too long, and `Rate` says so.
    Ok(number.saturating_mul(*micros))
}

/// `u64` from digits only: `parse` accepts a plus sign too.
fn number(digits: &str) -> Result<u64, BadLimitText> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        digits.parse().map_err(|_| BadLimitText::Number)
    } else {
        Err(BadLimitText::Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::MAX_UNITS;

    #[test]
    fn a_limit_is_read_from_text() {
        for (text, count, period, burst) in [
            ("100/min", 100, 60 * SECOND, 100),
            ("100/minute", 100, 60 * SECOND, 100),
            ("5/s", 5, SECOND, 5),
            ("1/250ms", 1, SECOND / 4, 1),
            ("5000/2h;burst=20", 5_000, 7_200 * SECOND, 20),
            ("007/01d;burst=0010", 7, DAY, 10),
            ("1000000000/366d", MAX_UNITS, 366 * DAY, MAX_UNITS),
        ] {
            let limit = Limit::new(Rate::new(count, period).unwrap(), burst);
            assert_eq!(text.parse::<Limit>(), limit.map_err(Into::into), "{text}");
        }
    }

    #[test]
    fn a_limit_is_written_as_it_is_read() {
        for text in ["100/min", "1/250ms", "5000/2h;burst=20", "7/d", "90/1500ms;burst=1", "1/366d", "3/61s"] {
            assert_eq!(text.parse::<Limit>().unwrap().to_string(), text);
        }
        for (text, short) in [("1/60s", "1/min"), ("5/second;burst=5", "5/s"), ("2/week", "2/7d"), ("3/24h", "3/d")] {
            assert_eq!(text.parse::<Limit>().unwrap().to_string(), short);
        }
        assert_eq!(Limit::of(Rate::new(3, 1_001).unwrap()).to_string(), "3/1001µs");
    }

    #[test]
    fn anything_else_has_a_reason() {
        for (text, reason) in [
            ("", BadLimitText::Form),
            ("100", BadLimitText::Form),
            ("100/min;", BadLimitText::Form),
            ("100/min;b=1", BadLimitText::Form),
            ("/min", BadLimitText::Number),
            ("-1/min", BadLimitText::Number),
            ("+1/min", BadLimitText::Number),
            ("1.5/min", BadLimitText::Number),
            (" 1/min", BadLimitText::Number),
            ("1/min;burst=", BadLimitText::Number),
            ("1/min;burst=-1", BadLimitText::Number),
            ("18446744073709551616/min", BadLimitText::Number),
            ("١/min", BadLimitText::Number),
            ("1/", BadLimitText::Unit),
            ("1/60", BadLimitText::Unit),
            ("1/month", BadLimitText::Unit),
            ("1/MIN", BadLimitText::Unit),
            ("1/min ", BadLimitText::Unit),
            ("1/-1min", BadLimitText::Unit),
            ("0/min", BadRate::Zero.into()),
            ("1/0min", BadRate::ShortPeriod(0).into()),
            ("1/367d", BadRate::LongPeriod(367 * DAY).into()),
            ("1/18446744073709551615d", BadRate::LongPeriod(u64::MAX).into()),
            ("1000000001/s", BadRate::TooManyUnits(1_000_000_001).into()),
            ("1/min;burst=0", BadLimit::ZeroBurst.into()),
            ("1/d;burst=367", BadLimit::SlowRefill(367).into()),
            (&"1".repeat(65), BadLimitText::TooLong),
        ] {
            assert_eq!(text.parse::<Limit>(), Err(reason), "{text}");
        }
    }
}
