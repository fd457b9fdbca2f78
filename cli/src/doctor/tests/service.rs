//! The service beside other processors, and refusals under overload. The expected findings
//! are in `tests/fixtures/doctor/`.

use serde_json::{Value, json};

use super::{Dump, ENVOY, Finding, MANAGER, MATCHERS, PROCESSOR, examine, snapshot};

/// The findings about Envoy's dump with this version after a change.
fn envoy(minor: Option<u32>, change: impl FnOnce(&mut Value)) -> Vec<Finding> {
    let mut dump = serde_json::from_str(ENVOY).unwrap();
    change(&mut dump);
    if let Some(minor) = minor {
        dump["configs"].as_array_mut().unwrap().push(json!({
            "@type": "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump",
            "bootstrap": {"node": {"user_agent_build_version": {"version": {"major_number": 1, "minor_number": minor}}}},
        }));
    }
    examine(&Dump::read(&dump).unwrap(), None)
}

#[track_caller]
fn expect(name: &str, minor: Option<u32>, change: impl FnOnce(&mut Value)) {
    snapshot(name, &envoy(None, |_| {}), &envoy(minor, change));
}

/// Puts a filter behind the service's.
fn insert(dump: &mut Value, filter: Value) {
    let filters = dump.pointer_mut(&format!("{MANAGER}/http_filters")).unwrap().as_array_mut().unwrap();
    filters.insert(2, filter);
}

fn processor(mode: &str) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
        "processing_mode": {"request_body_mode": mode},
    })
}

fn streamed() -> Value {
    json!({"name": "inference", "typed_config": processor("FULL_DUPLEX_STREAMED")})
}

#[test]
fn another_processor_loses_bodies_before_envoy_1_39() {
    expect("processor-1.38", Some(38), |dump| insert(dump, streamed()));
    expect("processor-1.39", Some(39), |dump| insert(dump, streamed()));
    // istiod's dump does not tell the version.
    expect("processor-unknown", None, |dump| insert(dump, streamed()));
}

#[test]
fn a_processor_behind_a_matcher_counts() {
    expect("processor-matched", Some(38), |dump| {
        let action =
            json!({"typed_config": {"typed_config": {"name": "p", "typed_config": processor("FULL_DUPLEX_STREAMED")}}});
        insert(
            dump,
            json!({"name": "matched", "typed_config": {
                "@type": "x.ExtensionWithMatcher",
                "xds_matcher": {"matcher_list": {"matchers": [{"on_match": {"action": action}}]}},
            }}),
        );
    });
}

#[test]
fn a_discovered_processor_counts() {
    let entry = || json!({"name": "inference", "config_discovery": {"type_urls": [processor("")["@type"]]}});
    expect("processor-discovered", Some(38), |dump| {
        insert(dump, entry());
        let filter = json!({"ecds_filter": {"name": "inference", "typed_config": processor("FULL_DUPLEX_STREAMED")}});
        dump["configs"].as_array_mut().unwrap().push(json!({"@type": "x.EcdsConfigDump", "ecds_filters": [filter]}));
    });
    expect("processor-awaited", Some(38), |dump| insert(dump, entry()));
}

/// As Istio configures it for InferencePools: inactive in the chain, and streaming by the routes to a pool.
#[test]
fn a_processor_that_routes_enable_counts() {
    expect("processor-of-routes", Some(38), |dump| {
        insert(dump, json!({"name": "envoy.filters.http.ext_proc", "typed_config": processor("NONE")}));
        let routes = dump.pointer_mut(&format!("{MANAGER}/route_config/virtual_hosts/0/routes")).unwrap();
        routes[1]["name"] = json!("team.pool.0");
        routes[1]["typed_per_filter_config"] = json!({"envoy.filters.http.ext_proc": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute",
            "overrides": {"processing_mode": {"request_body_mode": "FULL_DUPLEX_STREAMED"}},
        }});
    });
}

#[test]
fn processors_in_other_modes_are_no_fault() {
    for filter in [
        json!({"name": "other", "typed_config": processor("BUFFERED")}),
        // Answers' bodies do not matter.
        json!({"name": "other", "typed_config": {"processing_mode": {"response_body_mode": "FULL_DUPLEX_STREAMED"}}}),
        json!({"name": "other", "typed_config": processor("FULL_DUPLEX_STREAMED"), "disabled": true}),
    ] {
        assert_eq!(envoy(Some(38), |dump| insert(dump, filter)), envoy(Some(38), |_| {}));
    }
}

/// `extProc.bodyMode: buffer` of the chart is no fault, and is the fix beside another processor.
#[test]
fn the_body_mode_buffer_is_the_fix() {
    let change = |dump: &mut Value| {
        let stream = dump.pointer_mut(&format!("{MANAGER}{MATCHERS}/1{PROCESSOR}")).unwrap();
        stream["processing_mode"]["request_body_mode"] = json!("BUFFERED");
        stream["message_timeout"] = json!("11s");
        insert(dump, streamed());
    };
    expect("one-message", Some(38), change);
}

fn service(dump: &mut Value) -> &mut Value {
    let clusters = dump.pointer_mut("/configs/0/static_clusters").unwrap().as_array_mut().unwrap();
    &mut clusters.iter_mut().find(|entry| entry["cluster"]["name"] == "cellgate").unwrap()["cluster"]
}

#[test]
fn limits_below_those_of_the_service_are_named() {
    let limits = |pending: u32, requests: u32| {
        json!({"thresholds": [
            {"priority": "HIGH", "max_requests": 1},
            {"max_pending_requests": pending, "max_requests": requests},
        ]})
    };
    expect("service-default-limits", None, |dump| service(dump)["circuit_breakers"] = Value::Null);
    expect("service-limits-by-rule", None, |dump| {
        service(dump)["circuit_breakers"] = Value::Null;
        service(dump)["metadata"] = json!({"filter_metadata": {"istio": {
            "config": "/apis/networking.istio.io/v1/namespaces/cellgate/destination-rule/edge-ext-proc",
        }}});
    });
    expect("service-few-pending", None, |dump| service(dump)["circuit_breakers"] = limits(100, 10_000));
    expect("service-limits", None, |dump| service(dump)["circuit_breakers"] = limits(20_000, 20_000));
}

#[test]
fn errors_of_the_service_are_503_with_retry_after() {
    let set = |dump: &mut Value, status: Value| {
        for matcher in 0..2 {
            dump.pointer_mut(&format!("{MANAGER}{MATCHERS}/{matcher}{PROCESSOR}")).unwrap()["status_on_error"] =
                status.clone();
        }
    };
    let good = envoy(None, |dump| set(dump, json!({"code": "ServiceUnavailable"})));
    snapshot("service-errors", &good, &envoy(None, |dump| set(dump, Value::Null)));
    let without = envoy(None, |dump| dump.pointer_mut(MANAGER).unwrap()["local_reply_config"] = Value::Null);
    snapshot("retry-after", &without, &envoy(None, |_| {}));
}
