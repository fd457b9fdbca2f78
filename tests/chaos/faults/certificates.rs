//! Certificates of the service that are renewed, and one that expires.

use std::time::Duration;

use anyhow::{Context, Result};
use cellgate_tests::ext_proc::ExtProc;
use cellgate_tests::wait;

use crate::rig::{Rig, service};

/// The replica whose certificate expires.
const EXPIRING: usize = 0;

/// The lifetime of its certificate: longer than the service takes to read it.
const LIFETIME: Duration = Duration::from_secs(3);

const RELOADS: &str = r#"cellgate_tls_reloads_total{result="ok"}"#;
const HANDSHAKES: &str = r#"cellgate_tls_handshakes_total{result="ok"}"#;

/// Renews both, one after the other, and breaks the connections, so that the next ones use the new certificates.
pub(super) async fn rotate(rig: &Rig) -> Result<()> {
    for (number, replica) in rig.replicas.iter().enumerate() {
        renew_one(rig, number, None).await?;
        let handshakes = replica.metric(HANDSHAKES).await?;
        rig.links.close(&service(number)).await?;
        rig.links.open(&service(number)).await?;
        more(replica, HANDSHAKES, handshakes).await?;
    }
    Ok(())
}

/// Lets the certificate of a replica expire, and waits until Envoy sends it nothing more.
pub(super) async fn expire(rig: &Rig) -> Result<()> {
    renew_one(rig, EXPIRING, Some(LIFETIME)).await?;
    let replica = rig.replicas.get(EXPIRING).context("no such replica")?;
    let expired = || async { Ok(replica.get("/readyz").await?.text().contains("certificate expired").then_some(())) };
    wait::until("the certificate to expire", expired).await?;
    rig.healthy(1).await
}

/// Gives that replica a good one.
pub(super) async fn renew(rig: &Rig) -> Result<()> {
    renew_one(rig, EXPIRING, None).await
}

/// Writes new files for a replica, and waits until it has read them.
async fn renew_one(rig: &Rig, number: usize, lifetime: Option<Duration>) -> Result<()> {
    let replica = rig.replicas.get(number).context("no such replica")?;
    let reloads = replica.metric(RELOADS).await?;
    rig.pki.renew(number, lifetime)?;
    more(replica, RELOADS, reloads).await
}

/// Waits until a counter is above what it was.
async fn more(replica: &ExtProc, counter: &str, before: f64) -> Result<()> {
    let counted = || async { Ok((replica.metric(counter).await? > before).then_some(())) };
    wait::until(&format!("{counter} to grow"), counted).await
}
