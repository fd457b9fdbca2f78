//! `/limits`: the rate limits, what a key has in use, and its reset.
//!
//! A key is given by its values in the query: `value=V` for each part of the limit's key, in order, or `unusable=true` for
//! a part that requests send unusable. Answers and log lines have the digest of the key, and never a value.

mod key;
mod summary;

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use cellgate_limit_store::StoreFailure;
use cellgate_limiting::LimitOrigin;
use cellgate_routing::{Config, RateLimit};

use super::{Admin, document};
use crate::limiter::StoredUsage;
use crate::limits::{Forgotten, KeyUsage, LimitList, LimitOf};

/// The routes below `/limits`.
pub(super) fn routes() -> Router<Admin> {
    Router::new()
        .route("/limits", get(list))
        .route("/limits/{name}", get(show))
        .route("/limits/{name}/reset", post(reset))
}

/// A request that asks for no key of a limit.
#[derive(Debug)]
enum BadKey {
    /// There is no such limit.
    Unknown(String),
    /// The values are no key of the limit.
    Values(String),
}

async fn list(State(admin): State<Admin>) -> Response {
    let config = admin.store.decider();
    let outstanding = admin.leases.stats().outstanding;
    let limits = config.config().rate_limits.iter().map(|limit| summary::of(limit, &outstanding)).collect();
    document(&LimitList { limits, store: admin.limiter.status() })
}

async fn show(State(admin): State<Admin>, Path(name): Path<String>, RawQuery(query): RawQuery) -> Response {
    let decider = admin.store.decider();
    let config = decider.config();
    let (limit, values) = match find(config, &name, query.as_deref()) {
        Ok(found) => found,
        Err(bad) => return bad.into_response(),
    };
    let StoredUsage { digest, usage } = match admin.limiter.usage(limit, &values).await {
        Ok(stored) => stored,
        Err(failure) => return unavailable(&failure),
    };
    let (limit_is, by_values) = limit_of(limit, &values);
    let (limit_now, limit_is) = match (by_values, usage) {
        (None, Some((usage, _))) => (Some(usage.limit()), LimitOf::LastCharge),
        (found, _) => (found, limit_is),
    };
    let burst = limit_now.map(|limit| u64::from(limit.burst()));
    let (used, remaining, micros) = match usage {
        Some((usage, now)) => {
            (usage.in_use(now), limit_now.map(|limit| u64::from(usage.remaining(limit, now))), usage.reset(now))
        }
        None => (0, burst, 0),
    };
    document(&KeyUsage {
        name: limit.name.to_string(),
        digest: digest.to_string(),
        limit: limit_now.map(|limit| limit.to_string()),
        limit_is,
        used,
        remaining,
        full_in_ms: micros.div_ceil(1000),
        outstanding: limit.is_leased.then(|| admin.leases.outstanding(digest)),
    })
}

async fn reset(
    State(admin): State<Admin>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let decider = admin.store.decider();
    let (limit, values) = match find(decider.config(), &name, query.as_deref()) {
        Ok(found) => found,
        Err(bad) => return bad.into_response(),
    };
    let (StoredUsage { digest, usage }, was_in_use) = match admin.limiter.forget(limit, &values).await {
        Ok(forgotten) => forgotten,
        Err(failure) => return unavailable(&failure),
    };
    let units = usage.map_or(0, |(usage, now)| usage.in_use(now));
    tracing::info!(event = "limit_reset", limit = &*limit.name, key = %digest, %client, units, "rate limit of a key reset");
    document(&Forgotten {
        name: limit.name.to_string(),
        digest: digest.to_string(),
        was_in_use,
        units,
        outstanding: admin.leases.outstanding(digest),
        lease_term_ms: u64::try_from(admin.leases.term().as_millis()).unwrap_or(u64::MAX),
    })
}

/// The limit and the values of a key.
fn find<'a>(
    config: &'a Config,
    name: &str,
    query: Option<&str>,
) -> Result<(&'a RateLimit, Vec<Option<String>>), BadKey> {
    let limit = config.rate_limits.iter().find(|limit| *limit.name == *name);
    let limit = limit.ok_or_else(|| BadKey::Unknown(unknown(config)))?;
    let values = key::parse(limit, config, query.unwrap_or_default()).map_err(BadKey::Values)?;
    Ok((limit, values))
}

/// The name is not repeated: it may be a value in the wrong place.
fn unknown(config: &Config) -> String {
    let names: Vec<_> = config.rate_limits.iter().map(|limit| &*limit.name).collect();
    match names.as_slice() {
        [] => "no such limit: the configuration in force has no rate_limits".to_owned(),
        names => format!("no such limit: the configuration in force has {}", names.join(", ")),
    }
}

/// The limit that the configuration gives a key, and `None` if claims of a request can give another one.
fn limit_of(limit: &RateLimit, values: &[Option<String>]) -> (LimitOf, Option<cellgate_limiting::Limit>) {
    let only = match values {
        [Some(only)] => only,
        [None] if limit.limit_from.is_none() && limit.plan_from.is_none() => {
            return limit.plans.lowest(None).map_or((LimitOf::Nothing, None), |lowest| (LimitOf::Lowest, Some(lowest)));
        }
        _ => "",
    };
    match limit.plans.explain(only, None, None) {
        Some((found, LimitOrigin::Override)) => (LimitOf::Override, Some(found)),
        _ if limit.limit_from.is_some() => (LimitOf::Requests, None),
        Some((found, LimitOrigin::PlanOfKey(_))) => (LimitOf::Plan, Some(found)),
        _ if limit.plan_from.is_some() => (LimitOf::Requests, None),
        Some((
            found,
            LimitOrigin::Carried | LimitOrigin::NamedPlan(_) | LimitOrigin::Default | LimitOrigin::Lowest,
        )) => (LimitOf::Default, Some(found)),
        None => (LimitOf::Nothing, None),
    }
}

impl IntoResponse for BadKey {
    fn into_response(self) -> Response {
        let (status, why) = match self {
            Self::Unknown(why) => (StatusCode::NOT_FOUND, why),
            Self::Values(why) => (StatusCode::BAD_REQUEST, why),
        };
        (status, [(header::CACHE_CONTROL, "no-store")], format!("{why}\n")).into_response()
    }
}

/// The store is not this process, and does not answer.
fn unavailable(failure: &StoreFailure) -> Response {
    let why = format!("the store of rate limits {failure}: see `cellgate inspect`, and try again\n");
    (StatusCode::SERVICE_UNAVAILABLE, [(header::CACHE_CONTROL, "no-store")], why).into_response()
}
