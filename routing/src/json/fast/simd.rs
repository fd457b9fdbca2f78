//! Tests on 64 or 16 bytes at once.
//!
//! Vectors of 16 bytes are what every x86-64, every 64-bit ARM and WebAssembly's `simd128` have. The crate `wide` maps
//! them to plain arithmetic on other targets, so there is one code path to prove.

use wide::i8x16;

/// Sixty-four bytes.
///
/// As signed numbers, because that is the comparison that all targets have: non-ASCII bytes are below all others.
#[derive(Clone, Copy)]
pub(super) struct Block([i8x16; Block::BYTES / Vector::BYTES]);

impl Block {
    pub(super) const BYTES: usize = 64;

    #[inline(always)]
    pub(super) fn new(bytes: &[u8; Self::BYTES]) -> Self {
        let mut vectors = [i8x16::splat(0); Self::BYTES / Vector::BYTES];
        for (vector, bytes) in vectors.iter_mut().zip(bytes.as_chunks().0) {
            *vector = Vector::new(bytes).0;
        }
        Self(vectors)
    }

    /// The bytes at `at`, if there are enough.
    #[inline(always)]
    pub(super) fn load(chunk: &[u8], at: usize) -> Option<Self> {
        chunk.get(at..)?.first_chunk().map(Self::new)
    }

    /// Whether all bytes are ASCII and none of them ends or escapes a string.
    #[inline(always)]
    pub(super) fn is_plain(self) -> bool {
        !self.any(|vector| is_special(vector) | is_below_space(vector))
    }

    /// Whether all bytes are JSON whitespace.
    #[inline(always)]
    pub(super) fn is_whitespace(self) -> bool {
        let is_other = |vector| is_whitespace(vector).simd_eq(i8x16::splat(0));
        !self.any(is_other)
    }

    #[inline(always)]
    fn any(self, test: impl Fn(i8x16) -> i8x16) -> bool {
        let [a, b, c, d] = self.0.map(test);
        ((a | b) | (c | d)).to_bitmask() != 0
    }
}

/// Sixteen bytes. Tests return one bit for each; the first byte is the lowest bit.
#[derive(Clone, Copy)]
pub(super) struct Vector(i8x16);

impl Vector {
    pub(super) const BYTES: usize = 16;

    /// The answer of a test that all bytes pass.
    pub(super) const ALL: u32 = (1 << Self::BYTES) - 1;

    #[inline(always)]
    pub(super) fn new(bytes: &[u8; Self::BYTES]) -> Self {
        Self(i8x16::new(bytes.map(|byte| byte as i8)))
    }

    /// The bytes at `at`, if there are enough.
    #[inline(always)]
    pub(super) fn load(chunk: &[u8], at: usize) -> Option<Self> {
        chunk.get(at..)?.first_chunk().map(Self::new)
    }

    /// Bytes that are not plain: `"`, `\`, control characters and non-ASCII bytes.
    #[inline(always)]
    pub(super) fn not_plain(self) -> u32 {
        (is_special(self.0) | is_below_space(self.0)).to_bitmask()
    }

    /// Bytes that stop a run of characters in a string: `"`, `\` and control characters.
    #[inline(always)]
    pub(super) fn stops(self) -> u32 {
        is_special(self.0).to_bitmask() | is_below_space(self.0).to_bitmask() & !self.non_ascii()
    }

    #[inline(always)]
    pub(super) fn non_ascii(self) -> u32 {
        self.0.to_bitmask()
    }

    /// JSON whitespace.
    #[inline(always)]
    pub(super) fn whitespace(self) -> u32 {
        is_whitespace(self.0).to_bitmask()
    }

    #[inline(always)]
    pub(super) fn line_feeds(self) -> u32 {
        is(self.0, b'\n').to_bitmask()
    }

    /// ASCII digits.
    #[inline(always)]
    pub(super) fn digits(self) -> u32 {
        // Moved to the least values there are, so that one comparison is enough.
        (self.0 + i8x16::splat(0x50)).simd_lt(i8x16::splat(-0x80 + 10)).to_bitmask()
    }

    /// Bytes that are equal in both.
    #[inline(always)]
    pub(super) fn equal(self, other: Self) -> u32 {
        self.0.simd_eq(other.0).to_bitmask()
    }
}

#[inline(always)]
fn is(vector: i8x16, byte: u8) -> i8x16 {
    vector.simd_eq(i8x16::splat(byte as i8))
}

/// `"` and `\`.
#[inline(always)]
fn is_special(vector: i8x16) -> i8x16 {
    is(vector, b'"') | is(vector, b'\\')
}

/// Control characters and non-ASCII bytes.
#[inline(always)]
fn is_below_space(vector: i8x16) -> i8x16 {
    vector.simd_lt(i8x16::splat(b' ' as i8))
}

/// Space, tab, line feed, carriage return.
#[inline(always)]
fn is_whitespace(vector: i8x16) -> i8x16 {
    (is(vector, b' ') | is(vector, b'\t')) | (is(vector, b'\n') | is(vector, b'\r'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(bytes: &[u8], test: impl Fn(u8) -> bool) -> u32 {
        bytes.iter().enumerate().map(|(index, byte)| u32::from(test(*byte)) << index).sum()
    }

    fn is_stop(byte: u8) -> bool {
        byte == b'"' || byte == b'\\' || byte < b' '
    }

    fn is_space(byte: u8) -> bool {
        b" \t\n\r".contains(&byte)
    }

    #[test]
    fn blocks_agree_with_a_test_of_each_byte() {
        for byte in 0..=u8::MAX {
            for place in [0, 1, 15, 16, 31, 40, 63] {
                for around in [0, b' ', b'\t', b'\n', b'\r', b'!', b'"', b'\\', b'x', 0x7f, 0x80, 0xff] {
                    let mut bytes = [around; Block::BYTES];
                    bytes[place] = byte;
                    let block = Block::new(&bytes);
                    assert_eq!(block.is_plain(), bytes.iter().all(|byte| byte.is_ascii() && !is_stop(*byte)));
                    assert_eq!(block.is_whitespace(), bytes.iter().all(|byte| is_space(*byte)));
                }
            }
        }
    }

    #[test]
    fn vectors_agree_with_a_test_of_each_byte() {
        for byte in 0..=u8::MAX {
            for place in 0..Vector::BYTES {
                for around in [0, b' ', b'"', b'5', b'x', 0x80, 0xff] {
                    let mut bytes = [around; Vector::BYTES];
                    bytes[place] = byte;
                    let vector = Vector::new(&bytes);
                    assert_eq!(vector.not_plain(), naive(&bytes, |byte| is_stop(byte) || byte >= 0x80));
                    assert_eq!(vector.stops(), naive(&bytes, is_stop));
                    assert_eq!(vector.non_ascii(), naive(&bytes, |byte| byte >= 0x80));
                    assert_eq!(vector.whitespace(), naive(&bytes, is_space));
                    assert_eq!(vector.line_feeds(), naive(&bytes, |byte| byte == b'\n'));
                    assert_eq!(vector.digits(), naive(&bytes, |byte| byte.is_ascii_digit()));
                    let equal = Vector::ALL & !(u32::from(byte != around) << place);
                    assert_eq!(vector.equal(Vector::new(&[around; Vector::BYTES])), equal);
                }
            }
        }
    }
}
