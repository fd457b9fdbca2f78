//! Claims in the mesh: Istio's RequestAuthentication verifies tokens, and the chart puts the filter behind it.

use anyhow::Result;
use cellgate_tests::client::Request;
use cellgate_tests::mesh::kube::object;
use cellgate_tests::mesh::proxy::http_filters;
use cellgate_tests::mesh::release::{Release, Setup};
use serde_json::{Value, json};

use crate::Shared;
use crate::doctor::{BOTH, Report};
use crate::jwt::{ISSUER, Issuer, unsecured};
use crate::support::{key_last, pieces};

/// Istio's and Envoy's name of the filter that verifies tokens.
const AUTHENTICATION: &str = "envoy.filters.http.jwt_authn";

/// A release whose key is in these sources, with its filter behind authentication.
async fn prepared(mesh: &Shared, sources: Value) -> Result<Release> {
    let setup = Setup::new(mesh);
    let mut attach = setup.values()["filter"]["attach"].clone();
    attach[0]["position"] = json!("after_authentication");
    setup.with(json!({"config": {"key": sources}, "filter": {"attach": attach}})).prepare().await
}

/// Lets the gateway verify the issuer's tokens, and waits until it does.
pub(crate) async fn authenticate(release: &Release, issuer: &Issuer) -> Result<()> {
    let mut authentication =
        object("security.istio.io/v1", "RequestAuthentication", release.gateway_namespace(), "callers");
    authentication["spec"] = json!({
        "selector": {"matchLabels": release.values()["filter"]["attach"][0]["selector"]},
        "jwtRules": [{"issuer": ISSUER, "jwks": issuer.jwks()}],
    });
    release.mesh().kube().apply(&authentication).await?;
    let verifies = |dump: &Value| http_filters(dump).iter().any(|name| name == AUTHENTICATION);
    release.gateway().proxy().configured("jwt_authn", verifies).await
}

async fn authenticated(mesh: &Shared, issuer: &Issuer, sources: Value) -> Result<Release> {
    let release = prepared(mesh, sources).await?;
    release.install().await?;
    authenticate(&release, issuer).await?;
    Ok(release)
}

fn org(id: &str) -> Value {
    json!({"org": {"id": id}})
}

pub(crate) async fn a_verified_claim_determines_the_cell(mesh: Shared) -> Result<()> {
    let issuer = Issuer::new();
    let release = authenticated(&mesh, &issuer, json!([{"json": "/tenant/id"}, {"claim": "/org/id"}])).await?;
    for (tenant, cell) in [("acme", "cell-b"), ("globex", "cell-c"), ("initech", "cell-a")] {
        let request = Request::get("/").header("authorization", issuer.bearer(&org(tenant)));
        for answer in [release.send(&request).await, release.send_h2(&request).await] {
            assert_eq!((answer.cell(), answer.received("x-cell")), (cell, vec![cell.to_owned()]));
        }
    }
    assert_eq!(release.ext_proc_streams().await, 0, "the filter decides all of these");

    // The service finds the claim too: the filter defers this body, which has no key.
    let large = format!(r#"{{"x":"{}"}}"#, "p".repeat(256 * 1024));
    let deferred = Request::post("/").header("authorization", issuer.bearer(&org("globex")));
    let answer = release.send(&deferred.header("content-type", "application/json").pieces(pieces(&large))).await;
    assert_eq!(answer.cell(), "cell-c", "{}", answer.text());
    let late = Request::post("/").header("authorization", issuer.bearer(&org("globex")));
    assert_eq!(release.send(&late.json(key_last("acme", 256 * 1024))).await.cell(), "cell-b");
    assert_eq!(release.ext_proc_streams().await, 2);
    release.gateway().proxy().must_accept().await
}

pub(crate) async fn a_forged_token_routes_nowhere(mesh: Shared) -> Result<()> {
    let issuer = Issuer::new();
    let release = authenticated(&mesh, &issuer, json!([{"claim": "/org/id"}])).await?;
    let claims = org("acme");
    for (what, token) in [
        ("forged", Issuer::new().token(&claims)),
        ("unsecured", unsecured(&claims)),
        ("expired", issuer.token(&json!({"org": {"id": "acme"}, "exp": 1}))),
        ("of another issuer", issuer.token(&json!({"org": {"id": "acme"}, "iss": "https://other.test"}))),
    ] {
        let request = Request::get("/").header("authorization", format!("Bearer {token}")).header("x-cell", "cell-b");
        let answer = release.send(&request).await;
        assert_eq!((answer.status.as_u16(), answer.served_by()), (401, None), "{what}");
    }
    // Istio lets a request without a token pass. It has no claim, so it has no cell.
    for request in [Request::get("/"), Request::get("/").header("x-cell", "cell-b")] {
        let answer = release.send(&request).await;
        assert_eq!((answer.status.as_u16(), answer.json()["code"].clone()), (400, json!("key_missing")));
    }
    assert!(["cell-a", "cell-b", "cell-c"].iter().all(|cell| release.cell(cell).arrived() == 0));
    let valid = Request::get("/").header("authorization", issuer.bearer(&claims));
    assert_eq!(release.send(&valid).await.cell(), "cell-b");
    Ok(())
}

pub(crate) async fn a_clients_own_header_loses_to_the_claim(mesh: Shared) -> Result<()> {
    let issuer = Issuer::new();
    let release = authenticated(&mesh, &issuer, json!([{"claim": "/org/id"}, {"header": "x-tenant-id"}])).await?;
    let spoofed = || Request::get("/").header("x-tenant-id", "globex").header("x-cell", "cell-c");
    let answer = release.send(&spoofed().header("authorization", issuer.bearer(&org("acme")))).await;
    assert_eq!((answer.cell(), answer.received("x-cell")), ("cell-b", vec!["cell-b".to_owned()]));
    assert_eq!(release.cell("cell-c").arrived(), 0);
    let answer = release.send(&spoofed().header("authorization", issuer.bearer(&json!({"org": {"id": null}})))).await;
    assert_eq!((answer.status.as_u16(), answer.json()["code"].clone()), (400, json!("key_null")));
    Ok(())
}

/// The place does not depend on a RequestAuthentication: without one the filter is in the chain, and refuses.
pub(crate) async fn the_filter_stands_behind_authentication(mesh: Shared) -> Result<()> {
    let issuer = Issuer::new();
    let release = prepared(&mesh, json!([{"claim": "/org/id"}])).await?;
    release.install().await?;
    let request = Request::get("/").header("authorization", issuer.bearer(&org("acme"))).header("x-cell", "cell-b");
    let answer = release.send(&request).await;
    assert_eq!((answer.status.as_u16(), answer.json()["code"].clone()), (400, json!("key_missing")));
    for asked in BOTH {
        let report = Report::of(&release, asked).await?;
        assert!(report.find("error", "", "the chain has no jwt_authn filter").is_some(), "{asked:?}: {report:#?}");
    }

    authenticate(&release, &issuer).await?;
    let mut deny = object("security.istio.io/v1", "AuthorizationPolicy", release.gateway_namespace(), "closed");
    deny["spec"] = json!({
        "selector": {"matchLabels": release.values()["filter"]["attach"][0]["selector"]},
        "action": "DENY",
        "rules": [{"to": [{"operation": {"paths": ["/closed"]}}]}],
    });
    mesh.kube().apply(&deny).await?;
    let rbac = "envoy.filters.http.rbac";
    let denies = |dump: &Value| http_filters(dump).iter().any(|name| name == rbac);
    release.gateway().proxy().configured("the authorization filter", denies).await?;
    let chain = release.gateway().proxy().http_filters().await?;
    let at = |name: &str| chain.iter().position(|filter| filter == name).unwrap_or_else(|| panic!("{name}: {chain:?}"));
    let order = [
        at(AUTHENTICATION),
        at(rbac),
        at(&release.filter_name()),
        at(&format!("{}-ext-proc", release.filter_name())),
        at("envoy.filters.http.fault"),
        at("envoy.filters.http.cors"),
        at("envoy.filters.http.router"),
    ];
    assert!(order.is_sorted(), "{chain:?}");
    assert_eq!(order[3], order[2] + 1, "the service's filter is directly behind: {chain:?}");
    assert_eq!(release.send(&request).await.cell(), "cell-b");
    for asked in BOTH {
        let report = Report::of(&release, asked).await?;
        let words = format!("`{}` is behind `{AUTHENTICATION}`, which verifies the claims", release.filter_name());
        assert!(report.find("ok", "", &words).is_some(), "{asked:?}: {report:#?}");
        assert_eq!(report.code, Some(0), "{asked:?}: {report:#?}");
    }
    release.gateway().proxy().must_accept().await
}
