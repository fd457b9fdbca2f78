//! istio/recipes/fault-injection

use anyhow::Result;
use cellgate_tests::mesh::load::{Expected, Load};
use cellgate_tests::wait;
use serde_json::json;

use super::{ENOUGH, apply, at_once, installation, undo};
use crate::Shared;
use crate::support::of;

const FAULT: &str = "envoy.filters.http.fault";

pub(crate) async fn fault_injection(mesh: Shared) -> Result<()> {
    // The release retries 503, which must not hide the faults.
    let retried = json!({"traffic": {"retries": {"retryOn": "connect-failure,503"}}});
    let release = installation(&mesh).with(retried).install().await?;
    let other = Load::start(release.gateway(), &[Expected { request: of("acme"), cell: "cell-b" }]);

    apply(&release, "fault-injection", &[]).await?;
    release
        .gateway()
        .has_route(&release.cell_route("cell-a"), |route| route["typed_per_filter_config"][FAULT].is_object())
        .await?;
    let answers = at_once(&release, &of("globex"), 100).await?;
    let injected = answers.iter().filter(|answer| answer.status == 503).count();
    // 50 of 100 are expected to fail, and 25 to be delayed.
    assert!((25..=75).contains(&injected), "{injected} of 100");
    assert!(answers.iter().all(|answer| answer.status == 503 || answer.cell() == "cell-a"));
    assert_eq!(release.cell("cell-a").arrived() + injected as u64, 100);
    assert_eq!(release.cluster_stat("cell-a", "upstream_rq_retry").await?, 0);

    // Envoy writes its log some time after the responses.
    let written = || async {
        let log = release.gateway().proxy().access_log()?;
        Ok((log.iter().filter(|line| line.text("cell") == "cell-a").count() == 100).then_some(log))
    };
    let log = wait::until("all of cell-a's requests in the log", written).await?;
    let flagged = |flag: &str| log.iter().filter(|line| line.text("flags").contains(flag)).count();
    assert_eq!(flagged("FI"), injected);
    assert!((5..=50).contains(&flagged("DI")), "{} of 100 late", flagged("DI"));
    assert!(log.iter().all(|line| line.text("cell") == "cell-a" || line.text("flags") == "-"));

    undo(&release).await?;
    release
        .gateway()
        .has_route(&release.cell_route("cell-a"), |route| route["typed_per_filter_config"][FAULT].is_null())
        .await?;
    assert!(at_once(&release, &of("globex"), 50).await?.iter().all(|answer| answer.status == 200));
    other.more(ENOUGH).await?;
    other.finish().await.must_be_right()
}
