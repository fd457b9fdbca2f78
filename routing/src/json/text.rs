//! A decoded string or number that may matter, kept up to the length at which it no longer can.

/// Bytes, cut off one past the limit: that one says the text is too long.
#[derive(Debug, Default)]
pub(super) struct Text {
    bytes: Vec<u8>,
    limit: usize,
}

impl Text {
    /// A text of at most `limit` bytes; `room` is the largest limit there will be, so that memory is asked for once.
    pub(super) fn restart(&mut self, limit: usize, room: usize) {
        self.bytes.clear();
        self.bytes.reserve_exact(room.saturating_add(1));
        self.limit = limit;
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        let room = self.limit.saturating_add(1).saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    pub(super) fn push(&mut self, character: char) {
        self.extend(character.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// The text, or more bytes than the limit.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
