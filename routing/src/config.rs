//! The configuration, one schema for both tiers: what is in force once it has been read and checked.

use crate::key::Duplicates;
use crate::media::ContentTypes;
use crate::placement::Placement;
use crate::policy::Policy;
use crate::scope::Scope;
use crate::source::Source;

/// A checked configuration. Every invariant between its parts holds.
#[derive(Clone, Debug)]
pub struct Config {
    /// A label of the operator's, logged and reported, or empty.
    pub version: Box<str>,
    /// The header Istio routes on, lower case.
    pub routing_header: Box<str>,
    /// The cells, by [`crate::CellId`].
    pub cells: Vec<Box<str>>,
    /// Which requests are decided.
    pub scope: Scope,
    /// Which parser reads which body.
    pub content_types: ContentTypes,
    /// Where the key may be, first that yields wins.
    pub sources: Vec<Source>,
    /// What a repeated key means.
    pub duplicates: Duplicates,
    /// Key to cell.
    pub placement: Placement,
    /// Reason to answer.
    pub policy: Policy,
    /// Bounds.
    pub limits: Limits,
}

/// Bounds on what is read and held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest body the filter holds, in bytes. At most Envoy's own buffer limit, which the filter cannot read.
    pub inspect_bytes: u64,
    /// The most body bytes the service holds of one request while it looks for the key.
    pub stream_bytes: u64,
    /// The longest key, in bytes.
    pub key_bytes: usize,
    /// The deepest nesting of a body.
    pub depth: usize,
}

impl Config {
    /// A cell's name.
    #[must_use]
    pub fn cell_name(&self, cell: crate::CellId) -> &str {
        self.cells.get(usize::from(cell.0)).map_or("", |name| name)
    }
}
