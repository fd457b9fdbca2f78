//! The lock of a shard: the standard library's, or that of a model checker.

use std::ops::DerefMut;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::shard::Shard;

/// A shard behind a lock.
pub(super) trait Lock {
    /// Access to the shard, until it is dropped.
    type Guard<'a>: DerefMut<Target = Shard>
    where
        Self: 'a;

    fn new(shard: Shard) -> Self;

    fn lock(&self) -> Self::Guard<'_>;
}

impl Lock for Mutex<Shard> {
    type Guard<'a> = MutexGuard<'a, Shard>;

    fn new(shard: Shard) -> Self {
        Mutex::new(shard)
    }

    fn lock(&self) -> MutexGuard<'_, Shard> {
        // Each operation on a shard leaves it whole, so what a thread has left behind that panicked elsewhere is usable.
        Mutex::lock(self).unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl Lock for loom::sync::Mutex<Shard> {
    type Guard<'a> = loom::sync::MutexGuard<'a, Shard>;

    fn new(shard: Shard) -> Self {
        loom::sync::Mutex::new(shard)
    }

    fn lock(&self) -> loom::sync::MutexGuard<'_, Shard> {
        loom::sync::Mutex::lock(self).unwrap()
    }
}
