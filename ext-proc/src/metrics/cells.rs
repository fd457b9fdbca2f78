//! Decisions by cell.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use prometheus::{IntCounter, IntCounterVec, Registry};

use super::counters;

/// The most cells since the start with a label of their own: as many as one configuration may have.
const MAX_CELLS: usize = 1024;

/// The label of all cells beyond the bound.
const OTHER: &str = "other";

/// Requests that the service has sent to each cell. Clones share the values.
#[derive(Clone, Debug)]
pub(crate) struct CellMetrics {
    decisions: IntCounterVec,
    /// The counters that were used, so that a label is looked up once. They are by name, because a [`cellgate_routing::CellId`] is
    /// another cell's after a reload. A request takes no lock: the map changes only with the first request to a cell.
    counters: Arc<ArcSwap<BTreeMap<Box<str>, IntCounter>>>,
    /// The counter of the cells beyond the bound.
    other: IntCounter,
}

impl CellMetrics {
    pub(super) fn new() -> prometheus::Result<Self> {
        let help =
            "Requests that the service has sent to a cell; `cell` is `other` beyond 1,024 names since the start.";
        let decisions = counters("cellgate_cell_decisions_total", help, &["cell"])?;
        // Prometheus does not see the first increase of a series that begins with it.
        let other = decisions.with_label_values(&[OTHER]);
        Ok(Self { decisions, counters: Arc::default(), other })
    }

    pub(super) fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.decisions.clone()))
    }

    /// Counts a request that goes to this cell.
    pub(crate) fn chosen(&self, cell: &str) {
        let counters = self.counters.load();
        if let Some(counter) = counters.get(cell) {
            return counter.inc();
        }
        if counters.len() >= MAX_CELLS {
            return self.other.inc();
        }
        drop(counters);
        self.first(cell).inc();
    }

    /// The cells that were chosen with the number of their requests, in the order of their names.
    pub(crate) fn counts(&self) -> Vec<(String, u64)> {
        let counters = self.counters.load();
        let mut counts: BTreeMap<&str, u64> = counters.iter().map(|(cell, counter)| (&**cell, counter.get())).collect();
        let other = self.other.get();
        if other > 0 {
            // A cell of this name has the same counter.
            counts.insert(OTHER, other);
        }
        counts.into_iter().map(|(cell, count)| (cell.to_owned(), count)).collect()
    }

    /// The counter of a cell's first request. Other first requests may come at the same time.
    fn first(&self, cell: &str) -> IntCounter {
        let mut mine = self.other.clone();
        self.counters.rcu(|counters| {
            let mut more = BTreeMap::clone(counters);
            if more.len() < MAX_CELLS || more.contains_key(cell) {
                mine = more.entry(cell.into()).or_insert_with(|| self.decisions.with_label_values(&[cell])).clone();
            } else {
                mine = self.other.clone();
            }
            more
        });
        mine
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_beyond_the_bound_share_a_label() {
        let cells = CellMetrics::new().unwrap();
        for _ in 0..2 {
            (0..MAX_CELLS + 5).for_each(|number| cells.chosen(&format!("cell-{number:04}")));
        }
        let counts = cells.counts();
        assert_eq!(counts.len(), MAX_CELLS + 1);
        assert_eq!(counts.last(), Some(&(OTHER.to_owned(), 10)));
        assert!(counts.iter().filter(|(cell, _)| cell != OTHER).all(|(_, count)| *count == 2));
    }
    #[test]
    fn first_requests_at_the_same_time_are_all_counted() {
        let cells = CellMetrics::new().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..100).for_each(|number| cells.chosen(&format!("cell-{number}"))));
            }
        });
        let counts = cells.counts();
        assert_eq!(counts.len(), 100);
        assert!(counts.iter().all(|(_, count)| *count == 8), "{counts:?}");
    }
}
