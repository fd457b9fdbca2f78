//! Connections that are slow, cut or silent.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cellgate_tests::wait;
use serde_json::json;

use super::Trouble;
use super::processes::harmed;
use crate::journal::{Column, Journal};
use crate::rig::{self, Rig};
use crate::traffic::Kind;

/// The cell whose connection is in trouble.
const CELL: &str = "cell-b";

/// The delay in one direction, in milliseconds, and by how much it varies.
const DELAY: u64 = 100;
const JITTER: u64 = 10;

/// A request and its answer take at least so much longer.
const ADDED: Duration = Duration::from_millis(2 * (DELAY - JITTER));

/// So many requests show that a link is slow. Some go over the link to the service twice, and would be slow on a link with
/// half the delay.
const SAMPLES: usize = 8;

/// The kinds of requests that are timed: one goes over the links to the service, one to the cell.
const LIMITED: &str = "limited";
const OF_CELL: &str = "json";

/// The delay of a store that is too slow, in milliseconds.
const STORE_DELAY: u64 = 2000;

pub(super) async fn service(rig: &Rig, journal: &Journal, trouble: Trouble) -> Result<()> {
    if trouble == Trouble::Slow {
        is_fast(rig, journal, LIMITED).await?;
    }
    for number in 0..rig.replicas.len() {
        poison(rig, &rig::service(number), trouble, DELAY).await?;
    }
    match trouble {
        Trouble::Slow => is_slow(rig, journal, LIMITED).await,
        Trouble::Cut | Trouble::Silent => harmed(journal, Column::Service).await,
    }
}

pub(super) async fn store(rig: &Rig, trouble: Trouble) -> Result<()> {
    poison(rig, "store", trouble, STORE_DELAY).await?;
    rig.store_is(false).await
}

pub(super) async fn cell(rig: &Rig, journal: &Journal, trouble: Trouble) -> Result<()> {
    if trouble == Trouble::Slow {
        is_fast(rig, journal, OF_CELL).await?;
    }
    poison(rig, CELL, trouble, DELAY).await?;
    match trouble {
        Trouble::Slow => is_slow(rig, journal, OF_CELL).await,
        Trouble::Cut | Trouble::Silent => harmed(journal, Column::CellAtFault).await,
    }
}

async fn poison(rig: &Rig, link: &str, trouble: Trouble, delay: u64) -> Result<()> {
    match trouble {
        Trouble::Slow => {
            rig.links.poison(link, "latency", &json!({"latency": delay, "jitter": JITTER})).await?;
            rig.links.poison(link, "bandwidth", &json!({"rate": 1000})).await
        }
        Trouble::Cut => rig.links.poison(link, "reset_peer", &json!({"timeout": 0})).await,
        // Without a time, the toxic drops all bytes until it is removed.
        Trouble::Silent => rig.links.poison(link, "timeout", &json!({"timeout": 0})).await,
    }
}

/// Without the delay, a request takes less than what the link adds. Otherwise its time would show nothing.
async fn is_fast(rig: &Rig, journal: &Journal, kind: &str) -> Result<()> {
    let kind = named(journal, kind)?;
    let fast = || async { Ok((rig.time(kind).await? < ADDED).then_some(())) };
    wait::until("a fast answer before the link is slow", fast).await
}

/// The delay is there: each request takes what the link adds in both directions.
async fn is_slow(rig: &Rig, journal: &Journal, kind: &str) -> Result<()> {
    let kind = named(journal, kind)?;
    for _ in 0..SAMPLES {
        let took = rig.time(kind).await?;
        ensure!(took >= ADDED, "the link is not slow: a request took {} ms", took.as_millis());
    }
    Ok(())
}

fn named<'a>(journal: &'a Journal, name: &str) -> Result<&'a Kind> {
    journal.kinds().iter().find(|kind| kind.name == name).context("no such kind")
}
