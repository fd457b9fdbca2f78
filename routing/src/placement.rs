//! Placement: routing key to cell. Override, then exact, then longest prefix, then slot, then default.

mod prefixes;
mod slots;
mod table;

pub(crate) use slots::MAX_CELL_NAME;
pub use slots::{DEFAULT_SLOTS, Slots};

use crate::action::CellId;
use crate::reason::Reason;
use prefixes::Prefixes;
use table::Table;

/// The most cells.
pub const MAX_CELLS: usize = 1024;

/// The most draws for a slot table, one for each slot and each cell with a weight above 0: 16,384 slots for 256 cells.
/// Every start makes the table anew, and in the filter Envoy's main thread waits for it.
pub(crate) const MAX_DRAWS: u64 = 1 << 22;

/// Key to cell. Immutable; look-ups do not allocate.
#[derive(Clone, Debug, Default)]
pub struct Placement {
    overrides: Table,
    exact: Table,
    prefixes: Prefixes,
    slots: Slots,
    /// Whether slots are a rule, rather than only the answer `hash` of a policy.
    by_slot: bool,
    default: Option<CellId>,
}

/// What a [`Placement`] is made of. Keys and prefixes are distinct within their lists.
#[derive(Clone, Debug, Default)]
pub struct Rules<'a> {
    /// Keys moved by hand.
    pub overrides: Vec<(&'a str, CellId)>,
    /// Keys with a cell of their own.
    pub exact: Vec<(&'a str, CellId)>,
    /// Beginnings of keys.
    pub prefixes: Vec<(&'a str, CellId)>,
    /// The slot table.
    pub slots: Slots,
    /// Whether a key that no list names goes to its slot's cell.
    pub by_slot: bool,
    /// The cell for all other keys.
    pub default: Option<CellId>,
}

impl Placement {
    /// Builds the tables.
    #[must_use]
    pub fn new(rules: Rules<'_>) -> Self {
        Self {
            overrides: Table::new(rules.overrides.iter().copied()),
            exact: Table::new(rules.exact.iter().copied()),
            prefixes: Prefixes::new(rules.prefixes.iter().copied()),
            slots: rules.slots,
            by_slot: rules.by_slot,
            default: rules.default,
        }
    }

    /// The cell for a key, and which rule named it. `None`: no rule does.
    #[must_use]
    pub fn place(&self, key: &str) -> Option<(CellId, Reason)> {
        let slot = || self.by_slot.then(|| self.slots.place(key));
        None.or_else(|| self.overrides.get(key).map(|cell| (cell, Reason::Override)))
            .or_else(|| self.exact.get(key).map(|cell| (cell, Reason::Exact)))
            .or_else(|| self.prefixes.get(key).map(|cell| (cell, Reason::Prefix)))
            .or_else(|| slot().map(|cell| (cell, Reason::Slot)))
            .or_else(|| self.default.map(|cell| (cell, Reason::Default)))
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let tables = [&self.overrides, &self.exact, self.prefixes.table()];
        tables.iter().map(|table| table.heap_bytes()).sum::<usize>() + size_of_val(self.slots.owners())
    }

    /// The slot table (all cells with equal weights where the configuration has none).
    #[must_use]
    pub fn slots(&self) -> &Slots {
        &self.slots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_have_their_order() {
        let (a, b, c, d, e) = (CellId(0), CellId(1), CellId(2), CellId(3), CellId(4));
        let rules = Rules {
            overrides: vec![("eu-1", a)],
            exact: vec![("eu-1", b), ("eu-2", b)],
            prefixes: vec![("eu-", c)],
            slots: Slots::new(8, 0, [(d, "d", 1)]),
            by_slot: true,
            default: Some(e),
        };
        let placement = Placement::new(rules.clone());
        assert_eq!(placement.place("eu-1"), Some((a, Reason::Override)));
        assert_eq!(placement.place("eu-2"), Some((b, Reason::Exact)));
        assert_eq!(placement.place("eu-3"), Some((c, Reason::Prefix)));
        assert_eq!(placement.place("us-1"), Some((d, Reason::Slot)));

        let placement = Placement::new(Rules { by_slot: false, ..rules.clone() });
        assert_eq!(placement.place("us-1"), Some((e, Reason::Default)));
        assert_eq!(placement.slots().place("us-1"), d);

        let placement = Placement::new(Rules { by_slot: false, default: None, ..rules });
        assert_eq!(placement.place("us-1"), None);
    }
}
