//! The elements and attributes to find, and the limits.

use super::element_path::ElementPath;
use crate::format::ScanLimits;
use crate::key::Duplicates;
use crate::value::KeyRule;

/// The paths to find, and the limits.
#[derive(Debug)]
pub struct ElementQuery {
    pub(super) sources: Vec<(ElementPath, KeyRule)>,
    pub(super) duplicates: Duplicates,
    /// The most elements that may be open.
    pub(super) depth: usize,
}

impl ElementQuery {
    /// A query for paths with their rules.
    pub(crate) fn with_rules(sources: Vec<(ElementPath, KeyRule)>, limits: ScanLimits) -> Self {
        Self { sources, duplicates: limits.duplicates, depth: limits.depth }
    }
}
