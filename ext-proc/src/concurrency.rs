//! Concurrency limits: the requests in flight through this process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cellgate_limiting::{ConcurrencyCharge, Enforcement, InFlight};
use cellgate_routing::Config;
use prometheus::IntGauge;

use crate::metrics::ConcurrencyMetrics;

/// Counts the requests in flight. Clones share the counts.
#[derive(Clone, Debug)]
pub(crate) struct ConcurrencyLimiter(Arc<ConcurrencyState>);

#[derive(Debug)]
struct ConcurrencyState {
    table: Mutex<InFlight>,
    metrics: ConcurrencyMetrics,
}

/// A request in flight. It has left when this is dropped, on whatever path.
#[derive(Debug)]
pub(crate) struct RequestInFlight {
    limiter: ConcurrencyLimiter,
    charges: Vec<ConcurrencyCharge>,
    /// One for each charge.
    gauges: Vec<IntGauge>,
}

impl ConcurrencyLimiter {
    pub(crate) fn new(metrics: ConcurrencyMetrics) -> Self {
        Self(Arc::new(ConcurrencyState { table: Mutex::default(), metrics }))
    }

    /// Lets a request enter under all its limits. `None`: it has none. `config` is the configuration that decided it.
    ///
    /// # Errors
    /// The names of the limits that have no place for it. It counts under none.
    pub(crate) fn enter(
        &self,
        charges: Vec<ConcurrencyCharge>,
        config: &Config,
    ) -> Result<Option<RequestInFlight>, Vec<String>> {
        if charges.is_empty() {
            return Ok(None);
        }
        let entry = self.table().enter(&charges);
        let name = |charge: &ConcurrencyCharge| {
            config.concurrency_limits.get(usize::from(charge.id.0)).map_or("", |limit| &*limit.name)
        };
        let mut violated = Vec::new();
        for (charge, is_over) in charges.iter().zip(entry.over()) {
            let refuses = *is_over && charge.enforcement == Enforcement::Enforce;
            if refuses {
                violated.push(name(charge).to_owned());
            }
            self.0.metrics.checked(name(charge), *is_over, refuses);
        }
        if !entry.is_admitted() {
            return Err(violated);
        }
        let gauges: Vec<_> = charges.iter().map(|charge| self.0.metrics.in_flight(name(charge))).collect();
        gauges.iter().for_each(IntGauge::inc);
        Ok(Some(RequestInFlight { limiter: self.clone(), charges, gauges }))
    }

    fn table(&self) -> MutexGuard<'_, InFlight> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RequestInFlight {
    fn drop(&mut self) {
        self.limiter.table().leave(&self.charges);
        self.gauges.iter().for_each(IntGauge::dec);
    }
}

#[cfg(test)]
mod tests;
