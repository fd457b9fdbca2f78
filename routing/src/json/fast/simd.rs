//! Sixty-four bytes, or sixteen, as one value: tests on all of them at once, answered by one bit for each.
//!
//! Vectors of 16 bytes are what every x86-64, every 64-bit ARM and WebAssembly's `simd128` have. `wide` maps them, and
//! is plain arithmetic elsewhere, so there is one code path to prove.

use wide::i8x16;

/// How many bytes there are.
pub(in crate::json) const WIDTH: usize = 64;
const LANE: usize = 16;
const LANES: usize = WIDTH / LANE;

/// Sixty-four bytes. In masks, the first byte is the lowest bit.
///
/// As signed numbers, which are what vectors compare at no extra cost: bytes beyond ASCII are below all others.
#[derive(Clone, Copy)]
pub(in crate::json) struct Lanes([i8x16; LANES]);

impl Lanes {
    #[inline(always)]
    pub(in crate::json) fn load(bytes: &[u8; WIDTH]) -> Self {
        let mut lanes = [i8x16::splat(0); LANES];
        for (lane, bytes) in lanes.iter_mut().zip(bytes.as_chunks::<LANE>().0) {
            *lane = i8x16::new(bytes.map(|byte| byte as i8));
        }
        Self(lanes)
    }

    /// Bytes that are one of the two.
    #[inline(always)]
    fn one_of(self, this: u8, that: u8) -> u64 {
        self.mask(|lane| is(lane, this) | is(lane, that))
    }

    /// Bytes that stop a plain run of a string: `"`, `\` and controls.
    #[inline(always)]
    pub(in crate::json) fn stops(self) -> u64 {
        self.one_of(b'"', b'\\') | self.controls()
    }

    /// Whether there are neither stops nor high bytes.
    #[inline(always)]
    pub(in crate::json) fn is_plain(self) -> bool {
        !self.any(|lane| is(lane, b'"') | is(lane, b'\\') | is_below_space(lane))
    }

    /// Control characters.
    #[inline(always)]
    fn controls(self) -> u64 {
        self.mask(is_below_space) & !self.high()
    }

    /// Bytes beyond ASCII.
    #[inline(always)]
    pub(in crate::json) fn high(self) -> u64 {
        self.mask(|lane| lane)
    }

    /// JSON white space: space, tab, line feed, carriage return.
    #[inline(always)]
    pub(in crate::json) fn spaces(self) -> u64 {
        self.mask(|lane| (is(lane, b' ') | is(lane, b'\t')) | (is(lane, b'\n') | is(lane, b'\r')))
    }

    /// The top bit of every byte that `test` makes.
    #[inline(always)]
    fn mask(self, test: impl Fn(i8x16) -> i8x16) -> u64 {
        let [a, b, c, d] = self.0.map(|lane| test(lane).to_bitmask());
        u64::from(a | b << 16) | u64::from(c | d << 16) << 32
    }

    /// Whether `test` makes a top bit.
    #[inline(always)]
    fn any(self, test: impl Fn(i8x16) -> i8x16) -> bool {
        let [a, b, c, d] = self.0.map(test);
        ((a | b) | (c | d)).to_bitmask() != 0
    }
}

#[inline(always)]
fn is(lane: i8x16, byte: u8) -> i8x16 {
    lane.simd_eq(i8x16::splat(byte as i8))
}

/// Controls, and bytes beyond ASCII.
#[inline(always)]
fn is_below_space(lane: i8x16) -> i8x16 {
    lane.simd_lt(i8x16::splat(b' ' as i8))
}

/// Sixteen bytes.
#[derive(Clone, Copy)]
pub(in crate::json) struct Vector(i8x16);

impl Vector {
    /// How many bytes there are.
    pub(in crate::json) const BYTES: usize = LANE;

    /// One bit for each of them.
    pub(in crate::json) const ALL: u32 = (1 << LANE) - 1;

    #[inline(always)]
    pub(in crate::json) fn of(bytes: &[u8; LANE]) -> Self {
        Self(i8x16::new(bytes.map(|byte| byte as i8)))
    }

    /// The bytes at `at`, if there are enough.
    #[inline(always)]
    pub(in crate::json) fn load(chunk: &[u8], at: usize) -> Option<Self> {
        chunk.get(at..)?.first_chunk().map(Self::of)
    }

    /// Bytes that no plain string has, and its quote.
    #[inline(always)]
    pub(in crate::json) fn stops(self) -> u32 {
        (is(self.0, b'"') | is(self.0, b'\\') | is_below_space(self.0)).to_bitmask()
    }

    /// Bytes that stop a string of any characters: `"`, `\` and controls.
    #[inline(always)]
    pub(in crate::json) fn ends(self) -> u32 {
        (is(self.0, b'"') | is(self.0, b'\\')).to_bitmask() | is_below_space(self.0).to_bitmask() & !self.high()
    }

    /// Bytes beyond ASCII.
    #[inline(always)]
    pub(in crate::json) fn high(self) -> u32 {
        self.0.to_bitmask()
    }

    /// ASCII digits.
    #[inline(always)]
    pub(in crate::json) fn digits(self) -> u32 {
        is_digit(self.0).to_bitmask()
    }

    /// Bytes that are the same.
    #[inline(always)]
    pub(in crate::json) fn same(self, other: Self) -> u32 {
        self.0.simd_eq(other.0).to_bitmask()
    }
}

/// ASCII digits.
#[inline(always)]
fn is_digit(lane: i8x16) -> i8x16 {
    // Moved to the least values that there are.
    (lane + i8x16::splat(0x50)).simd_lt(i8x16::splat(-0x80 + 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(bytes: &[u8], test: impl Fn(u8) -> bool) -> u64 {
        bytes.iter().enumerate().map(|(index, byte)| u64::from(test(*byte)) << index).sum()
    }

    fn is_stop(byte: u8) -> bool {
        byte == b'"' || byte == b'\\' || byte < b' '
    }

    #[test]
    fn every_byte_in_every_place_is_tested_as_by_hand() {
        for byte in 0..=u8::MAX {
            for place in [0, 1, 15, 16, 31, 40, 63] {
                for around in [0, b' ', b'!', b'"', b'\\', b'x', 0x7f, 0x80, 0xff] {
                    let mut bytes = [around; WIDTH];
                    bytes[place] = byte;
                    let lanes = Lanes::load(&bytes);
                    assert_eq!(lanes.stops(), naive(&bytes, is_stop));
                    assert_eq!(lanes.is_plain(), lanes.stops() | lanes.high() == 0);
                    assert_eq!(lanes.high(), naive(&bytes, |byte| byte >= 0x80));
                    assert_eq!(lanes.spaces(), naive(&bytes, |byte| b" \t\n\r".contains(&byte)));
                }
            }
        }
    }

    #[test]
    fn sixteen_bytes_are_tested_alike() {
        for byte in 0..=u8::MAX {
            for place in 0..LANE {
                for around in [0, b' ', b'"', b'5', b'x', 0x80, 0xff] {
                    let mut bytes = [around; LANE];
                    bytes[place] = byte;
                    let vector = Vector::of(&bytes);
                    assert_eq!(u64::from(vector.stops()), naive(&bytes, |byte| is_stop(byte) || byte >= 0x80));
                    assert_eq!(u64::from(vector.ends()), naive(&bytes, is_stop));
                    assert_eq!(u64::from(vector.high()), naive(&bytes, |byte| byte >= 0x80));
                    assert_eq!(u64::from(vector.digits()), naive(&bytes, |byte| byte.is_ascii_digit()));
                    let same = u64::from(Vector::ALL) & !(u64::from(byte != around) << place);
                    assert_eq!(u64::from(vector.same(Vector::of(&[around; LANE]))), same);
                }
            }
        }
    }
}
