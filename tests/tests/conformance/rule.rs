//! The rule that the result of a case must keep on every Envoy.

use anyhow::{Result, ensure};

use crate::observed::{Client, NOT_RUN, Observed, Part};

/// A statement about a result that must be true.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    /// The cell got the whole body, unchanged, and no other cell got anything. The client got the cell's 200.
    Whole(&'static str),
    /// The client got this refusal, and no cell got anything.
    Refused(u16, &'static str),
    /// No cell got anything.
    NoCell,
    /// No other cell than this one got anything.
    OnlyAt(&'static str),
    /// No cell got a whole body.
    NotWhole,
    /// The client got this status from the cell, which need not have read the body.
    Early(u16, &'static str),
    /// The result is this text.
    Is(&'static str),
    /// The result is this text, if the case runs on this Envoy.
    IsOrNotRun(&'static str),
}

impl Rule {
    /// Checks a result.
    ///
    /// # Errors
    /// When the result breaks the rule.
    pub(crate) fn check(self, observed: &Observed) -> Result<()> {
        let kept = match self {
            Rule::Whole(cell) => observed.is_whole_at(cell) && observed.answered_by(200, cell),
            Rule::Refused(status, reason) => {
                let refusal = Client::Refused { status, reason: reason.to_owned() };
                observed.client == refusal && observed.arrivals.is_empty()
            }
            Rule::NoCell => observed.arrivals.is_empty() && !matches!(observed.client, Client::Answered { .. }),
            Rule::OnlyAt(cell) => observed.arrivals.iter().all(|arrival| arrival.cell == cell),
            Rule::NotWhole => observed.arrivals.iter().all(|arrival| arrival.part == Part::Incomplete),
            Rule::Early(status, cell) => {
                observed.answered_by(status, cell) && observed.arrivals.iter().all(|arrival| arrival.cell == cell)
            }
            Rule::Is(text) => observed.to_string() == text,
            Rule::IsOrNotRun(text) => [text, NOT_RUN].contains(&observed.to_string().as_str()),
        };
        ensure!(kept, "the result is {observed:?} ({observed}), which is not {self:?}");
        Ok(())
    }
}
