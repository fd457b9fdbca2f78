//! The conformance table: what happens to a request in each mode and phase when something goes wrong, as
//! `docs/conformance.md` shows it.
//!
//! Each case drives real Envoy, or the service itself for what Envoy cannot be made to send. Its result must keep the
//! case's rule on every Envoy, and must be what the document says for the oldest and the newest Envoy. On the versions
//! between them it must be one of the two. With `UPDATE=1`, the run writes the results of its Envoy into the document.

mod authorization;
mod case;
mod cases;
mod document;
mod lanes;
mod observed;
#[path = "../e2e/second_processor/pass_through.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest")]
mod pass_through;
mod peer;
mod rule;
mod scene;
mod setup;
#[path = "../e2e/support.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest")]
mod support;
#[path = "../e2e/upload.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest")]
mod upload;

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cellgate_tests::artifacts;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

use case::Case;
use document::{Document, Version};
use lanes::SharedSetup;
use scene::Scene;

/// The timeout of one case. It is generous, because only a failing case uses all of it.
const LIMIT: Duration = Duration::from_secs(90);

/// Two setups run at a time, each with its own lane of cases.
const LANES: usize = 2;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("conformance: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(LANES);
    let topics = cases::topics();
    let version = if arguments.list { Version::Other } else { Version::of(&envoy_version()?) };
    let update = std::env::var_os("UPDATE").is_some();
    ensure!(!update || version != Version::Other, "UPDATE=1 needs the oldest or the newest Envoy");
    let document = Arc::new(Document::read()?);
    let runtime = Arc::new(Runtime::new()?);
    let results = Arc::<Mutex<BTreeMap<String, String>>>::default();

    let cases: Vec<Case> = topics.iter().flat_map(|topic| topic.cases.clone()).collect();
    let count = cases.len();
    let mut trials: Vec<_> = lanes::ordered(cases, LANES)
        .into_iter()
        .map(|(case, shared)| {
            let (document, runtime, results) = (Arc::clone(&document), Arc::clone(&runtime), Arc::clone(&results));
            Trial::test(case.name.clone(), move || {
                let result = runtime.block_on(result(&case, &shared)).map_err(failed)?;
                println!("{}: {result}", case.name);
                if !update {
                    document.check(version, &case.name, &result).map_err(failed)?;
                }
                results.lock().unwrap_or_else(PoisonError::into_inner).insert(case.name.clone(), result);
                // The last case of a setup stops it.
                runtime.block_on(async move { drop(shared) });
                Ok(())
            })
        })
        .collect();
    if !update {
        let current = Arc::clone(&document);
        let topics = topics.clone();
        trials.push(Trial::test("the_document_is_current", move || current.check_text(&topics).map_err(failed)));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    let results = results.lock().unwrap_or_else(PoisonError::into_inner);
    if update && !arguments.list && !conclusion.has_failed() {
        ensure!(results.len() == count, "UPDATE=1 writes the results of all cases: run it without a filter");
        document.write(version, &results, &topics)?;
    }
    Ok(conclusion.exit_code())
}

/// Runs a case on its setup, and checks its rule.
async fn result(case: &Case, shared: &SharedSetup) -> Result<String> {
    let in_time = async {
        let running = shared.lock().await?;
        let before = match running.try_stack() {
            Some(stack) => scene::streams(stack).await?,
            None => 0,
        };
        let scene = Scene { running: &running, mode: case.mode, path: format!("/{}", case.name) };
        let observed = (case.run)(scene).await?;
        case.rule.check(&observed)?;
        if observed.is_run() {
            scene::check_mode(&running, case.mode, before).await?;
        }
        Ok(observed.to_string())
    };
    tokio::time::timeout(LIMIT, in_time).await.context("the case did not end")?
}

fn failed(error: anyhow::Error) -> Failed {
    Failed::from(format!("{error:#}"))
}

/// The version of the Envoy under test, such as `1.40.0`.
fn envoy_version() -> Result<String> {
    let output = Command::new(artifacts::envoy()?).arg("--version").output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    // PROGRAM  version: REVISION/VERSION/STATE/BUILD/TLS
    let version = text.rsplit_once("version: ").and_then(|(_, version)| version.split('/').nth(1));
    let version = version.with_context(|| format!("no version in {text:?}"))?;
    Ok(version.to_owned())
}
