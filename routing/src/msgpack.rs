//! MessagePack: the heads of items, by the format's specification.
//!
//! `str` that is not UTF-8 is allowed in values that are not read, because the specification allows it and a length
//! delimits it. A name on a pointer's path must be UTF-8.

use crate::binary::{BinaryScanner, Item, ItemFormat, Scalar};

#[cfg(test)]
mod tests;

/// MessagePack.
#[derive(Debug)]
pub enum Msgpack {}

/// One pass over a MessagePack document.
pub type MsgpackScanner = BinaryScanner<Msgpack>;

const NEVER_USED: &str = "expected another byte than 0xc1, which MessagePack never uses";

impl ItemFormat for Msgpack {
    const TEXT_IS_UTF8: bool = false;

    fn argument_bytes(first: u8) -> Result<u8, &'static str> {
        Ok(match first {
            // fixint, fixmap, fixarray, fixstr; nil, false, true; fixext; negative fixint.
            0x00..=0xc0 | 0xc2 | 0xc3 | 0xd4..=0xd8 | 0xe0..=0xff => 0,
            0xc1 => return Err(NEVER_USED),
            // bin, ext, uint, int and str of 8 bits.
            0xc4 | 0xc7 | 0xcc | 0xd0 | 0xd9 => 1,
            // bin, ext, uint, int, str, array and map of 16 bits.
            0xc5 | 0xc8 | 0xcd | 0xd1 | 0xda | 0xdc | 0xde => 2,
            // The same of 32 bits, and float.
            0xc6 | 0xc9 | 0xca | 0xce | 0xd2 | 0xdb | 0xdd | 0xdf => 4,
            0xcb | 0xcf | 0xd3 => 8,
        })
    }

    fn item(first: u8, argument: u64) -> Result<Item, &'static str> {
        let low = |mask: u8| Some(u64::from(first & mask));
        Ok(match first {
            0x00..=0x7f => Item::Scalar(Scalar::Unsigned(first.into())),
            0x80..=0x8f => Item::Map(low(0x0f)),
            0x90..=0x9f => Item::Array(low(0x0f)),
            0xa0..=0xbf => Item::Text(low(0x1f)),
            0xc0 => Item::Scalar(Scalar::Null),
            0xc1 => return Err(NEVER_USED),
            0xc2 | 0xc3 => Item::Scalar(Scalar::Boolean(first == 0xc3)),
            0xc4..=0xc6 => Item::Bytes(Some(argument)),
            // The type is one byte.
            0xc7..=0xc9 => Item::Extension(argument.saturating_add(1)),
            0xca => Item::Scalar(Scalar::Float(f32::from_bits(argument as u32).into())),
            0xcb => Item::Scalar(Scalar::Float(f64::from_bits(argument))),
            0xcc..=0xcf => Item::Scalar(Scalar::Unsigned(argument)),
            0xd0 => Item::Scalar(signed((argument as i8).into())),
            0xd1 => Item::Scalar(signed((argument as i16).into())),
            0xd2 => Item::Scalar(signed((argument as i32).into())),
            0xd3 => Item::Scalar(signed(argument as i64)),
            0xd4..=0xd8 => Item::Extension((1 << (first - 0xd4)) + 1),
            0xd9..=0xdb => Item::Text(Some(argument)),
            0xdc | 0xdd => Item::Array(Some(argument)),
            0xde | 0xdf => Item::Map(Some(argument)),
            0xe0..=0xff => Item::Scalar(signed((first as i8).into())),
        })
    }
}

fn signed(value: i64) -> Scalar {
    match u64::try_from(value) {
        Ok(value) => Scalar::Unsigned(value),
        // The complement of a negative number is -1 - n.
        Err(_) => Scalar::Negative(!value as u64),
    }
}
