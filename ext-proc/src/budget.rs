//! The byte budget: the limit of buffered bytes in the whole process.
//!
//! A body must be buffered until its key comes, and only a common limit bounds the memory of many such bodies. Bytes beyond
//! the limit are refused with `overloaded`. No stream waits for room, because the streams that reserve it may themselves
//! wait for slow clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The byte budget. Clones share the limit.
#[derive(Clone, Debug)]
pub struct Budget(Arc<BudgetState>);

#[derive(Debug)]
struct BudgetState {
    limit: u64,
    used: AtomicU64,
}

/// Bytes reserved from the budget. Dropping it releases them.
#[derive(Debug)]
pub struct Reservation {
    budget: Arc<BudgetState>,
    bytes: u64,
}

impl Budget {
    /// A budget of `limit` bytes.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self(Arc::new(BudgetState { limit, used: AtomicU64::new(0) }))
    }

    /// The bytes that can be reserved at a time.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.0.limit
    }

    /// Bytes reserved now.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// An empty reservation.
    #[must_use]
    pub fn reservation(&self) -> Reservation {
        Reservation { budget: Arc::clone(&self.0), bytes: 0 }
    }
}

impl Reservation {
    /// Reserves more bytes. Returns false and reserves none if they exceed the budget.
    #[must_use]
    pub fn try_grow(&mut self, bytes: u64) -> bool {
        let fits = |used: u64| used.checked_add(bytes).filter(|total| *total <= self.budget.limit);
        let fitted = self.budget.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok();
        if fitted {
            self.bytes += bytes;
        }
        fitted
    }

    /// An empty reservation of the same budget.
    #[must_use]
    pub fn another(&self) -> Self {
        Self { budget: Arc::clone(&self.budget), bytes: 0 }
    }

    /// The reserved bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Moves at most this many bytes to a reservation of their own. `None` if this one is empty.
    #[must_use]
    pub fn split(&mut self, bytes: u64) -> Option<Self> {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        (bytes > 0).then(|| Self { budget: Arc::clone(&self.budget), bytes })
    }

    /// Adds the bytes of another reservation of the same budget.
    pub fn merge(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Releases bytes, at most those that it reserves.
    pub fn release(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.budget.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Releases all bytes.
    pub fn release_all(&mut self) {
        self.release(self.bytes);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.release_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_beyond_the_limit_are_refused_as_a_whole() {
        let budget = Budget::new(10);
        let (mut one, mut two) = (budget.reservation(), budget.reservation());
        assert!(one.try_grow(6));
        assert!(!two.try_grow(5));
        assert!(two.try_grow(4));
        assert_eq!(budget.used(), 10);
        assert!(!one.try_grow(u64::MAX));
        one.release(100);
        assert_eq!(budget.used(), 4);
        assert!(one.split(1).is_none());
        assert!(one.try_grow(6));
        let (part, rest) = (one.split(2), one.split(100));
        assert_eq!((part.as_ref().map(Reservation::bytes), rest.map(|rest| rest.bytes())), (Some(2), Some(4)));
        assert_eq!((budget.used(), one.bytes()), (6, 0));
        one.merge(part.unwrap());
        let part = one.split(2);
        assert_eq!((budget.used(), one.bytes()), (6, 0));
        drop((one, two, part));
        assert_eq!(budget.used(), 0);
    }
}
