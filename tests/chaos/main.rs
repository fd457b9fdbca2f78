//! `make chaos`: one fault after the other in a running installation of real parts, while clients send every kind of
//! request. Each answer, and each request that reaches a cell, is judged. The order and the timing of the faults come from a
//! seed.
//!
//! Environment: `SEED`, `CHAOS_SECONDS` (no new fault begins after them, but the first round is always whole), `FAULT` (only
//! the faults with these names, separated by commas, once), `ROUND` (the first round, 1 without it: a fault lasts as long as
//! it did in this round). `chaos docs` writes the report of the last run into
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
use phases::Ended;
use plan::Step;
use report::Report;
use rig::Rig;

/// The length of a run that nobody has set.
const SECONDS: u64 = 300;

/// The settings of a run.
#[derive(Clone, Debug)]
struct Settings {
    seed: u64,
    round: u64,
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
        let round = number("ROUND")?.unwrap_or(1);
        Ok(Self { seed, round, length, faults })
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
/// When a part does not start, or no request was sent.
async fn run(settings: &Settings) -> Result<ExitCode> {
    let Settings { seed, length, faults, .. } = settings;
    println!("chaos: seed {seed}, {} faults, {} s at least; starting the parts", faults.len(), length.as_secs());
    let mut rig = Rig::start().await?;
    let journal = Arc::new(Journal::new(traffic::kinds()?));
    let _clients = Clients::start(rig.address()?, &journal);
    let start = Instant::now();
    let mut report = Report::new(*seed, *length);
    // Later, it may be dead.
    let envoy = rig.envoy()?.admin().version().await?;
    pass_through_all(settings, start, &mut rig, &journal, &mut report).await;
    report.breaches("the last phase", None, &journal.take_breaches());
    ensure!(journal.total() > 0, "no request was sent");
    report.publish(&envoy, journal.total(), start.elapsed())
}

/// Injects the faults of the plan, round after round, until the time is over, or one has no end.
async fn pass_through_all(settings: &Settings, start: Instant, rig: &mut Rig, journal: &Journal, report: &mut Report) {
    let steady = phases::quiet(rig, journal).await;
    if let Err(error) = &steady {
        journal.breach(format!("{error:#}"));
    }
    report.breaches("before the first fault", None, &journal.take_breaches());
    if steady.is_err() {
        return;
    }
    for round in settings.round.. {
        for Step { fault, hold } in plan::round(settings.seed, round, &settings.faults) {
            if round > settings.round && !settings.has_time(start) {
                return;
            }
            let ended = phases::pass_through(fault, hold, rig, journal).await;
            // What a part should have done, and has not, is no less wrong than a wrong answer.
            let ended = ended.unwrap_or_else(|error| {
                journal.breach(format!("{error:#}"));
                Ended::Never
            });
            let has_ended = !matches!(ended, Ended::Never);
            let breaches = journal.take_breaches();
            report.breaches(&format!("{}, round {round}", fault.name), Some((fault, round)), &breaches);
            report.add(fault, round, ended, breaches.is_empty());
            if !has_ended {
                println!("chaos: the run ends, because the next fault needs parts that work");
                return;
            }
        }
        if !settings.has_time(start) {
            return;
        }
    }
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
