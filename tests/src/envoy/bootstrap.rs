//! The Envoy bootstrap of one test, as JSON.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::discovery::FilterDiscovery;
use super::ext_proc_chain::ResponseParts;
use super::{access_log, ext_proc_chain};
use crate::cell::Cell;
use crate::options::{Chain, DEFAULT_BUFFER_LIMIT, Options, Underscores};

/// The prefix of the connection manager's statistics: `http.in.downstream_rq_total` and so on.
pub(super) const STAT_PREFIX: &str = "in";

/// The inputs of the bootstrap.
pub(super) struct BootstrapPlan<'a> {
    pub(super) options: &'a Options,
    pub(super) cells: &'a [Cell],
    pub(super) ext_proc: Option<SocketAddr>,
    pub(super) discovery: Option<&'a FilterDiscovery>,
    pub(super) access_log: &'a Path,
}

impl BootstrapPlan<'_> {
    /// Builds the whole configuration.
    pub(super) fn build(&self) -> Value {
        let mut clusters: Vec<Value> = self.cells.iter().map(cell_cluster).collect();
        clusters.extend(self.ext_proc.map(ext_proc_cluster));
        json!({
            // Extension discovery requires them.
            "node": {"id": "test", "cluster": "test"},
            "admin": {"address": loopback(0)},
            "static_resources": {"listeners": [self.listener()], "clusters": clusters},
        })
    }

    fn listener(&self) -> Value {
        json!({
            "name": "main",
            "address": loopback(0),
            "per_connection_buffer_limit_bytes": self.options.buffer_limit.unwrap_or(DEFAULT_BUFFER_LIMIT),
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": self.connection_manager(),
            }]}],
        })
    }

    fn connection_manager(&self) -> Value {
        let options = self.options;
        let upgrades: Vec<Value> = options.upgrades.iter().map(|kind| json!({"upgrade_type": kind})).collect();
        let mut http2 = json!({"allow_connect": true});
        if let Some(window) = options.h2_window {
            http2["initial_stream_window_size"] = json!(window);
        }
        let log = json!({
            "path": self.access_log,
            "log_format": {"json_format": access_log::format(self.routing_header())},
        });
        typed(
            "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            json!({
                "stat_prefix": STAT_PREFIX,
                "codec_type": "AUTO",
                "stream_idle_timeout": seconds(options.stream_idle_timeout),
                "http_protocol_options": {"enable_trailers": options.trailers},
                "http2_protocol_options": http2,
                "upgrade_configs": upgrades,
                "common_http_protocol_options": {"headers_with_underscores_action": underscores(options.underscores)},
                "access_log": [{
                    "name": "file",
                    "typed_config": typed("envoy.extensions.access_loggers.file.v3.FileAccessLog", log),
                }],
                "route_config": {"virtual_hosts": [{
                    "name": "cells",
                    "domains": ["*"],
                    "request_headers_to_remove": ["x-cellgate-defer"],
                    "routes": self.routes(),
                }]},
                "http_filters": self.http_filters(),
            }),
        )
    }

    /// One route per cell, and an explicit refusal of undecided requests.
    fn routes(&self) -> Vec<Value> {
        let undecided = json!({
            "match": {"prefix": "/"},
            "direct_response": {"status": 421, "body": {"inline_string": "no cell was decided"}},
        });
        let by_cell = self.cells.iter().flat_map(|cell| {
            let decided = json!([{"name": self.routing_header(), "string_match": {"exact": cell.name()}}]);
            let mut route = json!({"cluster": cell.name(), "timeout": "60s"});
            if self.options.retries > 0 {
                route["retry_policy"] = json!({"retry_on": "5xx", "num_retries": self.options.retries});
            }
            [
                json!({"match": {"connect_matcher": {}, "headers": decided}, "route": route}),
                json!({"match": {"prefix": "/", "headers": decided}, "route": route}),
            ]
        });
        by_cell.chain([undecided]).collect()
    }

    fn http_filters(&self) -> Vec<Value> {
        let mut filters = Vec::new();
        filters.extend(self.discovery.map(FilterDiscovery::http_filter));
        let timeout = self.options.message_timeout;
        match self.options.chain {
            Chain::TwoTier => filters.push(ext_proc_chain::on_deferral(timeout, self.responses())),
            Chain::Service(mode) => filters.push(ext_proc_chain::always(mode, timeout, self.responses())),
            Chain::Filter | Chain::Plain => (),
        }
        filters.push(json!({
            "name": "router",
            "typed_config": typed("envoy.extensions.filters.http.router.v3.Router", json!({})),
        }));
        filters
    }

    /// The parts of responses that the service must see.
    fn responses(&self) -> ResponseParts {
        let settle = |limit: &Value| limit.get("settle").cloned();
        let limits = self.options.config.get("rate_limits").and_then(Value::as_array);
        let settlements: Vec<Value> = limits.into_iter().flatten().filter_map(settle).collect();
        let has_trailer = settlements.iter().any(|settle| settle.get("response_trailer").is_some());
        let end = has_trailer || self.options.config.get("concurrency_limits").is_some();
        ResponseParts { headers: !settlements.is_empty(), end }
    }

    fn routing_header(&self) -> &str {
        self.options.config["routing_header"].as_str().unwrap_or("x-cell")
    }
}

/// `message` with its type, in the form of Envoy's extension points.
pub(super) fn typed(name: &str, mut message: Value) -> Value {
    message["@type"] = json!(format!("type.googleapis.com/{name}"));
    message
}

/// A duration in protobuf's JSON format.
pub(super) fn seconds(duration: Duration) -> String {
    format!("{:.3}s", duration.as_secs_f64())
}

/// Envoy uses the client's protocol to the cell, so that trailers and gRPC arrive unchanged.
fn cell_cluster(cell: &Cell) -> Value {
    let protocols = json!({"use_downstream_protocol_config": {
        "http_protocol_options": {"enable_trailers": true},
        "http2_protocol_options": {"allow_connect": true},
    }});
    let mut cluster = cluster(cell.name(), cell.address(), protocols);
    cluster["circuit_breakers"] = json!({"thresholds": [{
        "max_connections": 100_000, "max_pending_requests": 100_000, "max_requests": 100_000, "max_retries": 100_000,
    }]});
    cluster
}

/// Only the keep-alive ends the streams of a frozen service. Above the stream window, Envoy stops reading the client. The
/// window and the thresholds are those of the example.
fn ext_proc_cluster(address: SocketAddr) -> Value {
    let protocols = json!({"explicit_http_config": {"http2_protocol_options": {
        "connection_keepalive": {"interval": "5s", "timeout": "2s"},
        "initial_stream_window_size": 256 * 1024,
    }}});
    let mut cluster = cluster(ext_proc_chain::CLUSTER, address, protocols);
    cluster["circuit_breakers"] = json!({"thresholds": [{
        "max_connections": 10_000, "max_pending_requests": 10_000, "max_requests": 10_000,
    }]});
    cluster
}

fn cluster(name: &str, address: SocketAddr, protocols: Value) -> Value {
    let endpoint = json!({"endpoint": {"address": loopback(address.port())}});
    let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "typed_extension_protocol_options": {options: typed(options, protocols)},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    })
}

pub(super) fn loopback(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

fn underscores(action: Underscores) -> &'static str {
    match action {
        Underscores::Allow => "ALLOW",
        Underscores::Reject => "REJECT_REQUEST",
        Underscores::Drop => "DROP_HEADER",
    }
}
