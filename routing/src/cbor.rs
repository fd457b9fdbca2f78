//! CBOR: the heads of items (RFC 8949, 3).
//!
//! A document is one data item, and a sequence of them (RFC 8742) is malformed. Lengths and numbers need not have their
//! shortest form. Tags are skipped.

use crate::binary::{BinaryScanner, Item, ItemFormat, Scalar};

#[cfg(test)]
mod tests;

/// CBOR.
#[derive(Debug)]
pub enum Cbor {}

/// One pass over a CBOR data item.
pub type CborScanner = BinaryScanner<Cbor>;

/// The additional information of an item of unknown length, and of the break.
const INDEFINITE: u8 = 31;

impl ItemFormat for Cbor {
    const TEXT_IS_UTF8: bool = true;

    fn argument_bytes(first: u8) -> Result<u8, &'static str> {
        match (first >> 5, first & 0x1f) {
            (_, 0..=23) => Ok(0),
            (_, information @ 24..=27) => Ok(1 << (information - 24)),
            (2..=5 | 7, INDEFINITE) => Ok(0),
            (_, INDEFINITE) => {
                Err("expected a number after an integer's or a tag's major type, not additional information 31")
            }
            _ => Err("expected other additional information than 28, 29 and 30, which are reserved"),
        }
    }

    fn item(first: u8, argument: u64) -> Result<Item, &'static str> {
        let information = first & 0x1f;
        let argument = if information < 24 { information.into() } else { argument };
        let length = (information != INDEFINITE).then_some(argument);
        Ok(match first >> 5 {
            0 => Item::Scalar(Scalar::Unsigned(argument)),
            1 => Item::Scalar(Scalar::Negative(argument)),
            2 => Item::Bytes(length),
            3 => Item::Text(length),
            4 => Item::Array(length),
            5 => Item::Map(length),
            6 => Item::Tag,
            _ => match (information, argument) {
                (INDEFINITE, _) => Item::Break,
                (25, _) => Item::Scalar(Scalar::Float(half(argument as u16))),
                (26, _) => Item::Scalar(Scalar::Float(f32::from_bits(argument as u32).into())),
                (27, _) => Item::Scalar(Scalar::Float(f64::from_bits(argument))),
                (_, 20 | 21) if information < 24 => Item::Scalar(Scalar::Boolean(argument == 21)),
                (_, 22) if information < 24 => Item::Scalar(Scalar::Null),
                (_, 23) if information < 24 => Item::Scalar(Scalar::Undefined),
                (24, ..32) => return Err("expected a simple value of 32 or more after the byte 0xf8"),
                _ => Item::Scalar(Scalar::Simple(argument as u8)),
            },
        })
    }
}

/// A half-precision number (RFC 8949, appendix D).
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (fraction + 1024.0) * 2f64.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}
