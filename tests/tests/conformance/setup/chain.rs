//! Changes to Envoy's filter chain.

use serde_json::{Value, json};

use crate::support::connection_manager;

const CLUSTER: &str = "neighbour";

/// Puts a filter in front of Cellgate.
pub(super) fn in_front(filter: Value) -> impl FnOnce(&mut Value) + Send + 'static {
    move |bootstrap| filters(bootstrap).insert(0, filter)
}

/// Puts a filter behind Cellgate, in front of the router.
pub(super) fn behind(filter: Value) -> impl FnOnce(&mut Value) + Send + 'static {
    move |bootstrap| {
        let filters = filters(bootstrap);
        filters.insert(filters.len() - 1, filter);
    }
}

/// Lets requests continue when the service fails.
pub(super) fn fail_open(bootstrap: &mut Value) {
    for filter in filters(bootstrap) {
        each_processor(filter, &mut |processor| processor["failure_mode_allow"] = json!(true));
    }
}

/// Ends the streams of a frozen service after at most two seconds.
pub(super) fn short_keep_alive(bootstrap: &mut Value) {
    let cluster = cluster(bootstrap, "ext-proc");
    let protocol = &mut cluster["typed_extension_protocol_options"]["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]
        ["explicit_http_config"]["http2_protocol_options"];
    protocol["connection_keepalive"] = json!({"interval": "1s", "timeout": "1s"});
}

/// Sends bodies that the filter defers as `stream;` in BUFFERED mode.
pub(super) fn defer_as_buffer(bootstrap: &mut Value) {
    let filter =
        filters(bootstrap).iter_mut().find(|filter| filter["name"] == "cellgate-ext-proc").expect("a processor");
    let matchers = &mut filter["typed_config"]["xds_matcher"]["matcher_list"]["matchers"];
    matchers[1]["on_match"] = matchers[0]["on_match"].clone();
}

/// Envoy's decompressor for requests, gzip.
pub(super) fn decompressor() -> Value {
    filter(
        "decompressor",
        "envoy.extensions.filters.http.decompressor.v3.Decompressor",
        json!({
            "decompressor_library": {"name": "gzip", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.compression.gzip.decompressor.v3.Gzip",
            }},
            "request_direction_config": {"common_config": {"enabled": {"default_value": true, "runtime_key": "none"}}},
        }),
    )
}

/// Envoy's buffer filter, for bodies of 1 MiB.
pub(super) fn buffer() -> Value {
    filter("buffer", "envoy.extensions.filters.http.buffer.v3.Buffer", json!({"max_request_bytes": 1024 * 1024}))
}

/// Sets the routing header to the cell of another tenant.
pub(super) fn header_set() -> Value {
    header_mutation(json!({"append": {
        "header": {"key": "x-cell", "value": "cell-c"},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }}))
}

/// Removes the routing header.
pub(super) fn header_removed() -> Value {
    header_mutation(json!({"remove": "x-cell"}))
}

/// Asks an authorization service behind Cellgate, with the body.
pub(super) fn authorized(port: u16) -> impl FnOnce(&mut Value) + Send + 'static {
    move |bootstrap| {
        add_neighbour(bootstrap, port);
        behind(filter(
            "authorization",
            "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
            json!({
                "transport_api_version": "V3",
                "grpc_service": {"envoy_grpc": {"cluster_name": CLUSTER, "authority": CLUSTER}, "timeout": "20s"},
                "with_request_body": {"max_request_bytes": 1024 * 1024, "pack_as_bytes": true},
            }),
        ))(bootstrap);
    }
}

/// Another FULL_DUPLEX_STREAMED processor behind Cellgate.
pub(super) fn other_behind(port: u16) -> impl FnOnce(&mut Value) + Send + 'static {
    move |bootstrap| {
        add_neighbour(bootstrap, port);
        behind(other())(bootstrap);
    }
}

/// Another FULL_DUPLEX_STREAMED processor in front of Cellgate.
pub(super) fn other_in_front(port: u16) -> impl FnOnce(&mut Value) + Send + 'static {
    move |bootstrap| {
        add_neighbour(bootstrap, port);
        in_front(other())(bootstrap);
    }
}

fn other() -> Value {
    filter(
        "other",
        "envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
        json!({
            "grpc_service": {"envoy_grpc": {"cluster_name": CLUSTER, "authority": CLUSTER}},
            "processing_mode": {
                "request_header_mode": "SEND",
                "request_body_mode": "FULL_DUPLEX_STREAMED",
                "request_trailer_mode": "SEND",
                "response_header_mode": "SKIP",
                "response_trailer_mode": "SKIP",
            },
        }),
    )
}

fn header_mutation(mutation: Value) -> Value {
    filter(
        "header-mutation",
        "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
        json!({
            "mutations": {"request_mutations": [mutation]},
        }),
    )
}

fn filter(name: &str, kind: &str, mut config: Value) -> Value {
    config["@type"] = json!(format!("type.googleapis.com/{kind}"));
    json!({"name": name, "typed_config": config})
}

/// Adds a cluster like that of the service.
fn add_neighbour(bootstrap: &mut Value, port: u16) {
    let mut neighbour = cluster(bootstrap, "ext-proc").clone();
    neighbour["name"] = json!(CLUSTER);
    neighbour["load_assignment"] = json!({"cluster_name": CLUSTER, "endpoints": [{"lb_endpoints": [
        {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}}
    ]}]});
    clusters(bootstrap).push(neighbour);
}

fn cluster<'a>(bootstrap: &'a mut Value, name: &str) -> &'a mut Value {
    clusters(bootstrap).iter_mut().find(|cluster| cluster["name"] == name).expect("a cluster of this name")
}

fn clusters(bootstrap: &mut Value) -> &mut Vec<Value> {
    bootstrap["static_resources"]["clusters"].as_array_mut().expect("a list of clusters")
}

fn filters(bootstrap: &mut Value) -> &mut Vec<Value> {
    connection_manager(bootstrap)["http_filters"].as_array_mut().expect("a list of filters")
}

/// Calls `change` for each `ExternalProcessor` in a tree.
fn each_processor(tree: &mut Value, change: &mut impl FnMut(&mut Value)) {
    if tree["@type"].as_str().is_some_and(|kind| kind.ends_with("ext_proc.v3.ExternalProcessor")) {
        change(tree);
    }
    match tree {
        Value::Array(items) => items.iter_mut().for_each(|item| each_processor(item, change)),
        Value::Object(fields) => fields.values_mut().for_each(|field| each_processor(field, change)),
        _ => (),
    }
}
