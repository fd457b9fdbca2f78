//! The chart's routes and its two tiers: a request reaches only the cell of the key in its body.

use anyhow::Result;
use cellgate_tests::client::Request;
use cellgate_tests::mesh::gateway::Gateway;
use cellgate_tests::mesh::kube::object;
use cellgate_tests::mesh::release::{GATEWAY, Setup};
use cellgate_tests::sha256;
use serde_json::json;

use crate::Shared;
use crate::support::{key_last, pieces};

pub(crate) async fn the_key_in_the_body_determines_the_cell(mesh: Shared) -> Result<()> {
    let release = Setup::new(&mesh).install().await?;
    for (tenant, cell) in [("acme", "cell-b"), ("globex", "cell-c"), ("initech", "cell-a")] {
        let answer = release.post_json("/", format!(r#"{{"tenant":{{"id":"{tenant}"}}}}"#)).await;
        assert_eq!(answer.cell(), cell);
        assert_eq!(answer.received("x-cell"), [cell]);
    }

    // More than the 32 KiB buffer limit of Istio's gateways: the chart has raised it to `inspect_bytes`.
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

pub(crate) async fn a_client_cannot_choose_its_cell(mesh: Shared) -> Result<()> {
    let release = Setup::new(&mesh).install().await?;
    let spoofed = Request::post("/").header("x-cell", "cell-c").header("x-cellgate-defer", "stream;body_too_large");
    let answer = release.send(&spoofed.json(r#"{"tenant":{"id":"acme"}}"#)).await;
    assert_eq!(answer.cell(), "cell-b");
    assert_eq!(answer.received("x-cell"), ["cell-b"]);
    assert!(answer.received("x-cellgate-defer").is_empty());

    // Many servers treat x_cell as the same name.
    let underscored = Request::post("/").header("x_cell", "cell-c").json(r#"{"tenant":{"id":"acme"}}"#);
    let answer = release.send(&underscored).await;
    assert_eq!((answer.cell(), answer.received("x_cell").len()), ("cell-b", 0));
    assert_eq!(release.cell("cell-c").arrived(), 0);
    assert_eq!(release.ext_proc_streams().await, 0);
    Ok(())
}

/// The routes exist without the filter, because the filter is configured for a port that the gateway does not have. A
/// late or rejected module has the same effect.
pub(crate) async fn without_the_filter_the_clients_header_reaches_no_cell(mesh: Shared) -> Result<()> {
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

/// Requests for another team's host at the same gateway pass unchanged, except that routing headers are removed.
pub(crate) async fn requests_for_other_hosts_pass(mesh: Shared) -> Result<()> {
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
    assert_eq!(release.send(&Request::get("/")).await.status, 400, "requests for the chart's own host are decided");
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
        assert!(answer.received("x-cellgate-defer").is_empty(), "the deferral header must not leave the gateway");
        assert_eq!(release.ext_proc_streams().await, streams);
    }
    assert_eq!(release.cell("cell-b").seen()[0].sha256, sha256(large.as_bytes()));

    // The access log has the service's reason.
    let line = release.gateway().proxy().access_line("/chunked").await?;
    assert_eq!((line.code(), line.text("cell"), line.text("service")), (200, "cell-b", "exact"));
    Ok(())
}

pub(crate) async fn an_undecided_request_reaches_no_cell(mesh: Shared) -> Result<()> {
    let undecided = json!({"config": {"policy": {"body_absent": "pass"}}});
    let release = Setup::new(&mesh).with(undecided).install().await?;
    let answer = release.send(&Request::get("/")).await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (421, "no cell\n"));
    // Nor with the client's own routing header.
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

    // The other gateway does not have the routes either.
    let answer = other.send(&Request::post("/").json(r#"{"tenant":{"id":"acme"}}"#)).await?;
    assert_eq!(answer.status, 404);
    release.gateway().proxy().must_accept().await?;
    other.proxy().must_accept().await
}
