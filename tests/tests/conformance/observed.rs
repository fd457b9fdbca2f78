//! The result of a case: what the client and the cells saw.

use std::fmt;

/// The result of a case that does not run on this Envoy, or has not run yet.
pub(crate) const NOT_RUN: &str = "not run";

/// A result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Observed {
    pub(crate) client: Client,
    /// In the order of the cells.
    pub(crate) arrivals: Vec<Arrival>,
    /// More that the case saw.
    pub(crate) remark: Option<String>,
}

/// The view of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// A cell's response.
    Answered { status: u16, cell: String },
    /// A response of Envoy or of Cellgate.
    Refused { status: u16, reason: String },
    /// The stream was reset, or the connection was closed, before a response.
    Reset,
    /// It had gone before.
    Gone,
    /// There was none, and the remark says everything.
    None,
}

/// A request that reached a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) cell: String,
    pub(crate) part: Part,
}

/// The part of the body that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it, unchanged.
    Whole,
    /// Another body.
    Altered,
    /// It ended before its last byte.
    Incomplete,
}

impl Observed {
    /// A result in words.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { client: Client::None, arrivals: Vec::new(), remark: Some(text.into()) }
    }

    /// Whether the case ran on this Envoy.
    pub(crate) fn is_run(&self) -> bool {
        self.remark.as_deref() != Some(NOT_RUN)
    }

    /// Adds a remark.
    pub(crate) fn remark(mut self, text: impl Into<String>) -> Self {
        self.remark = Some(text.into());
        self
    }

    pub(crate) fn is_whole_at(&self, cell: &str) -> bool {
        !self.arrivals.is_empty()
            && self.arrivals.iter().all(|arrival| arrival.cell == cell && arrival.part == Part::Whole)
    }

    pub(crate) fn answered_by(&self, status: u16, cell: &str) -> bool {
        self.client == Client::Answered { status, cell: cell.to_owned() }
    }
}

/// As the document has it, such as `200; cell-b whole` or `400 key_missing; no cell`.
impl fmt::Display for Observed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.client {
            Client::Answered { status, .. } => write!(formatter, "{status}; ")?,
            Client::Refused { status, reason } => write!(formatter, "{}; ", format!("{status} {reason}").trim_end())?,
            Client::Reset => formatter.write_str("reset; ")?,
            Client::Gone => formatter.write_str("client gone; ")?,
            Client::None => return formatter.write_str(self.remark.as_deref().unwrap_or_default()),
        }
        if self.arrivals.is_empty() {
            formatter.write_str("no cell")?;
        }
        for (index, arrival) in self.arrivals.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            let part = match arrival.part {
                Part::Whole => "whole",
                Part::Altered => "altered",
                Part::Incomplete => "incomplete",
            };
            write!(formatter, "{separator}{} {part}", arrival.cell)?;
        }
        match &self.remark {
            Some(remark) => write!(formatter, "; {remark}"),
            None => Ok(()),
        }
    }
}
