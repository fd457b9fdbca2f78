//! istio/recipes/canary

use anyhow::Result;
use cellgate_tests::mesh::load::{Expected, Load};
use cellgate_tests::mesh::release::Endpoint;
use cellgate_tests::wait;
use serde_json::json;

use super::{ENOUGH, apply, at_once, installation, undo};
use crate::Shared;
use crate::support::of;

pub(crate) async fn canary(mesh: Shared) -> Result<()> {
    let versions = ["v1", "v2"].map(|version| Endpoint::new(&format!("cell-a-{version}"), json!({"version": version})));
    let release = installation(&mesh).endpoints("cell-a", versions).install().await?;
    let other = Load::start(release.gateway(), &[Expected { request: of("acme"), cell: "cell-b" }]);

    apply(&release, "canary", &[]).await?;
    release
        .gateway()
        .has_route(&release.cell_route("cell-a"), |route| route["route"]["weighted_clusters"].is_object())
        .await?;
    let before = release.cell("cell-a-v2").arrived();
    let answers = at_once(&release, &of("globex"), 300).await?;
    assert!(answers.iter().all(|answer| answer.cell().starts_with("cell-a-")));
    // 30 of 300 are expected. The bounds fail by chance once in a million runs.
    let tried = release.cell("cell-a-v2").arrived() - before;
    assert!((8..=58).contains(&tried), "{tried} of 300");

    // The canary version has no pods.
    let entries = format!("/apis/networking.istio.io/v1/namespaces/{}-cell-a/workloadentries", release.name());
    let relabelled = json!({"spec": {"labels": {"version": "v3"}}});
    mesh.kube().merge(&format!("{entries}/cell-a-v2"), &relabelled).await?;
    let missing = || async {
        let answers = at_once(&release, &of("globex"), 20).await?;
        Ok(answers.into_iter().find(|answer| !answer.status.is_success()))
    };
    let missing = wait::until("a response for a version without pods", missing).await?;
    assert_eq!((missing.status.as_u16(), missing.served_by()), (503, None));

    undo(&release).await?;
    release
        .gateway()
        .has_route(&release.cell_route("cell-a"), |route| route["route"]["weighted_clusters"].is_null())
        .await?;
    assert!(at_once(&release, &of("globex"), 50).await?.iter().all(|answer| answer.status == 200));
    other.more(ENOUGH).await?;
    other.finish().await.must_be_right()
}
