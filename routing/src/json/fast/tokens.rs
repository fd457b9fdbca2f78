//! Tokens that lie plain in a chunk: whole, and of the common kinds.
//!
//! Nothing is ever found wrong here. What is not certain, the scanner reads.

use super::super::number::Number;
use super::super::string::whole_escape;
use super::simd::Vector;
use super::strings::skip_space;

/// How many bytes are looked at at once: a string of two vectors in its quotes, and a vector of what comes next.
pub(in crate::json) const NEAR: usize = 1 + 2 * Vector::BYTES + 1 + Vector::BYTES;

/// How many bytes of a name.
const NAME: usize = Vector::BYTES;

const TRUE: u32 = u32::from_le_bytes(*b"true");
const NULL: u32 = u32::from_le_bytes(*b"null");
const FALS: u32 = u32::from_le_bytes(*b"fals");

/// The bytes at `at`, if there are enough to look at.
#[inline(always)]
pub(in crate::json) fn near(chunk: &[u8], at: usize) -> Option<&[u8; NEAR]> {
    chunk.get(at..)?.first_chunk()
}

/// How long the scalar is that `bytes` begin with, if it is as simple as most. It is only certain to be one if something
/// comes next that may follow a value: a number could go on.
#[inline(always)]
pub(in crate::json) fn near_end(bytes: &[u8; NEAR]) -> Option<usize> {
    let [first, second, ..] = *bytes;
    // No match: it would become a table of jumps, which nobody can foretell.
    if first == b'"' {
        let stops = Vector::load(bytes, 1)?.stops() | Vector::load(bytes, 1 + Vector::BYTES)?.stops() << Vector::BYTES;
        let end = 1 + stops.trailing_zeros() as usize;
        (bytes.get(end) == Some(&b'"')).then_some(end + 1)
    } else if first.is_ascii_digit() {
        number_length(first, Vector::load(bytes, 0)?, bytes.get(1..)?)
    } else if first == b'-' {
        let is_number = second.is_ascii_digit();
        number_length(second, Vector::load(bytes, 1)?, bytes.get(2..)?).filter(|_| is_number).map(|length| length + 1)
    } else {
        match u32::from_le_bytes(*bytes.first_chunk()?) {
            TRUE | NULL => Some(4),
            FALS if bytes.get(4) == Some(&b'e') => Some(5),
            _ => None,
        }
    }
}

/// How long a number without an exponent is that begins with a digit: `digits` are that and what follows, `rest` only
/// what follows.
#[inline(always)]
fn number_length(first: u8, digits: Vector, rest: &[u8]) -> Option<usize> {
    // The first one is taken for granted.
    let others = !(digits.digits() | 1) >> 1;
    let length = others.trailing_zeros() as usize;
    if first == b'0' && length > 0 {
        return None;
    }
    if rest.get(length) != Some(&b'.') {
        return Some(1 + length);
    }
    let fraction = (others >> length >> 1).trailing_zeros() as usize;
    (fraction > 0).then_some(length + 2 + fraction)
}

/// The index after the value at `at`, if it is a whole scalar.
#[inline(never)]
pub(in crate::json) fn scalar_end(chunk: &[u8], at: usize) -> Option<usize> {
    let is = |word: &[u8]| chunk.get(at..at + word.len()).filter(|bytes| *bytes == word).map(|_| at + word.len());
    match chunk.get(at)? {
        b'"' => string_end(chunk, at + 1),
        b'-' | b'0'..=b'9' => number_end(chunk, at),
        b't' => is(b"true"),
        b'f' => is(b"false"),
        b'n' => is(b"null"),
        _ => None,
    }
}

/// The index after the colon of the member whose name begins at `at`.
#[inline(always)]
pub(in crate::json) fn member_end(chunk: &[u8], at: usize) -> Option<usize> {
    let near: Option<&[u8; 1 + NAME + 2]> = chunk.get(at..).and_then(<[u8]>::first_chunk);
    if let Some(bytes) = near
        && let [b'"', rest @ ..] = bytes
    {
        let stops = Vector::of(rest.first_chunk()?).stops() | 1 << NAME;
        let length = stops.trailing_zeros() as usize;
        if rest.get(length..length + 2) == Some(b"\":") {
            return Some(at + length + 3);
        }
    }
    long_member_end(chunk, at)
}

#[inline(never)]
fn long_member_end(chunk: &[u8], at: usize) -> Option<usize> {
    if chunk.get(at) != Some(&b'"') {
        return None;
    }
    let colon = skip_space(chunk, string_end(chunk, at + 1)?);
    (chunk.get(colon) == Some(&b':')).then_some(colon + 1)
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
fn string_end(chunk: &[u8], mut at: usize) -> Option<usize> {
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
