//! istio/recipes/mirror

use anyhow::Result;
use cellgate_tests::cell::Ending;
use cellgate_tests::client::Request;
use cellgate_tests::sha256;

use super::{apply, at_once, installation, undo};
use crate::Shared;
use crate::support::{key_last, of};

pub(crate) async fn mirror(mesh: Shared) -> Result<()> {
    let release = installation(&mesh).install().await?;
    apply(&release, "mirror", &[]).await?;
    release
        .gateway()
        .has_route(&release.cell_route("cell-a"), |route| route["route"]["request_mirror_policies"].is_array())
        .await?;
    let answers = at_once(&release, &of("globex"), 20).await?;
    assert!(answers.iter().all(|answer| answer.cell() == "cell-a"));
    release.cell("cell-b").wait_for(Ending::Complete, 20).await;
    assert_eq!(release.cell("cell-a").complete(), 20);
    // The copy is unchanged and has the client's host.
    let copies = release.cell("cell-b").seen();
    assert!(copies.iter().all(|copy| copy.header("host") == ["cellgate.test"] && copy.header("x-cell") == ["cell-a"]));

    // Any size works; this body is larger than the gateway's buffer.
    let large = key_last("globex", 300 * 1024);
    assert_eq!(release.send(&Request::post("/large").json(large.clone())).await.cell(), "cell-a");
    release.cell("cell-b").wait_for_arrivals(21).await;
    release.cell("cell-b").wait_for(Ending::Complete, 21).await;
    assert_eq!(release.cell("cell-b").seen()[20].sha256, sha256(large.as_bytes()));

    // Requests of the other cell are not copied.
    assert_eq!(release.send(&of("acme")).await.cell(), "cell-b");
    assert_eq!(release.cell("cell-a").arrived(), 21);

    release.cell("cell-b").kill();
    let answers = at_once(&release, &of("globex"), 20).await?;
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.cell() == "cell-a"));

    undo(&release).await?;
    release
        .gateway()
        .has_route(&release.cell_route("cell-a"), |route| route["route"]["request_mirror_policies"].is_null())
        .await
}
