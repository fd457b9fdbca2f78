//! `make scale`: how the cost grows with tenants, cells, rules, bodies, connections, workers and replicas. Each curve
//! has the exponent of the power law that fits best. `docs/scale.md` explains the consequences.

mod core;
mod curve;
mod mesh;

use std::process::ExitCode;

use anyhow::Result;
use cellgate_tests::artifacts;
use serde_json::json;

use cellgate_tests::measure::machine;

/// Measures every curve and writes `target/bench/scale.json` and `scale.md`.
///
/// # Errors
/// When a part does not start or a request has a wrong result.
pub(crate) async fn run() -> Result<ExitCode> {
    let mut facts = machine::basics()?;
    eprintln!("scale: the core alone");
    let mut curves = core::curves()?;
    eprintln!("scale: through Envoy");
    curves.extend(mesh::curves().await?);
    facts.push(("load average after", machine::load_average()));
    let machine: serde_json::Map<_, _> = facts.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let markdown = curve::markdown(&curves);
    let directory = artifacts::checkout().join("target/bench");
    std::fs::create_dir_all(&directory)?;
    std::fs::write(directory.join("scale.md"), &markdown)?;
    let report = json!({"machine": machine, "curves": curve::json(&curves)});
    std::fs::write(directory.join("scale.json"), serde_json::to_string_pretty(&report)?)?;
    println!("{markdown}");
    Ok(ExitCode::SUCCESS)
}
