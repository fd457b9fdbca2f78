//! istio/recipes/protect-cell

use anyhow::Result;
use cellgate_tests::wait;
use serde_json::json;

use super::{apply, installation, undo};
use crate::Shared;
use crate::support::of;

pub(crate) async fn protect_cell(mesh: Shared) -> Result<()> {
    let release = installation(&mesh).install().await?;
    apply(&release, "protect-cell", &[("2000/s", "1/h;burst=5"), ("500/s", "1/h;burst=3")]).await?;
    // `globex` and `initech` are in cell-a.
    let refuses = || async { Ok((release.gateway().send(&of("globex")).await?.status == 429).then_some(())) };
    wait::until("the limit of globex", refuses).await?;
    let before = release.cell("cell-a").arrived();
    let mut statuses = Vec::new();
    for tenant in ["globex", "globex", "initech", "initech", "initech"] {
        let answer = release.send(&of(tenant)).await;
        statuses.push(answer.status.as_u16());
        if answer.status == 429 {
            let limit = if tenant == "globex" { "per-tenant" } else { "protect-cell-a" };
            assert_eq!(answer.json()["violated-policies"], json!([limit]));
        }
    }
    // What `globex` was refused does not use up the cell's allowance: two units of five are left for `initech`.
    assert_eq!(statuses, [429, 429, 200, 200, 429]);
    assert_eq!(release.cell("cell-a").arrived(), before + 2);
    for _ in 0..10 {
        assert_eq!(release.send(&of("acme")).await.cell(), "cell-b");
    }
    undo(&release).await?;
    assert_eq!(release.send(&of("globex")).await.cell(), "cell-a");
    Ok(())
}
