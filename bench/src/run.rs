//! One run, from the start of the first program to the report.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use cellgate_tests::artifacts;
use clap::Args;
use clap::builder::FalseyValueParser;

use crate::goals::Goal;
use crate::machine;
use crate::measure::{Effort, Row, Session};
use crate::plan::Plan;
use crate::promises::{self, Promise, Unclear};
use crate::report::Report;
use crate::stage::Stage;

/// What a person may choose.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Only what the goals need, in under five minutes.
    #[arg(long, env = "QUICK", value_parser = FalseyValueParser::new())]
    quick: bool,
    /// Only the cases whose names begin so. May be given more than once.
    #[arg(long)]
    case: Vec<String>,
    /// Only these variants, beside Envoy alone. May be given more than once.
    #[arg(long)]
    variant: Vec<String>,
}

/// Measures, and writes the report if there is something to report.
///
/// # Errors
/// When a program is missing or does not start.
pub(crate) async fn bench(options: &Options) -> Result<ExitCode> {
    let plan = Plan::new(&options.case, &options.variant, options.quick)?;
    let effort = if options.quick { Effort::QUICK } else { Effort::FULL };
    let directory = artifacts::checkout().join("target/bench");
    forget(&directory)?;
    let mut facts = machine::facts()?;
    eprintln!("starting {} variants", plan.variants().len());
    let mut stage = Stage::start(plan.variants()).await?;
    let rows = match measure(&mut stage, &plan, effort).await {
        Ok(rows) => rows,
        Err(error) => return Ok(refuse(&[format!("a request came to a wrong end: {error:#}")])),
    };
    drop(stage);
    facts.push(("load average after", machine::load_average()));
    let unclear: Vec<String> = promises::unclear(&rows).iter().map(|(_, unclear)| say(unclear)).collect();
    if !unclear.is_empty() {
        return Ok(refuse(&unclear));
    }
    let report = Report { facts, effort, rows: &rows, goals: goals(&rows, options).await? };
    std::fs::write(directory.join("report.md"), report.markdown())?;
    std::fs::write(directory.join("report.json"), serde_json::to_string_pretty(&report.json())?)?;
    println!("{}\n{}", report.markdown(), report.verdict());
    Ok(ExitCode::SUCCESS)
}

/// The goals of every part. A part that has goals adds them here.
#[expect(clippy::unused_async, reason = "other parts measure first")]
async fn goals(rows: &[Row], _options: &Options) -> Result<Vec<Goal>> {
    let goals = promises::goals(rows);
    Ok(goals)
}

/// All rounds, and more of those that noise has left open, while there is patience.
async fn measure(stage: &mut Stage, plan: &Plan, effort: Effort) -> Result<Vec<Row>> {
    let mut session = Session::open(stage, plan, effort).await?;
    session.rounds().await?;
    let start = Instant::now();
    loop {
        let unclear: Vec<Promise> = promises::unclear(session.rows()).into_iter().map(|(promise, _)| promise).collect();
        if unclear.is_empty() || start.elapsed() > effort.patience {
            return Ok(session.into_rows());
        }
        eprintln!("{} comparisons are not clear yet", unclear.len());
        session.one_more(&|row| unclear.iter().any(|promise| promise.needs(&row.case, row.variant))).await?;
    }
}

/// A run that ends without a report must not leave one of an earlier run behind.
fn forget(directory: &Path) -> Result<()> {
    std::fs::create_dir_all(directory)?;
    for file in ["report.md", "report.json", "plot.svg", "plot.png"] {
        let _ = std::fs::remove_file(directory.join(file));
    }
    Ok(())
}

fn refuse(reasons: &[String]) -> ExitCode {
    eprintln!("bench: no table, because");
    for reason in reasons {
        eprintln!("  {reason}");
    }
    ExitCode::FAILURE
}

fn say(Unclear { goal, more }: &Unclear) -> String {
    let value = goal.value;
    let sign = if goal.at_most { "at most" } else { "at least" };
    format!(
        "noise hides whether it is {sign} {}: {}, {:.3} ({:.3} to {:.3}); about {more} more rounds would tell",
        goal.goal, goal.name, value.median, value.min, value.max
    )
}
