//! Sixty-four bytes as one value: tests on all of them at once, answered by one bit for each.
//!
//! Vectors of 16 bytes are what every x86-64, every 64-bit ARM and WebAssembly's `simd128` have. `wide` maps them, and
//! is plain arithmetic elsewhere, so there is one code path to prove.

use wide::u8x16;

/// How many bytes there are.
pub(super) const WIDTH: usize = 64;
const LANE: usize = 16;
const LANES: usize = WIDTH / LANE;

/// Whether the target has such vectors. Without, tests on bytes nobody may ask about cost more than they save.
pub(super) const HAVE_VECTORS: bool =
    cfg!(any(target_arch = "x86_64", target_arch = "aarch64", all(target_arch = "wasm32", target_feature = "simd128")));

/// Sixty-four bytes. In masks, the first byte is the lowest bit.
#[derive(Clone, Copy)]
pub(super) struct Lanes([u8x16; LANES]);

impl Lanes {
    #[inline(always)]
    pub(super) fn load(bytes: &[u8; WIDTH]) -> Self {
        let mut lanes = [u8x16::splat(0); LANES];
        for (lane, bytes) in lanes.iter_mut().zip(bytes.as_chunks::<LANE>().0) {
            *lane = u8x16::new(*bytes);
        }
        Self(lanes)
    }

    /// Bytes that are `byte`.
    #[inline(always)]
    pub(super) fn equal(self, byte: u8) -> u64 {
        self.mask(|lane| lane.simd_eq(u8x16::splat(byte)))
    }

    /// Bytes that are one of the two that differ in bit 5 only, such as `[` and `{`; `byte` has the bit.
    #[inline(always)]
    pub(super) fn either(self, byte: u8) -> u64 {
        self.mask(|lane| (lane | u8x16::splat(0x20)).simd_eq(u8x16::splat(byte)))
    }

    /// Bytes that no plain run has but a quote: `\`, controls and what is beyond ASCII.
    #[inline(always)]
    pub(super) fn foreign(self) -> u64 {
        self.mask(|lane| lane | lane.simd_eq(u8x16::splat(b'\\')) | controls(lane))
    }

    /// ASCII digits.
    #[inline(always)]
    pub(super) fn digits(self) -> u64 {
        self.mask(|lane| {
            let value = lane - u8x16::splat(b'0');
            value.min(u8x16::splat(9)).simd_eq(value)
        })
    }

    /// Bytes that stop a plain run of a string: `"`, `\` and controls.
    #[inline(always)]
    pub(super) fn stops(self) -> u64 {
        self.mask(|lane| lane.simd_eq(u8x16::splat(b'"')) | lane.simd_eq(u8x16::splat(b'\\')) | controls(lane))
    }

    /// Whether there are neither stops nor high bytes.
    #[inline(always)]
    pub(super) fn is_plain(self) -> bool {
        let [a, b, c, d] = self
            .0
            .map(|lane| lane | lane.simd_eq(u8x16::splat(b'"')) | lane.simd_eq(u8x16::splat(b'\\')) | controls(lane));
        ((a | b) | (c | d)).to_bitmask() == 0
    }

    /// Bytes beyond ASCII.
    #[inline(always)]
    pub(super) fn high(self) -> u64 {
        self.mask(|lane| lane)
    }

    /// JSON white space: space, tab, line feed, carriage return.
    #[inline(always)]
    pub(super) fn spaces(self) -> u64 {
        self.mask(|lane| {
            let is = |byte| lane.simd_eq(u8x16::splat(byte));
            (is(b' ') | is(b'\t')) | (is(b'\n') | is(b'\r'))
        })
    }

    /// The top bit of every byte that `test` makes.
    #[inline(always)]
    fn mask(self, test: impl Fn(u8x16) -> u8x16) -> u64 {
        let [a, b, c, d] = self.0.map(|lane| u64::from(test(lane).to_bitmask()));
        a | b << 16 | c << 32 | d << 48
    }
}

#[inline(always)]
fn controls(lane: u8x16) -> u8x16 {
    lane.min(u8x16::splat(0x1f)).simd_eq(lane)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(bytes: &[u8; WIDTH], test: impl Fn(u8) -> bool) -> u64 {
        bytes.iter().enumerate().map(|(index, byte)| u64::from(test(*byte)) << index).sum()
    }

    #[test]
    fn every_byte_in_every_place_is_tested_as_by_hand() {
        for byte in 0..=u8::MAX {
            for place in [0, 1, 15, 16, 31, 40, 63] {
                for around in [0, b' ', b'!', b'"', b'\\', b'x', 0x7f, 0x80, 0xff] {
                    let mut bytes = [around; WIDTH];
                    bytes[place] = byte;
                    let lanes = Lanes::load(&bytes);
                    assert_eq!(lanes.equal(b'"'), naive(&bytes, |byte| byte == b'"'));
                    assert_eq!(lanes.either(b'{'), naive(&bytes, |byte| byte == b'{' || byte == b'['));
                    let is_foreign = |byte| byte == b'\\' || !(b' '..0x80).contains(&byte);
                    assert_eq!(lanes.foreign(), naive(&bytes, is_foreign));
                    assert_eq!(lanes.digits(), naive(&bytes, |byte| byte.is_ascii_digit()));
                    let is_stop = |byte| byte == b'"' || byte == b'\\' || byte < b' ';
                    assert_eq!(lanes.stops(), naive(&bytes, is_stop));
                    assert_eq!(lanes.is_plain(), lanes.stops() | lanes.high() == 0);
                    assert_eq!(lanes.high(), naive(&bytes, |byte| byte >= 0x80));
                    assert_eq!(lanes.spaces(), naive(&bytes, |byte| b" \t\n\r".contains(&byte)));
                }
            }
        }
    }
}
