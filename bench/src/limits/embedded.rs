//! Checks in the embedded store, in this process: what a limit costs the service beside the call.

use std::hint::black_box;
use std::pin::pin;
use std::task::{Context as TaskContext, Poll, Waker};

use anyhow::{Context, Result, ensure};
use cellgate_limit_store::{Clock, LimitStore, StoreCharge, WhenStoreFails};
use cellgate_limiting::{Charge, Enforcement, KeyHasher, LimitId};

use super::UNREACHED;
use super::findings::{Findings, spread};
use crate::goals::Goal;
use crate::micro::thread_time;
use crate::stats::Spread;

/// The keys that are checked in turn: their usages do not fit into the fastest caches.
const KEYS: u64 = 10_000;

/// The batches of [`KEYS`] checks, after an uncounted one.
const BATCHES: usize = 50;

/// Measures checks of one limit and of three.
///
/// # Errors
/// When a check is not admitted.
pub(super) async fn measure(findings: &mut Findings) -> Result<()> {
    for limits in [1, 3] {
        eprintln!("embedded store, in this process: {BATCHES} batches of {KEYS} checks of {limits} limits");
        let times = tokio::task::spawn_blocking(move || batches(limits)).await??;
        let time = Spread::of(times).context("no batches")?;
        let name = if limits == 1 { "one limit" } else { "three limits" };
        findings.add(
            format!("check in the embedded store, {name}"),
            spread(time, "µs"),
            format!("in process, {KEYS} keys in turn"),
        );
        if limits == 1 {
            findings.goal(Goal::at_most("an embedded check in process, µs", time, 2.0));
        }
    }
    Ok(())
}

/// The CPU time of a check in each batch, in microseconds.
fn batches(limits: u16) -> Result<Vec<f64>> {
    let store = LimitStore::embedded(100_000, Clock::monotonic());
    let requests: Vec<_> = (0..KEYS).map(|key| charges(limits, key)).collect::<Result<_>>()?;
    let mut times = Vec::with_capacity(BATCHES);
    for batch in 0..=BATCHES {
        let start = thread_time();
        let admitted = requests.iter().filter(|charges| check(&store, charges)).count();
        let taken = thread_time().saturating_sub(start);
        ensure!(admitted == requests.len(), "{admitted} of {KEYS} checks were admitted");
        if batch > 0 {
            times.push(taken as f64 / 1000.0 / requests.len() as f64);
        }
    }
    Ok(times)
}

/// Whether a request is admitted. The embedded store answers at once.
fn check(store: &LimitStore, charges: &[StoreCharge]) -> bool {
    let charge = pin!(store.charge(black_box(charges)));
    match charge.poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(decision) => decision.is_admitted(),
        Poll::Pending => false,
    }
}

/// The charges of a request.
fn charges(limits: u16, key: u64) -> Result<Vec<StoreCharge>> {
    let hasher = KeyHasher::new([7; 16]);
    let limit = UNREACHED.parse()?;
    let charge = |id: u16| Charge {
        id: LimitId(id),
        key: hasher.key(&format!("limit-{id}"), [key.to_le_bytes().as_slice()]),
        limit,
        cost: 1,
        enforcement: Enforcement::Enforce,
    };
    let charges = (0..limits).map(|id| StoreCharge { charge: charge(id), when_store_fails: WhenStoreFails::Local });
    Ok(charges.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_is_timed_and_charged() {
        let store = LimitStore::embedded(10, Clock::monotonic());
        let charges = charges(3, 1).unwrap();
        assert!(check(&store, &charges));
        assert_eq!(charges.len(), 3);
        // A refused check is not taken for an admitted one.
        let dear: Vec<_> = charges
            .into_iter()
            .map(|charge| StoreCharge { charge: Charge { cost: u64::MAX, ..charge.charge }, ..charge })
            .collect();
        assert!(!check(&store, &dear));
    }
}
