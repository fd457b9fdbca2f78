//! Sixty-four bytes at a time: where a string's next interesting byte is.
//!
//! A window is loaded once and serves every string that starts in it, so a run of short strings costs a shift and a
//! count each. The vector code is safe Rust: SSE2 belongs to every x86-64, and a wasm module either has `simd128` or
//! is built without it; everything else takes the portable path, eight bytes at a time.

/// How many bytes a window covers.
pub(super) const WINDOW: usize = 64;
const LANE: usize = 16;

/// Two bits for each byte of a part of the chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Index of the first byte in the chunk.
    start: usize,
    /// Bytes that end a plain run: `"`, `\` and controls.
    stops: u64,
    /// Bytes beyond ASCII.
    high: u64,
}

impl Window {
    /// A window over nothing.
    pub(super) const fn new() -> Self {
        Self { start: 0, stops: 0, high: 0 }
    }

    /// The index of the quote that ends the string whose content starts at `at`, if that string is as simple as most:
    /// short, ASCII, free of escapes, whole in this chunk.
    #[inline]
    pub(super) fn plain_end(&mut self, chunk: &[u8], at: usize) -> Option<usize> {
        let mut offset = at.wrapping_sub(self.start);
        let mut stops = if offset < WINDOW { self.stops >> offset } else { 0 };
        if stops == 0 {
            *self = Self::load(chunk, at);
            offset = at.wrapping_sub(self.start);
            stops = if offset < WINDOW { self.stops >> offset } else { 0 };
            if stops == 0 {
                return None;
            }
        }
        let before_stop = (stops & stops.wrapping_neg()) - 1;
        let end = at + stops.trailing_zeros() as usize;
        let is_plain = (self.high >> offset) & before_stop == 0 && chunk.get(end) == Some(&b'"');
        is_plain.then_some(end)
    }

    /// The window at `at`, or the last whole one if fewer bytes are left.
    #[inline]
    fn load(chunk: &[u8], at: usize) -> Self {
        if let Some(bytes) = chunk.get(at..).and_then(<[u8]>::first_chunk) {
            return Self::of(at, bytes);
        }
        match chunk.last_chunk() {
            Some(bytes) => Self::of(chunk.len() - WINDOW, bytes),
            None => {
                // Spaces are neither stops nor high.
                let mut bytes = [b' '; WINDOW];
                for (to, from) in bytes.iter_mut().zip(chunk) {
                    *to = *from;
                }
                Self::of(0, &bytes)
            }
        }
    }

    #[inline]
    fn of(start: usize, bytes: &[u8; WINDOW]) -> Self {
        let (stops, high) = marks(bytes);
        Self { start, stops, high }
    }
}

/// The stops and the high bytes among 64, the first byte in the lowest bit.
#[inline]
pub(super) fn marks(bytes: &[u8; WINDOW]) -> (u64, u64) {
    let (lanes, _) = bytes.as_chunks::<LANE>();
    let (mut stops, mut high) = (0, 0);
    for (index, lane) in lanes.iter().enumerate() {
        let (lane_stops, lane_high) = lane::marks(lane);
        stops |= u64::from(lane_stops) << (index * LANE);
        high |= u64::from(lane_high) << (index * LANE);
    }
    (stops, high)
}

/// A run of bytes in a string, up to a stop or the end of the chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Index of the stop, or the chunk's length.
    pub(super) end: usize,
    /// Whether a byte beyond ASCII may be among them.
    pub(super) has_high: bool,
}

/// The run that starts at `at`.
pub(super) fn plain_run(chunk: &[u8], mut at: usize) -> Run {
    let mut any_high = 0;
    loop {
        let window = Window::load(chunk, at);
        let offset = at - window.start;
        let (stops, high) = if offset < WINDOW { (window.stops >> offset, window.high >> offset) } else { (0, 0) };
        if stops != 0 {
            let before_stop = (stops & stops.wrapping_neg()) - 1;
            let end = at + stops.trailing_zeros() as usize;
            return Run { end, has_high: any_high | (high & before_stop) != 0 };
        }
        any_high |= high;
        at = window.start + WINDOW;
        if at >= chunk.len() {
            return Run { end: chunk.len(), has_high: any_high != 0 };
        }
    }
}

/// The index of the first byte from `at` on that is no JSON white space, or the chunk's length.
#[inline]
pub(super) fn skip_space(chunk: &[u8], mut at: usize) -> usize {
    // Compact documents have none, most others one byte.
    for _ in 0..2 {
        match chunk.get(at) {
            Some(b' ' | b'\n' | b'\r' | b'\t') => at += 1,
            _ => return at,
        }
    }
    skip_long_space(chunk, at)
}

fn skip_long_space(chunk: &[u8], mut at: usize) -> usize {
    while let Some(lane) = chunk.get(at..).and_then(<[u8]>::first_chunk::<LANE>) {
        let ink = !lane::spaces(lane);
        if ink != 0 {
            return at + ink.trailing_zeros() as usize;
        }
        at += LANE;
    }
    while matches!(chunk.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod lane {
    use std::arch::wasm32::*;

    #[inline]
    fn load(lane: &[u8; 16]) -> v128 {
        let bits = u128::from_le_bytes(*lane);
        u64x2(bits as u64, (bits >> 64) as u64)
    }

    #[inline]
    pub(super) fn marks(lane: &[u8; 16]) -> (u16, u16) {
        let bytes = load(lane);
        let quotes = u8x16_eq(bytes, u8x16_splat(b'"'));
        let escapes = u8x16_eq(bytes, u8x16_splat(b'\\'));
        let controls = u8x16_lt(bytes, u8x16_splat(0x20));
        (u8x16_bitmask(v128_or(v128_or(quotes, escapes), controls)), u8x16_bitmask(bytes))
    }

    #[inline]
    pub(super) fn spaces(lane: &[u8; 16]) -> u16 {
        let bytes = load(lane);
        let is = |byte: u8| u8x16_eq(bytes, u8x16_splat(byte));
        u8x16_bitmask(v128_or(v128_or(is(b' '), is(b'\n')), v128_or(is(b'\r'), is(b'\t'))))
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
use portable as lane;

/// Eight bytes in a word. Each test sets the top bit of the bytes it is about, without carries between bytes.
#[cfg_attr(all(target_arch = "wasm32", target_feature = "simd128"), cfg(test))]
mod portable {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;

    fn words(lane: &[u8; 16]) -> [u64; 2] {
        let bits = u128::from_le_bytes(*lane);
        [bits as u64, (bits >> 64) as u64]
    }

    /// Bytes below `limit`, which is at most 0x80.
    fn below(word: u64, limit: u8) -> u64 {
        let sums = (word & !HIGH) + LOW * u64::from(0x80 - limit);
        !(sums | word) & HIGH
    }

    fn is(word: u64, byte: u8) -> u64 {
        below(word ^ (LOW * u64::from(byte)), 1)
    }

    /// Gathers the top bits of eight bytes into eight bits.
    fn gather(tops: u64) -> u16 {
        ((tops >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u16
    }

    fn join(words: [u64; 2], test: impl Fn(u64) -> u64) -> u16 {
        let [first, second] = words.map(|word| gather(test(word)));
        first | second << 8
    }

    pub(super) fn marks(lane: &[u8; 16]) -> (u16, u16) {
        let stops = |word| is(word, b'"') | is(word, b'\\') | below(word, 0x20);
        (join(words(lane), stops), join(words(lane), |word| word & HIGH))
    }

    pub(super) fn spaces(lane: &[u8; 16]) -> u16 {
        join(words(lane), |word| is(word, b' ') | is(word, b'\n') | is(word, b'\r') | is(word, b'\t'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(lane: &[u8; 16], test: impl Fn(u8) -> bool) -> u16 {
        lane.iter().enumerate().map(|(index, byte)| u16::from(test(*byte)) << index).sum()
    }

    #[test]
    fn every_byte_in_every_lane_is_marked_as_by_hand() {
        for byte in 0..=u8::MAX {
            for place in 0..16 {
                for around in [0, b' ', b'!', b'"', b'\\', b'x', 0x7f, 0x80, 0xff] {
                    let mut lane = [around; 16];
                    lane[place] = byte;
                    let stops = naive(&lane, |byte| byte == b'"' || byte == b'\\' || byte < 0x20);
                    let high = naive(&lane, |byte| byte >= 0x80);
                    let spaces = naive(&lane, |byte| b" \n\r\t".contains(&byte));
                    assert_eq!((lane::marks(&lane), lane::spaces(&lane)), ((stops, high), spaces));
                    assert_eq!((portable::marks(&lane), portable::spaces(&lane)), ((stops, high), spaces));
                }
            }
        }
    }

    #[test]
    fn plain_strings_end_at_their_quote_wherever_they_lie() {
        for length in 0..200 {
            for at in 0..length {
                for end in at..length {
                    let mut chunk = vec![b'x'; length];
                    chunk[end] = b'"';
                    let expected = (end - at < WINDOW).then_some(end);
                    assert_eq!(Window::new().plain_end(&chunk, at), expected, "{at} to {end} of {length}");
                }
            }
        }
    }

    #[test]
    fn space_is_skipped_to_the_first_other_byte() {
        for length in 0..70 {
            let mut chunk: Vec<u8> = b" \n\r\t".iter().copied().cycle().take(length).collect();
            assert_eq!(skip_space(&chunk, 0), length);
            chunk.push(0x0b);
            chunk.extend([b' '; 20]);
            assert_eq!(skip_space(&chunk, 0), length);
        }
    }
}
