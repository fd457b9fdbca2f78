//! The bootstrap of a proxy, before istiod's configuration.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::Role;
use crate::mesh::identity::TRUST_DOMAIN;

/// The region of all proxies.
const REGION: &str = "region-1";

/// The kind of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A standalone proxy for Istio's or Kubernetes' Gateways.
    Gateway,
    /// A proxy for one workload. Nothing redirects connections to it; a `Sidecar` object sets its listeners.
    Sidecar,
}

impl Kind {
    /// The name for messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Sidecar => "sidecar",
        }
    }

    /// Istio's node type.
    fn node_type(self) -> &'static str {
        match self {
            Self::Gateway => "router",
            Self::Sidecar => "sidecar",
        }
    }
}

/// The configuration source of a proxy.
#[derive(Clone, Copy, Debug)]
pub enum Discovery<'a> {
    /// istiod itself.
    Istiod(SocketAddr),
    /// The socket of its agent.
    Agent(&'a Path),
}

impl Discovery<'_> {
    fn address(&self) -> Value {
        match self {
            Self::Istiod(address) => socket(*address),
            Self::Agent(path) => json!({"pipe": {"path": path}}),
        }
    }
}

/// The whole bootstrap configuration.
pub(super) fn build(role: &Role, discovery: &Discovery<'_>, secrets: SocketAddr) -> Value {
    let Role { kind, name, namespace, service_account, labels, address } = role;
    json!({
        "node": {
            "id": format!("{}~{address}~{name}.{namespace}~{namespace}.svc.{TRUST_DOMAIN}", kind.node_type()),
            "cluster": format!("{name}.{namespace}"),
            "locality": {"region": REGION},
            "metadata": {
                "NAME": name,
                "NAMESPACE": namespace,
                "CLUSTER_ID": "Kubernetes",
                "MESH_ID": TRUST_DOMAIN,
                "ISTIO_VERSION": "1.31.0",
                "SERVICE_ACCOUNT": service_account,
                "WORKLOAD_NAME": name,
                "INSTANCE_IPS": address.to_string(),
                "INTERCEPTION_MODE": "NONE",
                "LABELS": labels,
                "PROXY_CONFIG": {},
            },
        },
        "admin": {"address": socket(SocketAddr::from(([127, 0, 0, 1], 0)))},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": true,
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}],
            },
            "cds_config": ads(),
            "lds_config": ads(),
        },
        // Envoy sends spans after 5 s, or when there are 5.
        "layered_runtime": {"layers": [{"name": "tests", "static_layer": {
            "tracing.opentelemetry.flush_interval_ms": 100,
            "tracing.opentelemetry.min_flush_spans": 1,
        }}]},
        // Istio's cluster names. Its configuration refers to the second one.
        "static_resources": {"clusters": [cluster("xds-grpc", discovery.address()), cluster("sds-grpc", socket(secrets))]},
    })
}

fn ads() -> Value {
    json!({"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"})
}

fn cluster(name: &str, address: Value) -> Value {
    let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {options: {
            "@type": format!("type.googleapis.com/{options}"),
            "explicit_http_config": {"http2_protocol_options": {}},
        }},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [
            {"endpoint": {"address": address}},
        ]}]},
    })
}

fn socket(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip(), "port_value": address.port()}})
}
