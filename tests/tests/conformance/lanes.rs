//! The order of the cases: those of a setup follow each other, and several setups run side by side.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};

use crate::case::Case;
use crate::setup::{Running, Setup};

/// A setup that its cases share. The first one starts it; when the last one drops it, it stops.
pub(crate) type SharedSetup = Arc<LazySetup>;

/// A setup that starts when it is needed. One case at a time uses it.
pub(crate) struct LazySetup {
    setup: Setup,
    running: Mutex<Option<Running>>,
}

impl LazySetup {
    /// Waits until no other case uses it.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) async fn lock(&self) -> Result<MappedMutexGuard<'_, Running>> {
        let mut guard = self.running.lock().await;
        if guard.is_none() {
            *guard = Some(self.setup.start().await?);
        }
        MutexGuard::try_map(guard, Option::as_mut).map_err(|_| anyhow!("{} has not started", self.setup))
    }
}

/// Sorts the cases by setup into lanes of about the same length, and takes them from each lane in turn.
pub(crate) fn ordered(cases: Vec<Case>, lanes: usize) -> Vec<(Case, SharedSetup)> {
    let mut setups: BTreeMap<Setup, Vec<Case>> = BTreeMap::new();
    for case in cases {
        setups.entry(case.setup).or_default().push(case);
    }
    let mut setups: Vec<_> = setups.into_iter().collect();
    setups.sort_by_key(|(_, cases)| std::cmp::Reverse(cases.len()));
    let mut queues: Vec<Vec<(Case, SharedSetup)>> = (0..lanes).map(|_| Vec::new()).collect();
    for (setup, cases) in setups {
        let shared = Arc::new(LazySetup { setup, running: Mutex::default() });
        if let Some(queue) = queues.iter_mut().min_by_key(|queue| queue.len()) {
            queue.extend(cases.into_iter().map(|case| (case, Arc::clone(&shared))));
        }
    }
    let longest = queues.iter().map(Vec::len).max().unwrap_or_default();
    let mut queues: Vec<_> = queues.into_iter().map(Vec::into_iter).collect();
    (0..longest).flat_map(|_| queues.iter_mut().filter_map(Iterator::next).collect::<Vec<_>>()).collect()
}
