//! Placement: routing key to cell. Override, then exact, then longest prefix, then slot, then default.

mod slots;

pub use slots::Slots;

use crate::decision::CellId;
use crate::reason::Reason;

/// PLACEHOLDER: replaced by the real tables.
#[derive(Clone, Debug, Default)]
pub struct Placement {
    slots: Slots,
}

impl Placement {
    /// The cell for a key, and which rule named it. `None`: no rule does.
    #[must_use]
    pub fn place(&self, _key: &str) -> Option<(CellId, Reason)> {
        None
    }

    /// The slot table (all cells with equal weights where the configuration has none).
    #[must_use]
    pub fn slots(&self) -> &Slots {
        &self.slots
    }
}
