//! `make bench`: the CPU time that a request costs in Envoy and in the ext-proc service, without Cellgate, with the
//! cheapest things that could stand in its place, and with it. `docs/performance.md` tells how to read the report.
//!
//! Times are of CPU, not of the clock: the client and the cells share the machine with what is measured. Every answer
//! is checked; a row with a wrong one is invalid, whatever it cost.
#![forbid(unsafe_code)]

mod cases;
mod documents;
mod load;
mod machine;
mod measure;
mod noop_service;
mod procfs;
mod report;
mod stage;
mod stats;
mod summary;
mod variants;

use std::process::ExitCode;

use anyhow::{Result, bail};
use cellgate_tests::artifacts;
use clap::builder::FalseyValueParser;
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::measure::Effort;
use crate::report::Report;
use crate::stage::Stage;

/// Measures the CPU time per request. Exit codes: 0 measured, 1 a row is invalid, 2 could not measure.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Five short rounds: under three minutes instead of under ten.
    #[arg(long, env = "QUICK", value_parser = FalseyValueParser::new())]
    quick: bool,
    #[command(subcommand)]
    mode: Option<Mode>,
}

#[derive(Subcommand)]
enum Mode {
    /// Serves an ext-proc service that does nothing. The benchmark starts this by itself.
    NoopService,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.mode {
        Some(Mode::NoopService) => noop_service::serve().await.map(|()| ExitCode::SUCCESS),
        None => unless_interrupted(bench(if arguments.quick { Effort::QUICK } else { Effort::FULL })).await,
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("bench: {error:#}");
        ExitCode::from(2)
    })
}

/// Runs the benchmark until SIGINT or SIGTERM; then dropping it ends every program it started.
async fn unless_interrupted(bench: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        outcome = bench => outcome,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    }
}

async fn bench(effort: Effort) -> Result<ExitCode> {
    let mut facts = machine::facts()?;
    eprintln!("starting {} Envoys", variants::Variant::ALL.len());
    let mut stage = Stage::start().await?;
    let rows = measure::measure(&mut stage, effort).await;
    drop(stage);
    facts.push(("load average after", machine::load_average()));
    let report = Report { facts, effort, rows: &rows };
    let markdown = report.markdown();
    let directory = artifacts::checkout().join("target/bench");
    std::fs::create_dir_all(&directory)?;
    std::fs::write(directory.join("report.md"), &markdown)?;
    std::fs::write(directory.join("report.json"), serde_json::to_string_pretty(&report.json())?)?;
    println!("{markdown}");
    let invalid = report.invalid();
    if invalid > 0 {
        eprintln!("bench: {invalid} of {} rows are invalid", rows.len());
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
