//! A turn of the ledger that ends in any case.

use std::sync::Arc;

use cellgate_limiting::{Charge, Finished, LimitId, Micros, Refund, Turn};

use super::leased_limits::LeasedLimits;
use super::leases::Leases;
use crate::limiter::Limiter;
use crate::metrics::LeaseMetrics;

/// A turn of the ledger. If it is dropped before [`OpenTurn::finish`], it is finished with what has been charged until
/// then: a client that is gone leaves no session busy, and finds its units in the next answer.
#[derive(Debug)]
pub(super) struct OpenTurn<'a> {
    leases: &'a Leases,
    metrics: &'a LeaseMetrics,
    limits: Arc<LeasedLimits>,
    turn: Turn,
    /// For each charge, when the store has made it.
    charged: Vec<Option<Micros>>,
    is_finished: bool,
}

impl<'a> OpenTurn<'a> {
    pub(super) fn new(leases: &'a Leases, metrics: &'a LeaseMetrics, limits: Arc<LeasedLimits>, turn: Turn) -> Self {
        Self { leases, metrics, limits, turn, charged: Vec::new(), is_finished: false }
    }

    /// The refunds of the report. The caller makes them, once.
    pub(super) fn refunds(&mut self) -> Vec<Refund> {
        self.turn.refunds()
    }

    /// Charges of 0 that ask what is left of each key.
    pub(super) fn probes(&self) -> Vec<Charge> {
        self.turn.probes()
    }

    /// The charges for the grants, from what is left of each probe.
    pub(super) fn share(&mut self, remaining: &[u32]) -> Vec<Charge> {
        let charges = self.leases.book().ledger.share(&mut self.turn, remaining);
        self.charged = vec![None; charges.len()];
        charges
    }

    /// The store has made the charge at a place of [`OpenTurn::share`].
    pub(super) fn charged(&mut self, place: usize, charge: &Charge, at: Micros) {
        if let Some(slot) = self.charged.get_mut(place) {
            *slot = Some(at);
            self.metrics.granted(self.limits.name(charge.id), charge.cost);
        }
    }

    /// Completes the answer.
    pub(super) fn finish(&mut self) -> Finished {
        self.is_finished = true;
        self.leases.book().ledger.finish(&self.turn, &self.charged)
    }

    /// A charge with the key that the store has for it.
    pub(super) fn stored(&self, limiter: &Limiter, charge: Charge) -> Charge {
        limiter.stored(self.limits.name(charge.id), charge)
    }

    pub(super) fn limit_name(&self, id: LimitId) -> &str {
        self.limits.name(id)
    }

    pub(super) fn metrics(&self) -> &'a LeaseMetrics {
        self.metrics
    }
}

impl Drop for OpenTurn<'_> {
    fn drop(&mut self) {
        if !self.is_finished {
            // Nobody waits here for refunds.
            let refunds = self.finish().refunds;
            self.metrics.lost(refunds.iter().map(|refund| u64::from(refund.units)).sum());
        }
    }
}
