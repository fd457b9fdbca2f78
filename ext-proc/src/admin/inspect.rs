//! `/inspect`: what runs, with which configuration and limits, and what was refused last.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use super::Admin;
use crate::build;
use crate::inspection::{BudgetUse, Inspection, LogState, RateLimitsInForce, ServiceLimits};
use crate::readiness::NotReady;
use crate::timestamp;

pub(super) async fn inspect(State(admin): State<Admin>) -> impl IntoResponse {
    match serde_json::to_string_pretty(&inspection(&admin).await) {
        Ok(text) => (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], format!("{text}\n")),
        // Every field is text, a number or a list of these.
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain")], error.to_string()),
    }
}

/// The document of `/inspect`.
pub(super) async fn inspection(admin: &Admin) -> Inspection {
    let decider = admin.store.decider();
    let reasons: Vec<_> = admin.readiness.reasons().await.iter().map(NotReady::to_string).collect();
    Inspection {
        version: build::VERSION.to_owned(),
        build: build::BUILD.to_owned(),
        started_at: timestamp::of(admin.started),
        uptime_seconds: admin.started.elapsed().as_secs(),
        ready: reasons.is_empty(),
        not_ready_reasons: reasons,
        config: admin.store.in_force(),
        budget: BudgetUse {
            used_bytes: admin.budget.used(),
            limit_bytes: admin.budget.limit(),
            waiting_streams: admin.budget.waiting() as u64,
        },
        open_streams: u64::try_from(admin.metrics.open_streams()).unwrap_or_default(),
        limits: ServiceLimits { stream_bytes: decider.config().limits.stream_bytes, ..admin.limits.clone() },
        rate_limits: RateLimitsInForce {
            names: decider.config().rate_limits.iter().map(|limit| limit.name.to_string()).collect(),
            store: admin.limiter.status(),
        },
        log: admin.logging.as_ref().map(|logging| LogState {
            level: logging.level(),
            suppressed_lines: logging.counts().suppressed(),
            dropped_lines: logging.counts().dropped(),
        }),
        tls: admin.tls.as_ref().map(|tls| tls.in_force()),
        refusals: admin.refusals.requests(),
        stream_errors: admin.refusals.streams(),
        refused_connections: admin.refusals.connections(),
    }
}
