//! mTLS: encryption, allowed identities, and rejected connections.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use cellgate_tests::client::{Http1, Request};
use cellgate_tests::mesh::gateway::Gateway;
use cellgate_tests::mesh::identity::spiffe;
use cellgate_tests::mesh::kube::object;
use cellgate_tests::mesh::release::{GATEWAY, Release, Setup};
use serde_json::json;

use crate::Shared;
use crate::support::{key_last, pieces};

async fn encrypted(mesh: &Shared) -> Result<Release> {
    Setup::new(mesh).with(json!({"mtls": {"enabled": true}})).install().await
}

pub(crate) async fn both_tiers_and_the_cells_are_reached_with_identities(mesh: Shared) -> Result<()> {
    let release = encrypted(&mesh).await?;
    let large = key_last("globex", 128 * 1024);
    let deferred = Request::post("/").header("content-type", "application/json").pieces(pieces(&large));
    let decided = Request::post("/").json(r#"{"tenant":{"id":"acme"}}"#);
    let gateway = spiffe(release.gateway_namespace(), GATEWAY);
    for (request, cell) in [(&decided, "cell-b"), (&deferred, "cell-c")] {
        let answer = release.send(request).await;
        assert_eq!(answer.cell(), cell, "{}", answer.text());
        // The caller's identity as the cell's sidecar reports it.
        let certificates = answer.received("x-forwarded-client-cert");
        assert!(certificates.iter().any(|text| text.contains(&format!("URI={gateway}"))), "{certificates:?}");
    }
    assert_eq!(release.ext_proc_streams().await, 1);
    let handshakes: u64 = sidecar_stats(&release, "ssl.handshake").await?;
    assert!(handshakes > 0, "the service's sidecars have had no TLS handshake");
    Ok(())
}

pub(crate) async fn plain_text_is_refused(mesh: Shared) -> Result<()> {
    let release = encrypted(&mesh).await?;
    let pods = release.node().pods();
    let pod = pods.first().context("no pod")?;
    let cell = release.mesh_cell("cell-b").sidecar().context("no sidecar")?.role().address;
    for address in [SocketAddr::from((cell, 8080)), SocketAddr::from((pod.address(), 50051))] {
        let request = Request::post("/").header("x-cell", "cell-b").json("{}");
        let answer = Http1::connect(address).await?.send(&request).await;
        assert!(answer.is_err(), "{address} answered: {answer:?}");
    }
    assert_eq!(release.cell("cell-b").arrived(), 0);

    // Prometheus usually has no identity, so only the metrics of the admin port are open to it.
    let admin = SocketAddr::from((pod.address(), 9902));
    let ask = async |path: &str| {
        // Another name would be refused by the service itself.
        let request = Request::get(path).header("host", admin.to_string());
        anyhow::Ok(Http1::connect(admin).await?.send(&request).await?.status)
    };
    assert_eq!(ask("/metrics").await?, 200);
    assert_eq!(ask("/version").await?, 403);
    Ok(())
}

pub(crate) async fn another_identity_sets_no_routing_header(mesh: Shared) -> Result<()> {
    let release = encrypted(&mesh).await?;
    let other = Gateway::start(&mesh, release.gateway_namespace(), "other", release.directory()).await?;
    let route = |host: &str, service: String, port: u16| {
        let mut routes = object("networking.istio.io/v1", "VirtualService", release.gateway_namespace(), host);
        routes["spec"] = json!({
            "hosts": [host],
            "gateways": [format!("{}/other", release.gateway_namespace())],
            "http": [{"name": host, "route": [{"destination": {"host": service, "port": {"number": port}}}]}],
        });
        routes
    };
    let cell = format!("api.{}-cell-b.svc.cluster.local", release.name());
    let service = format!("{0}-ext-proc.{0}.svc.cluster.local", release.name());
    mesh.kube().apply_all(&[route("cell.test", cell, 8080), route("service.test", service, 50051)]).await?;
    for host in ["cell.test", "service.test"] {
        other.has_routes(host, &[host.to_owned()]).await?;
    }

    // It may call the cell, as without Cellgate, but its routing header is removed.
    let plain = Request::post("/").header("host", "cell.test").json("{}");
    assert_eq!(other.send(&plain).await?.cell(), "cell-b");
    let answer = other.send(&plain.header("x-cell", "cell-b")).await?;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (403, "RBAC: access denied"));
    assert_eq!(release.cell("cell-b").arrived(), 1);

    // It may not call the service.
    let answer = other.send(&Request::post("/").header("host", "service.test").json("{}")).await?;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (403, "RBAC: access denied"));
    Ok(())
}

/// The sum of a statistic over the sidecars of the service's pods.
async fn sidecar_stats(release: &Release, name: &str) -> Result<u64> {
    let mut sum = 0;
    for pod in release.node().pods() {
        let stats = pod.sidecar().context("no sidecar")?.admin().stats(name).await?;
        sum += stats.iter().filter(|(stat, _)| stat.ends_with(name)).map(|(_, value)| value).sum::<u64>();
    }
    Ok(sum)
}
