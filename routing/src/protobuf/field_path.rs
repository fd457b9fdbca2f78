//! The path to a field: field numbers, such as `1.3.2`, and the type of the last field.

use std::fmt;
use std::str::FromStr;

/// The largest field number (Protocol Buffers, "Assigning Field Numbers").
const MAX_NUMBER: u32 = (1 << 29) - 1;

/// The longest path, in fields.
const MAX_FIELDS: usize = 16;

/// A path of field numbers, from the message inwards.
///
/// `*` after a number marks a repeated field. A type after `:` is that of the last field; without one it is a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPath {
    text: Box<str>,
    steps: Vec<FieldStep>,
    scalar: ScalarType,
}

/// One field of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FieldStep {
    /// The field number.
    pub(crate) number: u32,
    /// Whether the field is repeated: each occurrence counts for itself.
    pub(crate) is_repeated: bool,
}

/// The type of a field that may hold a key, by its name in a `.proto` file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScalarType {
    /// `string`, and `bytes` with UTF-8.
    String,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
}

/// The text is not a path of field numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFieldPath {
    /// A part is not a field number.
    #[error("expected field numbers from 1 to {MAX_NUMBER} with dots between them, such as `1.3.2`")]
    Number,
    /// There are too many fields.
    #[error("expected at most {MAX_FIELDS} field numbers")]
    TooLong,
    /// The type after `:` is not one that may hold a key.
    #[error(
        "expected one of the types string, bytes, int32, int64, uint32, uint64, sint32, sint64, fixed32, fixed64, \
         sfixed32 and sfixed64 after `:`"
    )]
    Type,
}

/// Why two sources cannot read the same messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldClash {
    /// The field is the key of one path, and a message of the other.
    #[error("a field cannot be the key in one path and a message in another")]
    Message,
    /// The field has two types.
    #[error("a field has the same type in every path")]
    Type,
    /// The field is repeated in one path only.
    #[error("a field has `*` in every path or in none")]
    Repeated,
}

impl FieldPath {
    pub(crate) fn steps(&self) -> &[FieldStep] {
        &self.steps
    }

    pub(crate) fn scalar(&self) -> ScalarType {
        self.scalar
    }

    /// Whether no message can have the fields of both paths.
    ///
    /// # Errors
    /// The difference.
    pub fn check_beside(&self, other: &FieldPath) -> Result<(), FieldClash> {
        for (one, another) in self.steps.iter().zip(&other.steps) {
            if one.number != another.number {
                return Ok(());
            }
            if one.is_repeated != another.is_repeated {
                return Err(FieldClash::Repeated);
            }
        }
        if self.steps.len() != other.steps.len() {
            Err(FieldClash::Message)
        } else if self.scalar != other.scalar {
            Err(FieldClash::Type)
        } else {
            Ok(())
        }
    }
}

impl ScalarType {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "string" | "bytes" => Self::String,
            "int32" => Self::Int32,
            "int64" => Self::Int64,
            "uint32" => Self::Uint32,
            "uint64" => Self::Uint64,
            "sint32" => Self::Sint32,
            "sint64" => Self::Sint64,
            "fixed32" => Self::Fixed32,
            "fixed64" => Self::Fixed64,
            "sfixed32" => Self::Sfixed32,
            "sfixed64" => Self::Sfixed64,
            _ => return None,
        })
    }

    /// The decimal digits of an integer. `bits` is the varint, or the little-endian number of a fixed field. A 32-bit type
    /// drops the upper bits, as all decoders do.
    pub(crate) fn decimal(self, bits: u64) -> String {
        #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "as decoders do")]
        let signed: i64 = match self {
            Self::String | Self::Uint64 | Self::Fixed64 => return bits.to_string(),
            Self::Uint32 | Self::Fixed32 => return u64::from(bits as u32).to_string(),
            Self::Int64 | Self::Sfixed64 => bits as i64,
            Self::Int32 | Self::Sfixed32 => i64::from(bits as u32 as i32),
            Self::Sint64 => zigzag(bits),
            Self::Sint32 => zigzag(u64::from(bits as u32)),
        };
        signed.to_string()
    }
}

impl FromStr for FieldPath {
    type Err = BadFieldPath;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (numbers, scalar) = match text.split_once(':') {
            None => (text, ScalarType::String),
            Some((numbers, name)) => (numbers, ScalarType::parse(name).ok_or(BadFieldPath::Type)?),
        };
        let steps = numbers.split('.').map(FieldStep::from_str).collect::<Result<Vec<_>, _>>()?;
        if steps.len() > MAX_FIELDS {
            return Err(BadFieldPath::TooLong);
        }
        Ok(Self { text: text.into(), steps, scalar })
    }
}

impl FromStr for FieldStep {
    type Err = BadFieldPath;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_suffix('*').unwrap_or(text);
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
        let number = digits.parse().ok().filter(|number| is_number && *number <= MAX_NUMBER);
        Ok(Self { number: number.ok_or(BadFieldPath::Number)?, is_repeated: digits.len() < text.len() })
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[expect(clippy::cast_possible_wrap, reason = "ZigZag (Protocol Buffers, \"Encoding\")")]
fn zigzag(bits: u64) -> i64 {
    (bits >> 1) as i64 ^ -((bits & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<FieldPath, BadFieldPath> {
        text.parse()
    }

    #[test]
    fn a_path_has_numbers_stars_and_a_type() {
        let path = parse("1.536870911*.2:sint64").unwrap();
        let steps: Vec<_> = path.steps().iter().map(|step| (step.number, step.is_repeated)).collect();
        assert_eq!(steps, [(1, false), (536_870_911, true), (2, false)]);
        assert_eq!(path.scalar(), ScalarType::Sint64);
        assert_eq!(path.to_string(), "1.536870911*.2:sint64");
        assert_eq!(parse("7").unwrap().scalar(), ScalarType::String);
        assert_eq!(parse("7:bytes").unwrap().scalar(), ScalarType::String);
        assert!(parse(&["1"; 16].join(".")).is_ok());
    }

    #[test]
    fn each_mistake_has_its_message() {
        for bad in
            ["", ".", "1.", ".1", "0", "01", "+1", "-1", "x", "1..2", "536870912", "4294967297", "*", "1**", "1 "]
        {
            assert_eq!(parse(bad), Err(BadFieldPath::Number), "{bad}");
        }
        assert_eq!(parse(&["1"; 17].join(".")), Err(BadFieldPath::TooLong));
        for bad in ["1:", "1:int", "1:bool", "1:double", "1:String", "1:int32:int32"] {
            assert_eq!(parse(bad), Err(BadFieldPath::Type), "{bad}");
        }
    }

    #[test]
    fn paths_that_no_message_can_have_clash() {
        let clash = |one: &str, another: &str| parse(one).unwrap().check_beside(&parse(another).unwrap()).err();
        assert_eq!(clash("1.2", "1.3:int32"), None);
        assert_eq!(clash("1.2", "1.2"), None);
        assert_eq!(clash("1", "2.1"), None);
        assert_eq!(clash("1", "1.1"), Some(FieldClash::Message));
        assert_eq!(clash("1.1", "1"), Some(FieldClash::Message));
        assert_eq!(clash("1", "1:int32"), Some(FieldClash::Type));
        assert_eq!(clash("1*.2", "1.3"), Some(FieldClash::Repeated));
    }

    /// The bits and their values are those of the documentation, "Encoding".
    #[test]
    fn integers_are_decoded_by_their_type() {
        for (scalar, bits, digits) in [
            (ScalarType::Int64, u64::MAX, "-1"),
            (ScalarType::Int64, 150, "150"),
            (ScalarType::Int32, u64::MAX - 1, "-2"),
            (ScalarType::Int32, 1 << 32 | 7, "7"),
            (ScalarType::Uint64, u64::MAX, "18446744073709551615"),
            (ScalarType::Uint32, u64::MAX, "4294967295"),
            (ScalarType::Sint64, 0xffff_ffff_ffff_ffff, "-9223372036854775808"),
            (ScalarType::Sint64, 3, "-2"),
            (ScalarType::Sint32, 0xffff_fffe, "2147483647"),
            (ScalarType::Sint32, 0xffff_ffff, "-2147483648"),
            (ScalarType::Fixed64, u64::MAX, "18446744073709551615"),
            (ScalarType::Sfixed64, u64::MAX, "-1"),
            (ScalarType::Fixed32, 0xffff_ffff, "4294967295"),
            (ScalarType::Sfixed32, 0xffff_ffff, "-1"),
        ] {
            assert_eq!(scalar.decimal(bits), digits, "{scalar:?}");
        }
    }
}
