//! Whether the service is ready for new requests: the reasons why not, `/readyz`, gRPC health, and the task that watches the
//! byte budget and the certificate.
//!
//! Liveness has no part in this: a restart would help against none of the reasons.

mod overload;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, MissedTickBehavior};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use crate::budget::Budget;
use crate::process::service;
use crate::rate_limit_service;
use crate::sync;
use crate::tls::store::TlsStore;
pub use overload::OverloadLimits;
use overload::{BudgetLoad, OverloadGauge};

/// The names with a health status: the whole server, and the service that Envoy calls.
const HEALTH_NAMES: [&str; 4] = ["", service::NAME, rate_limit_service::NAME, sync::NAME];

/// The largest health request, in bytes. It contains only a name.
const MAX_HEALTH_MESSAGE: usize = 1024;

/// How often the byte budget and the certificate are looked at.
const INTERVAL: Duration = Duration::from_millis(250);

/// Why the service is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NotReady {
    /// It has not started yet.
    Starting,
    /// It shuts down.
    Draining,
    /// The byte budget has been used up for a while.
    Overloaded,
    /// The certificate in force has expired, so that every client refuses it.
    CertificateExpired,
}

/// The readiness. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Readiness(Arc<ReadinessState>);

#[derive(Debug)]
struct ReadinessState {
    health: HealthReporter,
    /// Locked while the health changes, so that the last change wins in both.
    reasons: Mutex<BTreeSet<NotReady>>,
}

impl Readiness {
    /// Not ready: [`NotReady::Starting`].
    pub(crate) async fn starting() -> Self {
        let health = HealthReporter::new();
        set_health(&health, ServingStatus::NotServing).await;
        Self(Arc::new(ReadinessState { health, reasons: Mutex::new([NotReady::Starting].into()) }))
    }

    /// The service of gRPC health.
    pub(crate) fn health_service(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.0.health.clone()))
            .max_decoding_message_size(MAX_HEALTH_MESSAGE)
    }

    /// Adds a reason, or removes it. Returns whether this changed it.
    pub(crate) async fn set(&self, reason: NotReady, holds: bool) -> bool {
        let mut reasons = self.0.reasons.lock().await;
        let was_ready = reasons.is_empty();
        let changed = if holds { reasons.insert(reason) } else { reasons.remove(&reason) };
        if reasons.is_empty() != was_ready {
            let status = if was_ready { ServingStatus::NotServing } else { ServingStatus::Serving };
            set_health(&self.0.health, status).await;
        }
        changed
    }

    /// The reasons. Empty if the service is ready.
    pub(crate) async fn reasons(&self) -> BTreeSet<NotReady> {
        self.0.reasons.lock().await.clone()
    }

    /// Ends streams of `Health/Watch`, which would keep connections open. They end when their name is removed.
    pub(crate) async fn end_watches(&self) {
        let mut health = self.0.health.clone();
        for name in HEALTH_NAMES {
            health.clear_service_status(name).await;
        }
    }

    /// Watches the byte budget and the certificate until the future is dropped.
    pub(crate) async fn watch(self, budget: Budget, limits: Option<OverloadLimits>, tls: Option<Arc<TlsStore>>) {
        let mut gauge = limits.map(OverloadGauge::new);
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Some(gauge) = &mut gauge {
                let is_overloaded = gauge.update(&BudgetLoad::of(&budget), Instant::now());
                self.log_change(NotReady::Overloaded, is_overloaded).await;
            }
            if let Some(tls) = &tls {
                self.log_change(NotReady::CertificateExpired, tls.is_expired()).await;
            }
        }
    }

    async fn log_change(&self, reason: NotReady, holds: bool) {
        if !self.set(reason, holds).await {
            return;
        }
        if holds {
            tracing::warn!(event = "not_ready", %reason, remedy = reason.remedy(), "not ready for new requests");
        } else {
            tracing::info!(event = "ready_again", %reason, "a reason to be not ready has ended");
        }
    }
}

impl NotReady {
    /// What the operator can do, for the log.
    fn remedy(self) -> &'static str {
        match self {
            Self::Starting | Self::Draining => "wait",
            Self::Overloaded => "add replicas, or raise --max-held-bytes together with the memory limit",
            Self::CertificateExpired => {
                "replace the files of --tls-cert and --tls-key; they are read again when they change"
            }
        }
    }
}

impl fmt::Display for NotReady {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Starting => "starting",
            Self::Draining => "draining",
            Self::Overloaded => "overloaded",
            Self::CertificateExpired => "certificate expired",
        })
    }
}

async fn set_health(health: &HealthReporter, status: ServingStatus) {
    for name in HEALTH_NAMES {
        health.set_service_status(name, status).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_ready_when_the_last_reason_ends() {
        let readiness = Readiness::starting().await;
        assert!(readiness.set(NotReady::Overloaded, true).await);
        assert!(!readiness.set(NotReady::Overloaded, true).await);
        assert!(readiness.set(NotReady::Starting, false).await);
        assert_eq!(readiness.reasons().await, [NotReady::Overloaded].into());
        assert!(readiness.set(NotReady::Overloaded, false).await);
        assert!(readiness.reasons().await.is_empty());
    }
}
