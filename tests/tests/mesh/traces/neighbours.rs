//! Telemetry resources of another team for the same gateway.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use cellgate_tests::artifacts;
use cellgate_tests::mesh::gateway::labels;
use cellgate_tests::mesh::kube::{object, path_of};
use cellgate_tests::mesh::release::{GATEWAY, Release};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{decision, ingress, name_of, prepared, small, tag, trace, trace_id, trace_of, traced, tracings};
use crate::Shared;

/// Istio's root namespace.
const ROOT: &str = "istio-system";

/// Another team's Telemetry with one tag, for the release's gateway or for all proxies of its namespace.
fn theirs(release: &Release, namespace: &str, name: &str, tag: &str, selects_gateway: bool) -> Value {
    let mut telemetry = object("telemetry.istio.io/v1", "Telemetry", namespace, name);
    telemetry["spec"] = json!({"tracing": [{"customTags": {tag: {"literal": {"value": "theirs"}}}}]});
    // One of the mesh with a provider would let the proxies of other tests trace requests.
    if namespace != ROOT {
        telemetry["spec"]["tracing"][0]["providers"] = json!([{"name": "otel-tracing"}]);
    }
    if selects_gateway {
        telemetry["spec"]["selector"] = json!({"matchLabels": labels(release.gateway_namespace(), GATEWAY)});
    }
    telemetry
}

/// The names of the tags of the gateway's tracer, without Istio's own.
fn tags_of(dump: &Value) -> BTreeSet<String> {
    let tags =
        tracings(dump).into_iter().flat_map(|tracing| tracing["custom_tags"].as_array().cloned().unwrap_or_default());
    tags.filter_map(|tag| tag["tag"].as_str().map(str::to_owned)).filter(|tag| !tag.starts_with("istio.")).collect()
}

/// What the check of neighbours prints for the installed release.
async fn neighbours(release: &Release) -> Result<String> {
    let hooks = release.helm().run(&["get", "hooks", release.name()]).await?;
    let plan =
        hooks.lines().find_map(|line| line.trim().strip_prefix("plan.json: ")).context("no plan in the hooks")?;
    let plan: String = serde_json::from_str(plan)?;
    let (plan_file, objects_file) = (release.directory().join("plan.json"), release.directory().join("objects.json"));
    std::fs::write(&plan_file, plan)?;
    let kinds = "virtualservices,gateways,destinationrules,envoyfilters,httproutes,grpcroutes,telemetries";
    let objects = release.mesh().kube().kubectl(&["get", kinds, "--all-namespaces", "--output=json"], "").await?;
    std::fs::write(&objects_file, objects)?;
    let mut command = Command::new(artifacts::cellgate()?);
    command.arg("neighbours").arg("--plan").arg(plan_file).arg("--objects").arg(objects_file);
    Ok(String::from_utf8_lossy(&command.output().await?.stdout).into_owned())
}

/// Those of the mesh, of the namespace, and an older one for the same gateway: the release's tags stand instead of theirs.
pub(crate) async fn the_release_replaces_the_tags_of_older_telemetries(mesh: Shared) -> Result<()> {
    let release = prepared(&mesh, false).await?;
    let ingress_namespace = release.gateway_namespace();
    let of_mesh = theirs(&release, ROOT, &format!("{}-mesh", release.name()), "of.mesh", false);
    let of_namespace = theirs(&release, ingress_namespace, "all", "of.namespace", false);
    let younger = theirs(&release, ingress_namespace, "b-all", "of.nothing", false);
    let of_team = theirs(&release, ingress_namespace, "a-team", "of.team", true);
    mesh.kube().apply_all(&[of_mesh.clone(), of_namespace.clone(), younger.clone(), of_team.clone()]).await?;
    release.install().await?;
    trace(&release).await?;
    let said = neighbours(&release).await?;
    for namespace in [
        format!("{ROOT}/{}-mesh", release.name()),
        format!("{ingress_namespace}/all"),
        format!("{ingress_namespace}/a-team"),
    ] {
        let expected = format!(
            "!   Telemetry/{namespace} is for the same proxies: the release's Telemetry replaces its tracing.customTags there"
        );
        assert!(said.contains(&expected), "{expected}\n{said}");
    }
    // What it says is what istiod does.
    release.send(&small("/", "acme")).await;
    let id = trace_id(&release, "/").await?;
    let found = trace_of(mesh.collector().await?, &id, &[&name_of(release.gateway().proxy())]).await?;
    let top = ingress(&found, &release);
    assert_eq!(decision(top), ["cell=cell-b;reason=exact", "", "", "cell-b"], "{found}");
    for gone in ["of.mesh", "of.namespace", "of.team"] {
        assert_eq!(tag(top, gone), "", "{found}");
    }
    // Without the release's, each of theirs has the effect that it would have had. Of two for a namespace, it is the oldest.
    let proxy = release.gateway().proxy();
    let ours = object("telemetry.istio.io/v1", "Telemetry", ingress_namespace, &release.filter_name());
    for (gone, left) in [(ours, "of.team"), (of_team, "of.namespace")] {
        mesh.kube().delete(&gone).await?;
        proxy.configured(left, |dump| tags_of(dump) == BTreeSet::from([left.to_owned()])).await?;
    }
    mesh.kube().delete(&younger).await?;
    let path = path_of(&of_namespace)?;
    mesh.kube().merge(&path, &json!({"spec": {"tracing": [{"providers": [{"name": "otel-tracing"}]}]}})).await?;
    proxy.configured("of.mesh", |dump| tags_of(dump) == BTreeSet::from(["of.mesh".to_owned()])).await?;
    mesh.kube().delete(&of_mesh).await
}

/// A newer one for the same gateway: the decisions are missing, and the check says so.
pub(crate) async fn a_newer_telemetry_replaces_the_tags(mesh: Shared) -> Result<()> {
    let release = traced(&mesh, false).await?;
    let proxy = release.gateway().proxy();
    // If both were created within one second, Istio would take the first name for the older one.
    let newer = theirs(&release, release.gateway_namespace(), "z-team", "of.team", true);
    mesh.kube().apply(&newer).await?;
    proxy.configured("the tags of the newer Telemetry", |dump| tags_of(dump).contains("of.team")).await?;
    release.send(&small("/newer", "acme")).await;
    let id = trace_id(&release, "/newer").await?;
    let found = trace_of(mesh.collector().await?, &id, &[&name_of(proxy)]).await?;
    let top = ingress(&found, &release);
    assert_eq!((tag(top, "of.team"), decision(top)), ("theirs", ["", "", "", ""]), "{found}");

    let said = neighbours(&release).await?;
    let expected = format!(
        "!   Telemetry/{}/z-team is newer and for the same proxies: its tracing.customTags replace those of the release, so decisions \
         or traces are missing",
        release.gateway_namespace(),
    );
    assert!(said.contains(&expected), "{said}");
    // Without it, the decisions are back.
    mesh.kube().delete(&newer).await?;
    proxy.configured("the release's tags", |dump| tags_of(dump).contains("cellgate.filter")).await?;
    release.send(&small("/alone", "acme")).await;
    let id = trace_id(&release, "/alone").await?;
    let found = trace_of(mesh.collector().await?, &id, &[&name_of(proxy)]).await?;
    assert_eq!(decision(ingress(&found, &release))[0], "cell=cell-b;reason=exact", "{found}");
    Ok(())
}
