//! The fault of a request, by Envoy's response flags and response code details.

use super::access_entry::AccessEntry;

/// One fault, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestFault {
    /// Envoy's name for it.
    pub(super) name: String,
    /// One sentence.
    pub(super) text: String,
    /// The part that is at fault.
    pub(super) part: FaultyPart,
}

/// The part of the way at which a fault lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultyPart {
    /// The client or its connection.
    Client,
    /// The filter.
    Filter,
    /// The service or its connection.
    Service,
    /// The routes.
    Routes,
    /// The cell or its connection.
    Cell,
    /// A limit or a policy of the proxy.
    Proxy,
}

use FaultyPart::{Cell, Client, Filter, Proxy, Routes, Service};

/// Envoy's response flags, in the order of its documentation.
const FLAGS: [(&str, FaultyPart, &str); 30] = [
    ("UH", Cell, "No endpoint of the upstream cluster is healthy."),
    ("UF", Cell, "The connection to the upstream failed."),
    ("UO", Cell, "The upstream cluster's circuit breaker is open."),
    ("NR", Routes, "No route matches the request."),
    ("URX", Cell, "The upstream still failed after the last retry or the last connection attempt."),
    ("NC", Routes, "The upstream cluster of the route does not exist."),
    ("DT", Proxy, "The request or the connection took longer than its longest duration."),
    ("DC", Client, "The client closed the connection."),
    ("LH", Cell, "The upstream's health check answered for the request."),
    ("UT", Cell, "The upstream did not respond within the route's timeout."),
    ("LR", Cell, "The proxy reset the connection to the upstream."),
    ("UR", Cell, "The upstream reset the request."),
    ("UC", Cell, "The upstream closed the connection."),
    ("DI", Proxy, "A fault filter delayed the request."),
    ("FI", Proxy, "A fault filter answered the request."),
    ("RL", Proxy, "The proxy's own rate limit refused the request."),
    ("UAEX", Proxy, "The external authorization refused the request."),
    ("RLSE", Proxy, "The rate limit service failed."),
    ("IH", Client, "A header of the request has a value that the proxy refuses."),
    ("SI", Proxy, "Nothing was sent on the request for the idle timeout."),
    ("DPE", Client, "The client's request breaks the rules of HTTP."),
    ("UPE", Cell, "The upstream's response breaks the rules of HTTP."),
    ("UMSDR", Cell, "The upstream request reached its longest duration."),
    ("RFCF", Proxy, "The response came from a cache."),
    ("NFCF", Proxy, "The cache had no response."),
    ("OM", Proxy, "The proxy's overload manager ended the request."),
    ("DF", Cell, "The name of the upstream could not be resolved."),
    ("DO", Cell, "The cluster's policy `drop_overloads` dropped the request, as it does with a part of them."),
    ("DR", Client, "The client reset the request."),
    ("UDO", Cell, "The cluster's policy `drop_overloads` drops every request."),
];

/// The beginnings of Envoy's response code details that say more than the flags.
const DETAILS: [(&str, FaultyPart, &str); 14] = [
    (
        "request_payload_too_large",
        Proxy,
        "The body exceeds Envoy's buffer limit, so Envoy answered 413 before the filter could decide: `limits.inspect_bytes` exceeds that limit.",
    ),
    ("ext_proc_error", Service, "Envoy's call of the service failed."),
    ("wasm_fail_stream", Filter, "The filter's virtual machine had crashed."),
    ("direct_response", Routes, "A route without an upstream answered."),
    ("route_not_found", Routes, "No route matches the request."),
    ("cluster_not_found", Routes, "The upstream cluster of the route does not exist."),
    ("no_healthy_upstream", Cell, "No endpoint of the upstream cluster is healthy."),
    ("upstream_per_try_timeout", Cell, "The upstream did not respond within the timeout of one try."),
    ("response_timeout", Cell, "The upstream did not respond within the route's timeout."),
    ("stream_idle_timeout", Proxy, "Nothing was sent on the request for the idle timeout."),
    (
        "request_overall_timeout",
        Client,
        "The request did not arrive within the connection manager's `request_timeout`.",
    ),
    ("rbac_access_denied", Proxy, "An authorization policy refused the request."),
    (
        "filter_removed_required_request_headers",
        Filter,
        "A filter removed a header that the request needs, or set one that is not valid.",
    ),
    ("overload", Proxy, "The proxy was overloaded and dropped the request."),
];

/// The faults that an entry names. A sentence comes once.
pub(super) fn of(entry: &AccessEntry) -> Vec<RequestFault> {
    let mut faults: Vec<RequestFault> = Vec::new();
    let mut add = |name: &str, part: FaultyPart, text: &str| {
        if !faults.iter().any(|known| known.text == text) {
            faults.push(RequestFault { name: name.to_owned(), text: text.to_owned(), part });
        }
    };
    let details = entry.text("response_code_details").unwrap_or_default();
    if let Some((_, part, text)) = DETAILS.iter().find(|(start, _, _)| details.starts_with(start)) {
        add(details, *part, text);
    }
    for flag in entry.text("response_flags").unwrap_or_default().split(',').filter(|flag| !flag.is_empty()) {
        match FLAGS.iter().find(|(name, _, _)| *name == flag) {
            Some((name, part, text)) => add(name, *part, text),
            None => add(flag, Proxy, "A response flag that this version of cellgate does not know."),
        }
    }
    if let Some(failure) = entry.text("upstream_failure") {
        add("upstream_failure", Cell, &format!("The transport to the upstream failed: {failure}."));
    }
    faults
}
