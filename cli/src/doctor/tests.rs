//! Findings about Envoy's own dump of `examples/envoy/two-tier.yaml`, unchanged and with one fault.

mod claims;
mod discovery;
mod limits;
mod rate_limits;
mod routes;
mod rules;
mod service;

use std::path::Path;

use serde_json::{Value, json};

use super::{Dump, Finding, Level, Section, Stats, examine, text};

const ENVOY: &str = include_str!("../../tests/fixtures/envoy-dump.json");

/// istiod 1.31's dump for a gateway with the chart's `ci/gateway-values.yaml`.
const ISTIOD: &str = include_str!("../../tests/fixtures/istiod-dump.json");

const MANAGER: &str = "/configs/2/static_listeners/0/listener/filter_chains/0/filters/0/typed_config";

fn dump() -> Value {
    serde_json::from_str(ENVOY).unwrap()
}

/// The findings after `change` at a place in the connection manager.
fn changed(at: &str, change: impl FnOnce(&mut Value)) -> Vec<Finding> {
    let mut dump = dump();
    change(dump.pointer_mut(&format!("{MANAGER}{at}")).unwrap());
    examine(&Dump::read(&dump).unwrap(), None)
}

fn worst(findings: &[Finding]) -> Vec<&Finding> {
    findings.iter().filter(|finding| finding.level == Level::Error).collect()
}

/// The only error among the findings.
#[track_caller]
fn only_error(findings: &[Finding]) -> (Section, String) {
    match worst(findings).as_slice() {
        [one] => {
            assert!(one.fix.is_some(), "{one:?}");
            (one.section, format!("{}: {}", one.places.join(", "), one.what))
        }
        other => panic!("{other:#?}"),
    }
}

#[track_caller]
fn has(findings: &[Finding], level: Level, part: &str) {
    assert!(
        findings.iter().any(|finding| finding.level == level && finding.what.contains(part)),
        "{part}: {findings:#?}"
    );
}

/// Compares the findings that are not in `before` with `tests/fixtures/doctor/NAME.txt`. `UPDATE=1` writes the file anew.
#[track_caller]
fn snapshot(name: &str, before: &[Finding], findings: &[Finding]) {
    let new: Vec<Finding> = findings.iter().filter(|finding| !before.contains(finding)).cloned().collect();
    let actual = text(name, &new);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/doctor/{name}.txt"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "{}: UPDATE=1 writes it anew", path.display());
}

#[test]
fn the_documented_chain_has_no_error() {
    let findings = examine(&Dump::read(&dump()).unwrap(), Some(&Stats::default()));
    assert_eq!(worst(&findings), Vec::<&Finding>::new());
    for part in [
        "`cellgate` is the first HTTP filter",
        "configuration example: header x-cell, cells cell-a, cell-b, cell-c, 2 sources",
        "bodies of at most 32768 bytes",
        "REJECT_REQUEST",
        "ends after 30 s",
        "`buffer`: BUFFERED, by cluster cellgate",
        "`stream`: FULL_DUPLEX_STREAMED, by cluster cellgate",
        "x-cell: cell-b goes to cell-b, no retries",
        "requests without a decision are answered 421",
        "1 of 1 endpoints are healthy",
    ] {
        has(&findings, Level::Ok, part);
    }
    // The example has none of it.
    for part in ["plain text, without mTLS", "keeps its share of the requests", "circuit breakers are Envoy's defaults"]
    {
        has(&findings, Level::Warning, part);
    }
}

#[test]
fn a_chain_without_the_filter_is_an_error() {
    let findings = changed("/http_filters", |filters| drop(filters.as_array_mut().unwrap().remove(0)));
    assert_eq!(only_error(&findings), (Section::Filter, ": the filter is in none of the chains: ingress".into()));
}

#[test]
fn a_filter_behind_others_is_a_warning() {
    let findings = changed("/http_filters", |filters| {
        filters.as_array_mut().unwrap().insert(0, json!({"name": "envoy.filters.http.cors"}));
    });
    has(&findings, Level::Warning, "`cellgate` is behind envoy.filters.http.cors");
}

#[test]
fn settings_that_hang_requests_or_fail_open_are_errors() {
    for (field, value, expected) in [
        ("allow_on_headers_stop_iteration", json!(false), "never gets its body"),
        ("failure_policy", json!("FAIL_OPEN"), "fails open"),
    ] {
        let findings = changed("/http_filters/0/typed_config/config", |config| config[field] = value);
        assert!(only_error(&findings).1.contains(expected), "{expected}");
    }
    let findings = changed("/http_filters/0/typed_config/config", |config| config["failure_policy"] = Value::Null);
    has(&findings, Level::Warning, "answers 503 until Envoy is restarted");
    let findings = changed("/http_filters/0/typed_config/config", |config| config["reload_config"] = Value::Null);
    has(&findings, Level::Warning, "for about a second");
}

#[test]
fn a_configuration_that_cannot_be_read_is_an_error() {
    let findings = changed("/http_filters/0/typed_config/config/configuration/value", |value| *value = json!("{}"));
    assert!(only_error(&findings).1.contains("refuses the filter's configuration: configuration:1:1"), "{findings:#?}");
}

#[test]
fn a_filter_in_shadow_mode_is_a_warning_and_needs_no_routes() {
    let mut dump = dump();
    dump.pointer_mut(&format!("{MANAGER}{ROUTES}")).unwrap().take();
    let value = dump.pointer_mut(&format!("{MANAGER}/http_filters/0/typed_config/config/configuration/value")).unwrap();
    *value = json!(value.as_str().unwrap().replacen('{', "{\"shadow\":true,", 1));
    let findings = examine(&Dump::read(&dump).unwrap(), None);
    assert_eq!(worst(&findings), Vec::<&Finding>::new());
    has(&findings, Level::Warning, "it counts and logs");
}

#[test]
fn the_peers_whose_decisions_are_accepted_are_listed() {
    let findings = changed("/http_filters/0/typed_config/config/configuration/value", |value| {
        let peers = "{\"decided_by\":{\"peers\":[\"spiffe://cluster.local/ns/istio-ingress/sa/gateway\"]},";
        *value = json!(value.as_str().unwrap().replacen('{', peers, 1));
    });
    has(&findings, Level::Ok, "accepts the decisions of spiffe://cluster.local/ns/istio-ingress/sa/gateway");
}

#[test]
fn limits_below_inspect_bytes_are_errors() {
    let findings = changed("", |manager| {
        manager["http2_protocol_options"] = json!({"initial_stream_window_size": 32767});
    });
    let (section, what) = only_error(&findings);
    assert_eq!(section, Section::Limits);
    assert!(what.contains("initial_stream_window_size is 32767, below inspect_bytes 32768"), "{what}");

    let mut dump = dump();
    let listener = dump.pointer_mut("/configs/2/static_listeners/0/listener").unwrap();
    listener["per_connection_buffer_limit_bytes"] = json!(16384);
    let findings = examine(&Dump::read(&dump).unwrap(), None);
    assert!(only_error(&findings).1.contains("per_connection_buffer_limit_bytes is 16384"));
}

#[test]
fn settings_of_the_connection_manager_are_checked() {
    let findings = changed("", |manager| manager["common_http_protocol_options"] = Value::Null);
    has(&findings, Level::Ok, "are accepted, and the filter removes a client's own x_cell");
    let findings = changed("", |manager| manager["stream_idle_timeout"] = Value::Null);
    has(&findings, Level::Warning, "after 5 minutes");
    let findings = changed("", |manager| manager["stream_idle_timeout"] = json!("0s"));
    assert!(only_error(&findings).1.contains("stream_idle_timeout is off"));
    // The cells' routes may have a time of their own.
    let mut dump = dump();
    dump.pointer_mut(MANAGER).unwrap()["stream_idle_timeout"] = json!("0s");
    for route in dump.pointer_mut(&format!("{MANAGER}{ROUTES}")).unwrap().as_array_mut().unwrap() {
        if route["route"].is_object() {
            route["route"]["idle_timeout"] = json!("300s");
        }
    }
    let findings = examine(&Dump::read(&dump).unwrap(), None);
    has(&findings, Level::Ok, "an idle request with a cell ends after 300 s");
}

const MATCHERS: &str = "/http_filters/1/typed_config/xds_matcher/matcher_list/matchers";
const PROCESSOR: &str = "/on_match/action/typed_config/typed_config/typed_config";

#[test]
fn the_filters_of_the_service_are_checked() {
    let findings = changed(MATCHERS, |matchers| drop(matchers.as_array_mut().unwrap().remove(1)));
    assert!(only_error(&findings).1.contains("deferrals in the body mode `stream`"));

    let stream = format!("{MATCHERS}/1{PROCESSOR}");
    let buffer = format!("{MATCHERS}/0{PROCESSOR}");
    for (processor, field, value, expected) in [
        (&stream, "failure_mode_allow", json!(true), "`stream`: failure_mode_allow lets requests go on"),
        (
            &stream,
            "processing_mode",
            json!({"request_body_mode": "STREAMED", "request_trailer_mode": "SEND"}),
            "`stream`: request_body_mode is STREAMED",
        ),
        (
            &buffer,
            "processing_mode",
            json!({"request_body_mode": "BUFFERED"}),
            "`buffer`: request_trailer_mode is SKIP",
        ),
        (
            &buffer,
            "grpc_service",
            json!({"envoy_grpc": {"cluster_name": "cellgate", "authority": "a|b"}}),
            "the authority is `a|b`",
        ),
        (
            &stream,
            "grpc_service",
            json!({"envoy_grpc": {"cluster_name": "elsewhere"}}),
            "elsewhere: the cluster does not exist",
        ),
    ] {
        let findings = changed(processor, |config| config[field] = value);
        assert!(only_error(&findings).1.contains(expected), "{expected}: {findings:#?}");
    }
    let findings = changed(&buffer, |config| config["message_timeout"] = Value::Null);
    has(&findings, Level::Warning, "`buffer`: message_timeout is 200 ms");
    let findings = changed(&stream, |config| config["metadata_options"] = Value::Null);
    has(&findings, Level::Warning, "`stream`: the access log does not get");
}

#[test]
fn deferrals_without_a_service_are_a_warning() {
    let findings = changed("/http_filters", |filters| drop(filters.as_array_mut().unwrap().remove(1)));
    has(&findings, Level::Warning, "defers body_encoded, body_too_large, body_length_unknown");
}

#[test]
fn the_matcher_may_be_a_tree() {
    let findings = changed("/http_filters/1/typed_config/xds_matcher", |matcher| {
        let action = |index: usize| matcher["matcher_list"]["matchers"][index]["on_match"].clone();
        let map = json!({"buffer;": action(0), "stream;": action(1)});
        let input = json!({"typed_config": {"header_name": "x-cellgate-defer"}});
        *matcher = json!({"matcher_tree": {"input": input, "prefix_match_map": {"map": map}}});
    });
    assert_eq!(worst(&findings), Vec::<&Finding>::new());
}

const ROUTES: &str = "/route_config/virtual_hosts/0/routes";

#[test]
fn a_cell_without_a_reachable_route_is_an_error() {
    let findings = changed(ROUTES, |routes| drop(routes.as_array_mut().unwrap().remove(1)));
    assert_eq!(only_error(&findings), (Section::Routes, "cells: no route matches x-cell: cell-b".into()));

    let findings = changed(ROUTES, |routes| {
        let last = routes.as_array_mut().unwrap().pop().unwrap();
        routes.as_array_mut().unwrap().insert(1, last);
    });
    assert!(only_error(&findings).1.contains("the route on / stands before the routes of cell-b, cell-c"));

    let findings = changed(ROUTES, |routes| routes[0]["match"]["prefix"] = json!("/api"));
    has(&findings, Level::Warning, "cell-a have routes for some requests only");

    let findings =
        changed(ROUTES, |routes| routes[0]["match"]["headers"][0]["string_match"] = json!({"prefix": "cell-"}));
    has(&findings, Level::Unknown, "no route matches x-cell exactly for cell-a");

    let findings =
        changed(ROUTES, |routes| routes[0]["match"]["headers"][0]["string_match"] = json!({"exact": "cell-z"}));
    has(&findings, Level::Warning, "routes match x-cell: cell-z");

    let findings = changed(ROUTES, |routes| *routes = json!([]));
    assert!(only_error(&findings).1.contains("no route matches on x-cell"));
}

#[test]
fn requests_without_a_decision_need_a_route() {
    let findings = changed(ROUTES, |routes| drop(routes.as_array_mut().unwrap().pop()));
    has(&findings, Level::Warning, "answered 404");
    let findings =
        changed(ROUTES, |routes| routes[3] = json!({"match": {"prefix": "/"}, "route": {"cluster": "cell-a"}}));
    has(&findings, Level::Warning, "requests without a decision go to cell-a");
}

#[test]
fn routes_that_forward_the_deferral_header_are_a_warning() {
    let findings = changed("/route_config/virtual_hosts/0", |host| host["request_headers_to_remove"] = json!([]));
    has(&findings, Level::Warning, "do not remove x-cellgate-defer");
}

#[test]
fn a_route_without_the_filter_must_remove_the_headers() {
    let opt_out = |remove: Value| {
        json!({
            "name": "open",
            "match": {"path": "/open"},
            "route": {"cluster": "cell-a"},
            "typed_per_filter_config": {"cellgate": {"@type": "x.FilterConfig", "disabled": true}},
            "request_headers_to_remove": remove,
        })
    };
    let with = |remove| changed(ROUTES, |routes| routes.as_array_mut().unwrap().insert(0, opt_out(remove)));
    let findings = with(json!([]));
    // The virtual host removes the other one.
    assert!(only_error(&findings).1.contains("the route open disables the filter and forwards a client's own x-cell"));
    let findings = with(json!(["X-Cell"]));
    has(&findings, Level::Ok, "disables the filter, and removes");
    has(&findings, Level::Warning, "but not `cellgate-ext-proc`");
}

#[test]
fn clusters_are_checked() {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut dump = dump();
        let clusters = dump.pointer_mut("/configs/0/static_clusters").unwrap().as_array_mut().unwrap();
        change(&mut clusters.iter_mut().find(|entry| entry["cluster"]["name"] == "cell-a").unwrap()["cluster"]);
        examine(&Dump::read(&dump).unwrap(), None)
    };
    let findings = with(&|cluster| cluster["name"] = json!("renamed"));
    assert_eq!(
        only_error(&findings).1,
        "cell-a: the cluster cell-a does not exist: Envoy answers its requests with 503"
    );

    let tls = json!({"name": "tls", "typed_config": {
        "@type": "x.UpstreamTlsContext",
        "common_tls_context": {
            "tls_certificate_sds_secret_configs": [{"name": "default"}],
            "combined_validation_context": {"default_validation_context": {
                "match_subject_alt_names": [{"exact": "spiffe://cluster.local/ns/cell-a/sa/api"}],
            }},
        },
    }});
    let findings = with(&|cluster| cluster["transport_socket"] = tls.clone());
    has(&findings, Level::Ok, "mTLS with spiffe://cluster.local/ns/cell-a/sa/api");
    let findings = with(&|cluster| {
        cluster["circuit_breakers"] = json!({"thresholds": [{"max_requests": 7, "retry_budget": {}}]});
        cluster["outlier_detection"] = json!({"consecutive_5xx": 3});
    });
    has(&findings, Level::Ok, "at most 1024 connections, 1024 pending requests and 7 requests, with a retry budget");
    has(&findings, Level::Ok, "an endpoint is ejected after 3 answers");
    let unlimited = u32::MAX;
    let findings = with(&|cluster| {
        cluster["circuit_breakers"] = json!({"thresholds": [{
            "max_connections": unlimited, "max_pending_requests": unlimited, "max_requests": unlimited,
        }]});
    });
    has(&findings, Level::Warning, "no circuit breaker");
}

/// Istio uses mTLS for endpoints with the label of a sidecar, and plain text for the others.
#[test]
fn mtls_by_endpoint_is_checked_for_each_endpoint() {
    let with = |endpoints: &[Value]| {
        istiod(|dump| {
            let cluster = dump.pointer_mut("/configs/0/dynamicActiveClusters/0/cluster").unwrap();
            let name = cluster["name"].clone();
            let tls = cluster["transportSocket"].take();
            cluster["transportSocketMatches"] = json!([
                {"match": {"tlsMode": "istio"}, "transportSocket": tls},
                {"match": {}, "transportSocket": {"name": "envoy.transport_sockets.raw_buffer"}},
            ]);
            let all = dump.pointer_mut("/configs/1/dynamicEndpointConfigs").unwrap().as_array_mut().unwrap();
            let own = all.iter_mut().find(|entry| entry["endpointConfig"]["clusterName"] == name).unwrap();
            own["endpointConfig"]["endpoints"] = json!([{"lbEndpoints": endpoints}]);
        })
    };
    let sidecar = json!({"metadata": {"filterMetadata": {"envoy.transport_socket_match": {"tlsMode": "istio"}}}});
    let bare = json!({});
    let findings = with(&[sidecar.clone(), sidecar.clone()]);
    assert!(findings.iter().all(|finding| finding.level != Level::Warning), "{findings:#?}");
    has(&with(&[sidecar, bare.clone()]), Level::Warning, "plain text, without mTLS, to 1 of 2 endpoints");
    has(&with(&[bare]), Level::Warning, "plain text, without mTLS");
    has(&with(&[]), Level::Unknown, "depends on its endpoints");
}

#[test]
fn healthy_endpoints_are_counted() {
    let mut dump = dump();
    let endpoint =
        dump.pointer_mut("/configs/1/static_endpoint_configs/0/endpoint_config/endpoints/0/lb_endpoints/0").unwrap();
    endpoint["health_status"] = json!("UNHEALTHY");
    let findings = examine(&Dump::read(&dump).unwrap(), None);
    assert_eq!(only_error(&findings).1, "cell-a: none of 1 endpoints is healthy");
}

/// A server that redirects to HTTPS has the filter, but no routes by cell.
#[test]
fn one_chain_with_routes_by_cell_is_enough() {
    let mut dump = dump();
    let chains = dump.pointer_mut("/configs/2/static_listeners/0/listener/filter_chains").unwrap();
    let mut second = chains[0].clone();
    second["name"] = json!("redirect");
    let redirect = json!({"match": {"prefix": "/"}, "redirect": {"https_redirect": true}});
    *second.pointer_mut("/filters/0/typed_config/route_config/virtual_hosts/0/routes").unwrap() = json!([redirect]);
    chains.as_array_mut().unwrap().push(second);
    let findings = examine(&Dump::read(&dump).unwrap(), None);
    assert_eq!(worst(&findings), Vec::<&Finding>::new());
    let note = findings.iter().find(|finding| finding.what == "no route matches on x-cell").unwrap();
    assert_eq!(note.places, ["ingress chain redirect"]);
}

#[test]
fn inbound_listeners_need_no_routes_by_cell() {
    let mut dump = dump();
    dump.pointer_mut("/configs/2/static_listeners/0/listener").unwrap()["traffic_direction"] = json!("INBOUND");
    let routes = dump.pointer_mut(&format!("{MANAGER}{ROUTES}")).unwrap();
    *routes = json!([{"match": {"prefix": "/"}, "route": {"cluster": "cell-a"}}]);
    let findings = examine(&Dump::read(&dump).unwrap(), None);
    assert_eq!(worst(&findings), Vec::<&Finding>::new());
    has(&findings, Level::Ok, "inbound to the workload");
}

#[test]
fn a_host_with_direct_responses_needs_no_more_routes() {
    let findings = changed(ROUTES, |routes| {
        let answer = json!({"status": 200, "body": {"inline_string": "cell-a"}});
        *routes = json!([{"match": routes[0]["match"], "direct_response": answer}]);
    });
    assert_eq!(worst(&findings), Vec::<&Finding>::new());
    has(&findings, Level::Ok, "answers requests with x-cell directly");
}

#[test]
fn a_second_chain_with_the_same_routes_needs_the_filter() {
    let mut dump = dump();
    let chains = dump.pointer_mut("/configs/2/static_listeners/0/listener/filter_chains").unwrap();
    let mut second = chains[0].clone();
    second["name"] = json!("other");
    second["filters"][0]["typed_config"]["http_filters"].as_array_mut().unwrap().remove(0);
    chains.as_array_mut().unwrap().push(second);
    let findings = examine(&Dump::read(&dump).unwrap(), None);
    let (section, what) = only_error(&findings);
    assert_eq!(section, Section::Filter);
    assert!(
        what.starts_with("ingress chain other: routes match on x-cell, and the filter is not in the chain"),
        "{what}"
    );
}

fn istiod(change: impl FnOnce(&mut Value)) -> Vec<Finding> {
    let mut dump = serde_json::from_str(ISTIOD).unwrap();
    change(&mut dump);
    examine(&Dump::read(&dump).unwrap(), None)
}

#[test]
fn istiods_configuration_for_the_chart_has_no_fault() {
    let findings = istiod(|_| {});
    let faults: Vec<&Finding> =
        findings.iter().filter(|finding| matches!(finding.level, Level::Error | Level::Warning)).collect();
    assert_eq!(faults, Vec::<&Finding>::new());
    for part in [
        "`edge-ingress` is the first HTTP filter",
        "module /etc/cellgate/cellgate.wasm, version 2026-",
        "configuration 1: header x-cell, cells cell-a, cell-b, 2 sources",
        "bodies of at most 65536 bytes; Envoy's limits are 65536 (HTTP/1.1) and 65536 (HTTP/2)",
        "`buffer`: BUFFERED, by cluster outbound|50051||edge-ext-proc.cellgate-system.svc.cluster.local",
        "cell-a goes to outbound|8080||api.cell-a.svc.cluster.local, 2 retries on connect-failure",
        "requests without a decision are answered 421",
        "1 of 1 endpoints are healthy",
        "mTLS",
        "an endpoint is ejected after 5 answers of 5xx in a row",
        "1024 requests, with a retry budget",
    ] {
        has(&findings, Level::Ok, part);
    }
    has(&findings, Level::Unknown, "this source does not show");
}

#[test]
fn waiting_clusters_are_one_finding() {
    let waiting = |name: &str| json!({"cluster": {"name": name}});
    let dump = json!({"configs": [
        {"@type": "x.ClustersConfigDump", "dynamic_warming_clusters": [waiting("a"), waiting("b")]},
    ]});
    let findings = examine(&Dump::read(&dump).unwrap(), None);
    assert!(only_error(&findings).1.contains("no HTTP listener yet"));
    let waits = findings.iter().find(|finding| finding.what.starts_with("is waiting for")).unwrap();
    assert_eq!(waits.places, ["cluster a", "cluster b"]);
}
