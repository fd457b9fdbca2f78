//! From a key, or the lack of one, to a decision: place the key, apply the policy, check the cell.
//!
//! The steps for a request with a cell are inlined: the calls would take 3 % of the instructions of a decision from the head.

use super::Decider;
use super::sources::KeySearch;
use crate::action::{CellId, PolicyAction};
use crate::decision::{Decision, Outcome, Tier};
use crate::reason::Reason;

/// A request without a cell: the policy decides.
#[derive(Clone, Copy)]
struct Unplaced<'a> {
    reason: Reason,
    action: PolicyAction,
    /// The key, if there is a valid one.
    key: Option<&'a str>,
}

impl Decider {
    /// The decision for the result of a key search. `absent` gives the reason if no source holds anything.
    #[inline(always)]
    pub(super) fn decide(&self, search: KeySearch<'_>, absent: impl FnOnce() -> Reason) -> Decision {
        let decision = match self.place(search, absent) {
            Ok(placed) => placed,
            Err(unplaced) => self.apply_policy(unplaced),
        };
        self.check_cell(decision)
    }

    /// The decision for a reason without a key. A tier calls it for its own reasons, such as a limit or a deadline.
    #[must_use]
    pub fn answer(&self, reason: Reason) -> Decision {
        self.check_cell(self.apply_policy(self.unplaced(reason)))
    }

    /// The decision for a cell that a peer has chosen.
    pub(super) fn send(&self, cell: CellId, reason: Reason) -> Decision {
        self.check_cell(Decision { outcome: Outcome::Cell(cell), reason })
    }

    /// The cell of the key.
    #[inline(always)]
    fn place<'a>(&self, search: KeySearch<'a>, absent: impl FnOnce() -> Reason) -> Result<Decision, Unplaced<'a>> {
        match search {
            KeySearch::Key(key) => match self.config().placement.place(key) {
                Some((cell, reason)) => Ok(Decision { outcome: Outcome::Cell(cell), reason }),
                None => Err(Unplaced { key: Some(key), ..self.unplaced(Reason::KeyUnplaced) }),
            },
            KeySearch::Unusable(reason) => Err(self.unplaced(reason)),
            // `next` found no other source, so the last action counts.
            KeySearch::PassedOver(reason) => Err(Unplaced { reason, action: reason.last_answer(), key: None }),
            KeySearch::Nothing => Err(self.unplaced(absent())),
        }
    }

    fn unplaced(&self, reason: Reason) -> Unplaced<'static> {
        Unplaced { reason, action: self.config().policy.answer(reason), key: None }
    }

    /// The outcome of the action.
    #[inline(never)]
    fn apply_policy(&self, Unplaced { reason, action, key }: Unplaced<'_>) -> Decision {
        let action = match (action, self.0.tier) {
            // The service is the last tier.
            (PolicyAction::Defer, Tier::Service) => reason.last_answer(),
            // The scanner goes on where it can. Here it could not: the fault may change the key.
            (PolicyAction::Accept, _) => reason.last_answer(),
            (action, _) => action,
        };
        let outcome = match (action, key) {
            (PolicyAction::Reject(status), _) => Outcome::Reject(status),
            (PolicyAction::Use(cell), _) => Outcome::Cell(cell),
            (PolicyAction::Hash, Some(key)) => Outcome::Cell(self.config().placement.slots().place(key)),
            (PolicyAction::Pass, _) => Outcome::Pass,
            (PolicyAction::Defer, _) => Outcome::Defer,
            // A valid configuration has neither. A refusal cannot send the request to a wrong cell.
            (PolicyAction::Hash, None) | (PolicyAction::Next | PolicyAction::Accept, _) => Outcome::Reject(400),
        };
        Decision { outcome, reason }
    }

    /// Replaces a cell other than this proxy's own by the outcome of `cell_mismatch`, which is not checked again.
    #[inline(always)]
    fn check_cell(&self, decision: Decision) -> Decision {
        let own = self.config().decided_by.as_ref().and_then(|decided_by| decided_by.cell);
        match (own, decision.outcome) {
            (Some(own), Outcome::Cell(cell)) if cell != own && decision.reason != Reason::CellMismatch => {
                self.apply_policy(self.unplaced(Reason::CellMismatch))
            }
            _ => decision,
        }
    }

    /// Whether the policy of a reason is to try the next source.
    #[inline(always)]
    pub(super) fn is_passed_over(&self, reason: Reason) -> bool {
        self.config().policy.answer(reason) == PolicyAction::Next
    }

    /// Whether a source's value is unusable and the policy is to try the next source.
    #[inline(always)]
    pub(super) fn passes_over<T>(&self, found: &Result<T, Reason>) -> bool {
        matches!(found, Err(reason) if self.is_passed_over(*reason))
    }
}
