//! Sixty-four bytes at a time: where a string's next interesting byte is.
//!
//! A window is loaded once and serves every string that starts in it, so a run of short strings costs a shift and a
//! count each.

use super::simd::{Lanes, Vector, WIDTH};

/// Two bits for each byte of a part of the chunk.
#[derive(Clone, Copy, Debug)]
pub(in crate::json) struct Window {
    /// Index of the first byte in the chunk.
    start: usize,
    /// Bytes that end a plain run: `"`, `\` and controls.
    stops: u64,
    /// Bytes beyond ASCII.
    high: u64,
}

impl Window {
    /// A window over nothing.
    pub(in crate::json) const fn new() -> Self {
        Self { start: 0, stops: 0, high: 0 }
    }

    /// The index of the quote that ends the string whose content starts at `at`, if that string is as simple as most:
    /// short, ASCII, free of escapes, whole in this chunk.
    #[inline]
    pub(in crate::json) fn plain_end(&mut self, chunk: &[u8], at: usize) -> Option<usize> {
        let mut offset = at.wrapping_sub(self.start);
        let mut stops = if offset < WIDTH { self.stops >> offset } else { 0 };
        if stops == 0 {
            *self = Self::load(chunk, at);
            offset = at.wrapping_sub(self.start);
            stops = if offset < WIDTH { self.stops >> offset } else { 0 };
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
            Some(bytes) => Self::of(chunk.len() - WIDTH, bytes),
            None => {
                // Spaces are neither stops nor high.
                let mut bytes = [b' '; WIDTH];
                for (to, from) in bytes.iter_mut().zip(chunk) {
                    *to = *from;
                }
                Self::of(0, &bytes)
            }
        }
    }

    #[inline(always)]
    fn of(start: usize, bytes: &[u8; WIDTH]) -> Self {
        let lanes = Lanes::load(bytes);
        Self { start, stops: lanes.stops(), high: lanes.high() }
    }
}

/// A run of bytes in a string, up to a stop or the end of the chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::json) struct Run {
    /// Index of the stop, or the chunk's length.
    pub(in crate::json) end: usize,
    /// Whether a byte beyond ASCII may be among them.
    pub(in crate::json) has_high: bool,
}

/// The run that starts at `at`.
pub(in crate::json) fn plain_run(chunk: &[u8], mut at: usize) -> Run {
    let mut any_high = 0;
    if let Some(bytes) = Vector::load(chunk, at) {
        // Between escapes, runs are short.
        let ends = bytes.ends();
        if ends != 0 {
            let before_end = (ends & ends.wrapping_neg()) - 1;
            return Run { end: at + ends.trailing_zeros() as usize, has_high: bytes.high() & before_end != 0 };
        }
    }
    loop {
        while let Some(bytes) = chunk.get(at..).and_then(<[u8]>::first_chunk)
            && Lanes::load(bytes).is_plain()
        {
            at += WIDTH;
        }
        let window = Window::load(chunk, at);
        let offset = at - window.start;
        let (stops, high) = if offset < WIDTH { (window.stops >> offset, window.high >> offset) } else { (0, 0) };
        if stops != 0 {
            let before_stop = (stops & stops.wrapping_neg()) - 1;
            let end = at + stops.trailing_zeros() as usize;
            return Run { end, has_high: any_high | (high & before_stop) != 0 };
        }
        any_high |= high;
        at = window.start + WIDTH;
        if at >= chunk.len() {
            return Run { end: chunk.len(), has_high: any_high != 0 };
        }
    }
}

/// The same as [`skip_space`], for places where white space is rare.
#[inline(always)]
pub(in crate::json) fn skip_to_ink(chunk: &[u8], at: usize) -> usize {
    match chunk.get(at) {
        Some(byte) if *byte > b' ' => at,
        _ => skip_space(chunk, at),
    }
}

/// The index of the first byte from `at` on that is no JSON white space, or the chunk's length.
#[inline]
pub(in crate::json) fn skip_space(chunk: &[u8], mut at: usize) -> usize {
    // Compact documents have none, most others one byte.
    for _ in 0..2 {
        match chunk.get(at) {
            Some(b' ' | b'\n' | b'\r' | b'\t') => at += 1,
            _ => return at,
        }
    }
    skip_long_space(chunk, at)
}

#[inline(never)]
fn skip_long_space(chunk: &[u8], mut at: usize) -> usize {
    while let Some(bytes) = chunk.get(at..).and_then(<[u8]>::first_chunk) {
        let spaces = Lanes::load(bytes).spaces();
        if spaces != u64::MAX {
            return at + spaces.trailing_ones() as usize;
        }
        at += WIDTH;
    }
    while matches!(chunk.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_strings_end_at_their_quote_wherever_they_lie() {
        for length in (0..200).step_by(3) {
            for at in (0..length).step_by(5) {
                for end in at..length {
                    let mut chunk = vec![b'x'; length];
                    chunk[end] = b'"';
                    let expected = (end - at < WIDTH).then_some(end);
                    assert_eq!(Window::new().plain_end(&chunk, at), expected, "{at} to {end} of {length}");
                }
            }
        }
    }

    #[test]
    fn space_is_skipped_to_the_first_other_byte() {
        for length in 0..200 {
            let mut chunk: Vec<u8> = b" \n\r\t".iter().copied().cycle().take(length).collect();
            assert_eq!(skip_space(&chunk, 0), length);
            chunk.push(0x0b);
            chunk.extend([b' '; 20]);
            assert_eq!(skip_space(&chunk, 0), length);
        }
    }
}
