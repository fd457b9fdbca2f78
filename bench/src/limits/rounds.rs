//! How many rounds a part measures, and what the rounds say about a goal.

use std::time::{Duration, Instant};

use crate::comparisons::missing_rounds;
use crate::goals::Goal;
use crate::stats::{Spread, interval};

/// The CPU time of a batch.
pub(super) const BATCH: Duration = Duration::from_millis(60);

/// So many rounds, if nothing is unclear.
const ROUNDS: usize = 16;

/// The time limit. Unclear goals get more rounds until then, and on a busy machine fewer rounds run, but at least
/// [`LEAST_ROUNDS`].
const LIMIT: Duration = Duration::from_secs(60);

/// The smallest number of rounds of which [`interval`] ignores one at each end.
const LEAST_ROUNDS: usize = 8;

/// The rounds of a part.
#[derive(Debug)]
pub(super) struct Rounds {
    start: Instant,
    done: usize,
}

impl Rounds {
    /// No round has begun.
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), done: 0 }
    }

    /// The number of the next round; `None` if there are enough. `is_unclear`: noise hides so far whether a goal holds.
    pub(super) fn next(&mut self, is_unclear: bool) -> Option<usize> {
        let round = self.done;
        if !wants_more(round, self.start.elapsed(), is_unclear) {
            return None;
        }
        self.done += 1;
        if round < ROUNDS {
            eprintln!("round {} of {ROUNDS}", round + 1);
        } else {
            eprintln!("round {}, because noise hides whether a goal holds", round + 1);
        }
        Some(round)
    }
}

/// The goal that the median of the rounds is at most `goal`. It is unclear if noise hides that.
pub(super) fn at_most(name: &str, values: &[f64], goal: f64) -> Goal {
    let value = interval(values).or_else(|| Spread::of(values.iter().copied()));
    let value = value.unwrap_or_else(|| Spread::one(f64::NAN));
    Goal { unclear: missing_rounds(values, goal), ..Goal::at_most(name, value, goal) }
}

fn wants_more(rounds: usize, elapsed: Duration, is_unclear: bool) -> bool {
    rounds < LEAST_ROUNDS || (elapsed < LIMIT && (rounds < ROUNDS || is_unclear))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unclear_goals_get_more_rounds_and_a_busy_machine_fewer() {
        assert!(wants_more(ROUNDS - 1, Duration::ZERO, false));
        assert!(!wants_more(ROUNDS, Duration::ZERO, false));
        assert!(wants_more(ROUNDS, Duration::ZERO, true));
        assert!(!wants_more(LEAST_ROUNDS, LIMIT, true));
        assert!(wants_more(LEAST_ROUNDS - 1, LIMIT * 2, false));
    }

    #[test]
    fn a_goal_is_judged_by_the_median_and_unclear_if_noise_hides_it() {
        let around = |middle: f64, noise: f64| -> Vec<f64> {
            (0..16).map(|round| middle + noise * (f64::from(round % 4) - 1.5)).collect()
        };
        let held = at_most("a", &around(1.0, 0.01), 1.15);
        assert!(held.holds() && held.value.max < 1.15, "{held:?}");
        let missed = at_most("a", &around(1.3, 0.01), 1.15);
        assert!(!missed.holds() && missed.unclear.is_none(), "{missed:?}");
        assert!(at_most("a", &around(1.1, 0.5), 1.15).unclear.is_some());
        // A cost that can be negative, because noise is larger than the difference.
        assert!(at_most("a", &around(0.0, 0.5), 3.0).holds());
        let none = at_most("a", &[], 1.0);
        assert!(!none.holds() && none.unclear.is_some());
    }
}
