//! Prefixes of keys. The longest match wins.

use super::table::Table;
use crate::action::CellId;

/// Prefixes to cells: one table for all, with a look-up for each length that occurs, the longest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Prefixes {
    lengths: Box<[usize]>,
    table: Table,
}

impl Prefixes {
    /// Builds the table. The prefixes must be distinct.
    pub(super) fn new<'a>(prefixes: impl ExactSizeIterator<Item = (&'a str, CellId)> + Clone) -> Self {
        let mut lengths: Vec<usize> = Vec::new();
        for (prefix, _) in prefixes.clone() {
            // Even many prefixes have few lengths.
            if let Err(index) = lengths.binary_search_by(|length| prefix.len().cmp(length)) {
                lengths.insert(index, prefix.len());
            }
        }
        Self { lengths: lengths.into(), table: Table::new(prefixes) }
    }

    /// The cell of the longest matching prefix.
    pub(super) fn get(&self, key: &str) -> Option<CellId> {
        // A prefix ends at a character boundary, so `get` skips other lengths.
        self.lengths.iter().filter_map(|length| key.get(..*length)).find_map(|start| self.table.get(start))
    }

    /// The table of all prefixes.
    pub(super) fn table(&self) -> &Table {
        &self.table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_wins() {
        let prefixes = [("e", CellId(1)), ("eu-", CellId(2)), ("eu-west-", CellId(3)), ("å", CellId(4))];
        let prefixes = Prefixes::new(prefixes.into_iter());
        assert_eq!(prefixes.get("eu-west-1"), Some(CellId(3)));
        assert_eq!(prefixes.get("eu-west"), Some(CellId(2)));
        assert_eq!(prefixes.get("eu-"), Some(CellId(2)));
        assert_eq!(prefixes.get("eu"), Some(CellId(1)));
        assert_eq!(prefixes.get("us"), None);
        assert_eq!(prefixes.get(""), None);
        assert_eq!(prefixes.get("åland"), Some(CellId(4)));
        assert_eq!(prefixes.get("ä"), None);
    }
}
