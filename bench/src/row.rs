//! The measurements of one case in one variant, batch by batch.

use std::sync::Arc;
use std::time::Duration;

use crate::cases::Case;
use crate::exchange::Exchange;
use crate::load::CONNECTIONS;
use crate::variant::{Cannot, Variant};

/// One case in one variant.
#[derive(Debug)]
pub(crate) struct Row {
    /// The case.
    pub(crate) case: Case,
    /// The variant.
    pub(crate) variant: &'static Variant,
    /// The measurements.
    pub(crate) outcome: Outcome,
    /// The exchanges that are sent in turn.
    pub(crate) exchanges: Arc<[Exchange]>,
    /// The number of requests in the next batch.
    pub(crate) requests: usize,
    /// The wall-clock duration of the last batch.
    pub(crate) took: Duration,
}

/// The measurements of a row, or why there are none.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// The batches in the order of the rounds. Every response was right.
    Measured(Vec<Batch>),
    /// The variant does not support the case.
    Cannot(Cannot),
}

/// The cost of one batch, in microseconds of CPU time per request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Batch {
    /// In the proxy: Envoy or HAProxy.
    pub(crate) proxy: f64,
    /// In the ext-proc service; 0 if the variant has none.
    pub(crate) service: f64,
}

impl Batch {
    /// In both together.
    pub(crate) fn total(self) -> f64 {
        self.proxy + self.service
    }

    /// The cost per request, from the CPU time of all requests of the batch.
    pub(crate) fn new(proxy: Duration, service: Duration, requests: usize) -> Self {
        let each = |time: Duration| time.as_secs_f64() * 1e6 / requests as f64;
        Self { proxy: each(proxy), service: each(service) }
    }
}

impl Row {
    /// A row without measurements.
    pub(crate) fn new(case: Case, variant: &'static Variant, exchanges: Arc<[Exchange]>) -> Self {
        let outcome = variant.supports(&case).map_or_else(Outcome::Cannot, |()| Outcome::Measured(Vec::new()));
        Self { case, variant, outcome, exchanges, requests: first_guess(&case), took: Duration::ZERO }
    }

    /// The costs, batch by batch. Empty if the variant does not support the case.
    pub(crate) fn batches(&self) -> &[Batch] {
        match &self.outcome {
            Outcome::Measured(batches) => batches,
            Outcome::Cannot(_) => &[],
        }
    }

    /// The names of case and variant as the command line takes them: `64KB-objects-last-h1, filter`.
    pub(crate) fn name(&self) -> String {
        format!("{}, {}", self.case.name(), self.variant.name)
    }

    /// Whether the variant supports the case.
    pub(crate) fn is_measured(&self) -> bool {
        matches!(self.outcome, Outcome::Measured(_))
    }
}

/// The number of requests of the first batch, which is not counted: it takes some hundredths of a second.
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
