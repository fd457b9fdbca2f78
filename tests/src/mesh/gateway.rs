//! The gateway of one test: an Envoy with its own address and label, and its `Gateway` object.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use serde_json::{Value, json};

use super::Mesh;
use super::kube::object;
use super::proxy::{Discovery, Kind, Proxy, Role, visit};
use crate::client::{Http1, Http2, Request, Response};

/// The port of every gateway.
const PORT: u16 = 8080;

/// The prefix of the names of another team's routes for a host of the release.
pub const NEIGHBOUR: &str = "legacy-";

/// A running gateway. Dropping it stops it.
#[derive(Debug)]
pub struct Gateway {
    proxy: Proxy,
    address: SocketAddr,
}

impl Gateway {
    /// Creates the `Gateway` object `name` for all hosts, starts a proxy for it, and waits until it listens. Its
    /// service account has the same name.
    ///
    /// # Errors
    /// When it does not start, or rejects an update of istiod.
    pub async fn start(mesh: &Arc<Mesh>, namespace: &str, name: &str, directory: &Path) -> Result<Self> {
        Self::start_by(mesh, Discovery::Istiod(mesh.istiod().discovery()), namespace, name, directory).await
    }

    /// Like [`Gateway::start`], with another configuration source.
    ///
    /// # Errors
    /// As above.
    pub async fn start_by(
        mesh: &Arc<Mesh>,
        discovery: Discovery<'_>,
        namespace: &str,
        name: &str,
        directory: &Path,
    ) -> Result<Self> {
        let address = mesh.addresses().next();
        let mut gateway = object("networking.istio.io/v1", "Gateway", namespace, name);
        gateway["spec"] = json!({
            "selector": labels(namespace, name),
            "servers": [{
                "port": {"number": PORT, "name": "http", "protocol": "HTTP"},
                "bind": address,
                "hosts": ["*"],
            }],
        });
        let account = object("v1", "ServiceAccount", namespace, name);
        mesh.kube().apply_all(&[account, gateway]).await?;
        let role = Role {
            kind: Kind::Gateway,
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            service_account: name.to_owned(),
            labels: labels(namespace, name),
            address,
        };
        let proxy = Proxy::start_by(mesh, discovery, role, directory).await?;
        let address = proxy.listening(PORT).await?;
        Ok(Self { proxy, address })
    }

    /// The proxy: its statistics, logs and configuration.
    #[must_use]
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// The proxy, to allow it to reject configuration.
    pub fn proxy_mut(&mut self) -> &mut Proxy {
        &mut self.proxy
    }

    /// The address for clients of both protocols.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends one request over HTTP/1.1 on a new connection.
    ///
    /// # Errors
    /// When there is no complete response.
    pub async fn send(&self, request: &Request) -> Result<Response> {
        Http1::connect(self.address).await?.send(request).await
    }

    /// Sends one request over HTTP/2 on a new connection.
    ///
    /// # Errors
    /// When there is no complete response.
    pub async fn send_h2(&self, request: &Request) -> Result<Response> {
        Http2::connect(self.address).await?.send(request).await
    }

    /// Waits until the gateway's routes for a host have these names in this order. Routes of another team, whose names
    /// start with [`NEIGHBOUR`], do not count.
    ///
    /// # Errors
    /// On a timeout, or when Envoy has rejected them.
    pub async fn has_routes(&self, host: &str, names: &[String]) -> Result<()> {
        self.proxy
            .configured(&format!("the routes of {host}"), |dump| {
                let mut found = route_names(dump, host);
                found.retain(|name| !name.starts_with(NEIGHBOUR));
                found == names
            })
            .await
    }

    /// Waits until a route with this name meets a condition.
    ///
    /// # Errors
    /// On a timeout, or when Envoy has rejected it.
    pub async fn has_route(&self, name: &str, is_met: impl Fn(&Value) -> bool) -> Result<()> {
        let is_there = |dump: &Value| {
            let mut found = false;
            visit(dump, "routes", &mut |routes| {
                found |= routes.as_array().into_iter().flatten().any(|route| route["name"] == name && is_met(route));
            });
            found
        };
        self.proxy.configured(&format!("the changed route {name}"), is_there).await
    }

    /// Waits until an active cluster with this name meets a condition.
    ///
    /// # Errors
    /// On a timeout, or when Envoy has rejected it.
    pub async fn has_cluster(&self, name: &str, is_met: impl Fn(&Value) -> bool) -> Result<()> {
        let is_there = |dump: &Value| {
            let mut found = false;
            visit(dump, "dynamic_active_clusters", &mut |clusters| {
                let mut clusters = clusters.as_array().into_iter().flatten().map(|active| &active["cluster"]);
                found |= clusters.any(|cluster| cluster["name"] == name && is_met(cluster));
            });
            found
        };
        self.proxy.configured(&format!("the changed cluster {name}"), is_there).await
    }
}

/// The labels of a gateway's pods.
#[must_use]
pub fn labels(namespace: &str, name: &str) -> Value {
    json!({"istio": format!("{namespace}-{name}")})
}

/// The names of the routes of a host, in their order.
fn route_names(dump: &Value, host: &str) -> Vec<String> {
    let mut names = Vec::new();
    visit(dump, "virtual_hosts", &mut |hosts| {
        let all = hosts.as_array().into_iter().flatten();
        let serves = |known: &&Value| known["domains"].as_array().is_some_and(|all| all.contains(&json!(host)));
        for routes in all.filter(serves).filter_map(|found| found["routes"].as_array()) {
            names.extend(routes.iter().filter_map(|route| route["name"].as_str()).map(str::to_owned));
        }
    });
    names
}
