//! `make soak`: mixed traffic at half of the machine's maximum rate, while both tiers get a new configuration every
//! second and tenants move between cells. Every response is checked against the configurations that may have decided
//! it. Memory must not grow.
//!
//! The chain is the one that the documentation recommends: the filter, and the service for deferred requests.

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

/// The duration of the search for the maximum rate.
const CALIBRATION: Duration = Duration::from_secs(10);

/// The number of concurrent requests during the search.
const CALLERS: usize = 16;

/// The share of one core that all programs, including clients and cells, may use together.
const CORES: f64 = 0.7;

/// The limit of concurrent requests. Only a hang reaches it; then the clients wait, which the report shows.
const MAX_CONCURRENT: usize = 1000;

/// The service's `--decision-timeout`. With the default of 10 s, a busy machine caused rejections of 5 MB bodies. It is
/// shorter than the clients' timeout, so a hanging stream is still detected.
const DEADLINE: &str = "25s";

/// The interval of progress messages, in seconds.
const PROGRESS: u64 = 10;

/// The state that the tasks of a run share.
#[derive(Debug)]
struct Run {
    mix: Mix,
    clients: Clients,
    timeline: Arc<Timeline>,
    start: Instant,
    next: AtomicU64,
    tally: Mutex<Tally>,
}

/// The result of the calibration.
#[derive(Clone, Copy, Debug)]
struct Rates {
    /// The maximum rate, in requests per second.
    saturation: f64,
    /// CPU seconds per request of all programs together.
    cost: f64,
    /// The rate of the run, in requests per second.
    chosen: f64,
}

/// Exit codes: 0, success; 1, a response was wrong or memory grew; 2, the test could not run.
#[tokio::main]
async fn main() -> ExitCode {
    let outcome = async {
        let mut terminate = signal(SignalKind::terminate())?;
        // Dropping the run stops every program that it started.
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

/// `$MINUTES`, or 30. Memory is judged in runs of at least 20 minutes.
fn minutes() -> Result<f64> {
    let Some(minutes) = std::env::var_os("MINUTES") else { return Ok(30.0) };
    let minutes = minutes.to_str().and_then(|text| text.parse().ok());
    let minutes: f64 = minutes.context("MINUTES must be a number of minutes")?;
    ensure!(minutes > 0.0 && minutes < 1e5, "MINUTES is {minutes}");
    Ok(minutes)
}

/// Runs for `minutes` and writes `target/bench/soak.json`. The exit code is 0 if every response was right, nothing was
/// left over, and memory did not grow.
///
/// # Errors
/// When a part does not start, exits, or rejects a configuration.
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

/// Finds the maximum rate with [`CALLERS`] concurrent requests, and chooses the rate of the run.
async fn calibrate(run: &Arc<Run>, stack: &Stack) -> Result<Rates> {
    eprintln!("soak: measuring the maximum rate for {} s", CALIBRATION.as_secs());
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

/// Sends requests in an open loop: each at its time, even if earlier ones have no response yet. Returns the number of
/// requests that had to wait because [`MAX_CONCURRENT`] was reached.
async fn send_steadily(run: &Arc<Run>, rate: f64, length: Duration) -> Result<u64> {
    let mut due = tokio::time::interval(Duration::from_secs_f64(1.0 / rate));
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (start, mut late) = (Instant::now(), 0);
    let mut under_way = JoinSet::new();
    while start.elapsed() < length {
        due.tick().await;
        if under_way.len() >= MAX_CONCURRENT {
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

/// Samples memory every second and prints progress. Returns only on an error.
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
    /// Sends the next visit.
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

/// Sends the access log to /dev/null: its cost and memory count, but 30 minutes of it would fill the disk.
fn access_log_to_nowhere(bootstrap: &mut Value) {
    const FILE: &str =
        "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/access_log/0/typed_config/path";
    if let Some(path) = bootstrap.pointer_mut(FILE) {
        *path = Value::from("/dev/null");
    }
}
