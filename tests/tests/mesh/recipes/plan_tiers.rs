//! istio/recipes/plan-tiers

use anyhow::{Context, Result};
use cellgate_tests::client::Request;
use cellgate_tests::mesh::gateway::labels;
use cellgate_tests::mesh::release::GATEWAY;
use serde_json::json;

use super::{apply, installation};
use crate::Shared;
use crate::claims::authenticate;
use crate::jwt::Issuer;
use crate::rate_limits::awaits_fields;
use crate::support::of;

pub(crate) async fn plan_tiers(mesh: Shared) -> Result<()> {
    let issuer = Issuer::new();
    let release = installation(&mesh).install().await?;
    let namespace = release.gateway_namespace();
    let selector = labels(namespace, GATEWAY);
    let selected = format!("istio: {}", selector["istio"].as_str().context("no label")?);
    let (namespace, account) = (format!("namespace: {namespace}"), format!("serviceAccount: {GATEWAY}"));
    let replaced = [
        ("name: ingress", "name: edge"),
        ("namespace: istio-ingress", &namespace),
        ("istio: ingressgateway", &selected),
        ("serviceAccount: istio-ingressgateway", &account),
        ("600/min;burst=100", "1/h;burst=4"),
        ("60/min", "1/h;burst=2"),
    ];
    apply(&release, "plan-tiers", &replaced).await?;
    authenticate(&release, &issuer).await?;
    awaits_fields(&release, "per-tenant", &of("nobody")).await?;
    let with = |tenant: &str, plan: &str| of(tenant).header("authorization", issuer.bearer(&json!({"plan": plan})));
    let statuses = async |request: Request| {
        let mut statuses = Vec::new();
        for _ in 0..5 {
            statuses.push(release.send(&request).await.status.as_u16());
        }
        statuses
    };
    assert_eq!(statuses(with("acme", "pro")).await, [200, 200, 200, 200, 429]);
    assert_eq!(statuses(with("globex", "free")).await, [200, 200, 429, 429, 429]);
    assert_eq!(statuses(with("initech", "of-no-list")).await, [200, 200, 429, 429, 429]);
    // A client names a plan in everything that is not verified.
    let forged = of("without-token").header("plan", "pro").header("x-plan", "pro").header("cookie", "plan=pro");
    assert_eq!(statuses(forged).await, [200, 200, 429, 429, 429]);
    // An upgrade of the plan takes force at once, and what was used stays used: two of four are left.
    assert_eq!(statuses(with("globex", "pro")).await, [200, 200, 429, 429, 429]);
    Ok(())
}
