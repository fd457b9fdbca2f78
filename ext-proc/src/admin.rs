//! The admin port: liveness, readiness, metrics, version, and the state of the service.

mod inspect;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::time::Instant;

use crate::budget::Budget;
use crate::build;
use crate::config_file::Store;
use crate::inspection::ServiceLimits;
use crate::metrics::{self, Metrics};
use crate::readiness::{NotReady, Readiness};
use crate::refusals::Refusals;
use crate::tls::store::TlsStore;

/// The state that the admin port reports.
#[derive(Clone, Debug)]
pub(crate) struct Admin {
    /// The configuration in force.
    pub store: Arc<Store>,
    /// The metrics.
    pub metrics: Metrics,
    /// The byte budget.
    pub budget: Budget,
    /// Whether the service is ready.
    pub readiness: Readiness,
    /// The last refusals.
    pub refusals: Refusals,
    /// The TLS files in force.
    pub tls: Option<Arc<TlsStore>>,
    /// The settings that limit requests. `stream_bytes` is that of the configuration in force.
    pub limits: ServiceLimits,
    /// When the service started.
    pub started: Instant,
}

/// The routes of the admin port.
pub(crate) fn routes(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(render))
        .route("/version", get(version))
        .route("/inspect", get(inspect::inspect))
        .with_state(admin)
}

async fn ready(State(admin): State<Admin>) -> impl IntoResponse {
    let reasons: Vec<_> = admin.readiness.reasons().await.iter().map(NotReady::to_string).collect();
    if reasons.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", reasons.join(", ")))
    }
}

async fn render(State(admin): State<Admin>) -> impl IntoResponse {
    match admin.metrics.render(&admin.budget) {
        Ok(text) => (StatusCode::OK, [(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain")], error.to_string().into_bytes())
        }
    }
}

async fn version(State(admin): State<Admin>) -> impl IntoResponse {
    let decider = admin.store.decider();
    let document = serde_json::json!({
        "version": build::VERSION,
        "build": build::BUILD,
        "config": { "version": &*decider.config().version },
    });
    ([(header::CONTENT_TYPE, "application/json")], format!("{document}\n"))
}
