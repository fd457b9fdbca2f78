//! istio/recipes/slow-cell

use std::time::Duration;

use anyhow::Result;
use cellgate_tests::mesh::release::Endpoint;
use cellgate_tests::wait;
use serde_json::json;

use super::{apply, at_once, installation, undo};
use crate::Shared;
use crate::support::of;

pub(crate) async fn slow_cell(mesh: Shared) -> Result<()> {
    let endpoints = ["fast", "slow"].map(|name| Endpoint::new(name, json!({})));
    let release = installation(&mesh).endpoints("cell-a", endpoints).install().await?;
    // The recipe's 30 s would be too long for a test.
    apply(&release, "slow-cell", &[("baseEjectionTime: 30s", "baseEjectionTime: 3s")]).await?;
    let gateway = release.gateway();
    let cluster = release.cluster("cell-a");
    gateway
        .has_route(&release.cell_route("cell-a"), |route| route["route"]["retry_policy"]["per_try_timeout"] == "1s")
        .await?;
    gateway.has_cluster(&cluster, |cluster| cluster["outlier_detection"]["base_ejection_time"] == "3s").await?;

    release.cell("slow").delay(Duration::from_secs(60));
    let ejected = || release.cluster_stat("cell-a", "outlier_detection.ejections_active");
    wait::until("the slow endpoint to be ejected", || async {
        let answers = at_once(&release, &of("globex"), 6).await?;
        assert!(answers.iter().all(|answer| answer.status == 504 || answer.cell() == "fast"));
        Ok((ejected().await? == 1).then_some(()))
    })
    .await?;
    // After three timeouts. An attempt that timed out is not retried.
    let by = "outlier_detection.ejections_enforced_consecutive_gateway_failure";
    assert_eq!(release.cluster_stat("cell-a", by).await?, 1);
    assert_eq!(release.cluster_stat("cell-a", "upstream_rq_retry").await?, 0);
    let clusters = gateway.proxy().admin().get("/clusters").await?.text();
    let flagged = |address: std::net::SocketAddr| {
        clusters.contains(&format!("{cluster}::{address}::health_flags::/failed_outlier_check"))
    };
    assert!(flagged(release.cell("slow").address()) && !flagged(release.cell("fast").address()), "{clusters}");
    let answers = at_once(&release, &of("globex"), 20).await?;
    assert!(answers.iter().all(|answer| answer.cell() == "fast"));

    // The endpoint is fast again and returns.
    release.cell("slow").delay(Duration::ZERO);
    let before = release.cell("slow").complete();
    wait::until("the endpoint to get requests again", || async {
        let answers = at_once(&release, &of("globex"), 6).await?;
        assert!(answers.iter().all(|answer| answer.status == 200));
        Ok((release.cell("slow").complete() > before + 1).then_some(()))
    })
    .await?;
    assert_eq!(ejected().await?, 0);

    undo(&release).await?;
    gateway
        .has_route(&release.cell_route("cell-a"), |route| route["route"]["retry_policy"]["per_try_timeout"].is_null())
        .await
}
