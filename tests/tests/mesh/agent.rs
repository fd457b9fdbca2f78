//! A module with a URL: Istio's agent fetches it and rejects a module with another digest.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use cellgate_tests::client::Request;
use cellgate_tests::mesh::agent::Agent;
use cellgate_tests::mesh::gateway::{Gateway, labels};
use cellgate_tests::mesh::proxy::visit;
use cellgate_tests::mesh::release::{Release, Setup, merge};
use cellgate_tests::{artifacts, ports, sha256};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::Shared;
use crate::support::key_last;

/// The gateway that uses the agent.
const NAME: &str = "pod";

/// A web server with one file.
struct Registry {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Registry {
    async fn start(file: Vec<u8>) -> Result<Self> {
        let listener = TcpListener::bind(ports::ANY).await?;
        let registry = Self { address: listener.local_addr()?, asked: Arc::default() };
        let asked = Arc::clone(&registry.asked);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = client.read_u8().await else { break };
                    head.push(byte);
                }
                asked.fetch_add(1, Ordering::Relaxed);
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", file.len());
                // A client that has disconnected needs no more.
                let _ = client.write_all(&[answer.as_bytes(), &file].concat()).await;
            }
        });
        Ok(registry)
    }
}

/// A release whose module comes from a web server, with a gateway that uses an agent.
struct Fetched {
    // Dropped in this order, the gateway before its agent.
    gateway: Gateway,
    release: Release,
    registry: Registry,
    _agent: Agent,
}

impl Fetched {
    async fn start(mesh: &Shared, digest: impl Fn(&[u8]) -> String) -> Result<Self> {
        let module = std::fs::read(artifacts::wasm()?)?;
        let digest = digest(&module);
        let registry = Registry::start(module).await?;
        let setup = Setup::new(mesh);
        let namespace = setup.gateway_namespace();
        let mut attach = setup.values()["filter"]["attach"][0].clone();
        merge(&mut attach, json!({"selector": labels(&namespace, NAME), "serviceAccount": NAME}));
        let url = format!("http://{}/cellgate.wasm", registry.address);
        let change = json!({
            "filter": {"module": {"path": null, "url": url, "sha256": digest}, "attach": [attach]},
            "routes": {"gateways": [format!("{namespace}/{NAME}")]},
        });
        let release = setup.with(change).prepare().await?;
        let agent = Agent::start(mesh, release.directory()).await?;
        let gateway = Gateway::start_by(mesh, agent.discovery(), &namespace, NAME, release.directory()).await?;
        release.helm().install(release.values(), &[]).await?;
        release.node().settled().await?;
        Ok(Self { gateway, release, registry, _agent: agent })
    }

    /// Waits until the gateway has a filter of this kind, and returns it.
    async fn filter(&self, kind: &str) -> Result<Value> {
        let name = self.release.filter_name();
        let find = |dump: &Value| {
            let mut found = None;
            visit(dump, "ecds_filter", &mut |filter| {
                let is_it = filter["name"] == name && filter.to_string().contains(kind);
                found = found.take().or_else(|| is_it.then(|| filter.clone()));
            });
            found
        };
        self.gateway.proxy().configured(&format!("the filter of {kind}"), |dump| find(dump).is_some()).await?;
        let dump = self.gateway.proxy().admin().config_dump().await?;
        Ok(find(&dump).unwrap_or_default())
    }
}

pub(crate) async fn the_module_is_fetched_and_routes(mesh: Shared) -> Result<()> {
    let fetched = Fetched::start(&mesh, sha256).await?;
    let filter = fetched.filter("wasm.v3.Wasm").await?;
    assert!(filter.to_string().contains("\"filename\":\"/var/lib/istio/data/"), "{filter}");
    for (host, routes) in fetched.release.virtual_services().await? {
        fetched.gateway.has_routes(&host, &routes).await?;
    }
    assert!(fetched.registry.asked.load(Ordering::Relaxed) > 0);

    let request = Request::post("/").header("x-cell", "cell-c").json(key_last("acme", 40 * 1024));
    assert_eq!(fetched.gateway.send(&request).await?.cell(), "cell-b");
    fetched.gateway.proxy().must_accept().await
}

pub(crate) async fn with_a_module_of_another_digest_no_request_passes(mesh: Shared) -> Result<()> {
    let fetched = Fetched::start(&mesh, |_| "5e".repeat(32)).await?;
    fetched.filter("rbac.v3.RBAC").await?;
    let asked = Request::post("/").json(r#"{"tenant":{"id":"acme"}}"#);
    for request in [asked.clone(), asked.header("x-cell", "cell-b"), Request::get("/").header("x-cell", "cell-b")] {
        let answer = fetched.gateway.send(&request).await?;
        assert_eq!(answer.status, 403, "{}", answer.text());
    }
    assert!(fetched.registry.asked.load(Ordering::Relaxed) > 0);
    for cell in ["cell-a", "cell-b", "cell-c"] {
        assert_eq!(fetched.release.cell(cell).arrived(), 0);
    }
    fetched.gateway.proxy().must_accept().await
}
