//! istio/recipes/api-key-limit

use anyhow::Result;

use super::{apply, installation, undo};
use crate::Shared;
use crate::rate_limits::awaits_fields;
use crate::support::of;

pub(crate) async fn api_key_limit(mesh: Shared) -> Result<()> {
    let release = installation(&mesh).install().await?;
    // No test lasts so long that a unit comes back.
    apply(&release, "api-key-limit", &[("5/s;burst=10", "1/h;burst=2"), ("50/s", "1/h;burst=3")]).await?;
    awaits_fields(&release, "per-api-key", &of("globex").header("x-api-key", "of-nobody")).await?;
    let statuses = async |key: Option<&str>, count: usize| {
        let mut statuses = Vec::new();
        for _ in 0..count {
            let request = key.into_iter().fold(of("globex"), |request, key| request.header("x-api-key", key));
            statuses.push(release.send(&request).await.status.as_u16());
        }
        statuses
    };
    assert_eq!(statuses(Some("one"), 3).await, [200, 200, 429]);
    assert_eq!(statuses(Some("two"), 3).await, [200, 200, 429]);
    assert_eq!(statuses(Some("key-of-acme"), 4).await, [200, 200, 200, 429]);
    assert_eq!(statuses(None, 3).await, [200, 200, 429]);
    let refused = release.send(&of("globex").header("x-api-key", "one")).await;
    assert!(refused.header("retry-after").is_some() && refused.header("ratelimit").is_some(), "{refused:?}");
    assert!(!refused.text().contains("one"), "{}", refused.text());
    undo(&release).await?;
    assert_eq!(statuses(Some("one"), 2).await, [200, 200]);
    Ok(())
}
