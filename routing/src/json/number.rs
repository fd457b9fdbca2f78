//! Numbers (RFC 8259, 6), resumable at every byte.

use crate::reason::Reason;

/// How far into a number the scanner is: the kind of its last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberState {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

/// The most bytes of a number that can be a routing key: `i64::MIN` and `u64::MAX` have 20 each.
const INTEGER_BYTES: usize = 20;

/// The beginning of a number: enough of it to know whether it is an integer of 64 bits.
#[derive(Debug, Default)]
pub(super) struct NumberText {
    bytes: [u8; INTEGER_BYTES + 1],
    length: usize,
}

impl NumberText {
    pub(super) fn clear(&mut self) {
        self.length = 0;
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let room = self.bytes.get_mut(self.length..).unwrap_or_default();
        self.length += bytes.len().min(room.len());
        room.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl NumberState {
    /// The number that starts with this byte.
    #[inline]
    pub(super) fn starting(byte: u8) -> Option<Self> {
        match byte {
            b'-' => Some(NumberState::Minus),
            b'0' => Some(NumberState::Zero),
            b'1'..=b'9' => Some(NumberState::Integer),
            _ => None,
        }
    }

    /// Reads on from `at`. Returns where the number, or the chunk, ends.
    ///
    /// # Errors
    /// The index of the byte that should have been a digit.
    #[inline]
    pub(super) fn advance(&mut self, chunk: &[u8], mut at: usize) -> Result<usize, usize> {
        loop {
            if matches!(self, NumberState::Integer | NumberState::Fraction | NumberState::ExponentDigits) {
                at = skip_digits(chunk, at);
            }
            let Some(byte) = chunk.get(at) else { return Ok(at) };
            *self = match (*self, byte) {
                (NumberState::Minus, b'0') => NumberState::Zero,
                (NumberState::Minus, b'1'..=b'9') => NumberState::Integer,
                (NumberState::Zero | NumberState::Integer, b'.') => NumberState::Point,
                (NumberState::Zero | NumberState::Integer | NumberState::Fraction, b'e' | b'E') => {
                    NumberState::Exponent
                }
                (NumberState::Point, b'0'..=b'9') => NumberState::Fraction,
                (NumberState::Exponent, b'+' | b'-') => NumberState::ExponentSign,
                (NumberState::Exponent | NumberState::ExponentSign, b'0'..=b'9') => NumberState::ExponentDigits,
                _ if self.is_complete() => return Ok(at),
                _ => return Err(at),
            };
            at += 1;
        }
    }

    /// Whether a number may end here.
    #[inline]
    pub(super) fn is_complete(self) -> bool {
        matches!(self, NumberState::Zero | NumberState::Integer | NumberState::Fraction | NumberState::ExponentDigits)
    }

    /// Checks that the number is an integer of at most 64 bits, as serde_json reads it (`-0` is a float there).
    /// `text` is its [`NumberText`].
    ///
    /// # Errors
    /// [`Reason::KeyFloat`].
    pub(super) fn integer(self, text: &[u8]) -> Result<&str, Reason> {
        let text = std::str::from_utf8(text).map_err(|_| Reason::KeyFloat)?;
        let is_integer = match self {
            NumberState::Zero => text == "0",
            NumberState::Integer => text.parse::<u64>().is_ok() || text.parse::<i64>().is_ok(),
            _ => false,
        };
        if is_integer { Ok(text) } else { Err(Reason::KeyFloat) }
    }
}

#[inline]
fn skip_digits(chunk: &[u8], mut at: usize) -> usize {
    while chunk.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integer(text: &str) -> Result<&str, Reason> {
        let mut number = NumberState::starting(text.as_bytes()[0]).unwrap();
        assert_eq!(number.advance(text.as_bytes(), 1), Ok(text.len()));
        let mut kept = NumberText::default();
        text.as_bytes().chunks(7).for_each(|piece| kept.push(piece));
        number.integer(kept.bytes()).map(|_| text)
    }

    #[test]
    fn integers_of_64_bits_are_keys() {
        for text in ["0", "7", "-7", "18446744073709551615", "-9223372036854775808"] {
            assert_eq!(integer(text), Ok(text));
        }
        for text in ["-0", "18446744073709551616", "-9223372036854775809", "100000000000000000000", "1.0", "1e3", "0e0"]
        {
            assert_eq!(integer(text), Err(Reason::KeyFloat), "{text}");
        }
    }
}
