//! `make bench-limits`: the cost of rate limits, beside that of a gRPC call that does nothing, and how long calls take while
//! the store is stopped.
//!
//! The costs are CPU times, in rounds of interleaved batches as for `make bench`: a ratio or a difference is between batches
//! of the same round. Every answer is checked. Where a figure depends on who has answered, a counter of the service or of
//! Envoy must say so.

mod caller;
mod calls;
mod embedded;
mod findings;
mod leases;
mod noop;
mod outage;
mod rig;
mod rounds;
mod service;
mod syncs;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use cellgate_tests::artifacts;
use cellgate_tests::measure::machine::{basics, load_average};
use clap::{Args, ValueEnum};

pub(crate) use self::noop::serve as serve_noop;

use self::calls::CallCosts;
use self::findings::Findings;
use crate::stage::ensure_release_build;

/// A limit that no run uses up.
const UNREACHED: &str = "1000000000/s";

/// The command-line options.
#[derive(Args, Clone, Debug)]
pub(crate) struct LimitsOptions {
    /// Measures only this part. May be given more than once.
    #[arg(long, value_enum)]
    part: Vec<LimitsPart>,
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LimitsPart {
    /// Checks in the embedded store, in this process.
    Embedded,
    /// Calls of RateLimitService, with the embedded store and with Valkey.
    Calls,
    /// Requests through the filter, with a leased limit and without limits. Needs, and measures, the calls too.
    Leases,
    /// Calls while Valkey is stopped.
    Outage,
}

/// Measures, and prints a table, the goals and how many of them hold. The exit code shows whether all do.
///
/// # Errors
/// When a program is missing or does not start, or an answer is wrong.
pub(crate) async fn run(options: &LimitsOptions) -> Result<ExitCode> {
    let begin = Instant::now();
    ensure_release_build(&artifacts::cellgate()?)?;
    artifacts::valkey()?;
    let wants = |part| options.part.is_empty() || options.part.contains(&part);
    let mut facts = basics()?;
    let mut findings = Findings::default();
    if wants(LimitsPart::Embedded) {
        embedded::measure(&mut findings).await.context("checks in the embedded store")?;
    }
    if wants(LimitsPart::Calls) || wants(LimitsPart::Leases) {
        let CallCosts { noop } = calls::measure(&mut findings).await.context("calls of RateLimitService")?;
        if wants(LimitsPart::Leases) {
            leases::measure(&mut findings, noop).await.context("requests under a leased limit")?;
        }
    }
    if wants(LimitsPart::Outage) {
        outage::measure(&mut findings).await.context("calls while the store is stopped")?;
    }
    facts.push(("load average after", load_average()));
    facts.push(("duration", format!("{} s", begin.elapsed().as_secs())));
    let report = findings.report(&facts);
    let directory = artifacts::checkout().join("target/bench");
    std::fs::create_dir_all(&directory)?;
    std::fs::write(directory.join("limits.md"), &report)?;
    println!("{report}");
    Ok(if findings.all_hold() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
