//! Tokens that are whole in a chunk and of the common kinds.
//!
//! Nothing is ever found wrong here. `None` means: let the scanner read it.

use super::super::literal::Literal;
use super::super::number::NumberState;
use super::simd::Vector;
use super::strings::{skip_whitespace, string_end};

/// How many bytes are looked at at once: a string of two vectors in its quotes, and a vector of what follows.
pub(super) const LOOKAHEAD: usize = 1 + 2 * Vector::BYTES + 1 + Vector::BYTES;

const TRUE: u32 = u32::from_le_bytes(*b"true");
const NULL: u32 = u32::from_le_bytes(*b"null");
const FALS: u32 = u32::from_le_bytes(*b"fals");

/// The bytes at `at`, if there are enough to look at.
#[inline(always)]
pub(super) fn lookahead(chunk: &[u8], at: usize) -> Option<&[u8; LOOKAHEAD]> {
    chunk.get(at..)?.first_chunk()
}

/// Returns the length of the scalar that `bytes` begin with, if it is short and simple. The caller must check that the
/// next byte may follow a value: a number could go on.
#[inline(always)]
pub(super) fn short_scalar_length(bytes: &[u8; LOOKAHEAD]) -> Option<usize> {
    let [first, second, ..] = *bytes;
    // No `match`: it would become a jump table, which branch predictors guess badly.
    if first == b'"' {
        let (low, high) = (Vector::load(bytes, 1)?, Vector::load(bytes, 1 + Vector::BYTES)?);
        let not_plain = low.not_plain() | high.not_plain() << Vector::BYTES;
        let end = 1 + not_plain.trailing_zeros() as usize;
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

/// Returns the length of a number without an exponent. `vector` begins with its first digit, which is `first`; `rest` is
/// what follows that digit.
#[inline(always)]
fn number_length(first: u8, vector: Vector, rest: &[u8]) -> Option<usize> {
    let others = !(vector.digits() | 1) >> 1;
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

/// Returns the index after the value at `at`, if it is a whole scalar of any kind.
#[inline(never)]
pub(super) fn scalar_end(chunk: &[u8], at: usize) -> Option<usize> {
    match *chunk.get(at)? {
        b'"' => string_end(chunk, at + 1),
        b'-' | b'0'..=b'9' => number_end(chunk, at),
        byte => {
            let text = Literal::starting(byte)?.text();
            chunk.get(at..)?.starts_with(text).then_some(at + text.len())
        }
    }
}

/// Returns the index after a number of any kind.
#[inline(never)]
fn number_end(chunk: &[u8], at: usize) -> Option<usize> {
    let mut number = NumberState::starting(*chunk.get(at)?)?;
    let end = number.advance(chunk, at + 1).ok()?;
    (number.is_complete() && end < chunk.len()).then_some(end)
}

/// Returns the index after the colon of the member whose name begins at `at`.
#[inline(always)]
pub(super) fn colon_end(chunk: &[u8], at: usize) -> Option<usize> {
    let bytes: Option<&[u8; 1 + Vector::BYTES + 2]> = chunk.get(at..).and_then(<[u8]>::first_chunk);
    if let Some([b'"', rest @ ..]) = bytes {
        let not_plain = Vector::new(rest.first_chunk()?).not_plain() | 1 << Vector::BYTES;
        let length = not_plain.trailing_zeros() as usize;
        if rest.get(length..length + 2) == Some(b"\":") {
            return Some(at + length + 3);
        }
    }
    colon_end_of_any_name(chunk, at)
}

#[inline(never)]
fn colon_end_of_any_name(chunk: &[u8], at: usize) -> Option<usize> {
    if chunk.get(at) != Some(&b'"') {
        return None;
    }
    let colon = skip_whitespace(chunk, string_end(chunk, at + 1)?);
    (chunk.get(colon) == Some(&b':')).then_some(colon + 1)
}
