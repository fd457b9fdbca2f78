//! The admin port: liveness, readiness, metrics, version, the state of the service, and the explain page.

mod authorize;
pub(crate) mod connections;
mod explain;
mod host;
mod inspect;
mod limits;
mod local_access;
mod log_level;
mod page;
mod query;
pub(crate) mod token;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use tokio::time::Instant;

use crate::budget::Budget;
use crate::build;
use crate::config_file::Store;
use crate::inspection::ServiceLimits;
use crate::limiter::Limiter;
use crate::logging::Logging;
use crate::metrics::{self, Metrics};
use crate::readiness::{NotReady, Readiness};
use crate::refusals::Refusals;
use crate::sync::Leases;
use crate::tls::store::TlsStore;
use authorize::{Authorization, authorize};
use host::refuse_sites;
use local_access::{LocalAccess, admit};
use token::AdminToken;

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
    /// The rate limiter.
    pub limiter: Limiter,
    /// The leases of rate limits.
    pub leases: Leases,
    /// The log of the process. `None` if it has none of ours.
    pub logging: Option<Logging>,
    /// The settings that limit requests. `stream_bytes` is that of the configuration in force.
    pub limits: ServiceLimits,
    /// When the service started.
    pub started: Instant,
}

/// The routes of the admin port. `/log-level` and those below `/limits` need the token, and those of the explain page the token
/// or a client on this host. `/inspect` and `/version` answer under no name that another site could have. Health and metrics
/// answer everybody.
pub(crate) fn routes(admin: Admin, token: Option<Arc<AdminToken>>) -> Router {
    let authorization = Authorization::new(token);
    let access = |is_data| {
        let access = LocalAccess { authorization: authorization.clone(), is_data };
        middleware::from_fn_with_state(access, admit)
    };
    Router::new()
        .merge(page::routes().route_layer(access(false)))
        .merge(explain::routes().route_layer(access(true)))
        .merge(
            limits::routes()
                .merge(log_level::routes())
                .route_layer(middleware::from_fn_with_state(authorization.clone(), authorize)),
        )
        .merge(
            Router::new()
                .route("/version", get(version))
                .route("/inspect", get(inspect::inspect))
                .route_layer(middleware::from_fn_with_state(authorization, refuse_sites)),
        )
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(render))
        .layer(middleware::from_fn_with_state(admin.metrics.clone(), count))
        .with_state(admin)
}

/// Counts each answer by its route.
async fn count(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let route = route(request.uri().path());
    let response = next.run(request).await;
    metrics.answered_admin(route, response.status().as_u16());
    response
}

/// The label of a path. Clients write paths, so those that do not exist have one label.
fn route(path: &str) -> &'static str {
    const ROUTES: [&str; 10] = [
        "/",
        "/livez",
        "/readyz",
        "/metrics",
        "/version",
        "/inspect",
        "/explain",
        "/explain/state",
        "/limits",
        "/log-level",
    ];
    match ROUTES.iter().find(|known| **known == path) {
        Some(known) => known,
        None if path.starts_with("/limits/") => "/limits/{name}",
        None => "other",
    }
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

/// A document, which a program reads.
fn document(document: &impl Serialize) -> Response {
    match serde_json::to_string_pretty(document) {
        Ok(text) => {
            let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
            (StatusCode::OK, headers, format!("{text}\n")).into_response()
        }
        // Every field is text, a number or a list of these.
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
