//! Percent-decoding of a value that arrives in pieces (WHATWG URL, 5.1).

use crate::reason::Reason;
use crate::source::hex;

/// How many decoded bytes are passed on at once.
const ROOM: usize = 128;

/// Decodes one value, in pieces of any size. Memory: one escape.
#[derive(Debug, Default)]
pub(super) struct PercentDecoder {
    escape: CutEscape,
    is_malformed: bool,
}

/// The escape that the last piece cut.
#[derive(Clone, Copy, Debug, Default)]
enum CutEscape {
    #[default]
    None,
    Percent,
    High(u8),
}

impl PercentDecoder {
    /// Decodes a piece and passes the result on in pieces. After an invalid escape, nothing is passed on.
    pub(super) fn push(&mut self, piece: &[u8], mut pass: impl FnMut(&[u8])) {
        if matches!(self.escape, CutEscape::None) && memchr::memchr2(b'%', b'+', piece).is_none() && !self.is_malformed
        {
            return pass(piece);
        }
        let mut decoded = [0; ROOM];
        for piece in piece.chunks(ROOM) {
            let mut length = 0;
            for byte in piece.iter().filter_map(|byte| self.next(*byte)) {
                if let Some(place) = decoded.get_mut(length) {
                    *place = byte;
                    length += 1;
                }
            }
            if self.is_malformed {
                return;
            }
            pass(decoded.get(..length).unwrap_or_default());
        }
    }

    /// Ends the value: the reason why it cannot be read, if it has an invalid escape.
    pub(super) fn finish(self) -> Option<Reason> {
        (self.is_malformed || !matches!(self.escape, CutEscape::None)).then_some(Reason::KeyMalformed)
    }

    /// The decoded byte that ends with this one.
    fn next(&mut self, byte: u8) -> Option<u8> {
        let (decoded, escape) = match (self.escape, byte) {
            (CutEscape::None, b'%') => (None, CutEscape::Percent),
            (CutEscape::None, b'+') => (Some(b' '), CutEscape::None),
            (CutEscape::None, other) => (Some(other), CutEscape::None),
            (CutEscape::Percent, digit) => match hex(digit) {
                Some(high) => (None, CutEscape::High(high)),
                None => return self.malformed(),
            },
            (CutEscape::High(high), digit) => match hex(digit) {
                Some(low) => (Some(high << 4 | low), CutEscape::None),
                None => return self.malformed(),
            },
        };
        self.escape = escape;
        decoded
    }

    fn malformed(&mut self) -> Option<u8> {
        self.is_malformed = true;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Plus, decode};

    #[test]
    fn pieces_are_decoded_as_the_whole() {
        let long = "%41b+".repeat(100);
        for text in ["", "a", "a+b%20c%C3%a5%2B", "%", "%4", "%4x", "%%41", "a%zzb", &long, "x%41%"] {
            for cut in 1..=text.len().max(1) {
                let (mut decoder, mut decoded) = (PercentDecoder::default(), Vec::new());
                for piece in text.as_bytes().chunks(cut) {
                    decoder.push(piece, |piece| decoded.extend_from_slice(piece));
                }
                let found = decoder.finish().map_or(Ok(decoded), Err);
                assert_eq!(found, decode(text.as_bytes(), Plus::Space).map(Into::into), "{text} cut at {cut}");
            }
        }
    }
}
