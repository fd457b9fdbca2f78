//! Processes and cells that end, stop, or get no more memory.

use anyhow::{Context, Result};
use cellgate_tests::cell::Reading;
use cellgate_tests::ext_proc::ExtProc;
use cellgate_tests::process::Signal;
use cellgate_tests::wait;
use http::StatusCode;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::{Injection, resources};
use crate::journal::{Column, Journal};
use crate::rig::{Rig, service};

/// The cell that dies, hangs and fails.
const CELL: &str = "cell-c";

/// Uploads that make a replica ask for memory.
const UPLOADS: usize = 8;

pub(super) async fn kill_service(rig: &Rig, journal: &Journal, which: &[usize]) -> Result<()> {
    for number in which {
        rig.replicas.get(*number).context("no such replica")?.kill();
        // Without it, Toxiproxy would accept connections in the place of the process.
        rig.links.close(&service(*number)).await?;
    }
    noticed(rig, journal, which).await
}

pub(super) async fn restart_service(rig: &mut Rig, which: &[usize]) -> Result<()> {
    resources::end_uploads(rig);
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

/// The first replica may take no more address space than it has. Then it gets work that needs some.
pub(super) async fn exhaust_memory(rig: &mut Rig) -> Result<()> {
    let replica = rig.replicas.first().context("no replica")?;
    // It may end by a panic, if it is a thread that gets no memory.
    replica.may_crash();
    let pid = replica.pid();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let size =
        status.lines().find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let limit = Rlimit { current: Some(size.context("VmSize")? * 1024), maximum: None };
    prlimit(Pid::from_raw(i32::try_from(pid)?), Resource::As, limit).context("prlimit")?;
    resources::start_uploads(rig, UPLOADS)?;
    Ok(())
}

/// A supervisor starts the replica again if it has ended. Otherwise it may take memory again.
pub(super) async fn relieve_memory(rig: &mut Rig) -> Result<()> {
    let replica = rig.replicas.first().context("no replica")?;
    // One that has ended is a zombie until the harness reaps it.
    let status = std::fs::read_to_string(format!("/proc/{}/status", replica.pid()))?;
    if status.contains("State:\tZ") {
        restart_service(rig, &[0]).await?;
        // The log, which goes on, may have the panic.
        rig.replicas.iter().take(1).for_each(ExtProc::may_crash);
        return Ok(());
    }
    let limit = Rlimit { current: None, maximum: None };
    prlimit(Pid::from_raw(i32::try_from(replica.pid())?), Resource::As, limit).context("prlimit")?;
    resources::end_uploads(rig);
    Ok(())
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
