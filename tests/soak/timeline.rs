//! The configurations that may have decided a request, by time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::tenants::Epoch;

/// The time when each configuration was published, and when both tiers were seen to use a later one.
///
/// Between the two times of a change, either configuration may decide in either tier. At other times only one may, so a
/// proxy that keeps an old configuration is detected.
#[derive(Debug, Default)]
pub(crate) struct Timeline(Mutex<Vec<Reign>>);

#[derive(Clone, Copy, Debug)]
struct Reign {
    epoch: Epoch,
    published: Instant,
    superseded: Option<Instant>,
}

impl Timeline {
    /// Records that a configuration is about to be published.
    pub(crate) fn publish(&self, epoch: Epoch) {
        self.reigns().push(Reign { epoch, published: Instant::now(), superseded: None });
    }

    /// Records that both tiers use `epoch`, so all earlier ones have ended.
    pub(crate) fn confirm(&self, epoch: Epoch) {
        let now = Instant::now();
        let mut reigns = self.reigns();
        for reign in reigns.iter_mut().rev().filter(|reign| reign.epoch < epoch) {
            if reign.superseded.is_some() {
                break;
            }
            reign.superseded = Some(now);
        }
    }

    /// The epochs whose configuration may have decided a request that was open from `start` to `end`.
    pub(crate) fn between(&self, start: Instant, end: Instant) -> Vec<Epoch> {
        let reigns = self.reigns();
        let alive = reigns.iter().rev().take_while(|reign| reign.superseded.is_none_or(|over| over >= start));
        alive.filter(|reign| reign.published <= end).map(|reign| reign.epoch).collect()
    }

    fn reigns(&self) -> MutexGuard<'_, Vec<Reign>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_configurations_of_a_change_are_possible_until_it_is_confirmed() {
        let timeline = Timeline::default();
        let before = Instant::now();
        timeline.publish(0);
        let settled = Instant::now();
        timeline.publish(1);
        let changing = Instant::now();
        assert_eq!(timeline.between(before, settled), [0]);
        assert_eq!(timeline.between(changing, changing), [1, 0]);
        timeline.confirm(1);
        let after = Instant::now();
        assert_eq!(timeline.between(after, after), [1]);
        assert_eq!(timeline.between(settled, after), [1, 0]);
        timeline.publish(2);
        timeline.confirm(2);
        assert_eq!(timeline.between(after, Instant::now()), [2, 1]);
    }
}
