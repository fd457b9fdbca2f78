//! Time, as the caller passes it.

/// Microseconds in a second.
pub const SECOND: u64 = 1_000_000;

/// Microseconds in a day.
pub(crate) const DAY: u64 = 24 * 60 * 60 * SECOND;

/// A moment: microseconds since an epoch that the caller chooses, the same for all usages of a store.
///
/// A monotonic clock is best. The limiter stays correct if the time goes back (see [`crate::Usage::bounded`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub u64);

impl Micros {
    /// The moment after this many microseconds. It saturates.
    #[must_use]
    pub const fn after(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Microseconds from an earlier moment to this one. 0 if the other one is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
