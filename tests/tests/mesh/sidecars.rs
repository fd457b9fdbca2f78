//! The filter in a cell's sidecar: it accepts the gateway's decision, and that of no other peer.

use anyhow::{Context, Result};
use cellgate_tests::client::Request;
use cellgate_tests::mesh::gateway::Gateway;
use cellgate_tests::mesh::kube::object;
use cellgate_tests::mesh::proxy::Proxy;
use cellgate_tests::mesh::release::{GATEWAY, Release, Setup};
use serde_json::{Value, json};

use crate::Shared;
use crate::support::{key_last, of, pieces};

/// A release with a filter in cell-b's sidecar that is configured for cell-b.
async fn guarded(mesh: &Shared) -> Result<Release> {
    let setup = Setup::new(mesh);
    let mut attach = setup.values()["filter"]["attach"].as_array().cloned().unwrap_or_default();
    attach.push(json!({
        "name": "cell-b",
        "type": "sidecar-inbound",
        "namespace": setup.cell_namespace("cell-b"),
        "selector": {"app": "api"},
        "serviceAccount": "api",
        "cell": "cell-b",
    }));
    let mut hosts = setup.values()["routes"]["hosts"].as_array().cloned().unwrap_or_default();
    hosts.push(json!("wrong.test"));
    let values = json!({
        "mtls": {"enabled": true},
        "filter": {"attach": attach},
        // The gateway also decides requests for this host, whose route is not the chart's.
        "config": {"applies_to": {"hosts": hosts}},
    });
    setup.with(values).install().await
}

fn sidecar(release: &Release) -> Result<&Proxy> {
    release.mesh_cell("cell-b").sidecar().context("cell-b has no sidecar")
}

/// Adds a host at the gateway that always routes to cell-b, whatever the routing header.
async fn straight_to_cell_b(release: &Release, gateway: &str, host: &str) -> Result<()> {
    let mut routes: Value = object("networking.istio.io/v1", "VirtualService", release.gateway_namespace(), host);
    let cell = format!("api.{}-cell-b.svc.cluster.local", release.name());
    routes["spec"] = json!({
        "hosts": [host],
        "gateways": [format!("{}/{gateway}", release.gateway_namespace())],
        "http": [{"name": host, "route": [{"destination": {"host": cell, "port": {"number": 8080}}}]}],
    });
    release.mesh().kube().apply(&routes).await?;
    Ok(())
}

pub(crate) async fn the_gateways_decision_is_accepted(mesh: Shared) -> Result<()> {
    let release = guarded(&mesh).await?;
    let large = Request::post("/large").header("content-type", "application/json");
    let requests = [("/", of("acme")), ("/large", large.pieces(pieces(&key_last("acme", 256 * 1024))))];
    for (path, request) in requests {
        let answer = release.send(&request).await;
        assert_eq!(answer.cell(), "cell-b", "{}", answer.text());
        assert_eq!(answer.received("x-cell"), ["cell-b"]);
        let line = sidecar(&release)?.access_line(path).await?;
        assert_eq!(line.decision(), "cell=cell-b;reason=decided_before");
    }
    assert_eq!(release.ext_proc_streams().await, 1, "the gateway has called the service, and the sidecar has not");
    sidecar(&release)?.must_accept().await
}

pub(crate) async fn a_request_of_another_cell_is_rejected(mesh: Shared) -> Result<()> {
    let release = guarded(&mesh).await?;
    straight_to_cell_b(&release, GATEWAY, "wrong.test").await?;
    release.gateway().has_routes("wrong.test", &["wrong.test".to_owned()]).await?;
    let answer = release.send(&of("globex").header("host", "wrong.test")).await;
    assert_eq!((answer.status.as_u16(), answer.json()["code"].as_str()), (421, Some("cell_mismatch")));
    assert_eq!(release.cell("cell-b").arrived(), 0);
    // A request of this cell passes on the same way.
    assert_eq!(release.send(&of("acme").header("host", "wrong.test")).await.cell(), "cell-b");
    Ok(())
}

pub(crate) async fn the_sidecar_accepts_no_other_peers_decision(mesh: Shared) -> Result<()> {
    let release = guarded(&mesh).await?;
    let other = Gateway::start(&mesh, release.gateway_namespace(), "other", release.directory()).await?;
    straight_to_cell_b(&release, "other", "other.test").await?;
    other.has_routes("other.test", &["other.test".to_owned()]).await?;
    let from_other = async |tenant: &str| other.send(&of(tenant).header("host", "other.test")).await;
    // Without a routing header, the body decides.
    let answer = from_other("globex").await?;
    assert_eq!((answer.status.as_u16(), answer.json()["code"].as_str()), (421, Some("cell_mismatch")));
    assert_eq!(release.cell("cell-b").arrived(), 0);
    let answer = from_other("acme").await?;
    assert_eq!((answer.cell(), answer.received("x-cell")), ("cell-b", vec!["cell-b".to_owned()]));
    // The authorization policy rejects a request with a routing header, in either spelling, before the filter.
    for header in ["x-cell", "x_cell"] {
        let claim = of("acme").header("host", "other.test").header(header, "cell-b");
        assert_eq!(other.send(&claim).await?.status, 403, "{header}");
    }
    Ok(())
}
