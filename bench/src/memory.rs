//! The memory of the service: idle, and while large bodies with the key at their end pass through it.
//!
//! The service buffers a body until it has the key, because the routing header goes before the body. The memory that 64
//! bodies need therefore depends on how many are open at a time. The goal covers 64 bodies one after the other. The
//! report also has the figures for 8 and for 64 at a time; 64 bodies are 640 MB.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cellgate_bench_documents::{KeyAt, Kind, document};
use cellgate_tests::client::{Http1, Request};
use cellgate_tests::options::{BodyMode, Chain, Options};
use cellgate_tests::stack::Stack;
use cellgate_tests::{sha256, wait};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::goals::Goal;
use crate::micro::Part;
use crate::stats::Spread;
use cellgate_tests::measure::procfs::resident;

/// The number of bodies in each round.
const BODIES: usize = 64;

/// The size of each body in bytes.
const SIZE: usize = 10_000_000;

/// The number of rounds, each with a new service, for each number of bodies at a time.
const ROUNDS: usize = 3;

/// The interval between two readings of the service's memory.
const LOOK: Duration = Duration::from_millis(5);

/// The number of bodies that are open at a time.
const AT_ONCE: [usize; 3] = [1, 8, BODIES];

/// The memory of the service, in MB of 10^6 bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Usage {
    /// Before the first request.
    idle: f64,
    /// The maximum while the bodies passed.
    peak: f64,
    /// The part of the maximum that is body bytes, from the service's own metric.
    held: f64,
}

/// Measures the service's memory and compares it with the goals.
///
/// # Errors
/// When a part does not start, or a body does not arrive whole.
pub(crate) async fn part(quick: bool) -> Result<Part> {
    eprintln!("memory of the service");
    let (mut idle, mut flowing, mut table) = (Vec::new(), Vec::new(), Vec::new());
    for at_once in AT_ONCE {
        let mut usages = Vec::new();
        for _ in 0..if quick { 1 } else { ROUNDS } {
            usages.push(measure(at_once).await?);
        }
        let spread = |figure: fn(&Usage) -> f64| Spread::of(usages.iter().map(figure)).context("no rounds");
        idle.extend(usages.iter().map(|usage| usage.idle));
        if at_once == 1 {
            flowing.extend(usages.iter().map(|usage| usage.peak));
        }
        table.push((at_once, spread(|usage| usage.peak)?, spread(|usage| usage.held)?));
    }
    let of = |values: Vec<f64>| Spread::of(values).context("no rounds");
    let rows: String = table
        .iter()
        .map(|(at_once, peak, held)| format!("| {at_once} | {:.1} | {:.1} |\n", peak.median, held.median))
        .collect();
    Ok(Part {
        name: "memory",
        markdown: format!(
            "## Memory of the service\n\n{BODIES} bodies of 10 MB, key last, FULL_DUPLEX_STREAMED, MB:\n\n\
             | under way at a time | resident, at most | of which held |\n|--:|--:|--:|\n{rows}"
        ),
        json: table
            .iter()
            .map(|(at_once, peak, held)| json!({"at_once": at_once, "peak_mb": peak.median, "held_mb": held.median}))
            .collect(),
        goals: vec![
            Goal::at_most("memory of the service, idle, MB", of(idle)?, 10.0),
            Goal::at_most(
                "memory of the service, 64 bodies of 10 MB one after the other, key last, MB",
                of(flowing)?,
                32.0,
            ),
        ],
    })
}

/// Sends all bodies through a new service, `at_once` at a time, without pauses.
///
/// # Errors
/// As for [`part`].
async fn measure(at_once: usize) -> Result<Usage> {
    // No limit may reject a body, however long a busy machine takes, because the memory for all of them is measured.
    let options = Options::default()
        .chain(Chain::Service(BodyMode::Streamed))
        .service_option("--max-held-bytes", "2GiB")
        .service_option("--decision-timeout", "120s");
    let stack = Stack::try_start(options).await?;
    let (address, pid) = (stack.address(), stack.ext_proc().pid());
    let idle = megabytes(resident(pid)?);
    let body = bytes::Bytes::from(document(Kind::Objects, SIZE, KeyAt::Last, "acme"));
    let hash: Arc<str> = sha256(&body).into();
    let request = Request::post("/api/orders").json(body);
    let (mut senders, places) = (JoinSet::new(), Arc::new(Semaphore::new(at_once)));
    for _ in 0..BODIES {
        let (request, hash, places) = (request.clone(), Arc::clone(&hash), Arc::clone(&places));
        senders.spawn(async move {
            let _place = places.acquire().await?;
            let answer = Http1::connect(address).await?.send(&request).await?;
            let seen: Value = serde_json::from_slice(&answer.body).with_context(|| answer.text())?;
            ensure!(answer.served_by() == Some("cell-b"), "{} {}", answer.status, answer.text());
            ensure!(seen.get("sha256").and_then(Value::as_str) == Some(&*hash), "the cell received a changed body");
            Ok(())
        });
    }
    let (mut peak, mut held) = (idle, 0.0_f64);
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            ended = senders.join_next() => match ended {
                Some(ended) => ended?.context("a body of 10 MB")?,
                None => break,
            },
            _ = look.tick() => {
                peak = peak.max(megabytes(resident(pid)?));
                held = held.max(stack.ext_proc().metric("cellgate_held_bytes").await? / 1e6);
            }
        }
    }
    wait::until("the service to release all body bytes", || async {
        Ok((stack.ext_proc().metric("cellgate_held_bytes").await? == 0.0).then_some(()))
    })
    .await?;
    Ok(Usage { idle, peak, held })
}

fn megabytes(kibibytes: u64) -> f64 {
    kibibytes as f64 * 1024.0 / 1e6
}
