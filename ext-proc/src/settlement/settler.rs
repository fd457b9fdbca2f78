//! Makes settlements in the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cellgate_limit_store::LimitStore;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::{SettledCharge, SettledUnits};
use crate::metrics::SettlementMetrics;

/// The most requests whose settlements are made at a time. The estimates of others stay.
const MAX_SETTLEMENTS: u32 = 4096;

/// Makes settlements in the store, without anyone who waits. Each call of the store has the store's deadline. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Settler {
    store: LimitStore,
    metrics: SettlementMetrics,
    places: Arc<Semaphore>,
    keeps_estimates: Arc<AtomicBool>,
}

impl Settler {
    pub(crate) fn new(store: LimitStore, metrics: SettlementMetrics) -> Self {
        let places = Arc::new(Semaphore::new(MAX_SETTLEMENTS as usize));
        Self { store, metrics, places, keeps_estimates: Arc::default() }
    }

    /// From now on, requests that end without a response keep their estimates: the service aborts them.
    pub(crate) fn keep_estimates(&self) {
        self.keeps_estimates.store(true, Ordering::Relaxed);
    }

    pub(super) fn keeps_estimates(&self) -> bool {
        self.keeps_estimates.load(Ordering::Relaxed)
    }

    /// Settles the charges of a request. It does not wait.
    pub(crate) fn settle(&self, mut charges: Vec<SettledCharge>) {
        charges.retain(|charge| {
            let has_change = charge.units != SettledUnits::Estimate;
            if !has_change {
                self.metrics.settled(&charge.limit, "kept");
            }
            has_change
        });
        if charges.is_empty() {
            return;
        }
        // Without a runtime, the service is ending.
        let (Ok(place), Ok(runtime)) = (Arc::clone(&self.places).try_acquire_owned(), Handle::try_current()) else {
            charges.iter().for_each(|charge| self.metrics.settled(&charge.limit, "dropped"));
            return;
        };
        let settler = self.clone();
        runtime.spawn(async move {
            for charge in charges {
                settler.make(charge).await;
            }
            drop(place);
        });
    }

    /// Waits until no settlement is being made. None begins while the result is there.
    #[cfg(test)]
    pub(super) async fn all_places(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.places.acquire_many(MAX_SETTLEMENTS).await.unwrap()
    }

    async fn make(&self, SettledCharge { charged, limit, units }: SettledCharge) {
        let estimate = charged.charge().cost;
        let (units, refunded) = match units {
            SettledUnits::Number(units) => (units, "refunded"),
            SettledUnits::Released => (0, "released"),
            SettledUnits::Estimate => (estimate, "kept"),
        };
        let (more, less) = (units.saturating_sub(estimate), estimate.saturating_sub(units));
        let (outcome, carried, back) = if more > 0 {
            if self.store.carry(&charged, more).await { ("carried", more, 0) } else { ("lost", 0, 0) }
        } else if less > 0 {
            self.store.refund(&charged, less).await.map_or(("lost", 0, 0), |back| (refunded, 0, back))
        } else {
            ("equal", 0, 0)
        };
        self.metrics.settled(&limit, outcome);
        self.metrics.units(&limit, carried, back);
    }
}
