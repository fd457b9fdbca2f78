//! The text of a value, or of a name on a pointer's path, that does not come in one piece.

/// Decoded text, cut off one byte after its limit. That byte shows that the text is too long.
#[derive(Debug, Default)]
pub(super) struct CappedText {
    bytes: Vec<u8>,
    limit: usize,
}

impl CappedText {
    /// Begins a text of at most `limit` bytes. `largest` is the largest limit there will be, so that there is one
    /// allocation only.
    pub(super) fn restart(&mut self, limit: usize, largest: usize) {
        self.bytes.clear();
        self.bytes.reserve_exact(largest.saturating_add(1));
        self.limit = limit;
    }

    pub(super) fn push_bytes(&mut self, bytes: &[u8]) {
        let room = self.limit.saturating_add(1).saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// The text; longer than its limit if it is too long.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
