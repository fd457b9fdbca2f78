//! A clock that never goes back, made of one that may.

use crate::time::Micros;

/// Adds up the steps forward of another clock. A step back counts as no time, so a lease lasts longer by what really passed
/// between the two calls before and after it, and not by the step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct SteadyClock {
    last: Option<Micros>,
    steady: Micros,
}

impl SteadyClock {
    /// The steady time when the other clock says `now`. It begins at 0.
    pub(super) fn observe(&mut self, now: Micros) -> Micros {
        let step = self.last.map_or(0, |last| now.since(last));
        self.last = Some(now);
        self.steady = self.steady.after(step);
        self.steady
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_back_counts_as_no_time() {
        let mut clock = SteadyClock::default();
        let steady = [1_000, 1_005, 3, 10, 10, u64::MAX, 0, 1].map(|now| clock.observe(Micros(now)).0);
        assert_eq!(steady[..5], [0, 5, 5, 12, 12]);
        // The end of time saturates.
        assert_eq!(steady[5..], [u64::MAX; 3]);
    }
}
