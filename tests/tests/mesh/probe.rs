//! `helm test`: it passes for a good release, reports faults, and leaves no route behind.

use anyhow::{Context, Result};
use cellgate_tests::mesh::kube::{object, path_of};
use cellgate_tests::mesh::proxy::http_filters;
use cellgate_tests::mesh::release::{Release, Setup};
use serde_json::{Value, json};

use crate::Shared;

/// The host of the probe's own routes.
const HOST: &str = "cellgate-probe.internal";

/// Runs a test that must fail, and returns its output.
async fn fails(release: &Release) -> Result<Vec<String>> {
    let Err(failure) = release.test().await else { panic!("helm test has passed") };
    let said = failure.to_string();
    let printed = said.strip_prefix("exit code 1: ").with_context(|| format!("no exit code 1: {failure:#}"))?;
    Ok(printed.lines().map(str::to_owned).collect())
}

/// The lines of failed checks.
fn failed(lines: &[String]) -> Vec<&str> {
    lines.iter().filter_map(|line| line.strip_prefix("FAIL")).map(str::trim).collect()
}

/// Checks that neither the API server nor the gateway has a route of the probe.
async fn no_route_is_left(release: &Release) -> Result<()> {
    let path = format!("/apis/networking.istio.io/v1/namespaces/{}/virtualservices", release.name());
    let services = release.mesh().kube().list(&path).await?;
    let hosts: Vec<&Value> = services.iter().map(|service| &service["spec"]["hosts"][0]).collect();
    assert_eq!(hosts, ["cellgate.test"]);
    release.gateway().has_routes(HOST, &[]).await
}

pub(crate) async fn a_passed_test_leaves_no_route(mesh: Shared) -> Result<()> {
    let encrypted = json!({"mtls": {"enabled": true}, "extProc": {"replicas": 1}});
    let release = Setup::new(&mesh).with(encrypted).install().await?;
    release.test().await?;
    assert_eq!(release.ext_proc_streams().await, 1, "the service has decided one request");
    no_route_is_left(&release).await
}

pub(crate) async fn a_missing_service_is_reported(mesh: Shared) -> Result<()> {
    let release = Setup::new(&mesh).with(json!({"extProc": {"replicas": 1}})).install().await?;
    let deployment = object("apps/v1", "Deployment", release.name(), &format!("{}-ext-proc", release.name()));
    mesh.kube().merge(&path_of(&deployment)?, &json!({"spec": {"replicas": 0}})).await?;
    release.node().settled().await?;
    let printed = fails(&release).await?;
    let wrong = failed(&printed);
    assert_eq!(wrong.len(), 1, "{printed:#?}");
    assert!(wrong[0].contains(", through the service: expected 200 from cell-"), "{printed:#?}");
    // The filter still decides the other requests.
    for cell in ["cell-a", "cell-b", "cell-c"] {
        let reached = format!("{cell}: reached by");
        assert!(printed.iter().any(|line| line.starts_with("ok") && line.contains(&reached)), "{printed:#?}");
    }
    no_route_is_left(&release).await
}

pub(crate) async fn a_trusted_client_header_is_reported(mesh: Shared) -> Result<()> {
    let release = Setup::new(&mesh).with(json!({"extProc": {"replicas": 1}})).install().await?;

    // Other filters hide the client's own header from Cellgate and restore it afterwards.
    let lua = |name: &str, operation: &str, from: &str, to: &str| {
        let code = format!(
            "function envoy_on_request(handle)
               local value = handle:headers():get('{from}')
               if value then handle:headers():replace('{to}', value) end
             end"
        );
        json!({
            "applyTo": "HTTP_FILTER",
            "match": {"context": "GATEWAY", "listener": {"filterChain": {"filter": {
                "name": "envoy.filters.network.http_connection_manager",
                "subFilter": {"name": "envoy.filters.http.router"},
            }}}},
            "patch": {"operation": operation, "value": {
                "name": name,
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
                    "default_source_code": {"inline_string": code},
                },
            }},
        })
    };
    let mut around = object("networking.istio.io/v1alpha3", "EnvoyFilter", release.gateway_namespace(), "around");
    around["spec"] = json!({
        "priority": 20,
        "configPatches": [
            lua("keep", "INSERT_FIRST", "x-cell", "x-kept"),
            lua("restore", "INSERT_BEFORE", "x-kept", "x-cell"),
        ],
    });
    mesh.kube().apply(&around).await?;
    let is_there = |dump: &Value| http_filters(dump).iter().any(|name| name == "restore");
    release.gateway().proxy().configured("the filters around Cellgate", is_there).await?;

    let printed = fails(&release).await?;
    let believed = |cell: &str| {
        let line = format!("{cell}: still reached with a client's own x-cell: ");
        failed(&printed).iter().any(|wrong| wrong.starts_with(&line))
    };
    assert!(["cell-a", "cell-b", "cell-c"].into_iter().all(believed), "{printed:#?}");
    no_route_is_left(&release).await
}
