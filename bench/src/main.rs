//! `make bench`: the CPU time that a request costs in Envoy and in the ext-proc service, without Cellgate, with what
//! could stand in its place, and with it. `docs/performance.md` tells how to read the report.
//!
//! Times are of CPU, not of the clock: the client and the cells share the machine with what is measured. Every answer
//! is checked, and there is no report when one is wrong.
//!
//! To add a variant, see [`variants`]; a goal, see [`goals`] and [`promises`].
#![forbid(unsafe_code)]

mod affinity;
mod baseline;
mod bootstrap;
mod cases;
mod exchange;
mod facts;
mod goals;
mod load;
mod measure;
mod memory;
mod micro;
mod naive_service;
mod noop_service;
mod plan;
mod plot;
mod promises;
mod report;
mod row;
mod run;
mod scale;
mod stage;
mod stats;
mod summary;
mod variant;
mod variants;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

/// Measures the CPU time per request. Exit codes: 0 all goals hold, 1 not all, or an answer was wrong, 2 could not measure.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    options: run::Options,
    #[command(subcommand)]
    mode: Option<Mode>,
}

#[derive(Subcommand)]
enum Mode {
    /// Measures how cost grows with tenants, cells, rules, bodies, connections, workers and replicas.
    Scale,
    /// Serves an ext-proc service that does nothing. The benchmark starts this by itself.
    NoopService,
    /// Serves the ext-proc service that everybody writes first. The benchmark starts this by itself.
    NaiveService,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.mode {
        Some(Mode::Scale) => unless_interrupted(scale::run()).await,
        Some(Mode::NoopService) => noop_service::serve().await.map(|()| ExitCode::SUCCESS),
        Some(Mode::NaiveService) => naive_service::serve().await.map(|()| ExitCode::SUCCESS),
        None => unless_interrupted(run::bench(&arguments.options)).await,
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("bench: {error:#}");
        ExitCode::from(2)
    })
}

/// Goes on until SIGINT or SIGTERM; then dropping it ends every program it started.
async fn unless_interrupted(bench: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        outcome = bench => outcome,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    }
}
