//! The chart's routes and its two tiers: a request reaches the cell that its body names, and no other.

use anyhow::Result;
use cellgate_tests::client::Request;
use cellgate_tests::mesh::gateway::Gateway;
use cellgate_tests::mesh::kube::object;
use cellgate_tests::mesh::release::{GATEWAY, Setup};
use cellgate_tests::sha256;
use serde_json::json;

use crate::Shared;
use crate::support::{key_last, pieces};

pub(crate) async fn a_body_chooses_its_cell(mesh: Shared) -> Result<()> {
    let release = Setup::new(&mesh).install().await?;
    for (tenant, cell) in [("acme", "cell-b"), ("globex", "cell-c"), ("initech", "cell-a")] {
        let answer = release.post_json("/", format!(r#"{{"tenant":{{"id":"{tenant}"}}}}"#)).await;
        assert_eq!(answer.cell(), cell);
        assert_eq!(answer.received("x-cell"), [cell]);
    }

    // Beyond the 32 KiB that Istio's gateways hold by themselves: the chart has raised the limit with `inspect_bytes`.
    let late = key_last("acme", 60 * 1024);
    for answer in [
        release.post_json("/late", late.clone()).await,
        release.send_h2(&Request::post("/late").json(late.clone())).await,
    ] {
        assert_eq!(answer.cell(), "cell-b");
        assert_eq!(answer.sha256(), sha256(late.as_bytes()));
    }
    assert_eq!(release.ext_proc_streams().await, 0, "the filter decides all of these");
    release.gateway().proxy().must_accept().await
}

pub(crate) async fn a_client_does_not_choose_its_cell(mesh: Shared) -> Result<()> {
    let release = Setup::new(&mesh).install().await?;
    let spoofed = Request::post("/").header("x-cell", "cell-c").header("x-cellgate-defer", "stream;body_too_large");
    let answer = release.send(&spoofed.json(r#"{"tenant":{"id":"acme"}}"#)).await;
    assert_eq!(answer.cell(), "cell-b");
    assert_eq!(answer.received("x-cell"), ["cell-b"]);
    assert!(answer.received("x-cellgate-defer").is_empty());

    // To many servers x_cell is the same name.
    let underscored = Request::post("/").header("x_cell", "cell-c").json(r#"{"tenant":{"id":"acme"}}"#);
    let answer = release.send(&underscored).await;
    assert_eq!((answer.cell(), answer.received("x_cell").len()), ("cell-b", 0));
    assert_eq!(release.cell("cell-c").arrived(), 0);
    assert_eq!(release.ext_proc_streams().await, 0);
    Ok(())
}

/// The routes are there and the filter is not: it was put on a port that the gateway does not have. A module that is late
/// or was refused leaves the same behind.
pub(crate) async fn a_header_that_no_filter_has_set_leads_nowhere(mesh: Shared) -> Result<()> {
    let setup = Setup::new(&mesh);
    let mut attach = setup.values()["filter"]["attach"].clone();
    attach[0]["ports"] = json!([1]);
    let release = setup.with(json!({"filter": {"attach": attach}})).prepare().await?;
    release.helm().install(release.values(), &[]).await?;
    let bound = |route: &serde_json::Value| !route["match"]["filter_state"].is_null();
    release.gateway().has_route(&format!("{}-cell-c", release.name()), bound).await?;
    assert!(!release.gateway().proxy().http_filters().await?.contains(&release.filter_name()));
    let spoofed = Request::post("/").header("x-cell", "cell-c").json(r#"{"tenant":{"id":"acme"}}"#);
    for answer in [release.send(&spoofed).await, release.send_h2(&spoofed).await] {
        assert_eq!((answer.status, answer.text()), (421.try_into()?, "no cell\n".to_owned()));
    }
    Ok(())
}

/// Another team's host at the same gateway: its requests name no tenant, and go on as they were, but for routing headers.
pub(crate) async fn what_else_the_gateway_serves_passes(mesh: Shared) -> Result<()> {
    let release = Setup::new(&mesh).install().await?;
    let name = format!("{}-other", release.name());
    let mut service = object("networking.istio.io/v1", "VirtualService", release.name(), &name);
    let destination = json!({"host": release.cell_host("cell-a"), "port": {"number": 8080}});
    service["spec"] = json!({
        "hosts": ["other.test"],
        "gateways": [format!("{}/{GATEWAY}", release.gateway_namespace())],
        "http": [{"name": "other", "route": [{"destination": destination}]}],
    });
    mesh.kube().apply(&service).await?;
    release.gateway().has_routes("other.test", &["other".to_owned()]).await?;
    let malformed = Request::post("/").header("host", "other.test").header("x-cell", "cell-b").json("{]");
    for request in [Request::get("/").header("host", "other.test"), malformed] {
        let answer = release.send(&request).await;
        assert_eq!(answer.cell(), "cell-a", "{}", answer.text());
        assert!(answer.received("x-cell").is_empty());
    }
    assert_eq!(release.send(&Request::get("/")).await.status, 421, "the chart's own host is decided");
    Ok(())
}

pub(crate) async fn the_service_decides_what_the_filter_defers(mesh: Shared) -> Result<()> {
    let release = Setup::new(&mesh).install().await?;
    let large = key_last("acme", 1024 * 1024);
    let unknown = Request::post("/chunked").header("content-type", "application/json").pieces(pieces(&large));
    let known = Request::post("/sized").json(key_last("globex", 300 * 1024));
    for (request, cell, streams) in [(&unknown, "cell-b", 1), (&known, "cell-c", 2)] {
        let answer = release.send(request).await;
        assert_eq!(answer.cell(), cell, "{}", answer.text());
        assert_eq!(answer.received("x-cell"), [cell]);
        assert!(answer.received("x-cellgate-defer").is_empty(), "the marker is for the gateway alone");
        assert_eq!(release.ext_proc_streams().await, streams);
    }
    assert_eq!(release.cell("cell-b").seen()[0].sha256, sha256(large.as_bytes()));

    // The service's reason reaches the access log.
    let line = release.gateway().proxy().access_line("/chunked").await?;
    assert_eq!((line.code(), line.text("cell"), line.text("service")), (200, "cell-b", "exact"));
    Ok(())
}

pub(crate) async fn without_a_decision_there_is_no_cell(mesh: Shared) -> Result<()> {
    let undecided = json!({"config": {"policy": {"body_absent": "pass"}}});
    let release = Setup::new(&mesh).with(undecided).install().await?;
    let answer = release.send(&Request::get("/")).await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (421, "no cell\n"));
    // Nor does the client's own.
    let answer = release.send(&Request::get("/").header("x-cell", "cell-c")).await;
    assert_eq!(answer.status, 421);
    assert_eq!(release.cell("cell-c").arrived(), 0);
    Ok(())
}

pub(crate) async fn only_the_attached_gateway_has_the_filter(mesh: Shared) -> Result<()> {
    let release = Setup::new(&mesh).install().await?;
    let other = Gateway::start(&mesh, release.gateway_namespace(), "other", release.directory()).await?;
    let attached = release.gateway().proxy().http_filters().await?;
    let filters = [release.filter_name(), format!("{}-ext-proc", release.filter_name())];
    assert_eq!(attached.iter().take(2).collect::<Vec<_>>(), filters.iter().collect::<Vec<_>>(), "first in the chain");
    let elsewhere = other.proxy().http_filters().await?;
    assert!(elsewhere.iter().any(|name| name == "envoy.filters.http.router"), "{elsewhere:?}");
    assert!(!elsewhere.iter().any(|name| name.starts_with(&release.filter_name())), "{elsewhere:?}");

    // Its routes are not there either.
    let answer = other.send(&Request::post("/").json(r#"{"tenant":{"id":"acme"}}"#)).await?;
    assert_eq!(answer.status, 404);
    release.gateway().proxy().must_accept().await?;
    other.proxy().must_accept().await
}
