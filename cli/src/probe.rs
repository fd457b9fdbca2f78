//! `cellgate probe`: sends requests through a gateway whose routes answer with the cell's name, and says whether each cell
//! is reached by its keys, and by nothing else.
//!
//! [`plan()`] makes the requests from the configuration, with the core's own word on what must become of each;
//! [`run`] sends them.

mod ask;
mod keys;
mod plan;
mod requests;

pub(crate) use ask::{Settings, run};
pub(crate) use plan::plan;

/// The end of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As it should be.
    Ok(String),
    /// Not as it should be.
    Failed(String),
    /// It cannot be done, and why that is no fault.
    Skipped(String),
}

impl Outcome {
    /// The line that says it.
    #[must_use]
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Ok(what) => format!("ok    {what}"),
            Self::Failed(what) => format!("FAIL  {what}"),
            Self::Skipped(what) => format!("skip  {what}"),
        }
    }
}
