//! What was decided: an outcome and its reason.

use crate::action::CellId;
use crate::reason::Reason;

/// What happens to the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It goes to this cell.
    Cell(CellId),
    /// The client gets this status.
    Reject(u16),
    /// The ext-proc service decides. Only ever an outcome of [`Tier::Filter`].
    Defer,
    /// It goes on without a cell.
    Pass,
}

/// An outcome with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What happens to the request.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
}

/// Where the core runs. The tiers differ in one thing only: the service has nobody to defer to.
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
