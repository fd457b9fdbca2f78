//! How long the kinds of work of a call took.

use std::time::Duration;

use cellgate_routing::Clock;
use rustix::time::{ClockId, clock_gettime};

/// A kind of work, in however many pieces it was done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Phase {
    /// When the first piece began.
    pub begun: Duration,
    /// When the last piece ended.
    pub ended: Duration,
    /// How long all pieces took together.
    pub busy: Duration,
    /// The number of pieces.
    pub pieces: u32,
}

impl Phase {
    /// Adds a piece.
    pub(crate) fn add(&mut self, begun: Duration, ended: Duration) {
        if self.pieces == 0 {
            self.begun = begun;
        }
        self.ended = ended;
        self.busy = self.busy.saturating_add(ended.saturating_sub(begun));
        self.pieces = self.pieces.saturating_add(1);
    }

    /// Does a piece of work, and adds it.
    pub(crate) fn time<T>(&mut self, clock: Clock, work: impl FnOnce() -> T) -> T {
        let begun = clock();
        let result = work();
        self.add(begun, clock());
        result
    }
}

/// The time since a fixed moment in the past. It never goes back.
#[must_use]
pub(crate) fn monotonic_time() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or_default(), u32::try_from(now.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_add_up() {
        let seconds = Duration::from_secs;
        let mut phase = Phase::default();
        phase.add(seconds(5), seconds(6));
        phase.add(seconds(8), seconds(10));
        assert_eq!((phase.begun, phase.ended, phase.busy), (seconds(5), seconds(10), seconds(3)));
        assert_eq!(phase.time(monotonic_time, || 7), 7);
        assert_eq!(phase.pieces, 3);
    }
}
