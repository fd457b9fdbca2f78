//! How long calls of RateLimitService take before, while and after Valkey is stopped.
//!
//! A second service has a Valkey of its own that goes on, and gets as many calls at the same time. On a busy machine, p99 of
//! one period and of the next differ by more than the goal without any cause. The two services have the same machine at
//! the same time, so their difference shows what the stopped Valkey costs.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cellgate_tests::ext_proc::ExtProc;
use cellgate_tests::process::Signal;
use cellgate_tests::valkey::{ServerOptions, Valkey};
use tempfile::TempDir;

use super::caller::{self, Caller};
use super::findings::{Findings, digits, spread};
use super::rounds;
use super::service::{self, AVAILABLE, store_answers};
use crate::affinity::Split;
use crate::stats::Spread;

/// How long each phase takes.
const PHASE: Duration = Duration::from_secs(5);

/// A call begins so long after the one before.
const PACE: Duration = Duration::from_millis(2);

/// How often Valkey is stopped, at least, and at most while noise hides whether the goal holds.
const CYCLES: [usize; 2] = [5, 8];

/// The goal: p99 rises by less than this, in milliseconds.
const RISE: f64 = 5.0;

/// The metric of checks that the service has answered by its share, because the store did not.
const BY_SHARE: &str = "cellgate_rate_limit_answers_total{by=\"local\"}";

/// A service with a Valkey of its own.
struct StoredService {
    caller: Caller,
    service: ExtProc,
    store: Valkey,
    _directory: TempDir,
}

/// The times of a phase: of the service whose Valkey is stopped in the second phase, and of the other one.
#[derive(Clone, Copy)]
struct Phase {
    stopped: PhaseTimes,
    control: PhaseTimes,
}

/// Percentiles of the times of calls, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct PhaseTimes {
    median: f64,
    p99: f64,
    longest: f64,
}

/// Measures the calls.
///
/// # Errors
/// When a program does not start, a call is not admitted, or the service does not notice that its store is stopped.
pub(super) async fn measure(findings: &mut Findings) -> Result<()> {
    eprintln!("calls while the store is stopped: starting cellgate twice, each with a Valkey and the default deadline");
    let services = [StoredService::start().await?, StoredService::start().await?];
    let split = Split::new()?;
    if let Some(split) = &split {
        for service in &services {
            split.measure(service.service.pid())?;
            split.measure(service.store.pid()?)?;
        }
    }
    let [stopped, control] = &services;
    both(stopped, control, PHASE / 5).await?;
    let [least, most] = CYCLES;
    let mut cycles: Vec<[Phase; 3]> = Vec::new();
    let goal = loop {
        let rises: Vec<f64> = cycles.iter().map(|[_, stopped, _]| stopped.rise()).collect();
        let name = "p99 of calls while Valkey is stopped, less p99 with a Valkey that goes on, ms";
        let goal = rounds::at_most(name, &rises, RISE);
        let number = cycles.len() + 1;
        if number > most || (number > least && goal.unclear.is_none()) {
            break goal;
        }
        cycles.push(cycle(number, stopped, control).await?);
    };
    let of = |phase: usize, figure: &dyn Fn(&Phase) -> f64| {
        Spread::of(cycles.iter().filter_map(|cycle| cycle.get(phase).map(figure))).context("no cycles")
    };
    for (phase, name) in ["before", "while", "after"].into_iter().enumerate() {
        findings.add(
            format!("p99 of calls {name} Valkey is stopped for {} s", PHASE.as_secs()),
            spread(of(phase, &|phase| phase.stopped.p99)?, "ms"),
            format!(
                "with a Valkey that goes on {}; medians {} and {} ms, longest {} and {} ms",
                spread(of(phase, &|phase| phase.control.p99)?, "ms"),
                digits(of(phase, &|phase| phase.stopped.median)?.median),
                digits(of(phase, &|phase| phase.control.median)?.median),
                digits(of(phase, &|phase| phase.stopped.longest)?.max),
                digits(of(phase, &|phase| phase.control.longest)?.max),
            ),
        );
    }
    findings.goal(goal);
    Ok(())
}

/// The times before, while and after Valkey is stopped.
async fn cycle(number: usize, stopped: &StoredService, control: &StoredService) -> Result<[Phase; 3]> {
    let seconds = PHASE.as_secs();
    store_answers(&stopped.service, true).await?;
    eprintln!("stop {number}: {seconds} s with Valkey, a call each {} ms", PACE.as_millis());
    let before = both(stopped, control, PHASE).await?;
    eprintln!("stop {number}: {seconds} s while Valkey is stopped (SIGSTOP)");
    let answered = stopped.service.metric(BY_SHARE).await?;
    stopped.store.signal(Signal::STOP)?;
    let without = both(stopped, control, PHASE).await;
    let available = stopped.service.metric(AVAILABLE).await;
    // Valkey goes on before anything else can fail.
    stopped.store.signal(Signal::CONT)?;
    let (without, available) = (without?, available?);
    let answered = stopped.service.metric(BY_SHARE).await? - answered;
    let calls = PHASE.as_secs_f64() / PACE.as_secs_f64();
    ensure!(available == 0.0, "the service did not notice that Valkey was stopped");
    ensure!(answered >= calls * 0.9, "without Valkey, the service answered only {answered} of {calls} calls itself");
    eprintln!("stop {number}: {seconds} s after Valkey goes on (SIGCONT)");
    let after = both(stopped, control, PHASE).await?;
    let phases = [before, without, after];
    let [before, without, after] = phases.map(|phase| digits(phase.stopped.p99));
    eprintln!("  p99 before {before} ms, while {without} ms, after {after} ms");
    Ok(phases)
}

/// Calls both services at the same time.
async fn both(stopped: &StoredService, control: &StoredService, time: Duration) -> Result<Phase> {
    let (stopped, control) = tokio::try_join!(stopped.caller.paced(PACE, time), control.caller.paced(PACE, time))?;
    Ok(Phase { stopped: PhaseTimes::of(stopped)?, control: PhaseTimes::of(control)? })
}

impl StoredService {
    async fn start() -> Result<Self> {
        let (directory, store) = (service::directory()?, Valkey::start(ServerOptions::new()).await?);
        let options = service::store_options(&store, None, directory.path())?;
        let service = service::cellgate(&caller::config(), directory.path(), &options).await?;
        let caller = Caller::connect(service.addresses().grpc).await?;
        Ok(Self { caller, service, store, _directory: directory })
    }
}

impl Phase {
    /// How much p99 is above that of the other service.
    fn rise(&self) -> f64 {
        self.stopped.p99 - self.control.p99
    }
}

impl PhaseTimes {
    fn of(mut times: Vec<Duration>) -> Result<Self> {
        times.sort_unstable();
        let at = |share: f64| {
            let rank = (times.len() as f64 * share).ceil() as usize;
            let time = times.get(rank.saturating_sub(1)).context("no calls")?;
            anyhow::Ok(time.as_secs_f64() * 1e3)
        };
        Ok(Self { median: at(0.5)?, p99: at(0.99)?, longest: at(1.0)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_hundred_calls_one_may_take_longer_than_p99() {
        let times = (1..=100).rev().map(Duration::from_millis).collect();
        let times = PhaseTimes::of(times).unwrap();
        assert_eq!([times.median, times.p99, times.longest].map(f64::round), [50.0, 99.0, 100.0]);
        let one = PhaseTimes::of(vec![Duration::from_millis(7)]).unwrap();
        assert_eq!([one.median, one.p99, one.longest].map(f64::round), [7.0; 3]);
        assert!(PhaseTimes::of(Vec::new()).is_err());
    }

    #[test]
    fn the_rise_is_over_the_service_whose_store_goes_on() {
        let times = |p99: f64| PhaseTimes { median: 0.5, p99, longest: 20.0 };
        let rise = Phase { stopped: times(12.0), control: times(9.5) }.rise();
        assert!((rise - 2.5).abs() < 1e-9);
    }
}
