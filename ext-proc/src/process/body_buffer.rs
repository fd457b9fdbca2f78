//! The body bytes kept until the decision, in little more memory than the budget counts for them.

use bytes::Bytes;

/// Chunks below this many bytes are copied into a shared buffer. Larger ones stay in the buffer of their message, which any
/// part of it keeps alive. tonic makes that buffer longer than the message: by the message once more, or by a frame (16 KiB).
const SMALL: usize = 32 * 1024;

/// A shared buffer grows up to this many bytes at most, so that growing it copies few bytes.
const FULL: usize = 64 * 1024;

/// The bytes that a buffer costs beside its content: its handle, its place in the list, the allocator's share.
pub(super) const COST: u64 = 128;

/// Chunks of a body, in order.
#[derive(Debug, Default)]
pub(super) struct BodyBuffer {
    chunks: Vec<Bytes>,
    /// Small chunks that follow all `chunks`.
    tail: Vec<u8>,
}

impl BodyBuffer {
    /// The memory, in bytes, that a chunk would add.
    pub(super) fn cost(&self, chunk: &Bytes) -> u64 {
        let bytes = chunk.len() as u64;
        if chunk.is_empty() || (self.shares_tail(chunk) && !self.tail.is_empty()) { bytes } else { bytes + COST }
    }

    /// Appends a chunk.
    pub(super) fn push(&mut self, chunk: Bytes) {
        if chunk.is_empty() {
            return;
        }
        if !self.shares_tail(&chunk) {
            self.flush();
        }
        if chunk.len() < SMALL {
            self.grow_tail(chunk.len());
            self.tail.extend_from_slice(&chunk);
        } else {
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

    /// Whether a chunk belongs into the shared buffer as it is.
    fn shares_tail(&self, chunk: &Bytes) -> bool {
        chunk.len() < SMALL && self.tail.len() + chunk.len() <= FULL
    }

    /// Makes room in the shared buffer. `Vec` alone would double it beyond [`FULL`].
    fn grow_tail(&mut self, bytes: usize) {
        let needed = self.tail.len() + bytes;
        if needed > self.tail.capacity() {
            let capacity = needed.max(FULL.min(2 * self.tail.capacity()));
            self.tail.reserve_exact(capacity - self.tail.len());
        }
    }

    fn flush(&mut self) {
        if !self.tail.is_empty() {
            // Without the room to grow.
            self.chunks.push(std::mem::take(&mut self.tail).into_boxed_slice().into());
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

    /// tonic's buffer of a message is up to twice as long. A chunk must not keep it.
    #[test]
    fn a_chunk_below_32_kib_does_not_keep_the_buffer_of_its_message() {
        let (mut buffer, mut message) = (BodyBuffer::default(), Bytes::from(vec![b'x'; 64 * 1024]));
        for _ in 0..3 {
            buffer.push(message.split_to(16_000));
        }
        assert!(message.is_unique());
        assert!(buffer.tail.capacity() <= FULL && buffer.overhead() == COST);
        assert_eq!(buffer.cost(&message), message.len() as u64);
        buffer.push(Bytes::from(vec![b'x'; 20_000]));
        assert_eq!((buffer.chunks.len(), buffer.overhead()), (1, 2 * COST));
        assert_eq!(buffer.into_chunks().iter().map(Bytes::len).collect::<Vec<_>>(), [48_000, 20_000]);
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
