//! Cost goals, and whether a measurement meets them.

use crate::stats::Spread;

/// One goal and its measurement. Each part of the benchmark adds its goals to the report.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Goal {
    /// The unique name of the measure, with its unit: `Envoy with the filter over a no-op wasm filter, 4 KB`.
    pub(crate) name: String,
    /// The measurement; a single one is a [`Spread::one`].
    pub(crate) value: Spread,
    /// The limit.
    pub(crate) goal: f64,
    /// Whether the goal is an upper limit; otherwise it is a lower limit.
    pub(crate) at_most: bool,
    /// The number of further rounds that would probably decide, if noise hides whether the goal is met.
    pub(crate) unclear: Option<usize>,
}

impl Goal {
    /// The goal that the value is at most `goal`.
    pub(crate) fn at_most(name: impl Into<String>, value: Spread, goal: f64) -> Self {
        Self { name: name.into(), value, goal, at_most: true, unclear: None }
    }

    /// The goal that the value is at least `goal`.
    pub(crate) fn at_least(name: impl Into<String>, value: Spread, goal: f64) -> Self {
        Self { name: name.into(), value, goal, at_most: false, unclear: None }
    }

    /// Whether the median meets the goal. An unclear goal does not hold.
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
    fn a_goal_is_an_upper_or_a_lower_limit() {
        let value = Spread { median: 1.1, min: 1.0, max: 1.3 };
        assert!(Goal::at_most("a", value, 1.1).holds() && !Goal::at_most("a", value, 1.09).holds());
        assert!(Goal::at_least("a", value, 1.1).holds() && !Goal::at_least("a", value, 1.11).holds());
    }

    #[test]
    fn an_unclear_goal_does_not_hold_and_is_counted_separately() {
        let value = Spread { median: 1.0, min: 0.5, max: 1.5 };
        let kept = Goal::at_most("a", value, 1.1);
        let unclear = Goal { unclear: Some(3), ..kept.clone() };
        let missed = Goal::at_most("b", value, 0.9);
        assert!(kept.holds() && !unclear.holds());
        assert_eq!(verdict(&[kept.clone(), unclear, missed, kept]), "goals: 2 of 4 hold, 1 unclear");
        assert_eq!(verdict(&[]), "goals: 0 of 0 hold, 0 unclear");
    }
}
