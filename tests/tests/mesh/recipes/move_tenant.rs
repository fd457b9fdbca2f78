//! istio/recipes/move-tenant

use anyhow::{Result, ensure};
use cellgate_tests::client::Request;
use cellgate_tests::mesh::load::{Expected, Load};

use super::{ENOUGH, apply, installation, undo};
use crate::Shared;
use crate::support::{key_last, of, pieces};

pub(crate) async fn move_tenant(mesh: Shared) -> Result<()> {
    let release = installation(&mesh).install().await?;
    let others = ["globex", "acme"].map(of);
    let others = others.into_iter().zip(["cell-a", "cell-b"]).map(|(request, cell)| Expected { request, cell });
    let others = Load::start(release.gateway(), &others.collect::<Vec<_>>());
    let moving = Load::start(release.gateway(), &[Expected { request: of("initech"), cell: "cell-a" }]);
    moving.more(ENOUGH).await?;

    apply(&release, "move-tenant", &[]).await?;
    let moved = release.post_json("/moved", r#"{"tenant":{"id":"initech"}}"#).await;
    assert_eq!(moved.cell(), "cell-b");
    let line = release.gateway().proxy().access_line("/moved").await?;
    assert!(line.decision().contains("reason=override"), "{line:?}");
    // The service's rollout is complete.
    let large = key_last("initech", 80 * 1024);
    let deferred = Request::post("/deferred").header("content-type", "application/json").pieces(pieces(&large));
    assert_eq!(release.send(&deferred).await.cell(), "cell-b");
    let line = release.gateway().proxy().access_line("/deferred").await?;
    assert_eq!(line.text("service"), "override");
    moving.more(ENOUGH).await?;

    undo(&release).await?;
    assert_eq!(release.send(&of("initech")).await.cell(), "cell-a");
    others.finish().await.must_be_right()?;
    let moving = moving.finish().await;
    ensure!(!moving.wrong.is_empty(), "no request of the load reached the other cell");
    ensure!(moving.wrong.keys().all(|what| what.starts_with("200 OK by Some(\"cell-b\")")), "failed: {moving:#?}");
    Ok(())
}
