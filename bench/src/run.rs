//! One run of the benchmark, from the start of the programs to the report.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use cellgate_tests::artifacts;
use cellgate_tests::measure::machine::load_average;
use clap::Args;
use clap::builder::FalseyValueParser;

use crate::baseline::{self, Build};
use crate::comparisons;
use crate::facts;
use crate::goals::Goal;
use crate::measure::{Effort, Session};
use crate::memory;
use crate::micro::{self, Part};
use crate::plan::Plan;
use crate::plot;
use crate::report::{self, Report};
use crate::row::Row;
use crate::stage::Stage;

/// The command-line options.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Measures only the rows that the goals need, in less than five minutes.
    #[arg(long, env = "QUICK", value_parser = FalseyValueParser::new())]
    quick: bool,
    /// Measures only the cases whose names begin with this text. May be given more than once.
    #[arg(long)]
    case: Vec<String>,
    /// Lets the proxies share all processors with the client. By default they have one processor of their own.
    #[arg(long)]
    unpinned: bool,
    /// A directory with the `cellgate.wasm` and `cellgate` of another build, to measure in the same rounds. The report
    /// then has the ratios of this build's costs to the other's.
    #[arg(long, env = "BASELINE", hide_env_values = true)]
    baseline: Option<String>,
    /// Measures only this variant and Envoy alone. May be given more than once.
    #[arg(long)]
    variant: Vec<String>,
}

impl Options {
    /// The build in [`Options::baseline`]; `None` if that is empty.
    fn another_build(&self) -> Result<Option<Build>> {
        self.baseline.as_deref().filter(|directory| !directory.is_empty()).map(Build::in_directory).transpose()
    }

    /// Whether the options select a part of the cases or variants.
    fn picks(&self) -> bool {
        !self.case.is_empty() || !self.variant.is_empty()
    }
}

/// Measures and writes the report. The exit code shows whether every goal holds.
///
/// # Errors
/// When a program is missing or does not start.
pub(crate) async fn bench(options: &Options) -> Result<ExitCode> {
    let another = options.another_build()?;
    let plan = Plan::new(&options.case, &options.variant, options.quick, another.is_some())?;
    let effort = if options.quick { Effort::QUICK } else { Effort::FULL };
    let directory = artifacts::checkout().join("target/bench");
    forget(&directory)?;
    let mut facts = facts::facts()?;
    eprintln!("starting {} variants", plan.variants().len());
    let mut stage = Stage::start(plan.variants(), !options.unpinned, another.as_ref()).await?;
    facts.push(("processors", stage.processors()));
    let rows = match measure(&mut stage, &plan, effort).await {
        Ok(rows) => rows,
        Err(error) => {
            eprintln!("bench: no report, because a request had a wrong result: {error:#}");
            return Ok(ExitCode::FAILURE);
        }
    };
    drop(stage);
    facts.push(("load average after", load_average()));
    let comparison = baseline::markdown(&rows);
    let rows: Vec<Row> = rows.into_iter().filter(|row| row.variant.another_build_of.is_none()).collect();
    let mut parts = Vec::new();
    if !options.picks() {
        parts = micro::measure(options.quick).await?;
        parts.push(memory::part(options.quick).await?);
    }
    let report = Report { facts, effort, rows: &rows, goals: goals(&rows, &parts), parts: &parts };
    std::fs::write(directory.join("report.md"), report.markdown())?;
    std::fs::write(directory.join("report.json"), serde_json::to_string_pretty(&report.json())?)?;
    if let Some(svg) = plot::svg(&rows) {
        std::fs::write(directory.join("plot.svg"), svg)?;
    }
    // Not in the report, which has only this build's figures, because the documentation quotes it.
    if let Some(comparison) = &comparison {
        std::fs::write(directory.join("baseline.md"), comparison)?;
    }
    println!("{}{}\n{}", report.markdown(), comparison.unwrap_or_default(), report.verdict());
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The goals of every part.
fn goals(rows: &[Row], parts: &[Part]) -> Vec<Goal> {
    let mut goals = comparisons::goals(rows);
    goals.extend(parts.iter().flat_map(|part| part.goals.clone()));
    goals
}

/// Runs all rounds, then more rounds of unclear comparisons until the time limit.
async fn measure(stage: &mut Stage, plan: &Plan, effort: Effort) -> Result<Vec<Row>> {
    let rows = plan.rows(stage.running.iter().map(|running| running.variant));
    let mut session = Session::open(stage, rows, effort).await?;
    session.rounds().await?;
    let start = Instant::now();
    loop {
        let unclear = comparisons::unclear(session.rows());
        if unclear.is_empty() || start.elapsed() > effort.patience {
            return Ok(session.into_rows());
        }
        eprintln!("one more round, because noise hides whether these goals hold:");
        for (_, goal) in &unclear {
            eprintln!("  {}", report::sentence(goal));
        }
        session.one_more(&|row| unclear.iter().any(|(comparison, _)| comparison.needs(&row.case, row.variant))).await?;
    }
}

/// Removes the report of an earlier run, so that none is left if this run fails.
fn forget(directory: &Path) -> Result<()> {
    std::fs::create_dir_all(directory)?;
    for file in ["report.md", "report.json", "plot.svg", "baseline.md"] {
        let _ = std::fs::remove_file(directory.join(file));
    }
    Ok(())
}
