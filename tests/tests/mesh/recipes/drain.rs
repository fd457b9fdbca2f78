//! istio/recipes/drain

use anyhow::{Result, ensure};
use cellgate_tests::client::Request;
use cellgate_tests::mesh::load::{Expected, Load};

use super::{ENOUGH, apply, hashed_to, installation, undo};
use crate::Shared;
use crate::support::{key_last, of, pieces};

pub(crate) async fn drain(mesh: Shared) -> Result<()> {
    let release = installation(&mesh).install().await?;
    let (moves, stays) = (hashed_to(&release, "cell-a").await?, hashed_to(&release, "cell-b").await?);
    let large = key_last(&moves, 80 * 1024);
    let deferred = Request::post("/").header("content-type", "application/json").pieces(pieces(&large));

    let expect = |tenant: &str, cell| Expected { request: of(tenant), cell };
    let others = [expect("globex", "cell-a"), expect("acme", "cell-b"), expect(&stays, "cell-b")];
    let others = Load::start(release.gateway(), &others);
    let moving = Load::start(release.gateway(), &[expect(&moves, "cell-a")]);
    moving.more(ENOUGH).await?;

    apply(&release, "drain", &[]).await?;
    for request in [&of(&moves), &deferred] {
        assert_eq!(release.send(request).await.cell(), "cell-b");
    }
    moving.more(ENOUGH).await?;
    others.more(ENOUGH).await?;

    undo(&release).await?;
    for request in [&of(&moves), &deferred] {
        assert_eq!(release.send(request).await.cell(), "cell-a");
    }
    others.finish().await.must_be_right()?;
    let moving = moving.finish().await;
    ensure!(!moving.wrong.is_empty(), "no request of the load reached the other cell");
    ensure!(moving.wrong.keys().all(|what| what.starts_with("200 OK by Some(\"cell-b\")")), "failed: {moving:#?}");
    Ok(())
}
