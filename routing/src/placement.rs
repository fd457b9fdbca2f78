//! Placement: the cell of a key. Overrides come first, then exact keys, the longest prefix, slots and the default.

mod prefixes;
mod slots;
mod table;

pub use slots::{DEFAULT_SLOTS, MAX_CELL_NAME, Slots};

use crate::action::CellId;
use crate::reason::Reason;
use prefixes::Prefixes;
use table::Table;

/// The most cells.
pub const MAX_CELLS: usize = 1024;

/// The most draws for a slot table: one for each slot and each cell with a weight above 0, so 16,384 slots for 256 cells.
/// Every start builds the table, and in the filter Envoy's main thread waits for it.
pub const MAX_DRAWS: u64 = 1 << 22;

/// The cell of each key. Immutable. A look-up does not allocate.
#[derive(Clone, Debug, Default)]
pub struct Placement {
    overrides: Table,
    exact: Table,
    prefixes: Prefixes,
    slots: Slots,
    /// Whether slots place keys. If not, only the action `hash` of a policy uses them.
    by_slot: bool,
    default: Option<CellId>,
}

/// The rules of a [`Placement`]. Keys and prefixes are distinct within their lists.
#[derive(Clone, Debug, Default)]
pub struct Rules<'a> {
    /// Keys moved by an operator.
    pub overrides: Vec<(&'a str, CellId)>,
    /// Keys with an assigned cell.
    pub exact: Vec<(&'a str, CellId)>,
    /// Prefixes of keys.
    pub prefixes: Vec<(&'a str, CellId)>,
    /// The slot table.
    pub slots: Slots,
    /// Whether a key that no list matches goes to the cell of its slot.
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

    /// The cell of a key, and the rule that places it. `None` if no rule does.
    #[must_use]
    pub fn place(&self, key: &str) -> Option<(CellId, Reason)> {
        let slot = || self.by_slot.then(|| self.slots.place(key));
        None.or_else(|| self.overrides.get(key).map(|cell| (cell, Reason::Override)))
            .or_else(|| self.exact.get(key).map(|cell| (cell, Reason::Exact)))
            .or_else(|| self.prefixes.get(key).map(|cell| (cell, Reason::Prefix)))
            .or_else(|| slot().map(|cell| (cell, Reason::Slot)))
            .or_else(|| self.default.map(|cell| (cell, Reason::Default)))
    }

    /// The keys of each table and the prefixes, in the order of the configuration, with the table's name in it.
    #[must_use]
    pub fn tables(&self) -> [(&'static str, Vec<&str>); 3] {
        let prefixes = self.prefixes.table();
        [("overrides", self.overrides.keys()), ("exact", self.exact.keys()), ("prefixes", prefixes.keys())]
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let tables = [&self.overrides, &self.exact, self.prefixes.table()];
        tables.iter().map(|table| table.heap_bytes()).sum::<usize>() + size_of_val(self.slots.owners())
    }

    /// The slot table. By default all cells have equal weights.
    #[must_use]
    pub fn slots(&self) -> &Slots {
        &self.slots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_apply_in_order_of_precedence() {
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

        let tables = [("overrides", vec!["eu-1"]), ("exact", vec!["eu-1", "eu-2"]), ("prefixes", vec!["eu-"])];
        assert_eq!(placement.tables(), tables);

        let placement = Placement::new(Rules { by_slot: false, ..rules.clone() });
        assert_eq!(placement.place("us-1"), Some((e, Reason::Default)));
        assert_eq!(placement.slots().place("us-1"), d);

        let placement = Placement::new(Rules { by_slot: false, default: None, ..rules });
        assert_eq!(placement.place("us-1"), None);
    }
}
