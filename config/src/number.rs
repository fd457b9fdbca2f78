//! Numbers with limits, as written in a configuration.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

use crate::bytes::{BadBytes, ShowBytes, parse_bytes};

/// An integer from `MIN` to `MAX`.
///
/// A float without a fraction is accepted: some control planes pass configurations in a protobuf `Struct`, which has no
/// integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Int<const MIN: u64, const MAX: u64>(pub(super) u64);

/// A number of bytes from `MIN` to `MAX`: an integer, or a string such as `"64KiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size<const MIN: u64, const MAX: u64>(pub(super) u64);

/// The largest integer up to which a double represents every integer exactly.
pub(super) const MAX_SAFE: u64 = (1 << 53) - 1;

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Int<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = NumberVisitor { min: MIN, max: MAX, bytes: false };
        deserializer.deserialize_any(number).map(Self)
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Size<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = NumberVisitor { min: MIN, max: MAX, bytes: true };
        deserializer.deserialize_any(number).map(Self)
    }
}

/// One visitor for all limits, so that its code is compiled once.
#[derive(Clone, Copy)]
struct NumberVisitor {
    min: u64,
    max: u64,
    bytes: bool,
}

impl Visitor<'_> for NumberVisitor {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bytes {
            write!(f, "a size from {} to {}", ShowBytes(self.min), ShowBytes(self.max))
        } else {
            write!(f, "an integer from {} to {}", self.min, self.max)
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<u64, E> {
        if (self.min..=self.max).contains(&value) {
            Ok(value)
        } else {
            Err(E::invalid_value(Unexpected::Unsigned(value), &self))
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<u64, E> {
        match u64::try_from(value) {
            Ok(value) => self.visit_u64(value),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(value), &self)),
        }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "integral and within 0..2^53")]
    #[expect(clippy::cast_precision_loss, reason = "2^53 - 1 is a double")]
    fn visit_f64<E: Error>(self, value: f64) -> Result<u64, E> {
        // `%` is exact, and NaN fails every comparison.
        if value % 1.0 == 0.0 && (0.0..=MAX_SAFE as f64).contains(&value) {
            self.visit_u64(value as u64)
        } else {
            Err(E::invalid_value(Unexpected::Float(value), &self))
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        let found = Unexpected::Str(text);
        if !self.bytes {
            return Err(E::invalid_value(found, &self));
        }
        match parse_bytes(text) {
            Ok(bytes) if (self.min..=self.max).contains(&bytes) => Ok(bytes),
            Ok(_) | Err(BadBytes::TooLarge) => Err(E::invalid_value(found, &self)),
            Err(BadBytes::Malformed) => Err(E::invalid_value(found, &WithUnits(self))),
        }
    }
}

struct WithUnits(NumberVisitor);

impl serde::de::Expected for WithUnits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)?;
        f.write_str(" in bytes or with the unit KiB, MiB or GiB")
    }
}

#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
    use serde::{Serialize, Serializer};

    use super::{Int, ShowBytes, Size};

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
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error, F64Deserializer, StrDeserializer, U64Deserializer};

    use super::*;

    type Depth = Int<1, 1024>;
    type InspectBytes = Size<1024, 0x100_0000>;

    fn size(text: &str) -> Result<u64, String> {
        let deserializer: StrDeserializer<'_, Error> = text.into_deserializer();
        InspectBytes::deserialize(deserializer).map(|size| size.0).map_err(|error| error.to_string())
    }

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        for (text, bytes) in [("1024", 1024), ("1KiB", 1024), ("64KiB", 65536), ("16MiB", 16 << 20)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "KiB", "64k", "64KB", "64 KiB", "64kib", "1.5KiB", "-1KiB", "+1KiB", "1KiBs", "٣KiB", "1KiB "]
        {
            assert!(size(bad).unwrap_err().contains("with the unit KiB, MiB or GiB"), "{bad}");
        }
        for outside in ["1023", "17MiB", "1GiB", "99999999999GiB"] {
            assert!(size(outside).unwrap_err().ends_with("expected a size from 1KiB to 16MiB"), "{outside}");
        }
    }

    #[test]
    fn integers_are_within_their_limits_and_may_be_floats() {
        let float = |value: f64| {
            let deserializer: F64Deserializer<Error> = value.into_deserializer();
            Depth::deserialize(deserializer).map(|depth| depth.0)
        };
        assert_eq!(float(64.0), Ok(64));
        for bad in [64.5, 0.0, -0.0, -1.0, 1025.0, 1e300, f64::NAN, f64::INFINITY] {
            assert!(float(bad).is_err(), "{bad}");
        }
        let deserializer: U64Deserializer<Error> = 1025u64.into_deserializer();
        assert!(Depth::deserialize(deserializer).is_err());
    }
}
