//! Requests through Envoy with the filter: under a leased limit, and others that no limit counts.
//!
//! Both go through the same Envoy, because the memory layout of two processes makes a larger difference than a leased check.
//! The CPU time of Envoy is a hundred times that of the check, so the filter has a timer (`bench/filters/timed`).
//! The store is Valkey, so that the service pays for leases what it would pay with replicas.

use std::time::Duration;

use anyhow::{Context, Result};
use cellgate_tests::measure::procfs::cpu_time;
use cellgate_tests::options::{Options, sample_config};
use cellgate_tests::valkey::{ServerOptions, Valkey};
use serde_json::{Value, json};

use super::findings::{Findings, digits, spread};
use super::rig::{self, FilterRig};
use super::rounds::{self, Rounds};
use super::service::{self, PATIENT, store_answers};
use super::syncs::{CLUSTER, SyncCount, add_cluster};
use crate::affinity::Split;
use crate::goals::Goal;
use crate::measure::order;
use crate::stats::Spread;
use crate::timed;

/// The path of requests that the leased limit counts.
const COUNTED: &str = "/leased/orders";

/// The path of requests that no limit counts, of the same length.
const UNCOUNTED: &str = "/others/orders";

/// How long few requests are sent, while calls of `Sync` are counted.
const LIGHT: Duration = Duration::from_secs(8);

/// The requests of each second of that time.
const LIGHT_RATE: u32 = 20;

/// Measures the requests. `noop` is the cost of a call that does nothing.
///
/// # Errors
/// When a part does not start, a request has a wrong result, or the filter gets no leases.
pub(super) async fn measure(findings: &mut Findings, noop: Spread) -> Result<()> {
    eprintln!("requests under a leased limit: starting Envoy with the filter, cellgate, and Valkey");
    let (directory, store) = (service::directory()?, Valkey::start(ServerOptions::new()).await?);
    let options = service::store_options(&store, Some(PATIENT), directory.path())?;
    let stack = rig::start(leased(&options)).await?;
    let mut rigs = [
        FilterRig::new("request without a limit", &stack, UNCOUNTED, false).await?,
        FilterRig::new("request under a leased limit", &stack, COUNTED, true).await?,
    ];
    store_answers(stack.ext_proc(), true).await?;
    let (service, valkey) = (stack.ext_proc().pid(), store.pid()?);
    let split = Split::new()?;
    if let Some(split) = &split {
        for pid in [stack.envoy().process().pid(), service, valkey] {
            split.measure(pid)?;
        }
    }
    for rig in &mut rigs {
        rig.warm_up().await.with_context(|| rig.name)?;
    }

    let syncs = SyncCount::begin(&stack).await?;
    let before = (cpu_time(service)?, cpu_time(valkey)?);
    let added = rounds(&mut rigs).await?;
    let used = (cpu_time(service)?.saturating_sub(before.0), cpu_time(valkey)?.saturating_sub(before.1));
    let [plain, leased] = &mut rigs;
    let loaded = syncs.end(&stack).await?;
    let sent = leased.sent;
    let each = |time: Duration| time.as_secs_f64() * 1e6 / sent.requests.max(1) as f64;

    findings.add("request in Envoy that no limit counts", spread(plain.cost()?, "µs"), "256 B, HTTP/1.1");
    findings.add("request in Envoy under a leased limit", spread(leased.cost()?, "µs"), "CPU time of Envoy");
    findings.add("decision in the filter that no limit counts", spread(plain.decision()?, "µs"), "hostcalls included");
    findings.add(
        "decision in the filter under a leased limit",
        spread(leased.decision()?, "µs"),
        format!("adds {}", spread(added.value, "µs")),
    );
    findings.goal(added);
    let ratio = each(used.0) / noop.median;
    findings.add(
        "leased request in the service, with Valkey",
        format!("{} µs", digits(each(used.0))),
        format!(
            "{} of the no-op call; in Valkey {} µs; {} requests, of which the service decided {} ({} batches repeated)",
            digits(ratio),
            digits(each(used.1)),
            sent.requests,
            sent.handed_over,
            sent.repeated
        ),
    );
    let name = "a leased request in the service, with Valkey, over a no-op call";
    findings.goal(Goal::at_most(name, Spread::one(ratio), 1.3));

    eprintln!("counting calls of Sync for {} s, at {LIGHT_RATE} requests a second", LIGHT.as_secs());
    let syncs = SyncCount::begin(&stack).await?;
    leased.send_slowly(LIGHT_RATE, LIGHT).await?;
    let light = syncs.end(&stack).await?;
    for (load, rate) in [(sent.requests as f64 / loaded.seconds, loaded), (f64::from(LIGHT_RATE), light)] {
        let name = format!("calls of Sync at {load:.0} requests a second");
        let (each, beside) = (rate.per_second(), format!("{} calls in {:.1} s", rate.calls, rate.seconds));
        findings.add(name.as_str(), format!("{} a second", digits(each)), format!("{beside}, of one virtual machine"));
        findings.goal(Goal::at_most(format!("{name}, for each virtual machine and second"), Spread::one(each), 1.0));
    }
    Ok(())
}

/// Runs all rounds. Returns the goal for what a leased check adds.
async fn rounds(rigs: &mut [FilterRig; 2]) -> Result<Goal> {
    let mut rounds = Rounds::new();
    loop {
        let [plain, leased] = &*rigs;
        let added: Vec<f64> =
            leased.decisions.iter().zip(&plain.decisions).map(|(leased, plain)| leased - plain).collect();
        let goal = rounds::at_most("time that a leased check adds to a decision in the filter, µs", &added, 3.0);
        let Some(round) = rounds.next(goal.unclear.is_some()) else { return Ok(goal) };
        for index in order(rigs.len(), round) {
            let rig = rigs.get_mut(index).context("a rig")?;
            rig.measure().await.with_context(|| rig.name)?;
        }
        let latest = rigs.iter().filter_map(|rig| Some(format!("{} {:.1}", rig.name, rig.decisions.last()?)));
        eprintln!("  decision in the filter: {} µs", latest.collect::<Vec<_>>().join(", "));
    }
}

/// The options of the stack whose filter spends leases.
fn leased(service_options: &[String]) -> Options {
    let mut options = Options::default().module(timed::module()).config(leased_config()).adjust(add_cluster);
    for pair in service_options.chunks_exact(2) {
        if let [name, value] = pair {
            options = options.service_option(name, value);
        }
    }
    options
}

fn leased_config() -> Value {
    let mut config = sample_config();
    if let Some(fields) = config.as_object_mut() {
        let limit = json!({"name": "per-tenant", "key": ["routing_key"], "limit": super::UNREACHED, "lease": true, "applies_to": {"paths": ["/leased/"]}});
        fields.insert("rate_limits".to_owned(), json!([limit]));
        fields.insert("sync".to_owned(), json!({"cluster": CLUSTER}));
    }
    config
}
