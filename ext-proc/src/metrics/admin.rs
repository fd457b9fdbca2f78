//! Metrics of the admin port.

use prometheus::{IntCounter, IntCounterVec, Registry};

use super::counters;

/// Requests to the admin port, and its connections. Clones share the values.
#[derive(Clone, Debug)]
pub(crate) struct AdminMetrics {
    requests: IntCounterVec,
    displaced: IntCounter,
}

impl AdminMetrics {
    pub(super) fn new() -> prometheus::Result<Self> {
        Ok(Self {
            requests: counters(
                "cellgate_admin_requests_total",
                "Requests to the admin port by route and status; `route` is `other` for files of the explain page and paths that do not exist.",
                &["route", "status"],
            )?,
            displaced: IntCounter::new(
                "cellgate_admin_connections_displaced_total",
                "Connections to the admin port that were closed because a newer one came and 256 were open.",
            )?,
        })
    }

    pub(super) fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.requests.clone()))?;
        registry.register(Box::new(self.displaced.clone()))
    }

    /// A request was answered. Routes and statuses are those of the code, so there are few.
    pub(super) fn answered(&self, route: &str, status: u16) {
        self.requests.with_label_values(&[route, &status.to_string()]).inc();
    }

    /// The oldest connection was closed for a new one.
    pub(crate) fn displaced(&self) {
        self.displaced.inc();
    }
}
