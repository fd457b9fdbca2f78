//! The recipes of `istio/recipes`: each values file is installed unchanged, has the effect that its page describes, and
//! can be removed.

mod api_key_limit;
mod canary;
mod drain;
mod fault_injection;
mod lease;
mod locality_failover;
mod mirror;
mod move_tenant;
mod opt_out;
mod plan_tiers;
mod protect_cell;
mod retry_budget;
mod shadow;
mod slow_cell;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use cellgate_tests::artifacts;
use cellgate_tests::client::{Http1, Request, Response};
use cellgate_tests::mesh::release::{Release, Setup};
use serde_json::json;
use tokio::task::JoinSet;

pub(crate) use api_key_limit::api_key_limit;
pub(crate) use canary::canary;
pub(crate) use drain::drain;
pub(crate) use fault_injection::fault_injection;
pub(crate) use lease::lease;
pub(crate) use locality_failover::locality_failover;
pub(crate) use mirror::mirror;
pub(crate) use move_tenant::move_tenant;
pub(crate) use opt_out::opt_out;
pub(crate) use plan_tiers::plan_tiers;
pub(crate) use protect_cell::protect_cell;
pub(crate) use retry_budget::retry_budget;
pub(crate) use shadow::shadow;
pub(crate) use slow_cell::slow_cell;

use crate::Shared;
use crate::support::of;

/// The number of responses to wait for before the next change.
const ENOUGH: u64 = 40;

/// The installation that the pages assume: two cells, `acme` assigned to cell-b, and every other tenant placed by hash.
/// Two tenants are also assigned to cell-a, so that tests can distinguish their requests.
fn installation(mesh: &Shared) -> Setup {
    Setup::new(mesh).with(json!({
        "cells": {"cell-c": null},
        "config": {"placement": {
            "overrides": {"acme": "cell-b"},
            "exact": {"acme": null, "globex": "cell-a", "initech": "cell-a"},
            "slots": {},
            "default": null,
        }},
        "extProc": {"replicas": 1},
    }))
}

/// A file of a recipe. `replaced` lists names and durations that differ in a test.
fn file(recipe: &str, name: &str, replaced: &[(&str, &str)]) -> Result<String> {
    let path: PathBuf = artifacts::checkout().join("istio/recipes").join(recipe).join(name);
    let mut text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    for (from, to) in replaced {
        ensure!(text.contains(from), "{} has no {from}", path.display());
        text = text.replace(from, to);
    }
    Ok(text)
}

/// Adds a recipe's values to the installation with helm, as its page describes, and waits until the filter and the
/// routes are updated.
async fn apply(release: &Release, recipe: &str, replaced: &[(&str, &str)]) -> Result<()> {
    let values = release.directory().join("recipe.yaml");
    std::fs::write(&values, file(recipe, "values.yaml", replaced)?)?;
    release.helm().upgrade(release.values(), &["--values", &values.to_string_lossy()]).await?;
    release.settled().await
}

/// Upgrades to values without the recipe.
async fn undo(release: &Release) -> Result<()> {
    release.helm().upgrade(release.values(), &[]).await?;
    release.settled().await
}

/// Sends `count` requests at once and returns the responses.
async fn at_once(release: &Release, request: &Request, count: usize) -> Result<Vec<Response>> {
    let mut sending = JoinSet::new();
    for _ in 0..count {
        let (address, request) = (release.gateway().address(), request.clone());
        sending.spawn(async move { Http1::connect(address).await?.send(&request).await });
    }
    sending.join_all().await.into_iter().collect()
}

/// A tenant that the hash assigns to a cell.
async fn hashed_to(release: &Release, cell: &str) -> Result<String> {
    for number in 0..100 {
        let tenant = format!("tenant-{number}");
        if release.send(&of(&tenant)).await.cell() == cell {
            return Ok(tenant);
        }
    }
    anyhow::bail!("the hash assigns none of 100 tenants to {cell}")
}
