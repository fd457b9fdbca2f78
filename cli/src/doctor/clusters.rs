//! Clusters: are they there, is anybody there, who is spoken to in the clear, and what stops a slow one.

use std::collections::BTreeSet;

use serde_json::Value;

use super::circuit_breakers::{CircuitBreakers, DEFAULT_LIMIT};
use super::dump::Dump;
use super::finding::{Notes, Section, enumerate};
use super::message::{at, has, is_a, list, number, text};
use super::origin::Origin;
use super::rules::{InForce, Rules};

/// The service's default for `--max-streams`.
const SERVICE_STREAMS: u64 = 10_000;

/// Looks at a cluster to which a cell's routes lead.
pub(super) fn examine(dump: &Dump, rules: &Rules<'_>, cell: &str, name: &str) -> Notes {
    let Some(cluster) = dump.clusters.get(name) else {
        let mut notes = Notes::new(Section::Cells, cell);
        notes.error(
            format!("the cluster {name} is not there: its requests are answered 503"),
            "look whether the cell's host and port exist where the gateway sees them (exportTo, Sidecar, subsets)",
        );
        return notes;
    };
    let mut notes = Notes::new(Section::Cells, name);
    endpoints(dump, cluster, &mut notes);
    encryption(dump, cluster, &mut notes);
    let rule = InForce::of(cell, cluster);
    rules.examine(rule, cluster, &mut notes);
    ejection(cluster, rule, &mut notes);
    breakers(cluster, rule, &mut notes);
    notes
}

/// Whether anybody would answer.
pub(super) fn endpoints(dump: &Dump, cluster: &Value, notes: &mut Notes) {
    match dump.endpoints_of(cluster) {
        None if text(cluster, "type") == "ORIGINAL_DST" => {}
        None => notes.unknown("the dump does not tell its endpoints", "ask for them: /config_dump?include_eds"),
        Some(endpoints) if endpoints.healthy == 0 => notes.error(
            format!("none of {} endpoints is healthy", endpoints.total),
            "look at the pods behind the service, and at their readiness",
        ),
        Some(endpoints) if endpoints.healthy < endpoints.total => notes.warning(
            format!("{} of {} endpoints are healthy", endpoints.healthy, endpoints.total),
            "look at those that are ejected or not ready",
        ),
        Some(endpoints) => notes.ok(format!("{0} of {0} endpoints are healthy", endpoints.total)),
    }
}

/// Whether it is spoken to in the clear.
pub(super) fn encryption(dump: &Dump, cluster: &Value, notes: &mut Notes) {
    let sockets = if has(cluster, "transport_socket_matches") {
        let labels = dump.endpoints_of(cluster).map(|endpoints| endpoints.labels).unwrap_or_default();
        labels.iter().map(|label| socket_for(cluster, label)).collect()
    } else {
        vec![at(cluster, "transport_socket")]
    };
    if sockets.is_empty() {
        notes.unknown(
            "whether it is spoken to by mTLS depends on its endpoints, and there are none",
            "look again once it has endpoints",
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
            "give their pods sidecars, or demand it: a DestinationRule with tls.mode ISTIO_MUTUAL",
        );
    } else if anonymous > 0 {
        notes.warning(
            "TLS without a client certificate: the other side cannot tell who calls",
            "in a mesh: a DestinationRule with tls.mode ISTIO_MUTUAL",
        );
    } else {
        let names: BTreeSet<&str> = contexts.iter().flat_map(|context| identities(context)).collect();
        let names: Vec<&str> = names.into_iter().collect();
        let who = if names.is_empty() { String::new() } else { format!(" with {}", enumerate(&names)) };
        notes.ok(format!("mTLS{who}"));
    }
}

/// The socket that Envoy takes for an endpoint: the first match of which the endpoint has every label.
fn socket_for<'a>(cluster: &'a Value, labels: &Value) -> &'a Value {
    let fits = |entry: &&Value| {
        let wanted = at(entry, "match").as_object().into_iter().flatten();
        wanted.into_iter().all(|(name, value)| labels.get(name) == Some(value))
    };
    let matched = list(cluster, "transport_socket_matches").iter().find(fits);
    matched.map_or(at(cluster, "transport_socket"), |entry| at(entry, "transport_socket"))
}

/// Whether a TLS context shows a certificate of its own.
fn is_identified(context: &Value) -> bool {
    let common = at(context, "common_tls_context");
    !list(common, "tls_certificate_sds_secret_configs").is_empty() || !list(common, "tls_certificates").is_empty()
}

/// The names that a server's certificate must have.
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

/// Whether a failing endpoint is left alone for a while.
fn ejection(cluster: &Value, rule: InForce<'_>, notes: &mut Notes) {
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

/// Whether a slow cell can take all of the gateway's memory and connections.
fn breakers(cluster: &Value, rule: InForce<'_>, notes: &mut Notes) {
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

/// Whether the service's cluster takes as many requests at a time as the service does: one more is refused.
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
