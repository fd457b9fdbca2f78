//! istio/recipes/locality-failover

use anyhow::Result;
use cellgate_tests::mesh::release::{Endpoint, Release};
use cellgate_tests::wait;
use http::StatusCode;
use serde_json::json;

use super::{apply, at_once, installation, undo};
use crate::Shared;
use crate::support::of;

/// Waits until one endpoint gets all requests of cell-a.
async fn answered_by(release: &Release, endpoint: &str) -> Result<()> {
    wait::until(&format!("{endpoint} to answer"), || async {
        let answers = at_once(release, &of("globex"), 20).await?;
        Ok(answers.iter().all(|answer| answer.status == 200 && answer.cell() == endpoint).then_some(()))
    })
    .await
}

pub(crate) async fn locality_failover(mesh: Shared) -> Result<()> {
    // The gateway is in region-1.
    let endpoints = [("near", "region-1"), ("far", "region-2"), ("elsewhere", "region-3")];
    let endpoints = endpoints.map(|(name, region)| Endpoint::new(name, json!({"istio-locality": region})));
    let release = installation(&mesh).endpoints("cell-a", endpoints).install().await?;
    // The recipe's 30 s would be too long for a test.
    apply(&release, "locality-failover", &[("baseEjectionTime: 30s", "baseEjectionTime: 2s")]).await?;
    let cluster = release.cluster("cell-a");
    let ejects = |cluster: &serde_json::Value| cluster["outlier_detection"]["base_ejection_time"] == "2s";
    release.gateway().has_cluster(&cluster, ejects).await?;
    answered_by(&release, "near").await?;

    release.cell("near").fail_next(u32::MAX, StatusCode::SERVICE_UNAVAILABLE);
    answered_by(&release, "far").await?;
    assert_eq!(release.cell("elsewhere").arrived(), 0);
    release.cell("near").fail_next(0, StatusCode::OK);
    answered_by(&release, "near").await?;
    assert_eq!(release.send(&of("acme")).await.cell(), "cell-b");

    undo(&release).await?;
    release.gateway().has_cluster(&cluster, |cluster| !ejects(cluster)).await
}
