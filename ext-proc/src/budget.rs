//! The bytes the whole process may hold back at a time, shared by all streams.
//!
//! A body whose key comes late must be held until then, and nothing but a total bounds what many such bodies take
//! together. Beyond it new bytes are refused with `overloaded`; nothing ever waits for room, because the streams that
//! hold it may be waiting for slow clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A total of bytes. Cheap to clone; all clones count together.
#[derive(Clone, Debug)]
pub struct Budget(Arc<BudgetState>);

#[derive(Debug)]
struct BudgetState {
    limit: u64,
    used: AtomicU64,
}

/// One stream's share. What it holds returns to the budget when it is dropped.
#[derive(Debug)]
pub struct Reservation {
    total: Arc<BudgetState>,
    bytes: u64,
}

impl Budget {
    /// A budget of `limit` bytes.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self(Arc::new(BudgetState { limit, used: AtomicU64::new(0) }))
    }

    /// Bytes held now.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// An empty share.
    #[must_use]
    pub fn reservation(&self) -> Reservation {
        Reservation { total: Arc::clone(&self.0), bytes: 0 }
    }
}

impl Reservation {
    /// Takes more bytes, or none at all if they do not fit into the budget.
    #[must_use]
    pub fn try_grow(&mut self, bytes: u64) -> bool {
        let fits = |used: u64| used.checked_add(bytes).filter(|total| *total <= self.total.limit);
        let grown = self.total.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok();
        if grown {
            self.bytes += bytes;
        }
        grown
    }

    /// Bytes of the budget that are taken.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes at most this many of its bytes out, as a share of their own. None if it holds none.
    #[must_use]
    pub fn split(&mut self, bytes: u64) -> Option<Self> {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        (bytes > 0).then(|| Self { total: Arc::clone(&self.total), bytes })
    }

    /// Takes over what another share of the same budget holds.
    pub fn merge(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Gives bytes back, at most those it holds.
    pub fn release(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.total.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Gives everything back.
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
    fn what_does_not_fit_is_refused_whole() {
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
