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
}

impl Goal {
    /// A promise that the value is at most `goal`.
    pub(crate) fn at_most(name: impl Into<String>, value: Spread, goal: f64) -> Self {
        Self { name: name.into(), value, goal, at_most: true }
    }

    /// A promise that the value is at least `goal`.
    pub(crate) fn at_least(name: impl Into<String>, value: Spread, goal: f64) -> Self {
        Self { name: name.into(), value, goal, at_most: false }
    }

    /// Whether the median keeps the promise.
    pub(crate) fn holds(&self) -> bool {
        if self.at_most { self.value.median <= self.goal } else { self.value.median >= self.goal }
    }
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
}
