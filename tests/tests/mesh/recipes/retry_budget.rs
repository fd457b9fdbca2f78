//! istio/recipes/retry-budget

use std::time::Duration;

use anyhow::Result;
use cellgate_tests::mesh::release::Endpoint;
use cellgate_tests::{sha256, wait};
use http::StatusCode;
use serde_json::{Value, json};

use super::{apply, at_once, installation, undo};
use crate::Shared;
use crate::support::{key_last, of};

pub(crate) async fn retry_budget(mesh: Shared) -> Result<()> {
    let endpoints = ["cell-a-1", "cell-a-2"];
    let release =
        installation(&mesh).endpoints("cell-a", endpoints.map(|name| Endpoint::new(name, json!({})))).install().await?;
    apply(&release, "retry-budget", &[]).await?;
    let gateway = release.gateway();
    let cluster = release.cluster("cell-a");
    gateway
        .has_route(&release.cell_route("cell-a"), |route| {
            route["route"]["retry_policy"]["retriable_status_codes"] == json!([503])
        })
        .await?;
    let bounded = |cluster: &Value| {
        let budget = &cluster["circuit_breakers"]["thresholds"][0]["retry_budget"];
        budget["budget_percent"]["value"].as_f64() == Some(20.0) && budget["min_retry_concurrency"] == 2
    };
    gateway.has_cluster(&cluster, bounded).await?;

    // One endpoint fails, and the retry sends the same body to the other one.
    release.cell("cell-a-1").fail_next(2, StatusCode::SERVICE_UNAVAILABLE);
    let body = key_last("globex", 20 * 1024);
    wait::until("a failed attempt", || async {
        let answer = release.post_json("/", body.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.sha256()), (200, sha256(body.as_bytes())));
        Ok((release.cell("cell-a-1").arrived() >= 2).then_some(()))
    })
    .await?;
    assert_eq!(release.cluster_stat("cell-a", "upstream_rq_retry").await?, 2);
    assert_eq!(release.cell("cell-b").arrived(), 0);

    // The whole cell fails: every request is sent once, and the budget limits the retries.
    for endpoint in endpoints {
        release.cell(endpoint).fail_next(u32::MAX, StatusCode::SERVICE_UNAVAILABLE);
        release.cell(endpoint).delay(Duration::from_millis(100));
    }
    let answers = at_once(&release, &of("globex"), 40).await?;
    assert!(answers.iter().all(|answer| answer.status == 503));
    assert!(answers.iter().any(|answer| answer.served_by().is_some()), "the cell's own 503");
    assert!(release.cluster_stat("cell-a", "upstream_rq_retry_overflow").await? > 0);
    let retries = release.cluster_stat("cell-a", "upstream_rq_retry").await? - 2;
    assert!(retries < 40, "{retries} retries of 40 requests");
    assert_eq!(release.send(&of("acme")).await.cell(), "cell-b");

    undo(&release).await?;
    gateway
        .has_route(&release.cell_route("cell-a"), |route| {
            route["route"]["retry_policy"]["retriable_status_codes"].is_null()
        })
        .await
}
