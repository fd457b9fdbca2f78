//! Pauses between attempts to reach a store: doubled each time up to a bound, and a little random, so that the programs
//! which share a store do not all come back at one moment.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);

/// The next pause.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    random: RandomState,
    pauses: u64,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { next: FIRST, random: RandomState::new(), pauses: 0 }
    }

    /// A pause of three to five quarters of the one that is due.
    pub(crate) fn pause(&mut self) -> Duration {
        let due = self.next;
        self.next = (due * 2).min(LONGEST);
        self.pauses += 1;
        let thousandths = u32::try_from(self.random.hash_one(self.pauses) % 500).unwrap_or(0);
        due * (750 + thousandths) / 1_000
    }

    /// The next pause is the first again.
    pub(crate) fn reset(&mut self) {
        self.next = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_after_a_reset() {
        let mut backoff = Backoff::new();
        let mut due = FIRST;
        for _ in 0..10 {
            let pause = backoff.pause();
            assert!(pause >= due * 3 / 4 && pause < due * 5 / 4, "{pause:?}");
            due = (due * 2).min(LONGEST);
        }
        assert_eq!(due, LONGEST);
        backoff.reset();
        assert!(backoff.pause() < FIRST * 5 / 4);
    }
}
