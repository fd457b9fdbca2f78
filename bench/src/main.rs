//! `make bench`: the CPU time that a request costs in Envoy and in the ext-proc service, without Cellgate, with
//! alternatives, and with Cellgate. `docs/performance.md` explains the report.
//!
//! All times are CPU times, because the client and the cells share the machine with the measured programs. Every
//! response is checked; a wrong one ends the run without a report.
//!
//! To add a variant, see [`variants`]. To add a goal, see [`goals`] and [`comparisons`].
#![forbid(unsafe_code)]

mod affinity;
mod baseline;
mod bootstrap;
mod budget_memory;
mod cases;
mod comparisons;
mod content;
mod exchange;
mod facts;
mod goals;
mod limits;
mod load;
mod measure;
mod memory;
mod micro;
mod naive_service;
mod noop_service;
mod plan;
mod plot;
mod report;
mod row;
mod run;
mod scale;
mod stage;
mod stats;
mod summary;
mod timed;
mod trace_sink;
mod variant;
mod variants;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

/// Measures the CPU time per request. Exit codes: 0, all goals hold; 1, a goal does not hold or a response was wrong;
/// 2, a part is missing or failed.
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
    /// Measures how the cost grows with tenants, cells, rules, bodies, connections, workers and replicas.
    Scale,
    /// Measures the memory while more uploads come at once than the service's byte budget holds.
    Memory,
    /// Measures the cost of rate limits, and the calls while their store is stopped.
    Limits(limits::LimitsOptions),
    /// Serves an ext-proc service that does nothing. The benchmark starts it itself.
    NoopService,
    /// Serves a simple ext-proc service (BUFFERED, serde_json). The benchmark starts it itself.
    NaiveService,
    /// Serves a RateLimitService that decides nothing. The benchmark starts it itself.
    NoopLimits,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.mode {
        Some(Mode::Scale) => unless_interrupted(scale::run()).await,
        Some(Mode::Memory) => unless_interrupted(budget_memory::run()).await,
        Some(Mode::Limits(options)) => unless_interrupted(limits::run(&options)).await,
        Some(Mode::NoopService) => noop_service::serve().await.map(|()| ExitCode::SUCCESS),
        Some(Mode::NaiveService) => naive_service::serve().await.map(|()| ExitCode::SUCCESS),
        Some(Mode::NoopLimits) => limits::serve_noop().await.map(|()| ExitCode::SUCCESS),
        None => unless_interrupted(run::bench(&arguments.options)).await,
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("bench: {error:#}");
        ExitCode::from(2)
    })
}

/// Runs the benchmark until SIGINT or SIGTERM. Dropping it stops every program that it started.
async fn unless_interrupted(bench: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        outcome = bench => outcome,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    }
}
