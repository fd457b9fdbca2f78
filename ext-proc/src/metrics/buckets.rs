//! The bounds of the histograms' buckets, in seconds. Decision 30 has the measurements behind them.
//!
//! The bounds are round numbers, because an objective needs one: `monitoring.slo.latencySeconds` of the chart is one of
//! [`DECISION`]. Each histogram costs a series for each bound and replica.

/// From the first message of a request to its decision: from a body in one message to the default `--decision-timeout`.
pub(super) const DECISION: [f64; 15] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// A wait for the byte budget: from one chunk of another stream to the default `--budget-timeout`.
pub(super) const BUDGET_WAIT: [f64; 10] = [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// A wait for the store of rate limits: from Valkey on the same host to several times the default deadline.
pub(super) const STORE: [f64; 9] = [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1];

/// A `Sync` call, which takes at most half a second.
pub(super) const SYNC: [f64; 10] = [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5];
