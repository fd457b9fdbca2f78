//! The body bytes kept until the decision. Their memory is known to within a factor of two.

use bytes::{Bytes, BytesMut};

/// Chunks below this many bytes are copied into a shared buffer. Larger ones stay in the buffer of their message, which
/// any part of it keeps alive.
const SMALL: usize = 8 * 1024;

/// A shared buffer grows up to this many bytes, so that growing it copies few bytes.
const FULL: usize = 64 * 1024;

/// The bytes that a buffer costs beside its content: its handle, its place in the list, the allocator's share.
pub(super) const COST: u64 = 128;

/// Chunks of a body, in order.
#[derive(Debug, Default)]
pub(super) struct BodyBuffer {
    chunks: Vec<Bytes>,
    /// Small chunks that follow all `chunks`.
    tail: BytesMut,
}

impl BodyBuffer {
    /// The memory, in bytes, that a chunk would add.
    pub(super) fn cost(&self, chunk: &Bytes) -> u64 {
        let bytes = chunk.len() as u64;
        if chunk.is_empty() || (chunk.len() < SMALL && !self.tail.is_empty()) { bytes } else { bytes + COST }
    }

    /// Appends a chunk.
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

    /// The part of the cost that is not content.
    pub(super) fn overhead(&self) -> u64 {
        (self.chunks.len() as u64 + u64::from(!self.tail.is_empty())) * COST
    }

    /// The content. No chunk is empty.
    pub(super) fn into_chunks(mut self) -> Vec<Bytes> {
        self.flush();
        self.chunks
    }

    fn flush(&mut self) {
        if !self.tail.is_empty() {
            self.chunks.push(self.tail.split().freeze());
            // The remainder after `split` shares the allocation and would keep it alive.
            self.tail = BytesMut::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_keep_their_order_and_small_ones_share_a_buffer() {
        let mut buffer = BodyBuffer::default();
        let (mut all, mut cost) = (Vec::new(), 0);
        for size in [1, 0, SMALL - 1, SMALL, SMALL, 1, 2, 0, 3, SMALL + 1] {
            let chunk = Bytes::from(vec![b'a' + u8::try_from(all.len() % 26).unwrap(); size]);
            all.extend_from_slice(&chunk);
            cost += buffer.cost(&chunk);
            buffer.push(chunk);
        }
        assert_eq!(cost, all.len() as u64 + buffer.overhead());
        let chunks = buffer.into_chunks();
        assert_eq!(chunks.iter().map(Bytes::len).collect::<Vec<_>>(), [SMALL, SMALL, SMALL, 6, SMALL + 1]);
        assert_eq!(chunks.concat(), all);
    }

    #[test]
    fn a_million_single_bytes_take_few_buffers() {
        let mut buffer = BodyBuffer::default();
        for _ in 0..1_000_000 {
            buffer.push(Bytes::from_static(b"x"));
        }
        assert!(buffer.into_chunks().len() <= 1_000_000 / FULL + 1);
    }
}
