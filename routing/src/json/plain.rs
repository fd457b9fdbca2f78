//! Where scalar values end that lie plain in a chunk: whole, and of the common kinds.
//!
//! Nothing is ever found wrong here. What is not certain, the scanner reads.

use super::lanes::Vector;
use super::number::Number;
use super::string::whole_escape;

const TRUE: u32 = u32::from_le_bytes(*b"true");
const NULL: u32 = u32::from_le_bytes(*b"null");
const FALS: u32 = u32::from_le_bytes(*b"fals");

/// How many bytes of a number are looked at.
const NUMBER: usize = Vector::BYTES + 1;

/// Whether a scalar begins here, if a value does.
pub(super) fn is_scalar(chunk: &[u8], at: usize) -> bool {
    chunk.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'"' | b'-'))
}

/// The index after the value at `at`, if that is certain and the value a scalar.
#[inline(always)]
pub(super) fn scalar_end(chunk: &[u8], at: usize) -> Option<usize> {
    let bytes: &[u8; 1 + 2 * Vector::BYTES] = chunk.get(at..)?.first_chunk()?;
    let [first, rest @ ..] = bytes;
    match first {
        b'"' => {
            let stops =
                Vector::of(rest.first_chunk()?).stops() | Vector::of(rest.last_chunk()?).stops() << Vector::BYTES;
            let end = at + 1 + stops.trailing_zeros() as usize;
            if stops != 0 && chunk.get(end) == Some(&b'"') { Some(end + 1) } else { string_end(chunk, at + 1) }
        }
        b'-' => {
            number_length(rest.first_chunk()?).map_or_else(|| number_end(chunk, at), |length| Some(at + 1 + length))
        }
        b'0'..=b'9' => {
            number_length(bytes.first_chunk()?).map_or_else(|| number_end(chunk, at), |length| Some(at + length))
        }
        _ => match u32::from_le_bytes(*bytes.first_chunk()?) {
            TRUE | NULL => Some(at + 4),
            FALS if bytes.get(4) == Some(&b'e') => Some(at + 5),
            _ => None,
        },
    }
}

/// The length of a number without its sign and without an exponent, if that is certain from these bytes.
#[inline(always)]
fn number_length(bytes: &[u8; NUMBER]) -> Option<usize> {
    let others = !Vector::of(bytes.first_chunk()?).digits();
    let mut length = others.trailing_zeros() as usize;
    if length == 0 || length >= Vector::BYTES || (length > 1 && bytes.first() == Some(&b'0')) {
        return None;
    }
    if bytes.get(length) == Some(&b'.') {
        let fraction = (others >> (length + 1)).trailing_zeros() as usize;
        length += 1 + fraction;
        if fraction == 0 || length >= Vector::BYTES {
            return None;
        }
    }
    (!matches!(bytes.get(length), Some(b'e' | b'E'))).then_some(length)
}

/// The index after a number of any kind.
#[inline(never)]
fn number_end(chunk: &[u8], at: usize) -> Option<usize> {
    let mut number = Number::starting(*chunk.get(at)?)?;
    let end = number.advance(chunk, at + 1).ok()?;
    (number.is_complete() && end < chunk.len()).then_some(end)
}

/// The index after a string of any characters whose content begins at `at`.
#[inline(never)]
pub(super) fn string_end(chunk: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let start = at;
        let mut high = 0;
        let stops = loop {
            let bytes = Vector::load(chunk, at)?;
            let stops = bytes.ends();
            high |= bytes.high() & stops.wrapping_sub(1) & !stops;
            if stops != 0 {
                break stops;
            }
            at += Vector::BYTES;
        };
        at += stops.trailing_zeros() as usize;
        if high != 0 && std::str::from_utf8(chunk.get(start..at)?).is_err() {
            return None;
        }
        match chunk.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 1 + whole_escape(chunk, at + 1)?.1,
            _ => return None,
        }
    }
}
