//! The memory of the service: idle, and while large bodies with late keys go through it.
//!
//! A body whose key comes last is held until then, whole, by whoever decides: the header must go before the body. What
//! 64 of them cost is therefore a question of how many are under way at a time. The promise is about 64 that flow through
//! one after the other. 8 and 64 at once are reported beside it: 64 are 640 MB to hold.

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

/// Bodies that are sent.
const BODIES: usize = 64;

/// Bytes of each.
const SIZE: usize = 10_000_000;

/// Fresh services that are measured, for each number of bodies at a time.
const ROUNDS: usize = 3;

/// From one look at the service to the next.
const LOOK: Duration = Duration::from_millis(5);

/// How many of the bodies are under way at a time.
const AT_ONCE: [usize; 3] = [1, 8, BODIES];

/// What the service takes, in MB of 10^6 bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Usage {
    /// Before the first request.
    idle: f64,
    /// At most, while the bodies went through.
    peak: f64,
    /// Of which were bodies, by the service's own count.
    held: f64,
}

/// The service's memory, with the promises about it.
///
/// # Errors
/// When a part does not come up, or a body does not arrive whole.
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

/// Sends all bodies through a fresh service, `at_once` at a time, each without a pause.
///
/// # Errors
/// As for [`part`].
async fn measure(at_once: usize) -> Result<Usage> {
    // Every body may be held, for as long as a busy machine needs: what is measured is what that takes.
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
            ensure!(seen.get("sha256").and_then(Value::as_str) == Some(&*hash), "the body arrived changed");
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
    wait::until("the service to hold nothing", || async {
        Ok((stack.ext_proc().metric("cellgate_held_bytes").await? == 0.0).then_some(()))
    })
    .await?;
    Ok(Usage { idle, peak, held })
}

fn megabytes(kibibytes: u64) -> f64 {
    kibibytes as f64 * 1024.0 / 1e6
}
