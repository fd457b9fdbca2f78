//! The share of the budget for small streams.

/// A stream whose demand is at most this many bytes is small: a body of 64 KiB, the message behind it, and gzip's decoders.
const SMALL: u64 = 256 * 1024;

/// A smaller budget has no share.
const MIN_BUDGET: u64 = 16 * 1024 * 1024;

/// The share is the budget divided by this.
const PART: u64 = 16;

/// Bytes that only small streams can take. Each takes its whole demand before it holds a byte, so none waits for another.
#[derive(Debug)]
pub(super) struct SmallShare {
    limit: u64,
    /// The largest demand of a small stream.
    largest: u64,
    taken: u64,
    /// The bytes of the taken ones that are held.
    held: u64,
}

impl SmallShare {
    /// The share of a budget.
    pub(super) fn of(budget: u64) -> Self {
        Self::new(if budget < MIN_BUDGET { 0 } else { budget / PART }, SMALL)
    }

    /// A share of `limit` bytes for streams whose demand is at most `largest`.
    pub(super) fn new(limit: u64, largest: u64) -> Self {
        Self { limit, largest, taken: 0, held: 0 }
    }

    /// The bytes that can be taken.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// The bytes that are held.
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    /// The bytes that are taken, held or not.
    #[cfg(test)]
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Takes the demand of a stream, if it is small and there is room for it. `free` are the bytes of the budget that no
    /// larger stream holds: it can hold more than its part, because a stream that leaves the share keeps its bytes.
    pub(super) fn take(&mut self, demand: u64, free: u64) -> bool {
        let taken = self.taken.saturating_add(demand);
        let fits = demand > 0 && demand <= self.largest && taken <= self.limit.min(free);
        if fits {
            self.taken = taken;
        }
        fits
    }

    /// Gives back bytes that were taken and are not held.
    pub(super) fn give_back(&mut self, bytes: u64) {
        self.taken = self.taken.saturating_sub(bytes);
    }

    /// A stream of the share holds more bytes.
    pub(super) fn held_more(&mut self, bytes: u64) {
        self.held += bytes;
    }

    /// A stream of the share holds fewer bytes.
    pub(super) fn released(&mut self, bytes: u64) {
        self.held = self.held.saturating_sub(bytes);
    }
}
