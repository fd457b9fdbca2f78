//! The data of the explain page: the decision for a request that an operator pastes, and the state of the service.
//!
//! Neither the request nor the answer is logged or kept. Only the number of questions is counted.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use cellgate_routing::Decider;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinError;
use tokio::time::Instant;

use super::{Admin, inspect};
use crate::decide::{self, CurlCommand, Deciders, Request};
use crate::fields::Attributes;
use crate::inspection::Inspection;
use crate::units::size;

/// The largest document with a request, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// How long the document may take to arrive.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// After an explanation, the next one waits this many times as long as it took, so that explanations use at most a quarter of
/// one CPU.
const PAUSE: u32 = 3;

/// How the body arrives in the filter, in bytes: as in `cellgate decide`.
const FIRST_CHUNK: usize = 16 * 1024;

/// A request that an operator pastes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    /// A curl command, or an HTTP/1.1 message.
    request: String,
    /// The claims of its verified token, as JSON, or empty.
    #[serde(default)]
    claims: String,
    /// The URI in the client's certificate, or empty.
    #[serde(default)]
    peer: String,
    /// The client's IP address, or empty.
    #[serde(default)]
    client_address: String,
}

/// The decision for a request.
#[derive(Serialize)]
struct Explanation {
    decision: Value,
    tier: &'static str,
    reason_text: &'static str,
    steps: Vec<PageLine>,
}

/// One step of a decision, or one property of the service.
#[derive(Serialize)]
pub(super) struct PageLine {
    label: String,
    text: String,
}

/// The state of the service.
#[derive(Serialize)]
struct PageState {
    service: Inspection,
    texts: Vec<PageLine>,
    decisions: Vec<ReasonCount>,
    cells: Vec<CellCount>,
}

#[derive(Serialize)]
struct ReasonCount {
    reason: &'static str,
    outcome: &'static str,
    count: u64,
}

#[derive(Serialize)]
struct CellCount {
    cell: String,
    count: u64,
}

/// The routes of the page's data.
pub(super) fn routes() -> Router<Admin> {
    // One explanation at a time, whoever asks.
    let turn = Arc::new(Semaphore::new(1));
    Router::new()
        .route("/explain", post(move |State(admin): State<Admin>, body: Body| explain(admin, body, turn)))
        .route("/explain/state", get(state))
}

async fn explain(admin: Admin, body: Body, turn: Arc<Semaphore>) -> Response {
    // Before the body is read, so that the documents of many clients take no memory.
    let Ok(permit) = turn.try_acquire_owned() else {
        let why = "another request is being explained: try again in a second\n";
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], why).into_response();
    };
    let pasted = match tokio::time::timeout(READ_TIMEOUT, to_bytes(body, MAX_BYTES)).await {
        Ok(Ok(pasted)) => pasted,
        Ok(Err(_)) => return refused(StatusCode::PAYLOAD_TOO_LARGE, "the request is over 1 MiB, or was cut off"),
        Err(_) => return refused(StatusCode::REQUEST_TIMEOUT, "the request did not arrive within 5 s"),
    };
    let decider = admin.store.decider();
    match in_turn(permit, move || answer(&pasted, decider)).await {
        Ok(Ok(explanation)) => document(&explanation),
        Ok(Err(why)) => refused(StatusCode::UNPROCESSABLE_ENTITY, &why),
        Err(_) => refused(StatusCode::INTERNAL_SERVER_ERROR, "explaining the request failed"),
    }
}

/// Does the work, then pauses, and only then gives the permit back.
async fn in_turn<T: Send + 'static>(
    permit: OwnedSemaphorePermit,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    // A task of its own, since a client that hangs up drops this future, while the work goes on.
    let turn = tokio::spawn(async move {
        let started = Instant::now();
        // The thread that serves Envoy's connections is another one.
        let done = tokio::task::spawn_blocking(work).await;
        tokio::spawn(async move {
            tokio::time::sleep(started.elapsed().saturating_mul(PAUSE)).await;
            drop(permit);
        });
        done
    });
    turn.await?
}

/// The decision, or why the request cannot be read.
fn answer(document: &[u8], service: Decider) -> Result<Explanation, String> {
    let Question { request, claims, peer, client_address } =
        serde_json::from_slice(document).map_err(|error| format!("not the document of the explain page: {error}"))?;
    let (mut request, ignored) = read(&request)?;
    let deciders = Deciders::beside(service);
    if !claims.trim().is_empty() {
        request.metadata = decide::metadata(claims.as_bytes(), &deciders.config().claims.metadata_key)
            .map_err(|error| format!("the claims: {error}"))?;
    }
    let attributes =
        Attributes { peer: text(&peer), client_address: address(&client_address)?, ..Attributes::default() };
    let mut report = decide::run(&deciders, &request, &attributes, FIRST_CHUNK);
    report.ignored = ignored;
    let end = report.last().end();
    let mut steps: Vec<PageLine> = Vec::new();
    for (label, text) in decide::lines(&report) {
        match steps.last_mut() {
            Some(last) if label.is_empty() => last.text = format!("{}\n{text}", last.text),
            _ => steps.push(PageLine { label: label.to_owned(), text }),
        }
    }
    Ok(Explanation {
        decision: decide::decision_json(end, &report),
        tier: report.last_tier(),
        reason_text: end.reason.text(),
        steps,
    })
}

/// The request of a curl command, with the options that change nothing, or of a message.
fn read(text: &str) -> Result<(Request, Vec<String>), String> {
    let first = text.split_whitespace().next().unwrap_or_default();
    if first == "curl" || first.ends_with("/curl") || text.trim_start().starts_with('#') {
        // A page must not read the files of the service's host.
        let no_files = |_: &str| Err(io::Error::new(io::ErrorKind::Unsupported, "files are not read here"));
        let command = CurlCommand::read(text.as_bytes(), &no_files).map_err(|error| error.to_string())?;
        return Ok((command.request, command.ignored));
    }
    if first.is_empty() {
        return Err("paste a curl command or an HTTP/1.1 request".to_owned());
    }
    Request::from_message(text.trim_start().as_bytes())
        .map(|request| (request, Vec::new()))
        .map_err(|error| format!("{error}. A curl command begins with `curl`"))
}

fn text(value: &str) -> Option<String> {
    Some(value.trim().to_owned()).filter(|value| !value.is_empty())
}

fn address(value: &str) -> Result<Option<String>, String> {
    let Some(value) = text(value) else { return Ok(None) };
    let parsed = value.parse::<IpAddr>();
    parsed.map(|address| Some(address.to_string())).map_err(|_| {
        "the client's address: use an IP address without a port, such as `192.0.2.1` or `2001:db8::1`".to_owned()
    })
}

async fn state(State(admin): State<Admin>) -> Response {
    let service = inspect::inspection(&admin).await;
    let texts = texts(&service);
    let mut decisions: Vec<_> = admin
        .metrics
        .decisions_by_reason()
        .into_iter()
        .map(|(outcome, reason, count)| ReasonCount { reason, outcome, count })
        .collect();
    decisions.sort_by(|left, right| right.count.cmp(&left.count).then_with(|| left.reason.cmp(right.reason)));
    let cells = admin.metrics.cells().counts().into_iter().map(|(cell, count)| CellCount { cell, count }).collect();
    document(&PageState { service, texts, decisions, cells })
}

/// The state in words.
fn texts(service: &Inspection) -> Vec<PageLine> {
    let Inspection { config, budget, limits, rate_limits, tls, .. } = service;
    let ready = if service.ready { "yes".to_owned() } else { format!("no: {}", service.not_ready_reasons.join(", ")) };
    let version = if config.version.is_empty() { "without a version" } else { &config.version };
    let mut loaded = format!("{version}, loaded {} from {}", config.loaded_at, config.file);
    if let Some(refused) = &config.refused {
        loaded += &format!(". A newer file was refused at {}: {}", refused.at, refused.error);
    }
    let percent = budget.used_bytes.saturating_mul(100).checked_div(budget.limit_bytes).unwrap_or_default();
    let used = format!(
        "{} of {} ({percent} %), {} streams wait",
        size(budget.used_bytes),
        size(budget.limit_bytes),
        budget.waiting_streams
    );
    let streams = format!("{} open, at most {} on a connection", service.open_streams, limits.streams_per_connection);
    let store = &rate_limits.store;
    let problem = store.problem.as_ref().map(|problem| format!(" ({problem})")).unwrap_or_default();
    let names = if rate_limits.names.is_empty() { "none".to_owned() } else { rate_limits.names.join(", ") };
    let kept = format!("{}{problem}, {} of at most {} keys in this process", store.state, store.keys, store.max_keys);
    let encrypted = match tls {
        None => "off".to_owned(),
        Some(tls) => format!("on; the certificate expires at {}", tls.not_after),
    };
    let lines = [
        ("Ready", ready),
        ("Configuration", loaded),
        ("Digest", config.digest.clone()),
        ("Byte budget", used),
        ("Streams", streams),
        ("Rate limits", names),
        ("Limit store", kept),
        ("TLS", encrypted),
    ];
    lines.into_iter().map(|(label, text)| PageLine { label: label.to_owned(), text }).collect()
}

fn document(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        // Every field is text, a number or a list of these.
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn refused(status: StatusCode, why: &str) -> Response {
    (status, format!("{why}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_client_that_hangs_up_does_not_let_a_second_explanation_begin() {
        // The permit was part of the future that the client's connection drives.
        let turn = Arc::new(Semaphore::new(1));
        let permit = Arc::clone(&turn).try_acquire_owned().unwrap();
        let (has_begun, begun) = tokio::sync::oneshot::channel();
        let (release, released) = mpsc::channel::<()>();
        let work = in_turn(permit, move || {
            has_begun.send(()).unwrap();
            released.recv()
        });
        tokio::select! {
            biased;
            _ = work => panic!("the work ended before its release"),
            begun = begun => begun.unwrap(),
        }
        // `select!` has dropped the future, as a server does when the client hangs up.
        assert_eq!(turn.available_permits(), 0);
        release.send(()).unwrap();
        let _permit = turn.acquire().await.unwrap();
    }
}
