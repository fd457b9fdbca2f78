//! The answer of a limit while its store fails.

use crate::charge::{Charge, Enforcement};

/// The answer of a limit whose store fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenStoreFails {
    /// Admit, uncounted.
    Allow,
    /// Refuse.
    Deny,
    /// Count in this process, by its share of the limit.
    #[default]
    Local,
}

/// A charge, and the answer while the store fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreCharge {
    /// The charge.
    pub charge: Charge,
    /// The answer while the store fails.
    pub when_store_fails: WhenStoreFails,
}

impl StoreCharge {
    /// Whether the limit can refuse the request.
    #[must_use]
    pub fn is_enforced(&self) -> bool {
        self.charge.enforcement == Enforcement::Enforce
    }
}
