//! Items, as their heads announce them.

use crate::reason::Reason;

/// A format whose documents are items.
pub trait ItemFormat: std::fmt::Debug + Send + Sync + 'static {
    /// Whether a text that is not UTF-8 makes the document invalid, wherever it is.
    const TEXT_IS_UTF8: bool;

    /// How many bytes of an item's head follow its first byte: 0, 1, 2, 4 or 8.
    ///
    /// # Errors
    /// No item begins with this byte. The error is the message: `"expected …"`.
    fn argument_bytes(first: u8) -> Result<u8, &'static str>;

    /// The item with this first byte. `argument` is the number in the rest of the head.
    ///
    /// # Errors
    /// No item has this head. The error is the message.
    fn item(first: u8, argument: u64) -> Result<Item, &'static str>;
}

/// An item. `None` instead of a length means that [`Item::Break`] ends it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Item {
    /// An item without content after its head.
    Scalar(Scalar),
    /// Text of this many bytes, or in chunks that are texts of known length.
    Text(Option<u64>),
    /// A byte string of this many bytes, or in chunks.
    Bytes(Option<u64>),
    /// This many bytes of a type of the application.
    Extension(u64),
    /// An array of this many items.
    Array(Option<u64>),
    /// A map of this many pairs of items.
    Map(Option<u64>),
    /// The next item has a tag.
    Tag,
    /// The innermost item of unknown length ends.
    Break,
}

/// An item without content after its head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    /// An integer from 0.
    Unsigned(u64),
    /// The integer -1 - n.
    Negative(u64),
    /// A floating-point number.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// Null (MessagePack: nil).
    Null,
    /// CBOR's undefined.
    Undefined,
    /// A simple value of CBOR without a meaning of its own.
    Simple(u8),
}

impl Scalar {
    /// The reason why the scalar cannot be a key, unless it is an integer of 64 bits.
    pub(super) fn unusable(self) -> Option<Reason> {
        match self {
            Scalar::Unsigned(_) => None,
            Scalar::Negative(n) if i64::try_from(n).is_ok() => None,
            Scalar::Negative(_) | Scalar::Float(_) => Some(Reason::KeyFloat),
            Scalar::Boolean(_) => Some(Reason::KeyBoolean),
            Scalar::Null | Scalar::Undefined => Some(Reason::KeyNull),
            Scalar::Simple(_) => Some(Reason::KeyMalformed),
        }
    }

    /// The text that a scalar becomes where it must be text, as a name in JavaScript. `None` for a number that readers write
    /// in different ways: `1e21` and `1000000000000000000000`, or a float of 32 bits as one of 64.
    pub(super) fn text(self) -> Option<String> {
        Some(match self {
            Scalar::Unsigned(n) => n.to_string(),
            Scalar::Negative(n) => match n.checked_add(1) {
                Some(n) => format!("-{n}"),
                None => "-18446744073709551616".into(),
            },
            // An integer of this size is exact, and `-0` becomes `0`. The text of any float would add 18 KB to the filter.
            #[expect(clippy::cast_possible_truncation, reason = "an integer of at most 53 bits")]
            Scalar::Float(n) if n.trunc() == n && n.abs() <= Self::SAFE_INTEGER => (n as i64).to_string(),
            Scalar::Float(_) => return None,
            Scalar::Boolean(value) => value.to_string(),
            Scalar::Null => "null".into(),
            Scalar::Undefined => "undefined".into(),
            Scalar::Simple(n) => format!("simple({n})"),
        })
    }

    /// Doubles hold all integers up to this one.
    const SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_64_bits_are_keys() {
        for (scalar, text) in [
            (Scalar::Unsigned(0), "0"),
            (Scalar::Unsigned(u64::MAX), "18446744073709551615"),
            (Scalar::Negative(0), "-1"),
            (Scalar::Negative(i64::MAX as u64), "-9223372036854775808"),
        ] {
            assert_eq!((scalar.text().as_deref(), scalar.unusable()), (Some(text), None));
        }
        for (scalar, text) in [
            (Scalar::Negative(i64::MAX as u64 + 1), "-9223372036854775809"),
            (Scalar::Negative(u64::MAX), "-18446744073709551616"),
            (Scalar::Float(1.0), "1"),
            (Scalar::Float(-0.0), "0"),
        ] {
            assert_eq!((scalar.text().as_deref(), scalar.unusable()), (Some(text), Some(Reason::KeyFloat)));
        }
        for number in [1.5, 1e21, f64::NAN, f64::INFINITY] {
            assert_eq!(Scalar::Float(number).text(), None, "{number}");
        }
    }
}
