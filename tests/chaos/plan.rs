//! The order of the faults and how long each lasts, from a seed. The same seed gives the same plan.

use std::time::Duration;

/// The shortest and the longest time that a fault is left in force once it has had its effect.
const HOLD: [Duration; 2] = [Duration::from_millis(500), Duration::from_millis(1500)];

/// A source of rounds. Each round has every fault once, in an order of its own.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    dice: Dice,
    faults: usize,
}

/// A fault of a round, by its index in the table, and how long it is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) fault: usize,
    pub(crate) hold: Duration,
}

impl Plan {
    /// The plan of a seed for a table of `faults` rows.
    pub(crate) fn new(seed: u64, faults: usize) -> Self {
        Self { dice: Dice(seed), faults }
    }

    /// The next round.
    pub(crate) fn round(&mut self) -> Vec<Step> {
        let mut order: Vec<usize> = (0..self.faults).collect();
        // Fisher and Yates' shuffle.
        for last in (1..order.len()).rev() {
            order.swap(last, self.dice.below(last as u64 + 1) as usize);
        }
        order.into_iter().map(|fault| Step { fault, hold: self.hold() }).collect()
    }

    fn hold(&mut self) -> Duration {
        let [least, most] = HOLD.map(|time| time.as_millis() as u64);
        Duration::from_millis(least + self.dice.below(most - least + 1))
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is small beside 2^64, so its bias does not matter here.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        let mut dice = Dice(1_234_567);
        assert_eq!([dice.next(), dice.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn a_seed_gives_the_same_plan_again_and_another_seed_another_one() {
        let rounds = |seed| {
            let mut plan = Plan::new(seed, 20);
            [plan.round(), plan.round()]
        };
        assert_eq!(rounds(7), rounds(7));
        assert_ne!(rounds(7), rounds(8));
        let [first, second] = rounds(7);
        assert_ne!(first, second);
    }

    #[test]
    fn a_round_has_every_fault_once() {
        let round = Plan::new(3, 24).round();
        let mut faults: Vec<_> = round.iter().map(|step| step.fault).collect();
        faults.sort_unstable();
        assert_eq!(faults, (0..24).collect::<Vec<_>>());
        assert!(round.iter().all(|step| (HOLD[0]..=HOLD[1]).contains(&step.hold)), "{round:?}");
    }
}
