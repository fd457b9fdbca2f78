//! `cellgate probe`: sends requests through a gateway whose routes answer with the cell's name, and checks that each cell is
//! reached by its keys only.
//!
//! [`plan()`] builds the requests from the configuration, and takes the expected outcome of each from the decision core.
//! [`run`] sends them.

mod ask;
mod bodies;
mod keys;
mod plan;
mod requests;

pub(crate) use ask::{ProbeSettings, run};
pub(crate) use plan::plan;

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The result is as expected.
    Ok(String),
    /// The result is not as expected.
    Failed(String),
    /// The check does not apply, with the reason.
    Skipped(String),
}

impl Outcome {
    /// The line of the report.
    #[must_use]
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Ok(what) => format!("ok    {what}"),
            Self::Failed(what) => format!("FAIL  {what}"),
            Self::Skipped(what) => format!("skip  {what}"),
        }
    }
}
