//! The ext-proc service: a filter for each body mode of deferrals, and the cluster.

use cellgate_routing::claims::JWT_AUTHN;
use cellgate_routing::headers::DEFER;
use cellgate_routing::{BodyMode, Config, PolicyAction, Reason};
use serde_json::Value;

use super::deferral::{self, is_used, processor};
use super::dump::{Chain, Dump};
use super::finding::{Finding, Notes, Section};
use super::message::{at, has, is_a, list, text};
use super::processors::{self, STREAMED};
use super::{claims, clusters, leases, rate_limits};

const NO_HTTP2: &str = "it does not use HTTP/2, which gRPC requires";
const SET_HTTP2: &str = "name the service's port grpc, or set its appProtocol to grpc";

/// Examines the filters behind Cellgate's in a chain.
pub(super) fn examine(dump: &Dump, chain: &Chain<'_>, filter: &str, config: Option<&Config>) -> Vec<Finding> {
    let mut notes = Notes::new(Section::Service, &chain.place);
    let mut services = Vec::new();
    let filters = dump.http_filters(chain.manager);
    let behind = || filters.iter().skip_while(|other| other.name != filter).skip(1);
    let matcher = behind().find(|other| is_behind_matcher(other.config));
    let direct = behind().find(|other| is_a(other.config, "ExternalProcessor") && other.name.contains("cellgate"));
    match (matcher, direct) {
        (Some(matcher), _) => {
            let mut processors = Vec::new();
            for mode in BodyMode::ALL {
                match processor(at(matcher.config, "xds_matcher"), mode) {
                    Some(processor) => {
                        deferral::examine(chain, processor, mode, &mut notes);
                        if config.is_some_and(claims::are_read) && !claims::are_forwarded(processor) {
                            notes.error(
                                format!(
                                    "`{}`: the service finds no claims, because Envoy does not forward them",
                                    mode.label()
                                ),
                                format!(
                                    "set metadata_options: {{ forwarding_namespaces: {{ untyped: [{JWT_AUTHN}] }} }}"
                                ),
                            );
                        }
                        processors.push((mode, processor));
                        services.push(text(processor, "grpc_service.envoy_grpc.cluster_name"));
                    }
                    None if is_used(mode, config) => notes.error(
                        format!(
                            "no filter handles deferrals in the body mode `{}`: such requests get no cell",
                            mode.label()
                        ),
                        format!("match the prefix `{}` of {DEFER} in `{}`", mode.prefix(), matcher.name),
                    ),
                    None => {}
                }
            }
            if let Some(config) = config {
                rate_limits::examine(&processors, config, &mut notes);
            }
        }
        (None, Some(direct)) => notes.warning(
            format!("`{}` sends every request to the service, not only deferred ones", direct.name),
            format!("put it behind a matcher on {DEFER}: docs/envoy.md"),
        ),
        (None, None) => {
            if config.is_some_and(rate_limits::are_counted) {
                rate_limits::without_service(&mut notes);
            }
            missing(config, &mut notes);
        }
    }
    if let Some(matcher) = matcher {
        let stream = processor(at(matcher.config, "xds_matcher"), BodyMode::Stream);
        if stream.is_some_and(|stream| deferral::body_mode(stream) == STREAMED) {
            processors::examine(dump, chain, matcher.name, &mut notes);
        }
        retry_after(chain, &mut notes);
    }
    services.dedup();
    if let Some(config) = config {
        leases::examine(dump, config, &services, &mut notes);
    }
    let mut findings = notes.into_findings();
    let is_limited = config.is_some_and(rate_limits::are_counted);
    // One that has no other use is examined for this use alone.
    let of_leases = config.and_then(leases::cluster).filter(|name| !services.contains(name));
    findings.extend(of_leases.into_iter().flat_map(|name| lease_cluster(dump, name).into_findings()));
    findings.extend(services.into_iter().flat_map(|service| cluster(dump, service, is_limited).into_findings()));
    findings
}

/// The name of the filter that sends deferred requests to the service.
pub(super) fn name<'a>(dump: &'a Dump, manager: &'a Value) -> Option<&'a str> {
    dump.http_filters(manager).iter().find(|filter| is_behind_matcher(filter.config)).map(|filter| filter.name)
}

/// Whether refusals of an overloaded service have Retry-After.
fn retry_after(chain: &Chain<'_>, notes: &mut Notes) {
    let mappers = list(chain.manager, "local_reply_config.mappers").iter();
    let mut added = mappers.flat_map(|mapper| list(mapper, "headers_to_add"));
    if added.any(|header| text(header, "header.key").eq_ignore_ascii_case("retry-after")) {
        notes.ok("local_reply_config adds Retry-After to the refusals of an overloaded service");
    }
}

/// Reports deferrals of a policy without a service.
fn missing(config: Option<&Config>, notes: &mut Notes) {
    let defers = |reason: &&Reason| config.is_none_or(|config| config.policy.answer(**reason) == PolicyAction::Defer);
    let deferred: Vec<&str> = Reason::ALL
        .iter()
        .filter(|reason| reason.allowed().defer)
        .filter(defers)
        .map(|reason| reason.label())
        .collect();
    if deferred.is_empty() {
        notes.ok("there is no service, and the policy defers nothing");
    } else {
        notes.warning(
            format!(
                "there is no service behind the filter, which defers {}: such requests get no cell",
                deferred.join(", ")
            ),
            "add the service's filter (docs/envoy.md), or set another action for these reasons in `policy`",
        );
    }
}

/// Whether a filter's configuration matches on the deferral header.
pub(super) fn is_behind_matcher(config: &Value) -> bool {
    has(config, "xds_matcher") && config.to_string().contains(DEFER)
}

/// Examines the service's cluster. `is_limited` means that the service counts rate limits.
fn cluster(dump: &Dump, name: &str, is_limited: bool) -> Notes {
    let mut notes = Notes::new(Section::Service, name);
    let Some(cluster) = dump.clusters.get(name) else {
        notes.error(
            "the cluster does not exist: Envoy answers deferred requests with 500",
            "check that the service exists, is visible to the gateway (exportTo, Sidecar), and that its port is named grpc",
        );
        return notes;
    };
    let http2 = http2(cluster).filter(|options| !options.is_null());
    if http2.is_none() {
        notes.error(NO_HTTP2, SET_HTTP2);
    } else if !http2.is_some_and(|options| has(options, "connection_keepalive.interval")) {
        notes.warning(
            "it has no connection_keepalive: only stream_idle_timeout detects a service that hangs",
            "set http2_protocol_options: { connection_keepalive: { interval: 5s, timeout: 2s } }",
        );
    }
    clusters::capacity(cluster, &mut notes);
    clusters::endpoints(dump, cluster, &mut notes);
    if is_limited && let Some(endpoints) = dump.endpoints_of(cluster) {
        rate_limits::of_replicas(endpoints.total, &mut notes);
    }
    clusters::encryption(dump, cluster, &mut notes);
    notes
}

/// Examines a cluster from which the filter leases units of rate limits. One that does not exist is reported with the filter.
fn lease_cluster(dump: &Dump, name: &str) -> Notes {
    let mut notes = Notes::new(Section::Service, name);
    if let Some(cluster) = dump.clusters.get(name) {
        if http2(cluster).is_none_or(Value::is_null) {
            notes.warning(NO_HTTP2, SET_HTTP2);
        }
        clusters::endpoints(dump, cluster, &mut notes);
        clusters::encryption(dump, cluster, &mut notes);
    }
    notes
}

/// A cluster's HTTP/2 options; null if it has none.
fn http2(cluster: &Value) -> Option<&Value> {
    let options = at(cluster, "typed_extension_protocol_options").as_object();
    let by_extension =
        options.and_then(|options| options.values().find(|options| is_a(options, "HttpProtocolOptions")));
    match by_extension {
        Some(options) if has(options, "explicit_http_config") => {
            Some(at(options, "explicit_http_config.http2_protocol_options"))
        }
        Some(options) if has(options, "auto_config") => Some(at(options, "auto_config.http2_protocol_options")),
        Some(options) => Some(at(options, "use_downstream_protocol_config.http2_protocol_options")),
        None => cluster.get("http2_protocol_options").or_else(|| cluster.get("http2ProtocolOptions")),
    }
}
