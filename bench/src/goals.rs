//! What Cellgate promises to cost, and whether it does.

use crate::stats::Spread;

/// One promise and its measurement. A part of the benchmark that has promises gives a `Vec<Goal>` to the report.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Goal {
    /// What is measured, with its unit, unlike any other's: `Envoy with the filter over a no-op wasm filter, 4 KB`.
    pub(crate) name: String,
    /// What was measured. Where there was one measurement, [`Spread::one`].
    pub(crate) value: Spread,
    /// What was promised.
    pub(crate) goal: f64,
    /// Whether the value may be at most the goal, not at least.
    pub(crate) at_most: bool,
    /// Where noise hides whether the promise is kept: how many rounds more would probably tell.
    pub(crate) unclear: Option<usize>,
}

impl Goal {
    /// A promise that the value is at most `goal`.
    pub(crate) fn at_most(name: impl Into<String>, value: Spread, goal: f64) -> Self {
        Self { name: name.into(), value, goal, at_most: true, unclear: None }
    }

    /// A promise that the value is at least `goal`.
    pub(crate) fn at_least(name: impl Into<String>, value: Spread, goal: f64) -> Self {
        Self { name: name.into(), value, goal, at_most: false, unclear: None }
    }

    /// Whether the promise is kept, by the median. What is unclear is not kept.
    pub(crate) fn holds(&self) -> bool {
        let kept = if self.at_most { self.value.median <= self.goal } else { self.value.median >= self.goal };
        kept && self.unclear.is_none()
    }
}

/// `goals: N of M hold, K unclear`.
pub(crate) fn verdict(goals: &[Goal]) -> String {
    let held = goals.iter().filter(|goal| goal.holds()).count();
    let unclear = goals.iter().filter(|goal| goal.unclear.is_some()).count();
    format!("goals: {held} of {} hold, {unclear} unclear", goals.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_has_a_direction() {
        let value = Spread { median: 1.1, min: 1.0, max: 1.3 };
        assert!(Goal::at_most("a", value, 1.1).holds() && !Goal::at_most("a", value, 1.09).holds());
        assert!(Goal::at_least("a", value, 1.1).holds() && !Goal::at_least("a", value, 1.11).holds());
    }

    #[test]
    fn what_is_unclear_is_not_kept_and_counted_apart() {
        let value = Spread { median: 1.0, min: 0.5, max: 1.5 };
        let kept = Goal::at_most("a", value, 1.1);
        let unclear = Goal { unclear: Some(3), ..kept.clone() };
        let missed = Goal::at_most("b", value, 0.9);
        assert!(kept.holds() && !unclear.holds());
        assert_eq!(verdict(&[kept.clone(), unclear, missed, kept]), "goals: 2 of 4 hold, 1 unclear");
        assert_eq!(verdict(&[]), "goals: 0 of 0 hold, 0 unclear");
    }
}
