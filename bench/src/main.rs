//! `make bench`: the CPU time that a request costs in Envoy and in the ext-proc service, without Cellgate, with what
//! could stand in its place, and with it. `docs/performance.md` tells how to read the report.
//!
//! Times are of CPU, not of the clock: the client and the cells share the machine with what is measured. Every answer
//! is checked. There is no report when one is wrong, or when noise hides what the report would claim.
//!
//! To add a variant, see [`variants`]; a goal, see [`goals`] and [`promises`].
#![forbid(unsafe_code)]

mod affinity;
mod cases;
mod documents;
mod goals;
mod load;
mod machine;
mod measure;
mod memory;
mod micro;
mod naive_service;
mod noop_service;
mod peers;
mod plan;
mod plot;
mod procfs;
mod promises;
mod regression;
mod report;
mod run;
mod scale;
mod soak;
mod stage;
mod stats;
mod summary;
mod variants;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

/// Measures the CPU time per request. Exit codes: 0 measured, 1 there is nothing to report, 2 could not measure.
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
    /// Measures Cellgate's pieces alone: scans, decisions, placement.
    Micro(run::Options),
    /// Sends mixed traffic for a long time, while the configuration changes: does anything go wrong, or grow?
    Soak {
        /// For how long. Memory is judged from 20 on.
        #[arg(long, env = "MINUTES", default_value = "30")]
        minutes: f64,
    },
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
        Some(Mode::Soak { minutes }) => unless_interrupted(soak::run(minutes)).await,
        Some(Mode::Scale) => unless_interrupted(scale::run()).await,
        Some(Mode::NoopService) => noop_service::serve().await.map(|()| ExitCode::SUCCESS),
        Some(Mode::NaiveService) => naive_service::serve().await.map(|()| ExitCode::SUCCESS),
        Some(Mode::Micro(options)) => unless_interrupted(run::pieces(&options)).await,
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
