//! Decisions: an outcome and its reason.

use crate::action::CellId;
use crate::reason::Reason;

/// The result for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The request goes to this cell.
    Cell(CellId),
    /// The request is refused with this status.
    Reject(u16),
    /// The ext-proc service decides. Only [`Tier::Filter`] has this outcome.
    Defer,
    /// The request is forwarded without a cell.
    Pass,
}

/// An outcome with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The result for the request.
    pub outcome: Outcome,
    /// Why the decision was made.
    pub reason: Reason,
}

/// The program that runs the core. The tiers decide alike, except that the service cannot defer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// The proxy-wasm filter.
    Filter,
    /// The ext-proc service.
    Service,
}

impl Outcome {
    /// Every label, for tables of counters.
    pub const LABELS: [&'static str; 4] = ["cell", "reject", "defer", "pass"];

    /// The label in metrics, logs and reports.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Outcome::Cell(_) => "cell",
            Outcome::Reject(_) => "reject",
            Outcome::Defer => "defer",
            Outcome::Pass => "pass",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_labels_are_in_the_order_of_the_outcomes() {
        let outcomes = [Outcome::Cell(CellId(0)), Outcome::Reject(400), Outcome::Defer, Outcome::Pass];
        assert_eq!(outcomes.map(Outcome::label), Outcome::LABELS);
    }
}
