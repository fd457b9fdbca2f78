//! `make chaos`: one fault after the other in a running installation of real parts, while clients send every kind of
//! request. Each answer, and each request that reaches a cell, is judged. The order and the timing of the faults come from a
//! seed.
//!
//! Environment: `SEED`, `CHAOS_SECONDS` (no new fault begins after them, but the first round is always whole), `FAULT` (only
//! the faults with these names, separated by commas). `chaos docs` writes the report of the last run into
//! `docs/resilience.md`.
//!
//! Exit codes: 0, every invariant held; 1, one was broken; 2, the run could not be made.

#![forbid(unsafe_code)]

mod checks;
mod clients;
mod document;
mod faults;
mod journal;
mod phases;
mod plan;
mod report;
mod rig;
mod traffic;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use tokio::signal::unix::{SignalKind, signal};

use clients::Clients;
use faults::{FAULTS, Fault};
use journal::Journal;
use plan::Plan;
use report::Report;
use rig::Rig;

/// The length of a run that nobody has set.
const SECONDS: u64 = 300;

/// The settings of a run.
#[derive(Clone, Debug)]
struct Settings {
    seed: u64,
    length: Duration,
    faults: Vec<&'static Fault>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = async {
        if std::env::args().nth(1).as_deref() == Some("docs") {
            return document::write().map(|()| ExitCode::SUCCESS);
        }
        let settings = Settings::read()?;
        let mut terminate = signal(SignalKind::terminate())?;
        // Dropping the run stops every program that it started.
        tokio::select! {
            outcome = run(&settings) => outcome,
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
            _ = terminate.recv() => bail!("terminated"),
        }
    };
    outcome.await.unwrap_or_else(|error| {
        eprintln!("chaos: {error:#}");
        ExitCode::from(2)
    })
}

impl Settings {
    /// From the environment.
    fn read() -> Result<Self> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let number = |name: &str| -> Result<Option<u64>> {
            set(name)
                .map(|text| text.parse().with_context(|| format!("{name} is {text}, and must be a number")))
                .transpose()
        };
        // Any number will do.
        let clock =
            || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_secs() % 100_000);
        let seed = number("SEED")?.unwrap_or_else(clock);
        let length = Duration::from_secs(number("CHAOS_SECONDS")?.unwrap_or(SECONDS));
        let names = set("FAULT");
        let faults = match &names {
            None => FAULTS.iter().collect(),
            Some(names) => names.split(',').map(named).collect::<Result<_>>()?,
        };
        Ok(Self { seed, length, faults })
    }

    /// The first round is whole, whatever its length; a single fault is asked for once.
    fn has_time(&self, start: Instant) -> bool {
        self.faults.len() == FAULTS.len() && start.elapsed() < self.length
    }
}

fn named(name: &str) -> Result<&'static Fault> {
    let known = || FAULTS.iter().map(|fault| fault.name).collect::<Vec<_>>().join(", ");
    FAULTS
        .iter()
        .find(|fault| fault.name == name)
        .with_context(|| format!("there is no fault {name:?}, only {}", known()))
}

/// Runs the plan of a seed, and reports.
///
/// # Errors
/// When a part does not start, or a fault cannot be injected or lifted, and no invariant was broken before.
async fn run(settings: &Settings) -> Result<ExitCode> {
    let Settings { seed, length, faults } = settings;
    println!("chaos: seed {seed}, {} faults, {} s at least; starting the parts", faults.len(), length.as_secs());
    let mut rig = Rig::start().await?;
    let journal = Arc::new(Journal::new(traffic::kinds()?));
    let _clients = Clients::start(rig.address()?, &journal);
    let start = Instant::now();
    let mut report = Report::new(*seed);
    let outcome = pass_through_all(settings, start, &mut rig, &journal, &mut report).await;
    // A run may end early because clients get wrong answers only.
    let breaches = journal.take_breaches();
    report.breaches("the last phase", None, &breaches);
    if let Err(error) = outcome {
        if breaches.is_empty() {
            return Err(error);
        }
        println!("chaos: {error:#}");
    }
    ensure!(journal.total() > 0, "no request was sent");
    report.publish(&rig.envoy()?.admin().version().await?, journal.total(), start.elapsed())
}

/// Injects the faults of the plan, round after round, until the time is over.
async fn pass_through_all(
    settings: &Settings,
    start: Instant,
    rig: &mut Rig,
    journal: &Journal,
    report: &mut Report,
) -> Result<()> {
    phases::quiet(rig, journal).await?;
    report.breaches("before the first fault", None, &journal.take_breaches());
    let mut plan = Plan::new(settings.seed, settings.faults.len());
    for round in 1.. {
        for step in plan.round() {
            if round > 1 && !settings.has_time(start) {
                return Ok(());
            }
            let Some(fault) = settings.faults.get(step.fault).copied() else { continue };
            let ended = phases::pass_through(fault, step.hold, rig, journal).await?;
            let breaches = journal.take_breaches();
            report.breaches(&format!("{}, round {round}", fault.name), Some(fault), &breaches);
            report.add(fault, round, ended, breaches.is_empty());
        }
        if !settings.has_time(start) {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_fault_is_an_error_that_names_those_that_exist() {
        assert_eq!(named("store-kill").unwrap().name, "store-kill");
        let error = named("store").unwrap_err().to_string();
        assert!(error.contains("store-freeze"), "{error}");
    }
}
