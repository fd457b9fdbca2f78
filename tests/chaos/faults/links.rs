//! Connections that are slow, cut or silent.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::Trouble;
use super::processes::harmed;
use crate::journal::{Column, Journal};
use crate::rig::{self, Rig};

/// The cell whose connection is in trouble.
const CELL: &str = "cell-b";

/// The delay in one direction, in milliseconds.
const DELAY: u64 = 100;

/// The delay of a store that is too slow, in milliseconds.
const STORE_DELAY: u64 = 2000;

pub(super) async fn service(rig: &Rig, journal: &Journal, trouble: Trouble) -> Result<()> {
    for number in 0..rig.replicas.len() {
        poison(rig, &rig::service(number), trouble, DELAY).await?;
    }
    match trouble {
        Trouble::Slow => is_slow(rig, journal, "limited").await,
        Trouble::Cut | Trouble::Silent => harmed(journal, Column::Service).await,
    }
}

pub(super) async fn store(rig: &Rig, trouble: Trouble) -> Result<()> {
    poison(rig, "store", trouble, STORE_DELAY).await?;
    rig.store_is(false).await
}

pub(super) async fn cell(rig: &Rig, journal: &Journal, trouble: Trouble) -> Result<()> {
    poison(rig, CELL, trouble, DELAY).await?;
    match trouble {
        Trouble::Slow => is_slow(rig, journal, "json").await,
        Trouble::Cut | Trouble::Silent => harmed(journal, Column::CellAtFault).await,
    }
}

async fn poison(rig: &Rig, link: &str, trouble: Trouble, delay: u64) -> Result<()> {
    match trouble {
        Trouble::Slow => {
            rig.links.poison(link, "latency", &json!({"latency": delay, "jitter": 10})).await?;
            rig.links.poison(link, "bandwidth", &json!({"rate": 1000})).await
        }
        Trouble::Cut => rig.links.poison(link, "reset_peer", &json!({"timeout": 0})).await,
        // Without a time, the toxic drops all bytes until it is removed.
        Trouble::Silent => rig.links.poison(link, "timeout", &json!({"timeout": 0})).await,
    }
}

/// The delay is there: a request of this kind takes at least one of the two directions.
async fn is_slow(rig: &Rig, journal: &Journal, kind: &str) -> Result<()> {
    let kind = journal.kinds().iter().find(|found| found.name == kind).context("no such kind")?;
    let took = rig.time(kind).await?;
    ensure!(took >= Duration::from_millis(DELAY), "the link is not slow: a request took {} ms", took.as_millis());
    Ok(())
}
