//! A new configuration for both tiers every second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cellgate_tests::client::{Http1, Request};
use cellgate_tests::stack::Stack;
use cellgate_tests::wait;
use tokio::time::MissedTickBehavior;

use crate::mix::INSPECT_BYTES;
use crate::tenants::{Epoch, PENDULUM, config, pendulum, version};
use crate::timeline::Timeline;

/// The interval of changes.
const PERIOD: Duration = Duration::from_secs(1);

/// Counts of the requests that find out which configuration the filter uses. They reach cells too.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    pub(crate) sent: AtomicU64,
    pub(crate) answered: AtomicU64,
}

/// The results of the changes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reloads {
    /// The number of changes that both tiers have adopted.
    pub(crate) done: Epoch,
    /// The longest time from publishing a change until both tiers use it.
    pub(crate) slowest: Duration,
    total: Duration,
}

impl Reloads {
    /// The mean time from publishing a change until both tiers use it.
    pub(crate) fn mean(&self) -> Duration {
        self.total.checked_div(u32::try_from(self.done).unwrap_or(u32::MAX)).unwrap_or_default()
    }
}

/// Changes the configuration until it is dropped.
///
/// # Errors
/// When a tier rejects a configuration or does not use it in time.
pub(crate) async fn keep_changing(
    stack: &Stack,
    timeline: &Timeline,
    probes: &Probes,
    mut report: impl FnMut(Reloads),
) -> Result<()> {
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reloads = Reloads::default();
    let mut probe = Http1::connect(stack.address()).await.context("connecting the probe")?;
    loop {
        tick.tick().await;
        let epoch = reloads.done + 1;
        timeline.publish(epoch);
        let start = Instant::now();
        stack.apply(&config(epoch, INSPECT_BYTES)).await.with_context(|| format!("configuration {epoch}"))?;
        in_force_in_the_service(stack, epoch).await?;
        in_force_in_the_filter(&mut probe, probes, epoch).await?;
        timeline.confirm(epoch);
        let took = start.elapsed();
        reloads.done = epoch;
        reloads.slowest = reloads.slowest.max(took);
        reloads.total += took;
        report(reloads);
    }
}

async fn in_force_in_the_service(stack: &Stack, epoch: Epoch) -> Result<()> {
    let series = format!("cellgate_config_info{{version=\"{}\"}}", version(epoch));
    wait::until(&series, || async { Ok((stack.ext_proc().metric(&series).await? == 1.0).then_some(())) }).await
}

/// Envoy counts a configuration as accepted before its worker uses it, so only a request shows its use. There is one
/// worker, and the filter decides a request without a body.
async fn in_force_in_the_filter(probe: &mut Http1, probes: &Probes, epoch: Epoch) -> Result<()> {
    let request = Request::get("/probe").header("x-tenant-id", PENDULUM);
    let start = Instant::now();
    loop {
        probes.sent.fetch_add(1, Ordering::Relaxed);
        let answer = probe.send(&request).await.context("the probe")?;
        probes.answered.fetch_add(1, Ordering::Relaxed);
        if answer.served_by() == Some(pendulum(epoch)) {
            return Ok(());
        }
        anyhow::ensure!(
            start.elapsed() < wait::TIMEOUT,
            "the filter does not use configuration {epoch}: {} from {:?}",
            answer.status,
            answer.served_by()
        );
        #[expect(clippy::disallowed_methods, reason = "the interval between two checks of a condition")]
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
