//! The circuit breakers of a cluster: Envoy's thresholds of the default priority.

use std::fmt;

use serde_json::Value;

use super::message::{has, list, number, text};

/// Envoy's default for each limit.
pub(super) const DEFAULT_LIMIT: u64 = 1024;

/// Istio writes this where a connection pool has no limit. It is more than any proxy reaches.
const UNLIMITED: u64 = u32::MAX as u64;

/// The limits of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CircuitBreakers {
    pub(super) connections: u64,
    pub(super) pending: u64,
    pub(super) requests: u64,
    /// Whether a share of the requests limits the retries.
    pub(super) has_retry_budget: bool,
}

impl CircuitBreakers {
    /// `None` where the cluster configures none, so that Envoy's defaults apply.
    pub(super) fn of(cluster: &Value) -> Option<Self> {
        let threshold =
            list(cluster, "circuit_breakers.thresholds").iter().find(|one| text(one, "priority") != "HIGH")?;
        let limit = |field| number(threshold, field).unwrap_or(DEFAULT_LIMIT);
        Some(Self {
            connections: limit("max_connections"),
            pending: limit("max_pending_requests"),
            requests: limit("max_requests"),
            has_retry_budget: has(threshold, "retry_budget"),
        })
    }

    /// Whether any limit is set. A DestinationRule sets limits by its `connectionPool`.
    pub(super) fn has_limits(&self) -> bool {
        [self.connections, self.pending, self.requests].iter().any(|limit| *limit < UNLIMITED)
    }
}

impl fmt::Display for CircuitBreakers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [connections, pending, requests] = [self.connections, self.pending, self.requests]
            .map(|limit| if limit >= UNLIMITED { "any number of".to_owned() } else { limit.to_string() });
        let budget = if self.has_retry_budget { ", with a retry budget" } else { "" };
        write!(
            formatter,
            "at most {connections} connections, {pending} pending requests and {requests} requests{budget}"
        )
    }
}
