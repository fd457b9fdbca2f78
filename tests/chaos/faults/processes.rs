//! Processes and cells that end, stop, or get no more memory.

use anyhow::{Context, Result};
use cellgate_tests::cell::Reading;
use cellgate_tests::ext_proc::ExtProc;
use cellgate_tests::process::Signal;
use cellgate_tests::wait;
use http::StatusCode;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::{Injection, configuration};
use crate::journal::{Column, Journal};
use crate::rig::{Rig, service};
use crate::traffic::config;

/// The cell that dies, hangs and fails.
const CELL: &str = "cell-c";

/// Tenants of a configuration that takes some tens of megabytes.
const TOO_MANY: usize = 100_000;

pub(super) async fn kill_service(rig: &Rig, journal: &Journal, which: &[usize]) -> Result<()> {
    for number in which {
        rig.replicas.get(*number).context("no such replica")?.kill();
        // Without it, Toxiproxy would accept connections in the place of the process.
        rig.links.close(&service(*number)).await?;
    }
    noticed(rig, journal, which).await
}

pub(super) async fn restart_service(rig: &Rig, which: &[usize]) -> Result<()> {
    for number in which {
        let replica = rig.replicas.get(*number).context("no such replica")?;
        replica.kill();
        replica.restart().await?;
        rig.links.open(&service(*number)).await?;
    }
    Ok(())
}

pub(super) async fn freeze_service(rig: &Rig, journal: &Journal, which: &[usize]) -> Result<()> {
    for number in which {
        rig.replicas.get(*number).context("no such replica")?.freeze().await?;
    }
    noticed(rig, journal, which).await
}

pub(super) fn thaw_service(rig: &Rig, which: &[usize]) -> Result<()> {
    which.iter().try_for_each(|number| rig.replicas.get(*number).context("no such replica")?.signal(Signal::CONT))
}

/// Envoy has taken a replica out, or requests have failed if none is left.
async fn noticed(rig: &Rig, journal: &Journal, which: &[usize]) -> Result<()> {
    if which.len() < rig.replicas.len() { rig.healthy(1).await } else { harmed(journal, Column::Service).await }
}

/// Waits until a request of this column has failed.
pub(super) async fn harmed(journal: &Journal, column: Column) -> Result<()> {
    let failed = || async { Ok((journal.failed(column) > 0).then_some(())) };
    wait::until(&format!("the fault to harm a request of {column:?}"), failed).await
}

pub(super) async fn kill_envoy(rig: &Rig, journal: &Journal) -> Result<()> {
    rig.envoy()?.process().kill();
    harmed(journal, Column::Filter).await
}

pub(super) async fn kill_store(rig: &mut Rig) -> Result<()> {
    rig.store.kill();
    rig.links.close("store").await?;
    rig.store_is(false).await
}

pub(super) async fn restart_store(rig: &mut Rig) -> Result<()> {
    rig.store.restart().await?;
    rig.links.open("store").await
}

pub(super) async fn freeze_store(rig: &Rig) -> Result<()> {
    rig.store.signal(Signal::STOP)?;
    rig.store_is(false).await
}

pub(super) fn thaw_store(rig: &Rig) -> Result<()> {
    rig.store.signal(Signal::CONT)
}

/// The first replica may take no more memory than it has. Then it gets a configuration that needs some. It may end, or refuse
/// the configuration.
pub(super) async fn exhaust_memory(rig: &Rig) -> Result<()> {
    let replica = rig.replicas.first().context("no replica")?;
    // It may end by a panic, if it is a thread that gets no memory.
    replica.may_crash();
    let status = status(replica)?;
    let size =
        status.lines().find_map(|line| line.strip_prefix("VmData:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    limit_memory(replica, Some(size.context("VmData")? * 1024))?;
    let refused = configuration::refusals(replica).await?;
    replica.write_config(&config("too large", TOO_MANY).to_string())?;
    wait::until("the lack of memory to have an effect", || async {
        let is_refused = configuration::refusals(replica).await.is_ok_and(|now| now > refused);
        Ok((is_refused || has_ended(replica)?).then_some(()))
    })
    .await
}

/// A supervisor starts the replica again if it has ended. Otherwise it may take memory again. Its configuration is the one
/// from before.
pub(super) async fn relieve_memory(rig: &mut Rig) -> Result<()> {
    let replica = rig.replicas.first().context("no replica")?;
    if has_ended(replica)? {
        println!("chaos: without memory, the replica ended");
        replica.write_config(&config("start", 0).to_string())?;
        restart_service(rig, &[0]).await?;
    } else {
        println!("chaos: without memory, the replica refused the configuration");
        limit_memory(replica, None)?;
    }
    configuration::publish(rig).await?;
    // The log of a process goes on in the next one, and may have a panic. A later one is a fault of the service.
    rig.replicas.iter().take(1).for_each(ExtProc::forgive_crashes);
    Ok(())
}

fn limit_memory(replica: &ExtProc, bytes: Option<u64>) -> Result<()> {
    let limit = Rlimit { current: bytes, maximum: None };
    prlimit(Pid::from_raw(i32::try_from(replica.pid())?), Resource::Data, limit).context("prlimit")?;
    Ok(())
}

/// Whether it has ended: it is a zombie until the harness reaps it.
fn has_ended(replica: &ExtProc) -> Result<bool> {
    Ok(status(replica)?.contains("State:\tZ"))
}

fn status(replica: &ExtProc) -> Result<String> {
    Ok(std::fs::read_to_string(format!("/proc/{}/status", replica.pid()))?)
}

pub(super) async fn break_cell(rig: &Rig, journal: &Journal, how: Injection) -> Result<()> {
    let cell = rig.cell(CELL)?;
    match how {
        Injection::CellHangs => cell.reading(Reading::Never),
        Injection::CellFails => cell.fail_next(u32::MAX, StatusCode::SERVICE_UNAVAILABLE),
        _ => {
            rig.links.close(CELL).await?;
            cell.kill();
        }
    }
    harmed(journal, Column::CellAtFault).await
}

pub(super) async fn mend_cell(rig: &mut Rig, how: Injection) -> Result<()> {
    match how {
        Injection::CellHangs => rig.cell(CELL)?.reading(Reading::Whole),
        Injection::CellFails => rig.cell(CELL)?.fail_next(0, StatusCode::OK),
        _ => rig.revive_cell(CELL).await?,
    }
    Ok(())
}
