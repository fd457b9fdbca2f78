//! Numbers of bytes as text: `4096`, `64KiB`, `16MiB`, `1GiB`.

use std::fmt;

const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// A text that is not a number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBytes {
    /// It is not digits with or without a unit.
    #[error("expected a number of bytes, with or without the unit KiB, MiB or GiB")]
    Malformed,
    /// It does not fit into 64 bits.
    #[error("the number of bytes is too large")]
    TooLarge,
}

/// Parses a number of bytes: digits, and the unit `KiB`, `MiB` or `GiB` or none.
///
/// # Errors
/// The text is malformed, or the number does not fit into 64 bits.
pub fn parse_bytes(text: &str) -> Result<u64, BadBytes> {
    let (digits, factor) = UNITS
        .iter()
        .find_map(|(unit, factor)| text.strip_suffix(unit).map(|digits| (digits, *factor)))
        .unwrap_or((text, 1));
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BadBytes::Malformed);
    }
    let number: Option<u64> = digits.parse().ok();
    number.and_then(|number| number.checked_mul(factor)).ok_or(BadBytes::TooLarge)
}

/// Shows a number of bytes in the largest unit that divides it.
pub(crate) struct ShowBytes(pub(crate) u64);

impl fmt::Display for ShowBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor)) {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_binary_unit_or_none() {
        for (text, bytes) in [("0", 0), ("1024", 1024), ("1KiB", 1024), ("064KiB", 65536), ("16MiB", 16 << 20)] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for malformed in
            ["", "KiB", "64k", "64KB", "64 KiB", "64kib", "1.5KiB", "-1KiB", "+1", "1KiBs", "٣KiB", "1KiB "]
        {
            assert_eq!(parse_bytes(malformed), Err(BadBytes::Malformed), "{malformed}");
        }
        for large in ["99999999999GiB", "18446744073709551616"] {
            assert_eq!(parse_bytes(large), Err(BadBytes::TooLarge), "{large}");
        }
    }

    #[test]
    fn the_largest_unit_that_divides_is_shown() {
        for (bytes, shown) in
            [(0, "0 bytes"), (1000, "1000 bytes"), (1024, "1KiB"), (3 << 20, "3MiB"), (1 << 30, "1GiB")]
        {
            assert_eq!(ShowBytes(bytes).to_string(), shown);
        }
    }
}
