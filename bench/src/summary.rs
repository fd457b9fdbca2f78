//! Computes the figures of the report from batches.

use crate::row::{Batch, Row};
use crate::stats::Spread;

/// The figures of a row per request, in µs unless stated otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    /// CPU time of the proxy.
    pub(crate) proxy: Spread,
    /// CPU time of the ext-proc service.
    pub(crate) service: Spread,
    /// CPU time of both.
    pub(crate) total: Spread,
    /// The total minus that of Envoy alone in the same round.
    pub(crate) added: Spread,
    /// The total divided by that of Envoy alone in the same round. A ratio, not a time.
    pub(crate) ratio: Spread,
}

impl Summary {
    /// The figures of `row`; `None` if one of the two was not measured.
    pub(crate) fn of(row: &Row, baseline: &Row) -> Option<Self> {
        Self::of_batches(row.batches(), baseline.batches())
    }

    fn of_batches(batches: &[Batch], baseline: &[Batch]) -> Option<Self> {
        let spread = |figure: fn(&Batch) -> f64| Spread::of(batches.iter().map(figure));
        let paired = |compare: fn(f64, f64) -> f64| {
            Spread::of(batches.iter().zip(baseline).map(|(own, other)| compare(own.total(), other.total())))
        };
        Some(Self {
            proxy: spread(|batch| batch.proxy)?,
            service: spread(|batch| batch.service)?,
            total: spread(|batch| batch.total())?,
            added: paired(|own, other| own - other)?,
            ratio: paired(|own, other| own / other)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_compared_with_the_baseline_of_its_own_round() {
        // In the second round the machine was half as fast.
        let baseline = [Batch { proxy: 100.0, service: 0.0 }, Batch { proxy: 200.0, service: 0.0 }];
        let batches = [Batch { proxy: 120.0, service: 30.0 }, Batch { proxy: 240.0, service: 60.0 }];
        let summary = Summary::of_batches(&batches, &baseline).unwrap();
        assert_eq!(summary.ratio, Spread { median: 1.5, min: 1.5, max: 1.5 });
        assert_eq!(summary.added, Spread { median: 75.0, min: 50.0, max: 100.0 });
        assert_eq!(summary.total, Spread { median: 225.0, min: 150.0, max: 300.0 });
        assert_eq!(summary.service.median, 45.0);
    }

    #[test]
    fn no_batches_give_no_summary() {
        assert_eq!(Summary::of_batches(&[], &[]), None);
    }
}
