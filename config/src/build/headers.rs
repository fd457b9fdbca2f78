//! The headers that may carry the cell, and those that may hold the key.

use super::super::path::Step;
use super::super::report::Report;
use super::super::text::quote;
use crate::header_name::{BadName, MAX_NAME, check_name};
use cellgate_routing::headers::{INTERNAL_PREFIX, is_reserved};

/// Headers with a meaning to HTTP, to Envoy or to most upstreams. Cellgate removes inbound values of the routing header
/// and sets its own, which would break requests if the routing header were one of these.
const STANDARD: [&str; 27] = [
    "host",
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "proxy-authenticate",
    "proxy-authorization",
    "authorization",
    "cookie",
    "expect",
    "range",
    "via",
    "forwarded",
    "date",
    "origin",
    "referer",
    "user-agent",
    "accept",
    "cache-control",
    "x-request-id",
    "traceparent",
    "tracestate",
    "grpc-timeout",
    "http2-settings",
];

const STANDARD_PREFIXES: [&str; 6] = ["content-", "x-envoy-", "x-forwarded-", "accept-", "if-", "sec-"];

/// The routing header, lower case.
pub(super) fn routing_header(name: &str, report: &mut Report<'_>) -> Box<str> {
    let lower = name.to_ascii_lowercase();
    // Upstreams that map headers to CGI-style variables cannot tell `_` from `-`.
    let folded = lower.replace('_', "-");
    let problem = if STANDARD.contains(&&*folded) || STANDARD_PREFIXES.iter().any(|prefix| folded.starts_with(prefix)) {
        Some(format!("{} is a standard header: use a header of your own, such as `x-cell`", quote(name)))
    } else if let Err(message) = header_name(name) {
        Some(message)
    } else if folded.starts_with(INTERNAL_PREFIX) {
        Some(format!("names that start with `{INTERNAL_PREFIX}` are reserved: use another name, such as `x-cell`"))
    } else {
        None
    };
    if let Some(message) = problem {
        report.problem(&[Step::Field("routing_header")], &|| message.clone());
    }
    lower.into()
}

/// A header that may hold the key, lower case.
pub(super) fn source_header(name: &str, routing_header: &str) -> Result<Box<str>, String> {
    header_name(name)?;
    if is_reserved(name.as_bytes(), routing_header) {
        Err(format!("{} is removed from every request, so it holds no value: use another header", quote(name)))
    } else {
        Ok(name.to_ascii_lowercase().into())
    }
}

/// A header that a configuration can name.
pub(super) fn header_name(name: &str) -> Result<(), String> {
    check_name(name).map_err(|error| match error {
        BadName::NotAName => {
            format!("expected a header name (RFC 9110) of at most {MAX_NAME} bytes, found {}", quote(name))
        }
        error => format!("{} {error}", quote(name)),
    })
}
