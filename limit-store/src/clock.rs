//! The clock of the embedded store.

use std::fmt;
use std::sync::Arc;

use cellgate_limiting::Micros;
use tokio::time::Instant;

/// A clock: microseconds since an epoch of its own. Redis has its own clock.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Micros + Send + Sync>);

impl Clock {
    /// A clock that nobody can set. Its epoch is now.
    #[must_use]
    pub fn monotonic() -> Self {
        let epoch = Instant::now();
        Self::new(move || Micros(u64::try_from(epoch.elapsed().as_micros()).unwrap_or(u64::MAX)))
    }

    /// A clock that a function reads.
    pub fn new(read: impl Fn() -> Micros + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Micros {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Clock({:?})", self.now())
    }
}
