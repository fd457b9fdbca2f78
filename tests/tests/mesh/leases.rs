//! Leases of rate limits in the mesh: the filter's call passes Istio's own cluster, mTLS and policies.

use anyhow::Result;
use cellgate_tests::client::Request;
use cellgate_tests::envoy::Admin;
use cellgate_tests::mesh::gateway::Gateway;
use cellgate_tests::mesh::kube::object;
use cellgate_tests::wait;
use serde_json::{Value, json};

use crate::Shared;
use crate::doctor::{Asked, BOTH, Report};
use crate::rate_limits::{limited, sidecar, with_sidecar};
use crate::support::of;

/// Requests that must come one after another without a call of the service.
const IN_A_ROW: u64 = 20;

/// Requests that the filter has admitted. It shows them within a second.
const SPENT: &str = "wasmcustom.cellgate.leases.spent";

/// Requests that the filter of a proxy has admitted.
pub(crate) async fn spent_of(admin: &Admin) -> Result<u64> {
    admin.stat(SPENT).await
}

/// The streams of ext_proc that a proxy has opened. The requests of its cluster have the calls for leases among them.
pub(crate) async fn streams_of(admin: &Admin) -> Result<u64> {
    let started = admin.stats("ext_proc.cellgate.streams_started").await?;
    Ok(started.iter().map(|(_, count)| count).sum())
}

/// Sends requests until several in a row have opened no stream to the service, and the filter has counted each of them. They
/// have no field of the limit, because the filter does not know what is left.
pub(crate) async fn admitted_by_leases(gateway: &Gateway, admin: &Admin, request: &Request, cell: &str) -> Result<()> {
    let leased = || async {
        let before = (streams_of(admin).await?, spent_of(admin).await?);
        let mut fields = 0;
        for _ in 0..IN_A_ROW {
            let answer = gateway.send(request).await?;
            assert_eq!(answer.cell(), cell, "{}", answer.text());
            fields += u64::from(answer.header("ratelimit").is_some());
        }
        let judged = streams_of(admin).await? - before.0;
        assert!(fields <= judged, "{fields} answers have a field, and the service has judged {judged} requests");
        if judged > 0 {
            return Ok(None);
        }
        admin.wait_for_stat(SPENT, |spent| spent >= before.1 + IN_A_ROW).await;
        Ok(Some(()))
    };
    wait::until("requests that leases admit", leased).await
}

fn per_cell() -> Value {
    json!([{"name": "per-cell", "key": ["cell"], "limit": "10000/s", "lease": true}])
}

/// With mTLS, by the policies that the chart makes.
pub(crate) async fn a_gateway_admits_requests_by_leases(mesh: Shared) -> Result<()> {
    let release = with_sidecar(&mesh, &per_cell()).await?;
    let (gateway, admin) = (release.gateway(), release.gateway().proxy().admin());
    admitted_by_leases(gateway, admin, &of("acme"), "cell-b").await?;
    assert_eq!(admin.stat("wasmcustom.cellgate.sync_failures").await?, 0);
    for asked in BOTH {
        let report = Report::of(&release, asked).await?;
        assert_eq!(report.code, Some(0), "{asked:?}: {report:#?}");
    }
    // The sidecar did not count what the gateway has decided.
    let sidecar = sidecar(&release)?.admin();
    assert_eq!((spent_of(sidecar).await?, streams_of(sidecar).await?), (0, 0));
    gateway.proxy().must_accept().await
}

/// A caller of the cell itself is counted in its sidecar, which has a lease of its own.
pub(crate) async fn a_sidecar_admits_requests_by_leases(mesh: Shared) -> Result<()> {
    let release = with_sidecar(&mesh, &per_cell()).await?;
    let caller = Gateway::start(&mesh, release.gateway_namespace(), "shop", release.directory()).await?;
    let host = "shop.test";
    let mut routes = object("networking.istio.io/v1", "VirtualService", release.gateway_namespace(), host);
    routes["spec"] = json!({
        "hosts": [host],
        "gateways": [format!("{}/shop", release.gateway_namespace())],
        "http": [{"name": host, "route": [{
            "destination": {"host": release.cell_host("cell-b"), "port": {"number": 8080}},
        }]}],
    });
    mesh.kube().apply(&routes).await?;
    caller.has_routes(host, &[host.to_owned()]).await?;
    let proxy = sidecar(&release)?;
    admitted_by_leases(&caller, proxy.admin(), &of("acme").header("host", host), "cell-b").await?;
    assert_eq!(proxy.admin().stat("wasmcustom.cellgate.sync_failures").await?, 0);
    proxy.must_accept().await
}

/// The service judges every request then, and the doctor says why.
pub(crate) async fn a_cluster_that_does_not_exist_is_found(mesh: Shared) -> Result<()> {
    let release =
        limited(&mesh, &per_cell()).with(json!({"config": {"sync": {"cluster": "nowhere"}}})).install().await?;
    let admin = release.gateway().proxy().admin();
    let judged = streams_of(admin).await?;
    for _ in 0..5 {
        let answer = release.send(&of("acme")).await;
        assert_eq!((answer.cell(), answer.values("ratelimit").len()), ("cell-b", 1), "{}", answer.text());
    }
    assert_eq!(streams_of(admin).await?, judged + 5);
    admin.wait_for_stat("wasmcustom.cellgate.sync_failures", |failures| failures > 0).await;
    for asked in BOTH {
        let report = Report::of(&release, asked).await?;
        assert_eq!(report.code, Some(0), "{asked:?}: {report:#?}");
        let missing = "`sync.cluster` is nowhere, which does not exist";
        assert!(report.find("warning", "", missing).is_some(), "{asked:?}: {report:#?}");
    }
    let report = Report::of(&release, Asked::Envoy).await?;
    assert!(report.find("warning", "", "calls for leases of rate limits have failed").is_some(), "{report:#?}");
    release.gateway().proxy().must_accept().await
}
