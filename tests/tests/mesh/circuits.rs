//! Circuit breakers: an overloaded or failing cell gets no requests until it recovers. Other cells are not affected.

use anyhow::Result;
use cellgate_tests::cell::Reading;
use cellgate_tests::client::{Http1, Request};
use cellgate_tests::mesh::release::{Release, Setup};
use cellgate_tests::wait;
use http::StatusCode;
use serde_json::json;

use crate::Shared;
use crate::support::of;

/// The cells with this statistic above zero.
async fn cells_with(release: &Release, statistic: &str) -> Result<Vec<&'static str>> {
    let mut found = Vec::new();
    for cell in ["cell-a", "cell-b", "cell-c"] {
        if release.cluster_stat(cell, statistic).await? > 0 {
            found.push(cell);
        }
    }
    Ok(found)
}

async fn wait_for(release: &Release, statistic: &str, value: u64) -> Result<()> {
    let what = format!("{statistic} of cell-b to be {value}");
    wait::until(&what, || async { Ok((release.cluster_stat("cell-b", statistic).await? == value).then_some(())) }).await
}

pub(crate) async fn an_overloaded_cell_rejects_at_once(mesh: Shared) -> Result<()> {
    let narrow = json!({"tcp": {"maxConnections": 1}, "http": {"http1MaxPendingRequests": 1}});
    let release = Setup::new(&mesh).with(json!({"cells": {"cell-b": {"connectionPool": narrow}}})).install().await?;
    let gateway = release.gateway().address();

    // One request uses the connection, and one waits for it.
    release.cell("cell-b").reading(Reading::Never);
    let mut held = Http1::connect(gateway).await?;
    held.write(of("acme").to_http1()).await?;
    release.cell("cell-b").wait_for_arrivals(1).await;
    let mut waiting = Http1::connect(gateway).await?;
    waiting.write(of("acme").to_http1()).await?;
    wait_for(&release, "upstream_rq_pending_active", 1).await?;

    let refused = release.send(&Request::post("/refused").json(r#"{"tenant":{"id":"acme"}}"#)).await;
    assert_eq!((refused.status.as_u16(), refused.served_by()), (503, None));
    assert_eq!(release.gateway().proxy().access_line("/refused").await?.text("flags"), "UO");
    for (tenant, cell) in [("initech", "cell-a"), ("globex", "cell-c")] {
        assert_eq!(release.send(&of(tenant)).await.cell(), cell);
    }
    assert_eq!(cells_with(&release, "upstream_rq_pending_overflow").await?, ["cell-b"]);
    assert_eq!(cells_with(&release, "circuit_breakers.default.rq_pending_open").await?, ["cell-b"]);

    // The breaker closes as soon as a request ends.
    release.cell("cell-b").reading(Reading::Whole);
    held.reset()?;
    assert_eq!(waiting.response("POST").await?.cell(), "cell-b");
    assert_eq!(release.send(&of("acme")).await.cell(), "cell-b");
    assert_eq!(release.cluster_stat("cell-b", "upstream_rq_pending_overflow").await?, 1);
    wait_for(&release, "circuit_breakers.default.rq_pending_open", 0).await
}

pub(crate) async fn a_failing_cell_is_ejected_and_returns(mesh: Shared) -> Result<()> {
    // The cell has one endpoint, so its ejection is visible.
    let ejection = json!({
        "consecutive5xxErrors": 3, "consecutiveGatewayErrors": 0, "interval": "200ms", "baseEjectionTime": "1s",
        "maxEjectionPercent": 100, "minHealthPercent": 0,
    });
    let release =
        Setup::new(&mesh).with(json!({"cells": {"cell-b": {"outlierDetection": ejection}}})).install().await?;
    release.cell("cell-b").fail_next(3, StatusCode::INTERNAL_SERVER_ERROR);
    for _ in 0..3 {
        assert_eq!(release.send(&of("acme")).await.status, 500);
    }
    wait_for(&release, "outlier_detection.ejections_active", 1).await?;
    assert!(health(&release, "cell-b").await?.contains("/failed_outlier_check"));
    let refused = release.send(&Request::post("/left-out").json(r#"{"tenant":{"id":"acme"}}"#)).await;
    assert_eq!((refused.status.as_u16(), refused.served_by()), (503, None));
    assert_eq!(release.gateway().proxy().access_line("/left-out").await?.text("flags"), "UH");
    assert_eq!(release.cell("cell-b").arrived(), 3, "an ejected cell gets no more requests");
    for (tenant, cell) in [("initech", "cell-a"), ("globex", "cell-c")] {
        assert_eq!(release.send(&of(tenant)).await.cell(), cell);
    }

    wait_for(&release, "outlier_detection.ejections_active", 0).await?;
    assert_eq!(release.send(&of("acme")).await.cell(), "cell-b");
    assert_eq!(cells_with(&release, "outlier_detection.ejections_enforced_consecutive_5xx").await?, ["cell-b"]);
    assert_eq!(release.cluster_stat("cell-b", "outlier_detection.ejections_enforced_total").await?, 1);
    assert_eq!(health(&release, "cell-b").await?, "healthy");
    Ok(())
}

/// The flags of a cell's endpoint in Envoy's `/clusters`.
async fn health(release: &Release, cell: &str) -> Result<String> {
    let clusters = release.gateway().proxy().admin().get("/clusters").await?.text();
    let cluster = release.cluster(cell);
    let line = clusters.lines().find(|line| line.starts_with(&cluster) && line.contains("::health_flags::"));
    Ok(line.and_then(|line| line.rsplit("::").next()).unwrap_or_default().to_owned())
}
