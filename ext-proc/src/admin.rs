//! The admin port: liveness, readiness, metrics and version.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::budget::Budget;
use crate::build;
use crate::config_file::Store;
use crate::metrics::{self, Metrics};

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
    pub ready: Ready,
}

/// Whether the service is ready for new requests. Initially false. Clones share the value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ready(Arc<AtomicBool>);

impl Ready {
    /// Sets the readiness.
    pub(crate) fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The routes of the admin port.
pub(crate) fn routes(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(render))
        .route("/version", get(version))
        .with_state(admin)
}

async fn ready(State(admin): State<Admin>) -> impl IntoResponse {
    if admin.ready.get() { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") }
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
