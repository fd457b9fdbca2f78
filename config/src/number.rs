//! Numbers with limits, as written in a configuration.

use super::tree::{FromNode, NodeReader, NumberKind};

/// An integer from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Int<const MIN: u64, const MAX: u64>(pub(super) u64);

/// A number of bytes from `MIN` to `MAX`: an integer, or a string such as `"64KiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size<const MIN: u64, const MAX: u64>(pub(super) u64);

/// The largest integer up to which a double represents every integer exactly.
pub(super) const MAX_SAFE: u64 = (1 << 53) - 1;

impl<'a, const MIN: u64, const MAX: u64> FromNode<'a> for Int<MIN, MAX> {
    fn from_node(node: NodeReader<'_, 'a>) -> Option<Self> {
        node.number(NumberKind::Integer, MIN, MAX).map(Self)
    }
}

impl<'a, const MIN: u64, const MAX: u64> FromNode<'a> for Size<MIN, MAX> {
    fn from_node(node: NodeReader<'_, 'a>) -> Option<Self> {
        node.number(NumberKind::Size, MIN, MAX).map(Self)
    }
}

/// The integer that a JSON number with a fraction, an exponent or a sign is, such as `64.0`, `6.4e1` or `-0`. `None` if it is
/// none, or is negative or over 64 bits.
///
/// The text is exact, and the standard library's parser of floats would add 10 KB to the filter's module.
pub(super) fn integral(number: &str) -> Option<u64> {
    let (is_negative, number) = number.strip_prefix('-').map_or((false, number), |magnitude| (true, magnitude));
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let mut value: u64 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    if value == 0 {
        return Some(0);
    }
    if is_negative {
        return None;
    }
    let exponent = exponent.parse::<i64>().ok()?.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    // Each step leaves the loop or makes the number ten times as large or small, so there are few.
    for _ in 0..exponent {
        value = value.checked_mul(10)?;
    }
    for _ in exponent..0 {
        value = if value.is_multiple_of(10) { value / 10 } else { return None };
    }
    Some(value)
}

#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
    use serde::{Serialize, Serializer};

    use super::{Int, Size};
    use crate::bytes::ShowBytes;

    /// For defaults.
    impl<const MIN: u64, const MAX: u64> Serialize for Int<MIN, MAX> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_u64(self.0)
        }
    }

    /// For defaults.
    impl<const MIN: u64, const MAX: u64> Serialize for Size<MIN, MAX> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(&ShowBytes(self.0))
        }
    }

    impl<const MIN: u64, const MAX: u64> JsonSchema for Int<MIN, MAX> {
        fn inline_schema() -> bool {
            true
        }

        fn schema_name() -> Cow<'static, str> {
            format!("Int{MIN}To{MAX}").into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
        }
    }

    impl<const MIN: u64, const MAX: u64> JsonSchema for Size<MIN, MAX> {
        fn inline_schema() -> bool {
            true
        }

        fn schema_name() -> Cow<'static, str> {
            format!("Size{MIN}To{MAX}").into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "anyOf": [
                { "type": "integer", "minimum": MIN, "maximum": MAX },
                { "type": "string", "pattern": "^[0-9]+(KiB|MiB|GiB)?$" },
            ] })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_float_without_a_fraction_is_an_integer() {
        for (text, integer) in [
            ("64.0", 64),
            ("6.4e1", 64),
            ("6.4e+01", 64),
            ("640E-1", 64),
            ("0.0", 0),
            ("0e9", 0),
            ("-0", 0),
            ("-0.0", 0),
            ("-0e5", 0),
            ("9007199254740991.000", MAX_SAFE),
            ("18446744073709551615", u64::MAX),
            ("1e19", 10_000_000_000_000_000_000),
        ] {
            assert_eq!(integral(text), Some(integer), "{text}");
        }
        for other in [
            "64.5",
            "-1.0",
            "-1",
            "-1e2",
            "--0",
            "1e-1",
            "1e20",
            "18446744073709551616",
            "1e400",
            "1e9999999999999999999",
            ".nan",
            ".inf",
        ] {
            assert_eq!(integral(other), None, "{other}");
        }
    }
}
