//! Chains whose configuration has rate limits. The expected findings are in `tests/fixtures/doctor/`.

use serde_json::{Value, json};

use super::{Dump, ENVOY, Finding, MANAGER, MATCHERS, PROCESSOR, examine, snapshot};

/// The findings about Envoy's dump with limits by tenant, peer and address, after a change.
fn limited(change: impl FnOnce(&mut Value)) -> Vec<Finding> {
    let mut dump: Value = serde_json::from_str(ENVOY).unwrap();
    let config =
        dump.pointer_mut(&format!("{MANAGER}/http_filters/0/typed_config/config/configuration/value")).unwrap();
    let limits = r#"{"rate_limits":[
        {"name":"per-tenant","key":["routing_key"],"limit":"100/min"},
        {"name":"per-peer","key":["peer"],"limit":"100/min"},
        {"name":"per-address","key":["client_address","method"],"limit":"100/min"}
    ],"#;
    *config = json!(config.as_str().unwrap().replacen('{', limits, 1));
    change(&mut dump);
    examine(&Dump::read(&dump).unwrap(), None)
}

/// The matcher of a mode without a body, like that of `buffer`.
fn add_headers_mode(dump: &mut Value) {
    let matchers = dump.pointer_mut(&format!("{MANAGER}{MATCHERS}")).unwrap().as_array_mut().unwrap();
    let mut headers = matchers[0].clone();
    headers["predicate"]["single_predicate"]["value_match"]["prefix"] = json!("headers;");
    let modes = json!({"request_header_mode": "SEND", "request_body_mode": "NONE", "request_trailer_mode": "SKIP"});
    headers.pointer_mut(PROCESSOR).unwrap()["processing_mode"] = modes;
    matchers.push(headers);
}

fn send(dump: &mut Value, attributes: &[&str]) {
    for matcher in dump.pointer_mut(&format!("{MANAGER}{MATCHERS}")).unwrap().as_array_mut().unwrap() {
        matcher.pointer_mut(PROCESSOR).unwrap()["request_attributes"] = json!(attributes);
    }
}

const ALL: [&str; 3] =
    ["filter_state['wasm.cellgate_handover']", "connection.uri_san_peer_certificate", "source.address"];

#[track_caller]
fn expect(name: &str, change: impl FnOnce(&mut Value)) {
    let before = examine(&Dump::read(&serde_json::from_str(ENVOY).unwrap()).unwrap(), None);
    snapshot(name, &before, &limited(change));
}

#[test]
fn the_service_must_get_the_attributes() {
    expect("limits-with-attributes", |dump| {
        add_headers_mode(dump);
        send(dump, &ALL);
    });
    expect("limits-without-attributes", add_headers_mode);
    expect("limits-without-addresses", |dump| {
        add_headers_mode(dump);
        send(dump, &ALL[..2]);
    });
}

#[test]
fn the_mode_without_a_body_must_have_a_filter() {
    expect("limits-without-headers-mode", |dump| send(dump, &ALL));
}

#[test]
fn limits_need_the_service() {
    let change = |dump: &mut Value| {
        dump.pointer_mut(&format!("{MANAGER}/http_filters")).unwrap().as_array_mut().unwrap().remove(1);
    };
    expect("limits-without-service", change);
}

#[test]
fn replicas_that_count_alone_are_named() {
    expect("limits-of-replicas", |dump| {
        add_headers_mode(dump);
        send(dump, &ALL);
        let service = "/configs/1/static_endpoint_configs/3/endpoint_config/endpoints/0/lb_endpoints";
        let endpoints = dump.pointer_mut(service).unwrap();
        let first = endpoints[0].clone();
        endpoints.as_array_mut().unwrap().push(first);
    });
}

/// The findings with a concurrency limit besides.
fn expect_in_flight(name: &str, change: impl FnOnce(&mut Value)) {
    expect(name, |dump| {
        add_headers_mode(dump);
        send(dump, &ALL);
        let path = format!("{MANAGER}/http_filters/0/typed_config/config/configuration/value");
        let value = dump.pointer_mut(&path).unwrap();
        let limits = r#"{"concurrency_limits":[{"name":"in-flight","key":["cell"],"at_most":20}],"#;
        *value = json!(value.as_str().unwrap().replacen('{', limits, 1));
        change(dump);
    });
}

#[test]
fn the_service_must_see_the_end_of_responses() {
    expect_in_flight("limits-without-responses", |_| ());
    expect_in_flight("limits-with-responses", |dump| {
        each_processor(dump, |processor| {
            processor["message_timeout"] = json!("5s");
            if processor["processing_mode"]["request_body_mode"] == "FULL_DUPLEX_STREAMED" {
                processor["processing_mode"]["response_trailer_mode"] = json!("SEND");
            } else {
                processor["allow_mode_override"] = json!(true);
            }
        });
    });
}

/// Changes each processor of the modes.
fn each_processor(dump: &mut Value, mut change: impl FnMut(&mut Value)) {
    for matcher in dump.pointer_mut(&format!("{MANAGER}{MATCHERS}")).unwrap().as_array_mut().unwrap() {
        change(matcher.pointer_mut(PROCESSOR).unwrap());
    }
}

/// Regression: without a timeout of its own, the mode `stream` has Envoy's 200 ms for each part of a response.
#[test]
fn the_message_timeout_must_be_set_where_the_service_sees_responses() {
    expect_settled("settlements-without-timeout", |dump| {
        each_processor(dump, |processor| {
            processor["processing_mode"]["response_header_mode"] = json!("SEND");
            processor["processing_mode"]["response_trailer_mode"] = json!("SEND");
            processor["message_timeout"] = Value::Null;
        });
    });
}

/// Regression: a mode that is not set was taken as off. Envoy's default is SEND for headers, and SKIP for trailers.
#[test]
fn the_default_mode_of_response_headers_is_to_send_them() {
    expect_settled("settlements-with-default-modes", |dump| {
        each_processor(dump, |processor| {
            processor["processing_mode"]["response_header_mode"] = Value::Null;
            processor["processing_mode"]["response_trailer_mode"] = json!("SEND");
            processor["message_timeout"] = json!("5s");
        });
    });
}

/// The findings with a limit that responses settle.
fn expect_settled(name: &str, change: impl FnOnce(&mut Value)) {
    expect(name, |dump| {
        add_headers_mode(dump);
        send(dump, &ALL);
        let path = format!("{MANAGER}/http_filters/0/typed_config/config/configuration/value");
        let value = dump.pointer_mut(&path).unwrap();
        let settled = r#""settle":{"response_trailer":"x-used","at_most":9},"limit":"#;
        *value = json!(value.as_str().unwrap().replace(r#""limit":"#, settled));
        change(dump);
    });
}

#[test]
fn the_service_must_see_the_responses_that_settle_costs() {
    expect_settled("settlements-without-responses", |_| ());
    expect_settled("settlements-with-responses", |dump| {
        each_processor(dump, |processor| {
            processor["message_timeout"] = json!("5s");
            if processor["processing_mode"]["request_body_mode"] == "FULL_DUPLEX_STREAMED" {
                processor["processing_mode"]["response_header_mode"] = json!("SEND");
                processor["processing_mode"]["response_trailer_mode"] = json!("SEND");
            } else {
                processor["allow_mode_override"] = json!(true);
            }
        });
    });
}

/// Regression: the documentation told users to hide the field so.
#[test]
fn routes_must_not_remove_a_field_that_settles() {
    let settle_by_header = |dump: &mut Value| {
        let path = format!("{MANAGER}/http_filters/0/typed_config/config/configuration/value");
        let value = dump.pointer_mut(&path).unwrap();
        *value = json!(value.as_str().unwrap().replacen("response_trailer", "response_header", 1));
    };
    for (name, level) in [
        ("settlements-removed-by-routes", ""),
        ("settlements-removed-by-a-host", "/virtual_hosts/0"),
        ("settlements-removed-by-a-route", "/virtual_hosts/0/routes/1"),
    ] {
        expect_settled(name, |dump| {
            settle_by_header(dump);
            let part = dump.pointer_mut(&format!("{MANAGER}/route_config{level}")).unwrap();
            part["response_headers_to_remove"] = json!(["X-Used"]);
        });
    }
}

/// Leases the limits from a cluster.
fn lease_from(dump: &mut Value, cluster: &str) {
    let path = format!("{MANAGER}/http_filters/0/typed_config/config/configuration/value");
    let value = dump.pointer_mut(&path).unwrap();
    let leased = value.as_str().unwrap().replace(r#""limit":"#, r#""lease":true,"limit":"#);
    *value = json!(leased.replacen('{', &format!(r#"{{"sync":{{"cluster":"{cluster}"}},"#), 1));
}

#[test]
fn the_cluster_of_leases_must_exist() {
    expect("leases", |dump| {
        add_headers_mode(dump);
        send(dump, &ALL);
        lease_from(dump, "cellgate");
    });
    expect("leases-from-nowhere", |dump| {
        add_headers_mode(dump);
        send(dump, &ALL);
        lease_from(dump, "celgate");
    });
    // It is examined like the service's cluster.
    expect("leases-from-another-cluster", |dump| {
        add_headers_mode(dump);
        send(dump, &ALL);
        lease_from(dump, "cell-a");
    });
}

/// A filter in shadow mode counts nothing.
#[test]
fn in_shadow_mode_limits_need_nothing() {
    let findings = limited(|dump| {
        let path = format!("{MANAGER}/http_filters/0/typed_config/config/configuration/value");
        let value = dump.pointer_mut(&path).unwrap();
        *value = json!(value.as_str().unwrap().replacen('{', "{\"shadow\":true,", 1));
    });
    let about_limits = |finding: &Finding| finding.what.contains("rate limit") || finding.what.contains("`headers`");
    assert!(!findings.iter().any(about_limits), "{findings:#?}");
}
