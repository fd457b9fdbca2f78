//! What was measured: a case through a variant, batch by batch.

use std::sync::Arc;
use std::time::Duration;

use crate::cases::Case;
use crate::exchange::Exchange;
use crate::load::CONNECTIONS;
use crate::variant::{Cannot, Variant};

/// One case through one variant.
#[derive(Debug)]
pub(crate) struct Row {
    /// The requests.
    pub(crate) case: Case,
    /// The way they took.
    pub(crate) variant: &'static Variant,
    /// What came of it.
    pub(crate) outcome: Outcome,
    /// What is sent, in turn.
    pub(crate) exchanges: Arc<[Exchange]>,
    /// How many requests make the next batch.
    pub(crate) requests: usize,
    /// How long the last batch took, by the clock on the wall.
    pub(crate) took: Duration,
}

/// What came of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// Its batches in the order of the rounds, every answer of every one right.
    Measured(Vec<Batch>),
    /// The variant cannot do it, as was proved if it could be.
    Cannot(Cannot),
}

/// What one batch cost: microseconds of CPU time per request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Batch {
    /// In the proxy: Envoy, or what stands in its place.
    pub(crate) proxy: f64,
    /// In the ext-proc service; 0 where none is asked.
    pub(crate) service: f64,
}

impl Batch {
    /// In both.
    pub(crate) fn total(self) -> f64 {
        self.proxy + self.service
    }

    /// Of so many requests, which used this CPU time together.
    pub(crate) fn new(proxy: Duration, service: Duration, requests: usize) -> Self {
        let each = |time: Duration| time.as_secs_f64() * 1e6 / requests as f64;
        Self { proxy: each(proxy), service: each(service) }
    }
}

impl Row {
    /// Nothing measured yet.
    pub(crate) fn new(case: Case, variant: &'static Variant, exchanges: Arc<[Exchange]>) -> Self {
        let outcome = (variant.can)(&case).map_or_else(Outcome::Cannot, |()| Outcome::Measured(Vec::new()));
        Self { case, variant, outcome, exchanges, requests: first_guess(&case), took: Duration::ZERO }
    }

    /// What it cost, batch by batch. Empty where the variant cannot do it.
    pub(crate) fn batches(&self) -> &[Batch] {
        match &self.outcome {
            Outcome::Measured(batches) => batches,
            Outcome::Cannot(_) => &[],
        }
    }

    /// `64KB-objects-last-h1, filter`, which is also what the command line takes.
    pub(crate) fn name(&self) -> String {
        format!("{}, {}", self.case.name(), self.variant.name)
    }

    /// Whether there is anything to measure.
    pub(crate) fn is_measured(&self) -> bool {
        matches!(self.outcome, Outcome::Measured(_))
    }
}

/// For the first batch, which is not counted: some hundredths of a second.
fn first_guess(case: &Case) -> usize {
    (20_000_000 / (case.bytes() + 40_000)).max(CONNECTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_is_per_request() {
        let batch = Batch::new(Duration::from_millis(200), Duration::from_millis(50), 1000);
        assert_eq!(batch, Batch { proxy: 200.0, service: 50.0 });
        assert!((batch.total() - 250.0).abs() < 1e-9);
    }
}
