//! The names of limits as labels: those of the configuration in force, and [`OTHER`] for all names beyond the first
//! [`MAX_NAMES`] since the start.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

/// The most names of limits since the start. A configuration has at most 32 limits of requests, and may have more of
/// descriptors.
const MAX_NAMES: usize = 256;

/// The label of all names beyond the bound.
pub(super) const OTHER: &str = "other";

/// The names that are labels. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct LimitNames(Arc<RwLock<BTreeSet<Box<str>>>>);

impl LimitNames {
    /// The label of a name.
    pub(super) fn label<'a>(&self, name: &'a str) -> &'a str {
        // Nearly every name is known, and its readers do not wait for each other.
        if self.0.read().unwrap_or_else(PoisonError::into_inner).contains(name) {
            return name;
        }
        let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if names.len() == MAX_NAMES && !names.contains(name) {
            return OTHER;
        }
        names.insert(name.into());
        name
    }
}
