//! Clusters: existence, endpoints, encryption, outlier detection and circuit breakers.

use std::collections::BTreeSet;

use serde_json::Value;

use super::circuit_breakers::{CircuitBreakers, DEFAULT_LIMIT};
use super::dump::Dump;
use super::finding::{Notes, Section, enumerate};
use super::message::{at, has, is_a, list, number, text};
use super::origin::Origin;
use super::rules::{DestinationRules, RuleInForce};

/// The service's default for `--max-streams`.
const SERVICE_STREAMS: u64 = 10_000;

/// Examines a cluster of a cell's routes.
pub(super) fn examine(dump: &Dump, rules: &DestinationRules<'_>, cell: &str, name: &str) -> Notes {
    let Some(cluster) = dump.clusters.get(name) else {
        let mut notes = Notes::new(Section::Cells, cell);
        notes.error(
            format!("the cluster {name} does not exist: Envoy answers its requests with 503"),
            "check that the cell's host and port exist and are visible to the gateway (exportTo, Sidecar, subsets)",
        );
        return notes;
    };
    let mut notes = Notes::new(Section::Cells, name);
    endpoints(dump, cluster, &mut notes);
    encryption(dump, cluster, &mut notes);
    let rule = RuleInForce::of(cell, cluster);
    rules.examine(rule, cluster, &mut notes);
    ejection(cluster, rule, &mut notes);
    breakers(cluster, rule, &mut notes);
    notes
}

/// Whether any endpoint is healthy.
pub(super) fn endpoints(dump: &Dump, cluster: &Value, notes: &mut Notes) {
    match dump.endpoints_of(cluster) {
        None if text(cluster, "type") == "ORIGINAL_DST" => {}
        None => notes
            .unknown("the dump does not contain its endpoints", "get a dump with endpoints: /config_dump?include_eds"),
        Some(endpoints) if endpoints.healthy == 0 => notes.error(
            format!("none of {} endpoints is healthy", endpoints.total),
            "look at the pods behind the service, and at their readiness",
        ),
        Some(endpoints) if endpoints.healthy < endpoints.total => notes.warning(
            format!("{} of {} endpoints are healthy", endpoints.healthy, endpoints.total),
            "look at the endpoints that are ejected or not ready",
        ),
        Some(endpoints) => notes.ok(format!("{0} of {0} endpoints are healthy", endpoints.total)),
    }
}

/// Whether requests are encrypted.
pub(super) fn encryption(dump: &Dump, cluster: &Value, notes: &mut Notes) {
    let sockets = if has(cluster, "transport_socket_matches") {
        let labels = dump.endpoints_of(cluster).map(|endpoints| endpoints.labels).unwrap_or_default();
        labels.iter().map(|label| socket_for(cluster, label)).collect()
    } else {
        vec![at(cluster, "transport_socket")]
    };
    if sockets.is_empty() {
        notes.unknown(
            "whether requests use mTLS depends on its endpoints, and it has none",
            "run the doctor again when it has endpoints",
        );
        return;
    }
    let contexts: Vec<&Value> = sockets.iter().map(|socket| at(socket, "typed_config")).collect();
    let encrypted = |context: &&&Value| is_a(context, "UpstreamTlsContext");
    let plain = contexts.len() - contexts.iter().filter(encrypted).count();
    let anonymous = contexts.iter().filter(encrypted).filter(|context| !is_identified(context)).count();
    if plain == contexts.len() {
        notes.warning(
            "plain text, without mTLS",
            "in a mesh: a DestinationRule with tls.mode ISTIO_MUTUAL, and endpoints with sidecars",
        );
    } else if plain > 0 {
        notes.warning(
            format!("plain text, without mTLS, to {plain} of {} endpoints, which do not offer it", contexts.len()),
            "give their pods sidecars, or require mTLS: a DestinationRule with tls.mode ISTIO_MUTUAL",
        );
    } else if anonymous > 0 {
        notes.warning(
            "TLS without a client certificate: the cluster cannot authenticate the gateway",
            "in a mesh: a DestinationRule with tls.mode ISTIO_MUTUAL",
        );
    } else {
        let names: BTreeSet<&str> = contexts.iter().flat_map(|context| identities(context)).collect();
        let names: Vec<&str> = names.into_iter().collect();
        let who = if names.is_empty() { String::new() } else { format!(" with {}", enumerate(&names)) };
        notes.ok(format!("mTLS{who}"));
    }
}

/// The transport socket for an endpoint: the first match whose labels the endpoint all has.
fn socket_for<'a>(cluster: &'a Value, labels: &Value) -> &'a Value {
    let fits = |entry: &&Value| {
        let wanted = at(entry, "match").as_object().into_iter().flatten();
        wanted.into_iter().all(|(name, value)| labels.get(name) == Some(value))
    };
    let matched = list(cluster, "transport_socket_matches").iter().find(fits);
    matched.map_or(at(cluster, "transport_socket"), |entry| at(entry, "transport_socket"))
}

/// Whether a TLS context has a client certificate.
fn is_identified(context: &Value) -> bool {
    let common = at(context, "common_tls_context");
    !list(common, "tls_certificate_sds_secret_configs").is_empty() || !list(common, "tls_certificates").is_empty()
}

/// The names that Envoy requires in a server's certificate.
fn identities(context: &Value) -> impl Iterator<Item = &str> {
    let common = at(context, "common_tls_context");
    let contexts =
        [at(common, "combined_validation_context.default_validation_context"), at(common, "validation_context")];
    contexts.into_iter().flat_map(|context| {
        let typed = list(context, "match_typed_subject_alt_names").iter().map(|name| text(name, "matcher.exact"));
        let plain = list(context, "match_subject_alt_names").iter().map(|name| text(name, "exact"));
        typed.chain(plain).filter(|name| !name.is_empty())
    })
}

/// Whether a failing endpoint is ejected.
fn ejection(cluster: &Value, rule: RuleInForce<'_>, notes: &mut Notes) {
    if has(cluster, "outlier_detection") {
        let failures = number(cluster, "outlier_detection.consecutive_5xx").unwrap_or(5);
        notes.ok(format!("an endpoint is ejected after {failures} answers of 5xx in a row{}", rule.credit()));
    } else {
        notes.warning(
            format!("an endpoint that fails keeps its share of the requests{}", rule.fault("outlierDetection")),
            rule.fix("outlierDetection"),
        );
    }
}

/// Whether circuit breakers keep a slow cell from using all of the gateway.
fn breakers(cluster: &Value, rule: RuleInForce<'_>, notes: &mut Notes) {
    let Some(breakers) = CircuitBreakers::of(cluster) else {
        notes.warning(
            format!(
                "circuit breakers are Envoy's defaults: {DEFAULT_LIMIT} connections, pending requests and requests{}",
                rule.fault("connectionPool")
            ),
            rule.fix("connectionPool"),
        );
        return;
    };
    if breakers.has_limits() {
        notes.ok(format!("{breakers}{}", rule.credit()));
    } else {
        notes.warning(
            format!("no circuit breaker: a slow cell can take all of the gateway{}", rule.fault("connectionPool")),
            rule.fix("connectionPool"),
        );
    }
}

/// Whether the limits of the service's cluster allow as many concurrent requests as the service does.
pub(super) fn capacity(cluster: &Value, notes: &mut Notes) {
    let (pending, requests) = CircuitBreakers::of(cluster)
        .map_or((DEFAULT_LIMIT, DEFAULT_LIMIT), |breakers| (breakers.pending, breakers.requests));
    if requests.min(pending) < SERVICE_STREAMS {
        let both = match Origin::of_cluster(cluster) {
            Some(rule) => format!("http1MaxPendingRequests and http2MaxRequests in {rule}"),
            None => "max_pending_requests and max_requests".to_owned(),
        };
        notes.warning(
            format!("at most {requests} deferred requests at a time, and {pending} waiting for a connection: more are refused"),
            format!(
                "set {both} to {SERVICE_STREAMS}, as many as one connection of the service takes (chart: extProc.maxRequests)"
            ),
        );
    } else {
        notes.ok(format!("at most {requests} deferred requests at a time"));
    }
}
