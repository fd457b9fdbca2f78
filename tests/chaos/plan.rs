//! The order of the faults and how long each lasts, from a seed. The same seed gives the same plan, and a fault lasts as long
//! when it is the only one.

use std::time::Duration;

use crate::faults::Fault;

/// The shortest and the longest time that a fault is left in force once it has had its effect.
const HOLD: [Duration; 2] = [Duration::from_millis(500), Duration::from_millis(1500)];

/// A fault of a round, and how long it is held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) fault: &'static Fault,
    pub(crate) hold: Duration,
}

/// A round: every fault once, in an order of its own. Each fault rolls its own dice, so others change nothing for it.
pub(crate) fn round(seed: u64, number: u64, faults: &[&'static Fault]) -> Vec<Step> {
    let mut steps: Vec<_> = faults
        .iter()
        .map(|fault| {
            let mut dice = Dice::of(seed, number, fault.name);
            (dice.next(), Step { fault, hold: hold(&mut dice) })
        })
        .collect();
    steps.sort_by_key(|(place, _)| *place);
    steps.into_iter().map(|(_, step)| step).collect()
}

fn hold(dice: &mut Dice) -> Duration {
    let [least, most] = HOLD.map(|time| time.as_millis() as u64);
    Duration::from_millis(least + dice.below(most - least + 1))
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
struct Dice(u64);

impl Dice {
    fn of(seed: u64, round: u64, name: &str) -> Self {
        // The next state depends on everything before, so that no sum of seed and round is that of another pair.
        name.bytes().fold(Self(Self(seed).next() ^ round), |mut dice, byte| Self(dice.next() ^ u64::from(byte)))
    }

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
    use crate::faults::FAULTS;

    #[test]
    fn the_generator_is_splitmix64() {
        let mut dice = Dice(1_234_567);
        assert_eq!([dice.next(), dice.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    /// The names and times of a round.
    fn shown(seed: u64, number: u64, faults: &[&'static Fault]) -> Vec<(&'static str, Duration)> {
        round(seed, number, faults).iter().map(|step| (step.fault.name, step.hold)).collect()
    }

    fn all() -> Vec<&'static Fault> {
        FAULTS.iter().collect()
    }

    #[test]
    fn a_seed_gives_the_same_plan_again_and_another_seed_or_round_another_one() {
        let first = shown(7, 1, &all());
        assert_eq!(first, shown(7, 1, &all()));
        assert_ne!(first, shown(8, 1, &all()));
        assert_ne!(first, shown(7, 2, &all()));
    }

    #[test]
    fn a_fault_alone_lasts_as_long_as_among_all() {
        for step in shown(7, 3, &all()) {
            let alone: Vec<_> = FAULTS.iter().filter(|fault| fault.name == step.0).collect();
            assert_eq!(shown(7, 3, &alone), [step]);
        }
    }

    #[test]
    fn a_round_has_every_fault_once() {
        let round = shown(3, 1, &all());
        let mut names: Vec<_> = round.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FAULTS.len());
        assert!(round.iter().all(|(_, hold)| (HOLD[0]..=HOLD[1]).contains(hold)), "{round:?}");
    }
}
