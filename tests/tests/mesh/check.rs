//! `cellgate check` stops an installation whose configuration the proxies would reject.

use anyhow::{Context, Result};
use cellgate_tests::client::Request;
use cellgate_tests::mesh::kube::object;
use cellgate_tests::mesh::release::{GATEWAY, Release, Setup, merge};
use cellgate_tests::wait;
use serde_json::{Value, json};

use crate::Shared;
use crate::support::objects_of;

/// Another team's host at the same gateway.
const OTHER: &str = "other.test";

/// A configuration that the chart's templates accept and Cellgate rejects: a JSON pointer with an invalid escape.
fn refused_values(values: &Value) -> Value {
    let mut values = values.clone();
    merge(&mut values, json!({"config": {"key": [{"json": "/tenant/id"}, {"json": "/tenant~id"}]}}));
    values
}

/// Adds another team's host to the gateway, and waits until it is served.
async fn serve_another_host(release: &Release) -> Result<()> {
    let name = format!("{}-other", release.name());
    let mut service = object("networking.istio.io/v1", "VirtualService", release.name(), &name);
    service["spec"] = json!({
        "hosts": [OTHER],
        "gateways": [format!("{}/{GATEWAY}", release.gateway_namespace())],
        "http": [{"name": "other", "directResponse": {"status": 200, "body": {"string": "other"}}}],
    });
    release.mesh().kube().apply(&service).await?;
    release.gateway().has_routes(OTHER, &["other".to_owned()]).await?;
    wait::until("the other host", || async { Ok((status_of_the_other(release).await == 200).then_some(())) }).await
}

async fn status_of_the_other(release: &Release) -> u16 {
    let request = Request::post("/").header("host", OTHER).json(r#"{"tenant":{"id":"acme"}}"#);
    release.send(&request).await.status.as_u16()
}

/// Fails unless the hook makes helm fail, and the hook's pod remains with the reason in its log.
async fn must_be_refused(release: &Release, refused: Result<String>) -> Result<()> {
    let said = refused.expect_err("a configuration that Cellgate refuses").to_string();
    assert!(said.contains(&format!("{}-check", release.name())), "{said}");
    let path = format!("/api/v1/namespaces/{0}/pods/{0}-check", release.name());
    let pod = release.mesh().kube().get(&path).await?.context("the pod is gone, and its log with it")?;
    assert_eq!(pod["status"]["phase"], "Failed");
    let log = pod["status"]["message"].as_str().unwrap_or_default();
    assert!(log.contains("ext-proc.json:") && log.contains("key[1].json: "), "{log}");
    Ok(())
}

/// The objects of the release, without those of the hook and helm's records.
async fn objects(release: &Release) -> Result<Vec<String>> {
    let hook = format!("Pod {0}/{0}-check", release.name());
    let is_its = |object: &String| *object != hook && !object.starts_with("Secret ");
    Ok(objects_of(release.mesh(), release.name()).await?.into_iter().filter(is_its).collect())
}

pub(crate) async fn a_rejected_configuration_installs_nothing(mesh: Shared) -> Result<()> {
    let release = Setup::new(&mesh).prepare().await?;
    serve_another_host(&release).await?;
    let refused = release.helm().install(&refused_values(release.values()), &["--timeout=60s"]).await;
    must_be_refused(&release, refused).await?;
    assert_eq!(objects(&release).await?, Vec::<String>::new());
    assert_eq!(status_of_the_other(&release).await, 200);

    // A corrected configuration is installed over the failed release.
    release.helm().upgrade(release.values(), &["--install", "--timeout=60s"]).await?;
    release.settled().await?;
    assert_eq!(release.post_json("/", r#"{"tenant":{"id":"acme"}}"#).await.cell(), "cell-b");
    let pod = format!("/api/v1/namespaces/{0}/pods/{0}-check", release.name());
    assert_eq!(mesh.kube().get(&pod).await?, None, "the pod of a successful check is deleted");
    release.gateway().proxy().must_accept().await
}

pub(crate) async fn a_rejected_configuration_upgrades_nothing(mesh: Shared) -> Result<()> {
    let release = Setup::new(&mesh).install().await?;
    let before = snapshot(&release).await?;
    let refused = release.helm().upgrade(&refused_values(release.values()), &["--timeout=60s"]).await;
    must_be_refused(&release, refused).await?;
    assert_eq!(snapshot(&release).await?, before);
    assert_eq!(release.post_json("/", r#"{"tenant":{"id":"acme"}}"#).await.cell(), "cell-b");
    release.gateway().proxy().must_accept().await
}

/// The objects with the two tiers' configuration, to check that they do not change.
async fn snapshot(release: &Release) -> Result<Vec<Value>> {
    let kube = release.mesh().kube();
    let mut found = Vec::new();
    for path in [
        format!("/apis/networking.istio.io/v1alpha3/namespaces/{}/envoyfilters", release.gateway_namespace()),
        format!("/api/v1/namespaces/{}/configmaps", release.name()),
        format!("/apis/apps/v1/namespaces/{}/deployments", release.name()),
    ] {
        let objects = kube.list(&path).await?;
        assert!(!objects.is_empty(), "{path}");
        found.extend(objects.iter().map(|object| json!([object["metadata"]["name"], object["spec"], object["data"]])));
    }
    Ok(found)
}
