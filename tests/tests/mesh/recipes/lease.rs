//! istio/recipes/lease

use anyhow::Result;

use super::{apply, installation, undo};
use crate::Shared;
use crate::leases::{admitted_by_leases, spent_of, streams_of};
use crate::support::of;

/// Requests of tenants that have a cell of their own.
const DECIDED: &str = "wasmcustom.cellgate.decisions.cell.exact";

pub(crate) async fn lease(mesh: Shared) -> Result<()> {
    let release = installation(&mesh).install().await?;
    apply(&release, "lease", &[]).await?;
    let (gateway, admin) = (release.gateway(), release.gateway().proxy().admin());
    // `globex` is in cell-a.
    admitted_by_leases(gateway, admin, &of("globex"), "cell-a").await?;
    // No limit counts the requests of another cell.
    let before = streams_of(admin).await?;
    for _ in 0..10 {
        assert_eq!(release.send(&of("acme")).await.cell(), "cell-b");
    }
    assert_eq!(streams_of(admin).await?, before);
    let spent = spent_of(admin).await?;
    undo(&release).await?;
    let decided = admin.stat(DECIDED).await?;
    for _ in 0..10 {
        assert_eq!(release.send(&of("globex")).await.cell(), "cell-a");
    }
    // The filter shows all counts at once.
    admin.wait_for_stat(DECIDED, |count| count >= decided + 10).await;
    assert_eq!((spent_of(admin).await?, streams_of(admin).await?), (spent, before));
    Ok(())
}
