//! istio/recipes/opt-out

use anyhow::{Context, Result};
use cellgate_tests::client::Request;
use cellgate_tests::mesh::gateway::labels;
use cellgate_tests::mesh::release::GATEWAY;

use super::{apply, file, installation, undo};
use crate::Shared;
use crate::support::of;

pub(crate) async fn opt_out(mesh: Shared) -> Result<()> {
    let release = installation(&mesh).install().await?;
    let probe = |query: &str| {
        let path = format!("/healthz?{query}");
        Request::get(&path).header("x-cell", "cell-b").header("x-cellgate-defer", "stream;body_too_large")
    };
    assert_eq!(release.send(&probe("before")).await.served_by(), None, "a request that names no tenant");

    // The route alone is not enough.
    apply(&release, "opt-out", &[("api.cell-a.svc.cluster.local", &release.cell_host("cell-a"))]).await?;
    assert_eq!(release.send(&probe("route")).await.served_by(), None, "the filter still decides");

    // The recipe also needs its own gateway and filter.
    let namespace = release.gateway_namespace();
    let selector = labels(namespace, GATEWAY);
    let selected = format!("istio: {}", selector["istio"].as_str().context("no label")?);
    let names = [
        ("cellgate-ingress", release.filter_name()),
        ("namespace: istio-ingress", format!("namespace: {namespace}")),
        ("istio: ingressgateway", selected),
    ];
    let names = names.each_ref().map(|(from, to)| (*from, to.as_str()));
    let filter = file("opt-out", "envoyfilter.yaml", &names)?;
    mesh.kube().kubectl(&["apply", "--filename=-"], &filter).await?;
    let disabled = |route: &serde_json::Value| {
        let filters = [release.filter_name(), format!("{}-ext-proc", release.filter_name())];
        filters.iter().all(|filter| route["typed_per_filter_config"][filter]["disabled"] == true)
    };
    release.gateway().has_route("healthz", disabled).await?;
    let answer = release.send(&probe("both")).await;
    assert_eq!(answer.cell(), "cell-a");
    assert!(
        answer.received("x-cell").is_empty() && answer.received("x-cellgate-defer").is_empty(),
        "{}",
        answer.text()
    );
    let line = release.gateway().proxy().access_line("/healthz?both").await?;
    assert_eq!((line.code(), line.decision()), (200, ""), "{line:?}");

    // Every other path is unchanged.
    assert_eq!(release.send(&of("acme").header("x-cell", "cell-a")).await.cell(), "cell-b");
    assert_eq!(release.send(&Request::get("/healthz/deep")).await.served_by(), None);

    mesh.kube().kubectl(&["delete", "--filename=-"], &filter).await?;
    undo(&release).await?;
    assert_eq!(release.send(&probe("after")).await.served_by(), None);
    Ok(())
}
