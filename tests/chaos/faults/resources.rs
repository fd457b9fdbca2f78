//! Resources that run out, or change: the disk, the byte budget, the clock.

use std::fs::File;
use std::io::{ErrorKind, Write};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use cellgate_tests::client::{Http1, Request};
use cellgate_tests::wait;

use super::configuration;
use crate::rig::Rig;
use crate::traffic::{config, key_last};

/// Uploads that fill the byte budget of both replicas, 4 MiB each.
const UPLOADS: usize = 48;

/// The size of an upload, below the service's `stream_bytes`.
const UPLOAD: usize = 250_000;

/// The bytes that an upload leaves out. The key is in them.
const MISSING: usize = 100;

/// The metric of waits for the byte budget.
const WAITS: &str = "cellgate_budget_wait_seconds_count";

/// The file that fills the disk.
const FILLING: &str = "filling";

/// The replica that runs with libfaketime.
const STEPPING: usize = 1;

/// Fills the disk. Then a new configuration is written as a careless tool does: emptied first, and cut off.
pub(super) async fn fill_disk(rig: &Rig) -> Result<()> {
    let disk = rig.small_disk.as_ref().context("there is no small disk")?;
    let refused = configuration::all_refusals(rig).await?;
    let mut file = File::create(disk.join(FILLING))?;
    let zeros = vec![0; 64 * 1024];
    let mut size = zeros.len();
    while size > 0 {
        match file.write(zeros.get(..size).unwrap_or_default()) {
            Ok(_) => (),
            Err(error) if error.kind() == ErrorKind::StorageFull => size /= 2,
            Err(error) => return Err(error.into()),
        }
    }
    for number in 0..rig.replicas.len() {
        let text = config("cut off", 1000).to_string();
        match std::fs::write(rig.config_file(number), &text) {
            Err(error) if error.kind() == ErrorKind::StorageFull => (),
            Err(error) => return Err(error.into()),
            Ok(()) => bail!("the disk is not full"),
        }
    }
    configuration::all_refuse(rig, &refused).await
}

pub(super) async fn free_disk(rig: &mut Rig) -> Result<()> {
    let disk = rig.small_disk.as_ref().context("there is no small disk")?;
    std::fs::remove_file(disk.join(FILLING))?;
    configuration::publish(rig).await?;
    Ok(())
}

/// Starts uploads that stop before their end, and waits until requests have waited for the budget of both replicas.
pub(super) async fn fill_budget(rig: &mut Rig) -> Result<()> {
    let mut waits = Vec::new();
    for replica in &rig.replicas {
        waits.push(replica.metric(WAITS).await?);
    }
    start_uploads(rig)?;
    for (replica, before) in rig.replicas.iter().zip(waits) {
        let waited = || async { Ok((replica.metric(WAITS).await? > before).then_some(())) };
        wait::until("a request to wait for the byte budget", waited).await?;
    }
    Ok(())
}

/// Starts uploads that stop before their end. The service decides them, because the key is there. A client that is refused
/// comes again at once.
fn start_uploads(rig: &mut Rig) -> Result<()> {
    let address = rig.address()?;
    let body = Bytes::from(key_last(("initech", "cell-a"), UPLOAD));
    for number in 0..UPLOADS {
        let request = Request::post(&format!("/burst/{number}")).header("content-type", "application/json");
        let head = request.header("content-length", body.len().to_string()).http1_head();
        let part = body.slice(..UPLOAD - MISSING);
        rig.uploads.spawn(async move {
            loop {
                let mut client = Http1::connect(address).await?;
                client.write(&head).await?;
                // It takes a while where Envoy stops reading, and a refusal may break it off.
                if client.write(&part).await.is_ok() {
                    let _ = client.response("POST").await;
                }
            }
        });
    }
    Ok(())
}

/// The clients of the uploads go away.
pub(super) fn end_uploads(rig: &mut Rig) {
    rig.uploads.abort_all();
}

/// Steps the clock of a replica ahead, or back to the machine's time. The time in its log shows that it has changed.
pub(super) async fn step_clock(rig: &mut Rig, ahead: bool) -> Result<()> {
    let before = year(rig).await?;
    let clock = rig.clock.as_ref().context("there is no libfaketime")?;
    std::fs::write(clock, if ahead { "+400d\n" } else { "+0\n" })?;
    let after = year(rig).await?;
    ensure!(before != after, "the clock has not stepped: {before}");
    Ok(())
}

/// The year of the newest line in the log of the replica, which a new configuration has caused.
async fn year(rig: &mut Rig) -> Result<String> {
    let version = configuration::publish(rig).await?;
    let replica = rig.replicas.get(STEPPING).context("no such replica")?;
    let line = replica.logged(&["config_reloaded", &version]).await?;
    let (_, time) = line.split_once(r#""timestamp":""#).context(line.clone())?;
    Ok(time.chars().take(4).collect())
}
