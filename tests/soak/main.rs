//! `make soak`: mixed traffic at half of what the machine carries, while both tiers get another configuration every
//! second and tenants move between cells. Every answer is checked against the configurations that may have been in
//! force; memory must stay flat.
//!
//! The chain is the one that the documentation recommends: the filter, and the service behind it for what it defers.

#![forbid(unsafe_code)]

mod bodies;
mod clients;
mod mix;
mod reload;
mod report;
mod tally;
mod tenants;
mod timeline;
mod watch;

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use cellgate_tests::measure::procfs::cpu_time;
use cellgate_tests::options::Options;
use cellgate_tests::stack::Stack;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use clients::Clients;
use mix::{INSPECT_BYTES, Mix};
use reload::{Probes, Reloads};
use tally::Tally;
use timeline::Timeline;
use watch::Sample;

/// How long the greatest rate is looked for.
const CALIBRATION: Duration = Duration::from_secs(10);

/// Requests at a time while it is looked for.
const CALLERS: usize = 16;

/// All programs together take at most so much of one core, clients and cells included: the machine may have others.
const CORES: f64 = 0.7;

/// Requests under way at a time. Reached only when something hangs: then the clients wait, and say so.
const UNDER_WAY: usize = 1000;

/// The service's deadline for a decision. With the usual 10 s, bodies of 5 MB were refused while the machine had no CPU
/// time to spare. A stream that hangs does not come through with this one either: it ends before the clients' patience.
const DEADLINE: &str = "25s";

/// From one line of progress to the next, in seconds.
const PROGRESS: u64 = 10;

/// What the tasks of a run share.
#[derive(Debug)]
struct Run {
    mix: Mix,
    clients: Clients,
    timeline: Arc<Timeline>,
    start: Instant,
    next: AtomicU64,
    tally: Mutex<Tally>,
}

/// What the calibration found.
#[derive(Clone, Copy, Debug)]
struct Rates {
    /// Requests per second that were answered when as many as possible were sent.
    saturation: f64,
    /// CPU seconds per request of everything together.
    cost: f64,
    /// Requests per second of the run.
    chosen: f64,
}

/// Exit codes: 0 good, 1 an answer was wrong or memory grew, 2 it could not run.
#[tokio::main]
async fn main() -> ExitCode {
    let outcome = async {
        let mut terminate = signal(SignalKind::terminate())?;
        // Dropping the run ends every program that it started.
        tokio::select! {
            outcome = run(minutes()?) => outcome,
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
            _ = terminate.recv() => bail!("terminated"),
        }
    };
    outcome.await.unwrap_or_else(|error| {
        eprintln!("soak: {error:#}");
        ExitCode::from(2)
    })
}

/// `$MINUTES`, or half an hour. Memory is judged from 20 on.
fn minutes() -> Result<f64> {
    let Some(minutes) = std::env::var_os("MINUTES") else { return Ok(30.0) };
    let minutes = minutes.to_str().and_then(|text| text.parse().ok());
    let minutes: f64 = minutes.context("MINUTES is not a number")?;
    ensure!(minutes > 0.0 && minutes < 1e5, "MINUTES is {minutes}");
    Ok(minutes)
}

/// Runs for `minutes` and writes `target/bench/soak.json`. The exit code says whether every answer was right, nothing
/// was left over, and memory did not grow.
///
/// # Errors
/// When a part does not come up, ends, or does not take a configuration.
async fn run(minutes: f64) -> Result<ExitCode> {
    let options = Options::default()
        .config(tenants::config(0, INSPECT_BYTES))
        .service_option("--decision-timeout", DEADLINE)
        .adjust(access_log_to_nowhere);
    let stack = Stack::try_start(options).await?;
    let timeline = Arc::new(Timeline::default());
    timeline.publish(0);
    let run = Arc::new(Run {
        mix: Mix::new(),
        clients: Clients::new(stack.address()),
        timeline: Arc::clone(&timeline),
        start: Instant::now(),
        next: AtomicU64::new(0),
        tally: Mutex::default(),
    });
    let (probes, reloads) = (Probes::default(), Mutex::new(Reloads::default()));
    let note = |now| *reloads.lock().unwrap_or_else(PoisonError::into_inner) = now;
    let mut samples = Vec::new();
    let traffic = async {
        let rates = calibrate(&run, &stack).await?;
        eprintln!("soak: {}", report::rates(rates));
        let length = Duration::from_secs_f64(minutes * 60.0);
        let begun = Instant::now();
        let watched = watch_memory(&run, &stack, begun, &reloads, &mut samples);
        tokio::select! {
            late = send_steadily(&run, rates.chosen, length) => Ok((rates, late?)),
            broken = watched => Err(broken),
        }
    };
    let (rates, late) = tokio::select! {
        outcome = traffic => outcome?,
        broken = reload::keep_changing(&stack, &timeline, &probes, note) => {
            return Err(broken.err().context("the reloads ended")?);
        }
    };
    let taken = run.tally().taken;
    let leftovers = report::leftovers(&stack, taken, &probes).await?;
    let reloads = *reloads.lock().unwrap_or_else(PoisonError::into_inner);
    let outcome = report::Outcome { minutes, rates, late, reloads, samples: &samples, leftovers };
    outcome.publish(&run.tally())
}

/// The greatest rate, by as many callers as keep everything busy, and the rate to use.
async fn calibrate(run: &Arc<Run>, stack: &Stack) -> Result<Rates> {
    eprintln!("soak: looking for the greatest rate, {} s", CALIBRATION.as_secs());
    let pids = [std::process::id(), stack.envoy().process().pid(), stack.ext_proc().pid()];
    let used = || pids.iter().map(|pid| cpu_time(*pid)).sum::<Result<Duration>>();
    let (before, sent, start) = (used()?, run.tally().sent, Instant::now());
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let run = Arc::clone(run);
        callers.spawn(async move {
            while start.elapsed() < CALIBRATION {
                run.visit().await;
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended?;
    }
    let count = (run.tally().sent - sent) as f64;
    let saturation = count / start.elapsed().as_secs_f64();
    let cost = (used()?.saturating_sub(before)).as_secs_f64() / count.max(1.0);
    Ok(Rates { saturation, cost, chosen: (saturation / 2.0).min(CORES / cost) })
}

/// An open loop: a request is due when it is due, whether or not the ones before have been answered. How many had to
/// wait because too many were under way.
async fn send_steadily(run: &Arc<Run>, rate: f64, length: Duration) -> Result<u64> {
    let mut due = tokio::time::interval(Duration::from_secs_f64(1.0 / rate));
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (start, mut late) = (Instant::now(), 0);
    let mut under_way = JoinSet::new();
    while start.elapsed() < length {
        due.tick().await;
        if under_way.len() >= UNDER_WAY {
            late += 1;
            under_way.join_next().await.transpose()?;
        }
        while let Some(ended) = under_way.try_join_next() {
            ended?;
        }
        let run = Arc::clone(run);
        under_way.spawn(async move { run.visit().await });
    }
    while let Some(ended) = under_way.join_next().await {
        ended?;
    }
    Ok(late)
}

/// Samples memory each second and prints progress, until something breaks.
async fn watch_memory(
    run: &Run,
    stack: &Stack,
    begun: Instant,
    reloads: &Mutex<Reloads>,
    samples: &mut Vec<Sample>,
) -> anyhow::Error {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    for second in 0_u64.. {
        tick.tick().await;
        let progress = second.is_multiple_of(PROGRESS);
        match watch::sample(stack, begun.elapsed(), progress).await {
            Ok(sample) => {
                samples.push(sample);
                if progress {
                    let reloads = *reloads.lock().unwrap_or_else(PoisonError::into_inner);
                    eprintln!("{}", report::progress(&sample, &run.tally(), reloads));
                }
            }
            Err(error) => return error,
        }
    }
    anyhow::anyhow!("the seconds ended")
}

impl Run {
    /// One visit, the next in turn.
    async fn visit(&self) {
        let Some(visit) = self.mix.visit(self.next.fetch_add(1, Ordering::Relaxed)) else { return };
        let start = Instant::now();
        let outcome = self.clients.visit(visit, &self.timeline).await;
        if let Err(error) = &outcome {
            eprintln!("soak: WRONG: {}, {} bytes, {:?}: {error:#}", visit.kind, visit.bytes, visit.protocol);
        }
        self.tally().count(visit, start - self.start, start.elapsed(), outcome);
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The access log is written, so that its cost and its memory are there, and thrown away: 30 minutes of it fill disks.
fn access_log_to_nowhere(bootstrap: &mut Value) {
    const FILE: &str =
        "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/access_log/0/typed_config/path";
    if let Some(path) = bootstrap.pointer_mut(FILE) {
        *path = Value::from("/dev/null");
    }
}
