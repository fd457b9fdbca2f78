//! Envoy's configuration: the chain of `examples/envoy/two-tier.yaml`, with the clusters of two replicas and of TLS beside
//! it.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use cellgate_tests::options::Options;
use serde_json::{Value, json};

use super::{Links, Pki, service};
use crate::traffic::{BUFFER_LIMIT, config};

const REPLICAS: &str = include_str!("../../../examples/envoy/cluster-replicas.yaml");
const TLS: &str = include_str!("../../../examples/envoy/cluster-tls.yaml");

/// The timeout of the cells' routes. The example has Envoy's default, 15 s.
const ROUTE_TIMEOUT: &str = "5s";

/// The service has so long to answer a ping of HTTP/2. The example has 2 s, for which a busy machine may be too slow.
const PING_TIMEOUT: &str = "5s";

/// The options of an Envoy that listens on `listen`.
///
/// # Errors
/// An example is not as expected.
pub(crate) fn options(listen: SocketAddr, links: &Links, pki: &Pki) -> Result<Options> {
    let cluster = service_cluster(links, pki)?;
    let cells = ["cell-a", "cell-b", "cell-c"].map(|cell| links.address(cell).map(|address| (cell, address)));
    let cells = cells.into_iter().collect::<Result<Vec<_>>>()?;
    let adjust = move |bootstrap: &mut Value| {
        let listener = &mut bootstrap["static_resources"]["listeners"][0];
        listener["address"] = address(listen);
        let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
        // The log in the format of the example is enough.
        if let Some(logs) = manager["access_log"].as_array_mut() {
            logs.remove(0);
        }
        for route in each(&mut manager["route_config"]["virtual_hosts"][0]["routes"]) {
            if route["route"]["cluster"].as_str().is_some_and(|cluster| cluster.starts_with("cell-")) {
                route["route"]["timeout"] = json!(ROUTE_TIMEOUT);
            }
        }
        for found in each(&mut bootstrap["static_resources"]["clusters"]) {
            if found["name"] == "cellgate" {
                *found = cluster.clone();
            } else if let Some((_, server)) = cells.iter().find(|(cell, _)| found["name"] == **cell) {
                *found = cell_cluster(found, *server);
            }
        }
    };
    Ok(Options::default().example().config(config("start", 0)).buffer_limit(BUFFER_LIMIT).adjust(adjust))
}

/// The cluster of both examples: two replicas with health checks, and TLS in both directions.
fn service_cluster(links: &Links, pki: &Pki) -> Result<Value> {
    let tls = TLS.replace("/etc/envoy/ca.crt", &pki.file("ca.crt")).replace("/etc/envoy/tls.", &pki.file("envoy."));
    let tls: Value = serde_saphyr::from_str(&tls).context("cluster-tls.yaml")?;
    let mut cluster: Value = serde_saphyr::from_str(REPLICAS).context("cluster-replicas.yaml")?;
    cluster["transport_socket"] = tls["transport_socket"].clone();
    let protocol =
        &mut cluster["typed_extension_protocol_options"]["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"];
    protocol["explicit_http_config"]["http2_protocol_options"]["connection_keepalive"]["timeout"] = json!(PING_TIMEOUT);
    // The name in the statistics of the tests.
    cluster["alt_stat_name"] = json!("ext-proc");
    for (number, endpoint) in each(&mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]).enumerate() {
        endpoint["endpoint"]["address"] = address(links.address(&service(number))?);
    }
    Ok(cluster)
}

/// Calls of gRPC need HTTP/2 up to the cell.
fn cell_cluster(cluster: &Value, server: SocketAddr) -> Value {
    let mut cluster = cluster.clone();
    cluster["load_assignment"]["endpoints"] = json!([{"lb_endpoints": [{"endpoint": {"address": address(server)}}]}]);
    cluster["typed_extension_protocol_options"] = json!({
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "use_downstream_protocol_config": {"http_protocol_options": {}, "http2_protocol_options": {}},
        },
    });
    cluster
}

fn address(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}

fn each(list: &mut Value) -> impl Iterator<Item = &mut Value> {
    list.as_array_mut().into_iter().flatten()
}
