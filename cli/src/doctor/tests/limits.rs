//! Limits of the listener and its connection manager. The expected findings are in `tests/fixtures/doctor/`.

use serde_json::{Value, json};

use super::{Dump, ENVOY, Finding, MANAGER, changed, examine, snapshot};

fn envoy(change: impl FnOnce(&mut Value)) -> Vec<Finding> {
    let mut dump = serde_json::from_str(ENVOY).unwrap();
    change(&mut dump);
    examine(&Dump::read(&dump).unwrap(), None)
}

#[track_caller]
fn expect(name: &str, change: impl FnOnce(&mut Value)) {
    snapshot(name, &envoy(|_| {}), &envoy(change));
}

#[test]
fn larger_limits_of_others_are_reported() {
    expect("larger-limits", |dump| {
        dump.pointer_mut("/configs/2/static_listeners/0/listener").unwrap()["per_connection_buffer_limit_bytes"] =
            json!(10_485_760);
    });
}

/// Envoy refuses or removes it before the filter sees it.
#[test]
fn a_key_header_with_an_underscore_is_an_error_where_it_is_refused() {
    let with = |action: Value| {
        envoy(|dump| {
            let manager = dump.pointer_mut(MANAGER).unwrap();
            manager["common_http_protocol_options"]["headers_with_underscores_action"] = action;
            let config = manager.pointer_mut("/http_filters/0/typed_config/config/configuration/value").unwrap();
            *config = json!(config.as_str().unwrap().replace("x-tenant-id", "x_tenant"));
        })
    };
    let allowed = with(Value::Null);
    snapshot("underscore-refused", &allowed, &with(json!("REJECT_REQUEST")));
    snapshot("underscore-dropped", &allowed, &with(json!("DROP_HEADER")));
    snapshot("underscore-allowed", &envoy(|_| {}), &allowed);
}

#[test]
fn the_cells_routes_may_have_an_idle_timeout() {
    let with = |manager_time: Value, times: [Value; 3], request: Value| {
        changed("", |manager| {
            manager["stream_idle_timeout"] = manager_time;
            manager["request_timeout"] = request;
            let routes = manager.pointer_mut("/route_config/virtual_hosts/0/routes").unwrap();
            for (index, time) in times.into_iter().enumerate() {
                routes[index]["route"]["idle_timeout"] = time;
            }
        })
    };
    let all = || ["300s", "60s", "300s"].map(|time| json!(time));
    let one_without = || [json!("300s"), Value::Null, json!("300s")];
    let base = envoy(|_| {});
    snapshot("idle-by-routes", &base, &with(json!("0s"), all(), json!("60s")));
    // Before there is a cell, nothing ends it.
    snapshot("idle-by-routes-only", &base, &with(Value::Null, all(), Value::Null));
    snapshot("idle-of-some-routes", &base, &with(Value::Null, one_without(), json!("60s")));
}
