//! A configuration that changes all the time, and is often broken.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cellgate_tests::ext_proc::ExtProc;
use cellgate_tests::wait;
use tokio::time::MissedTickBehavior;

use crate::rig::Rig;
use crate::traffic::config;

/// The interval of changes.
const PERIOD: Duration = Duration::from_millis(100);

/// Tenants in the configuration that send nothing, so that a change has a realistic cost.
const OTHERS: usize = 1000;

/// The least number of changes.
const LEAST: usize = 12;

/// The metric of refused files.
const REFUSED: &str = r#"cellgate_config_reloads_total{result="refused"}"#;

/// The flaws of every third configuration, in turn.
const FLAWS: [fn(&str) -> String; 4] = [
    |text| text.get(..text.len() / 2).unwrap_or_default().to_owned(),
    |_| String::new(),
    |text| text.replacen("\"placement\"", "\"placment\"", 1),
    |text| text.replacen("\"cell-b\"", "\"cell-x\"", 1),
];

/// Changes the files of both replicas at each tick, and Envoy's as fast as it takes them, for at least `hold` and until
/// clients have been `served`.
pub(super) async fn storm(rig: &mut Rig, hold: Duration, served: impl Fn() -> bool) -> Result<()> {
    let refused = all_refusals(rig).await?;
    let start = Instant::now();
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut changes = 0;
    while start.elapsed() < hold || changes < LEAST || !served() {
        ensure!(start.elapsed() < wait::TIMEOUT, "clients that the fault may not harm get no right answers");
        tick.tick().await;
        let text = config(&rig.next_version(), OTHERS).to_string();
        let flaw = changes % 3 == 2;
        let text = if flaw { FLAWS[changes / 3 % FLAWS.len()](&text) } else { text };
        for replica in &rig.replicas {
            replica.write_config(&text)?;
        }
        // One of four reaches the filter, which is made anew for it.
        if changes % 4 == 0 || changes == 5 {
            let accepted = rig.envoy()?.update_filter_text(&text).await.is_ok();
            ensure!(accepted != flaw, "the filter {} {text}", if accepted { "accepts" } else { "refuses" });
        }
        changes += 1;
    }
    all_refuse(rig, &refused).await
}

/// Waits until each replica has refused a file since these counts.
pub(super) async fn all_refuse(rig: &Rig, before: &[f64]) -> Result<()> {
    let all_refused = || async {
        let now = all_refusals(rig).await?;
        Ok(now.iter().zip(before).all(|(now, before)| now > before).then_some(()))
    };
    wait::until("both replicas to refuse a configuration", all_refused).await
}

/// The last configuration is good. Both replicas and the filter have it.
pub(super) async fn settle(rig: &mut Rig) -> Result<()> {
    let version = publish(rig).await?;
    rig.envoy()?.update_filter(&config(&version, 0)).await
}

/// Gives both replicas a good configuration, and waits until it is in force.
pub(super) async fn publish(rig: &mut Rig) -> Result<String> {
    let version = rig.next_version();
    for replica in &rig.replicas {
        replica.write_config(&config(&version, 0).to_string())?;
    }
    for replica in &rig.replicas {
        in_force(replica, &version).await?;
    }
    Ok(version)
}

async fn in_force(replica: &ExtProc, version: &str) -> Result<()> {
    let named = format!("\"{version}\"");
    let reached = || async { Ok(replica.get("/version").await?.text().contains(&named).then_some(())) };
    wait::until(&format!("the configuration {version}"), reached).await
}

/// How many files a replica has refused.
pub(super) async fn refusals(replica: &ExtProc) -> Result<f64> {
    replica.metric(REFUSED).await
}

/// How many files each replica has refused.
pub(super) async fn all_refusals(rig: &Rig) -> Result<Vec<f64>> {
    let mut counts = Vec::new();
    for replica in &rig.replicas {
        counts.push(refusals(replica).await?);
    }
    Ok(counts)
}
