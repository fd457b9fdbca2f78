//! The place in the current chunk.

use super::fast::plain_length;
use super::state::GrammarState;
use crate::body::BodyError;
use crate::reason::Reason;

/// A chunk, and the index of the next byte in it.
pub(super) struct Cursor<'a> {
    pub(super) chunk: &'a [u8],
    pub(super) at: usize,
    /// How many bytes of the body come before the chunk.
    pub(super) base: u64,
}

impl<'a> Cursor<'a> {
    /// The next byte, or `None` at the end of the chunk.
    #[inline(always)]
    pub(super) fn peek(&self) -> Option<u8> {
        self.chunk.get(self.at).copied()
    }

    /// Takes one byte.
    #[inline(always)]
    pub(super) fn take(&mut self, next: GrammarState) -> GrammarState {
        self.at += 1;
        next
    }

    /// Takes the bytes before `end`.
    #[inline(always)]
    pub(super) fn take_until(&mut self, end: usize) -> &'a [u8] {
        let taken = self.chunk.get(self.at..end).unwrap_or_default();
        self.at = end;
        taken
    }

    /// Takes JSON whitespace (RFC 8259, 2).
    #[inline(always)]
    pub(super) fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Takes a string whose opening quote was just taken, if it is whole in the chunk and consists of ASCII characters
    /// without escape sequences. Returns its text.
    #[inline(always)]
    pub(super) fn take_simple_string<const FAST: bool>(&mut self) -> Option<&'a [u8]> {
        let rest = self.chunk.get(self.at..)?;
        let length = if FAST {
            plain_length(rest)
        } else {
            rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..b' ' | 0x80..))
        }?;
        if rest.get(length) != Some(&b'"') {
            return None;
        }
        self.at += length + 1;
        rest.get(..length)
    }

    pub(super) fn malformed(&self, expected: &'static str) -> BodyError {
        self.error(Reason::BodyMalformed, expected)
    }

    #[cold]
    pub(super) fn error(&self, reason: Reason, expected: &'static str) -> BodyError {
        BodyError { reason, offset: self.base + self.at as u64, expected }
    }
}
