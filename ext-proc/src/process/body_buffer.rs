//! The body held back until its key is known, in memory that is counted to within a factor of two.

use bytes::{Bytes, BytesMut};

/// Chunks below this many bytes are copied together. Others are kept as they came: in the buffer that tonic put
/// their message together in, which is kept whole by any part of it.
const SMALL: usize = 8 * 1024;

/// Copies grow up to this, so that none is copied often.
const FULL: usize = 64 * 1024;

/// What a buffer costs beside its bytes: its handle, its place in the list, the allocator's share. Counted in bytes.
pub(super) const COST: u64 = 128;

/// Chunks in the order they came.
#[derive(Debug, Default)]
pub(super) struct BodyBuffer {
    chunks: Vec<Bytes>,
    /// Small chunks that came after all others.
    tail: BytesMut,
}

impl BodyBuffer {
    /// What a chunk would add to the memory that is held, in bytes.
    pub(super) fn cost(&self, chunk: &Bytes) -> u64 {
        let bytes = chunk.len() as u64;
        if chunk.is_empty() || (chunk.len() < SMALL && !self.tail.is_empty()) { bytes } else { bytes + COST }
    }

    /// Keeps a chunk.
    pub(super) fn push(&mut self, chunk: Bytes) {
        if chunk.is_empty() {
            return;
        }
        if chunk.len() < SMALL {
            self.tail.extend_from_slice(&chunk);
            if self.tail.len() >= FULL {
                self.flush();
            }
        } else {
            self.flush();
            self.chunks.push(chunk);
        }
    }

    /// How much of its cost is beside the bytes.
    pub(super) fn overhead(&self) -> u64 {
        (self.chunks.len() as u64 + u64::from(!self.tail.is_empty())) * COST
    }

    /// All that was kept. No chunk is empty.
    pub(super) fn into_chunks(mut self) -> Vec<Bytes> {
        self.flush();
        self.chunks
    }

    fn flush(&mut self) {
        if !self.tail.is_empty() {
            self.chunks.push(self.tail.split().freeze());
            // What `split` leaves shares the buffer, and would keep it whole.
            self.tail = BytesMut::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_small_chunks_share_a_buffer() {
        let mut held = BodyBuffer::default();
        let (mut all, mut cost) = (Vec::new(), 0);
        for size in [1, 0, SMALL - 1, SMALL, SMALL, 1, 2, 0, 3, SMALL + 1] {
            let chunk = Bytes::from(vec![b'a' + u8::try_from(all.len() % 26).unwrap(); size]);
            all.extend_from_slice(&chunk);
            cost += held.cost(&chunk);
            held.push(chunk);
        }
        assert_eq!(cost, all.len() as u64 + held.overhead());
        let chunks = held.into_chunks();
        assert_eq!(chunks.iter().map(Bytes::len).collect::<Vec<_>>(), [SMALL, SMALL, SMALL, 6, SMALL + 1]);
        assert_eq!(chunks.concat(), all);
    }

    #[test]
    fn a_million_single_bytes_are_a_few_buffers() {
        let mut held = BodyBuffer::default();
        for _ in 0..1_000_000 {
            held.push(Bytes::from_static(b"x"));
        }
        assert!(held.into_chunks().len() <= 1_000_000 / FULL + 1);
    }
}
