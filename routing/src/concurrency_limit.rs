//! Concurrency limits as they are configured: plain data (docs/decisions/0029).

use cellgate_limiting::Enforcement;

use crate::action::CellId;
use crate::rate_limit::{LimitKeyPart, key_sources};
use crate::scope::Scope;
use crate::source::Source;

/// The most concurrency limits of a configuration.
pub const MAX_CONCURRENCY_LIMITS: usize = cellgate_limiting::MAX_CHARGES;

/// The highest `at_most` of a limit.
pub const MAX_IN_FLIGHT: u64 = 1_000_000;

/// A limit on how many requests with the same key are in flight at a time: from their admission to the end of their response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConcurrencyLimit {
    /// Unique in the configuration, among limits of all kinds.
    pub name: Box<str>,
    /// Requests with the same values count together. Without parts, all requests do.
    pub key: Vec<LimitKeyPart>,
    /// The most requests of a key in flight. At least 1.
    pub at_most: u32,
    /// The requests that the limit counts.
    pub scope: Scope,
    /// The cells whose requests the limit counts. All cells if the list is empty.
    pub cells: Vec<CellId>,
    /// Whether the limit can refuse a request.
    pub enforcement: Enforcement,
}

impl ConcurrencyLimit {
    /// The sources of its values, in the head or in the body.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &Source> {
        key_sources(&self.key)
    }
}
